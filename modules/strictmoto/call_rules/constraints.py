"""What the model of a service says of its parameters: which must be there, how long, how large, of which form.

AWS's services check the constraints of their models before anything else, and list all that do not hold in one error.
Checked are the services of which that is known, by the error in their API References: of others the model says no more
than what a client may assume.

Sources: the API Reference of each service, "Request Parameters" and "Common Errors" (ValidationException); CloudWatch
Logs API Reference (InvalidParameterException); Smithy, "Constraint traits". The texts are those that the services send.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.calls import Call, operation_of

_CODES: Final[Mapping[str, str]] = {
    "events": "ValidationException",
    "kms": "ValidationException",
    "lambda": "ValidationException",
    "logs": "InvalidParameterException",
    "scheduler": "ValidationException",
    "secretsmanager": "ValidationException",
}
"""The error, by the name that the service signs with."""
_SHAPES_APART: Final = frozenset({"Runtime"})
"""What a rule of its own is for."""


def refusal_of_constraints(call: Call) -> Refusal | None:
    """Return how a service refuses parameters that its model does not allow; None where it takes them."""
    code = _CODES.get(call.service)
    if code is None or "json" not in call.protocol or (operation := operation_of(call)) is None:
        return None
    if operation.input_shape is None:
        return None
    found = list(_broken(operation.input_shape, call.parameters, ""))
    if not found:
        return None
    plural = "" if len(found) == 1 else "s"
    return Refusal(code, f"{len(found)} validation error{plural} detected: {'; '.join(found)}")


def _broken(shape: Any, given: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield what does not hold in a structure."""
    required = frozenset(shape.required_members)
    for name, member in shape.members.items():
        value = given.get(name)
        place = f"{path}{name[0].lower()}{name[1:]}"
        if value is not None:
            yield from _broken_in(member, value, place)
        elif name in required and member.type_name != "blob":
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _broken_in(shape: Any, value: Any, place: str) -> Iterator[str]:
    if shape.name in _SHAPES_APART or getattr(shape, "is_document_type", False):
        return
    match shape.type_name, value:
        case "structure", dict():
            yield from _broken(shape, value, f"{place}.")
        case "list", list():
            yield from _failed(shape, value, len(value), "length", place)
            for number, item in enumerate(value, 1):
                yield from _broken_in(shape.member, item, f"{place}.{number}.member")
        case "map", dict():
            yield from _failed(shape, value, len(value), "length", place)
            for key, item in value.items():
                yield from _broken_in(shape.key, key, f"{place}.{key}.key")
                yield from _broken_in(shape.value, item, f"{place}.{key}.member")
        case "string", str():
            yield from _failed(shape, value, len(value), "length", place)
            yield from _malformed(shape, value, place)
        case (("integer" | "long" | "float" | "double"), (int() | float())):
            yield from _failed(shape, value, value, "value", place)


def _failed(shape: Any, value: Any, measure: float, kind: str, place: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and measure < least:
        yield _told(shape, value, place, f"Member must have {kind} greater than or equal to {least}")
    if most is not None and measure > most:
        yield _told(shape, value, place, f"Member must have {kind} less than or equal to {most}")


def _malformed(shape: Any, value: str, place: str) -> Iterator[str]:
    if values := shape.metadata.get("enum"):
        if value not in values:
            yield _told(shape, value, place, f"Member must satisfy enum value set: [{', '.join(values)}]")
        return
    pattern = shape.metadata.get("pattern")
    # The patterns of ARNs leave out partitions and Regions that are newer than they.
    if pattern is None or value.startswith("arn:"):
        return
    compiled = _compiled(pattern)
    if compiled is not None and not compiled.fullmatch(value):
        yield _told(shape, value, place, f"Member must satisfy regular expression pattern: {pattern}")


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern; None where Python has no such one."""
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        return None


def _told(shape: Any, value: Any, place: str, constraint: str) -> str:
    shown = "" if shape.metadata.get("sensitive") else f" '{_text(value)}'"
    return f"Value{shown} at '{place}' failed to satisfy constraint: {constraint}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={_text(item)}' for key, item in value.items())}}}"
    return str(value)
