"""What is not there, where moto fails at it: AWS refuses such calls with an error of the service.

moto takes ARNs apart and looks things up without asking whether they are there, and where that goes wrong it has no
answer.

Sources: the errors of each operation, which botocore's models of the services have; "Common Errors" of each service's
API Reference (ValidationError, ValidationException); Amazon S3 API Reference, "Error responses" (InvalidArgument).
"""

from __future__ import annotations

import re
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.arns import is_somewhere
from strictmoto.requests.calls import Call, operation_of
from strictmoto.requests.texts import texts_in

_MISSING: Final = re.compile(r"NotFound|NoSuch|DoesNotExist")
_INVALID: Final = re.compile(r"InvalidArn|InvalidParameter|InvalidArgument|Validation|BadRequest|InvalidInput")
_PART: Final = re.compile("[:/]")


def refusal_of_missing(call: Call, error: Exception) -> Refusal | None:
    """Return how a service says that what a call names is not there; None where that is not why moto fails.

    Args:
        call: what was asked.
        error: of moto.
    """
    operation = operation_of(call)
    if operation is None:
        return None
    texts = list(texts_in(call.parameters))
    named = error.args[0] if isinstance(error, KeyError) and error.args else None
    # moto knows many things by the last part of their ARN.
    if isinstance(named, str) and any(named in (text, _PART.split(text)[-1]) for text in texts):
        for shape in operation.error_shapes:
            if _MISSING.search(shape.name):
                return Refusal(shape.error_code, f"{named} does not exist")
    for text in texts:
        if text.startswith("arn:") and not is_somewhere(text):
            return Refusal(_invalid(call, operation), f"Invalid ARN: {text}")
    return None


def _invalid(call: Call, operation: Any) -> str:
    """Return the code with which an operation refuses an ARN that is none."""
    for shape in operation.error_shapes:
        if _INVALID.search(shape.name):
            return str(shape.error_code)
    if call.protocol == "rest-xml":
        return "InvalidArgument"
    return "ValidationException" if "json" in call.protocol else "ValidationError"
