"""Pages of EC2's Describe actions: of a size that can be, and after a token that an answer gave.

moto has pages of four actions, and passes over MaxResults and NextToken of the others. Here moto describes everything,
and the page is cut out of its answer. What asks for no page is answered as before.

Sources: Amazon EC2 API Reference, the Describe actions (MaxResults, NextToken) and "Error codes for the Amazon EC2 API"
(InvalidNextToken, InvalidParameterCombination, InvalidParameterValue); ranges, and ids that exclude a size, are those
of botocore's model, and of its texts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.core.utils import get_service_model
from moto.ec2.exceptions import EC2ClientError

from strictmoto.ec2 import page_tokens
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
_EXCLUDING: Final = re.compile(r"(?:cannot|can't) specify this parameter and the ([\w ]+) parameter")
_EXCLUDED: Final = {"DescribeVolumes": "VolumeIds"}
"""Of which the text does not say so any more."""
_NAMES: Final = {"InstanceIds": "instancesSet"}
"""What messages call a parameter, where it is not its name."""


def answer(response: Any, describe: Callable[[], Answer]) -> Answer:
    """Answer a call of EC2, with the page that it asks for.

    Args:
        response: moto's, of this request.
        describe: lets moto answer it, with its filters.

    Raises:
        EC2ClientError: InvalidParameterValue, for a size that no page has; InvalidParameterCombination, for a size
            beside ids; InvalidNextToken.
    """
    action = str(response._get_action())
    parameters = response.params
    _check_ids(action, parameters)
    if action in _MOTOS_OWN:
        size, token = parameters.get("MaxResults"), parameters.get("NextToken")
        parameters.pop("NextToken", None)
        asked = page_tokens.asked_of(response.ec2_backend, action, parameters)
        parameters.update(MaxResults=_EVERYTHING, MaxItems=_EVERYTHING)
    elif _has_pages(action) and ("MaxResults" in parameters or "NextToken" in parameters):
        size, token = parameters.pop("MaxResults", None), parameters.pop("NextToken", None)
        asked = page_tokens.asked_of(response.ec2_backend, action, parameters)
    else:
        return describe()
    if size is None and token is None:
        return describe()
    check_size(action, size)
    if (begin := page_tokens.read(asked, token)) is None:
        raise EC2ClientError("InvalidNextToken", f"The token '{token}' is invalid.")
    status, headers, body = describe()
    if int(status) >= 400:
        return status, headers, body
    parsed = parse(action, status, body)
    (first, *_), _shape = items_of(action)
    items = parsed.get(first, [])
    end = begin + min(size or _LARGEST, _LARGEST)
    parsed[first] = items[begin:end]
    if end < len(items):
        parsed["NextToken"] = page_tokens.make(asked, end)
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


def _check_ids(action: str, parameters: Mapping[str, Any]) -> None:
    """Refuse the size of a page beside ids, where an action takes one of them only.

    Raises:
        EC2ClientError: InvalidParameterCombination.
    """
    if "MaxResults" in parameters and (ids := _excluded(action)) and parameters.get(ids):
        raise EC2ClientError(
            "InvalidParameterCombination",
            f"The parameter {_NAMES.get(ids, ids)} cannot be used with the parameter maxResults",
        )


@functools.cache
def _excluded(action: str) -> str | None:
    """Return the parameter that an action does not take together with MaxResults, as the model's text says."""
    if action in _EXCLUDED:
        return _EXCLUDED[action]
    members = get_service_model("ec2").operation_model(action).input_shape.members
    said = _EXCLUDING.search(members["MaxResults"].documentation) if "MaxResults" in members else None
    named = said[1].replace(" ", "").lower() if said else ""
    return next((name for name in members if named and name.lower().endswith(named)), None)
