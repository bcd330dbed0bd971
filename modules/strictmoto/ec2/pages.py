"""Pages of EC2's Describe actions: of a size that can be, and after a token that an answer gave.

moto has pages of four actions, and passes over MaxResults and NextToken of the others. Here moto describes everything,
and the page is cut out of its answer. What asks for no page is answered as before.

Sources: Amazon EC2 API Reference, the Describe actions (MaxResults, NextToken) and "Error codes for the Amazon EC2 API"
(InvalidNextToken, InvalidParameterValue); the ranges are those of botocore's model, and of its texts.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable
from typing import Any, Final

from moto.core.utils import get_service_model
from moto.ec2.exceptions import EC2ClientError

from strictmoto.ec2.answers import parse, write
from strictmoto.ec2.filter_names import has_items, items_of

Answer = tuple[int, Any, Any]

_LARGEST: Final = 1000
_RANGES: Final = {"DescribeInstances": (5, _LARGEST)}
"""Which neither the model nor its text has (any more)."""
_RANGE: Final = re.compile(r"between (\d+) and ([\d,]+)")
_MOTOS_OWN: Final = (
    "DescribeIamInstanceProfileAssociations",
    "DescribeInstances",
    "DescribeLaunchTemplates",
    "DescribeLaunchTemplateVersions",
    "DescribeVpcEndpointServices",
)
"""Of which moto answers a part, where no page is asked for."""
_EVERYTHING: Final = 1_000_000


def answer(response: Any, describe: Callable[[], Answer]) -> Answer:
    """Answer a call of EC2, with the page that it asks for.

    Args:
        response: moto's, of this request.
        describe: lets moto answer it, with its filters.

    Raises:
        EC2ClientError: InvalidParameterValue, for a size that no page has; InvalidNextToken.
    """
    action = str(response._get_action())
    parameters = response.params
    if action in _MOTOS_OWN:
        size, token = parameters.get("MaxResults"), parameters.get("NextToken")
        parameters.pop("NextToken", None)
        parameters.update(MaxResults=_EVERYTHING, MaxItems=_EVERYTHING)
    elif _has_pages(action) and ("MaxResults" in parameters or "NextToken" in parameters):
        size, token = parameters.pop("MaxResults", None), parameters.pop("NextToken", None)
    else:
        return describe()
    if size is None and token is None:
        return describe()
    check_size(action, size)
    begin = _read_token(action, token)
    status, headers, body = describe()
    if int(status) >= 400:
        return status, headers, body
    parsed = parse(action, status, body)
    (first, *_), _shape = items_of(action)
    items = parsed.get(first, [])
    end = begin + min(size or _LARGEST, _LARGEST)
    parsed[first] = items[begin:end]
    if end < len(items):
        parsed["NextToken"] = _make_token(action, end)
    return status, headers, write(action, parsed)


def check_size(action: str, size: int | None) -> None:
    """Refuse a number of results that a page of an action does not have.

    Raises:
        EC2ClientError: InvalidParameterValue.
    """
    least, most = _range(action)
    if size is None or (least <= size and (most is None or size <= most)):
        return
    expected = f"greater than {least}" if size < least else f"less than {most}"
    raise EC2ClientError(
        "InvalidParameterValue",
        f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value {expected}.",
    )


@functools.cache
def _has_pages(action: str) -> bool:
    """Return whether an action has pages that are cut here: those of mirroring have their own."""
    shape = get_service_model("ec2").operation_model(action).input_shape if action.startswith("Describe") else None
    if shape is None or "TrafficMirror" in action:
        return False
    return {"MaxResults", "NextToken"} <= set(shape.members) and has_items(action)


@functools.cache
def _range(action: str) -> tuple[int, int | None]:
    """Return the smallest and the largest size of a page; a larger one than EC2 answers with is cut where none is."""
    if action in _RANGES:
        return _RANGES[action]
    shape = get_service_model("ec2").operation_model(action).input_shape.members["MaxResults"]
    if said := _RANGE.search(shape.documentation):
        return int(said[1]), int(said[2].replace(",", ""))
    return shape.metadata.get("min", 1), shape.metadata.get("max")


def _make_token(action: str, after: int) -> str:
    return base64.urlsafe_b64encode(f"{action}:{after}".encode()).decode()


def _read_token(action: str, token: str | None) -> int:
    if not token:
        return 0
    try:
        given_by, _, after = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(":")
        if given_by == action:
            return int(after)
    except (ValueError, binascii.Error):
        pass
    raise EC2ClientError("InvalidNextToken", f"The token '{token}' is invalid.")
