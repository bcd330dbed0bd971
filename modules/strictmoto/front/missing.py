"""What is not there, or was left out, where moto fails at it: AWS refuses such calls with an error of the service.

moto takes ARNs apart and looks things up without asking whether they are there, and where that goes wrong it has no
answer.

Sources: the errors of each operation, which botocore's models of the services have; "Common Errors" of each service's
API Reference (InvalidNextToken, ValidationError, ValidationException); Amazon S3 API Reference, "Error responses"
(InvalidArgument, MissingRequestBodyError).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from xml.parsers.expat import ExpatError

from strictmoto.call_rules.refusal import Refusal
from strictmoto.call_rules.required import missing, missing_of
from strictmoto.requests.arns import is_somewhere
from strictmoto.requests.calls import Call, operation_of
from strictmoto.requests.texts import texts_in

_MISSING: Final = re.compile(r"NotFound|NoSuch|DoesNotExist")
_INVALID: Final = re.compile(r"InvalidArn|InvalidParameter|InvalidArgument|Validation|BadRequest|InvalidInput")
_PART: Final = re.compile("[:/]")
_PAGES: Final = frozenset({"marker", "nexttoken", "paginationtoken"})
_SIZES: Final = frozenset({"limit", "maxitems", "maxrecords", "maxresults", "pagesize"})
"""Parameters that say how much a page holds; moto cuts its list wherever they say."""
_TOKEN_ERROR: Final = re.compile(r"Token|Marker")
_NO_NUMBER: Final = re.compile(
    r"(?:invalid literal for int\(\) with base 10|could not convert string to float): '(.*)'"
)


def refusal_of_missing(call: Call, error: Exception) -> Refusal | None:
    """Return how a service says that what a call names is not there; None where that is not why moto fails.

    Args:
        call: what was asked.
        error: of moto.
    """
    operation = operation_of(call)
    if operation is None:
        return None
    if isinstance(error, ExpatError) and call.protocol == "rest-xml":
        # moto reads a body that may be left out, and must not be.
        return Refusal("MissingRequestBodyError", "Request Body is empty")
    texts = list(texts_in(call.parameters))
    named = error.args[0] if isinstance(error, KeyError) and error.args else None
    # Where the model lets it be left out, and the service does not.
    if isinstance(named, str) and named not in call.parameters and named in _members(operation.input_shape):
        return missing(call, named)
    # moto knows many things by the last part of their ARN.
    if isinstance(named, str) and any(named in (text, _PART.split(text)[-1]) for text in texts):
        for shape in operation.error_shapes:
            if _MISSING.search(shape.name):
                return Refusal(shape.error_code, f"{named} does not exist")
        return Refusal(_invalid(call, operation), f"{named} does not exist")
    for text in texts:
        if text.startswith("arn:") and not is_somewhere(text):
            return Refusal(_invalid(call, operation), f"Invalid ARN: {text}")
    if absent := missing_of(call):
        return absent
    for name, value in call.parameters.items():
        if value == "" and call.protocol == "ec2" and name in _members(operation.input_shape):
            # What is sent empty is as good as left out.
            return missing(call, name)
        if name.lower() in _SIZES and str(value).startswith("-"):
            place = name[0].lower() + name[1:]
            message = (
                f"1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: Member must "
                "have value greater than or equal to 1"
            )
            return Refusal(_invalid(call, operation), message)
        if name.lower() in _PAGES:
            return Refusal(_code_of_token(call, operation), f"The token '{value}' is invalid.")
    if (number := _NO_NUMBER.fullmatch(str(error))) and number[1] in texts:
        return Refusal(_invalid(call, operation), f"Value '{number[1]}' is not a number.")
    written = [name for name in call.parameters if name.endswith("Expression")]
    if call.service == "dynamodb" and written and isinstance(error, ValueError):
        return Refusal("ValidationException", f"Invalid {written[0]}: Syntax error")
    return None


def _code_of_token(call: Call, operation: Any) -> str:
    """Return the code with which an operation refuses the token of a page that no answer gave."""
    if call.protocol == "ec2":
        return "InvalidNextToken"
    for shape in operation.error_shapes:
        if _TOKEN_ERROR.search(shape.name):
            return str(shape.error_code)
    return "ValidationError" if call.service == "iam" else _invalid(call, operation)


def _members(shape: Any) -> Iterator[str]:
    """Yield the names of the members of an input, and of the structures in it."""
    if shape is None:
        return
    for name, member in shape.members.items():
        yield name
        inner = member.member if member.type_name == "list" else member
        if inner.type_name == "structure":
            yield from inner.members


def _invalid(call: Call, operation: Any) -> str:
    """Return the code with which an operation refuses what cannot be, such as an ARN that is none."""
    for shape in operation.error_shapes:
        if _INVALID.search(shape.name):
            return str(shape.error_code)
    if call.protocol in ("rest-xml", "ec2"):
        return "InvalidArgument" if call.protocol == "rest-xml" else "InvalidParameterValue"
    return "ValidationException" if "json" in call.protocol else "ValidationError"
