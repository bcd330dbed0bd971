"""DynamoDB's attribute values, and the query of a listing.

It imports nothing of the functions, because the checks before a deploy read the table as well.

Source: Amazon DynamoDB Developer Guide, "DynamoDB low-level API" (data type descriptors).
"""

from __future__ import annotations

from typing import Any

from tapstack.domain.table_names import BY_STATE, LISTING


def of_listing(listing: str) -> dict[str, Any]:
    """Return the parameters of a query for the items of a listing."""
    return {
        "IndexName": BY_STATE,
        "KeyConditionExpression": f"{LISTING} = :listing",
        "ExpressionAttributeValues": {":listing": pack(listing)},
    }


def pack(value: Any) -> dict[str, Any]:
    """Return a JSON value, or a set of strings, as a DynamoDB attribute value."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case set() | frozenset():
            return {"SS": sorted(value)}
        case list() | tuple():
            return {"L": [pack(item) for item in value]}
        case dict():
            return {"M": pack_item(value)}
    raise TypeError(f"no attribute of a table can be {type(value).__name__}")


def pack_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return all values of a dict as DynamoDB attribute values."""
    return {name: pack(value) for name, value in item.items()}


def unpack(value: dict[str, Any]) -> Any:
    """Return a DynamoDB attribute value as a JSON value; a set of strings as a sorted list, a number as an int."""
    [(kind, inner)] = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(inner)
        case "SS":
            return sorted(inner)
        case "L":
            return [unpack(item) for item in inner]
        case "M":
            return unpack_item(inner)
    return inner


def unpack_item(item: dict[str, Any]) -> dict[str, Any]:
    """Return all values of a DynamoDB item as JSON values."""
    return {name: unpack(value) for name, value in item.items()}
