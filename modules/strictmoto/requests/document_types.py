"""Whether the values of a JSON document are of the types that the model of an operation says.

Source: Smithy, "AWS JSON 1.0 protocol" and "AWS restJson1 protocol" (SerializationException); the texts are those that
AWS's services send, inferred where a list or an object is not expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_INTEGERS: Final = frozenset({"integer", "long", "short", "byte"})
_FLOATS: Final = frozenset({"float", "double", "bigdecimal"})
_NAMES: Final[Mapping[str, str]] = {
    "string": "a String",
    "character": "a String",
    "blob": "a Blob",
    "boolean": "a Boolean",
    "integer": "an Integer",
    "long": "a Long",
    "short": "a Short",
    "byte": "a Byte",
    "float": "a Float",
    "double": "a Double",
    "bigdecimal": "a BigDecimal",
}
_WORDS: Final = frozenset({"NaN", "Infinity", "-Infinity"})
"""How JSON has the numbers for which it has no form."""


def wrong_type(shape: Any, document: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first value that is of another type; None where all are right.

    Dates are left out: they have several forms. So is what stands elsewhere than in the body.

    Args:
        shape: botocore's structure of the body.
        document: that the body is.
    """
    for name, member in shape.members.items():
        if "location" in member.serialization:
            continue
        value = document.get(member.serialization.get("name", name))
        if value is not None and (wrong := _wrong(member, value)) is not None:
            return wrong
    return None


def _wrong(shape: Any, value: Any) -> str | None:
    if value is None or getattr(shape, "is_document_type", False):
        return None
    match shape.type_name:
        case "structure":
            return wrong_type(shape, value) if isinstance(value, dict) else _unexpected(value)
        case "list":
            return _first(shape.member, value) if isinstance(value, list) else _unexpected(value)
        case "map":
            return _first(shape.value, [*value.values()]) if isinstance(value, dict) else _unexpected(value)
        case "timestamp":
            return None
        case kind:
            return None if _is_of(kind, value) else _not_converted(kind, value)


def _first(shape: Any, values: list[Any]) -> str | None:
    for value in values:
        if (wrong := _wrong(shape, value)) is not None:
            return wrong
    return None


def _is_of(kind: str, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in _INTEGERS or kind in _FLOATS:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number or (kind in _FLOATS and value in _WORDS)
    return isinstance(value, str) or kind not in _NAMES


def _not_converted(kind: str, value: Any) -> str:
    if isinstance(value, dict | list):
        return _unexpected(value)
    given = {True: "TRUE_VALUE", False: "FALSE_VALUE"}[value] if isinstance(value, bool) else "NUMBER_VALUE"
    return f"{'STRING_VALUE' if isinstance(value, str) else given} can not be converted to {_NAMES[kind]}"


def _unexpected(value: Any) -> str:
    match value:
        case dict():
            return "Start of structure or map found where not expected"
        case list():
            return "Start of list found where not expected"
    return "Unexpected field type"
