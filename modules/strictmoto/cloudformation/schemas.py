"""AWS's own schemas of resource types: which there are, what a template may say of each, and what replaces it.

They come with cfn-lint, which moto needs anyway; only its data is read, because to import it takes seconds.

Sources: CloudFormation Command Line Interface User Guide, "Resource type schema" (createOnlyProperties, required,
additionalProperties, readOnlyProperties); Template Reference, "Update requires" of each property.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_FALLBACK_REGION: Final = "us-east-1"
_CUSTOM: Final = "Custom::"
_CUSTOM_NAME: Final = re.compile(r"Custom::[A-Za-z0-9_@-]{1,52}")
_NONE: Final[Mapping[str, Any]] = {}
_JSON_TYPES: Final[Mapping[type, str]] = {dict: "JSONObject", list: "JSONArray"}
_DEFINITIONS: Final = "#/definitions/"
_SCALARS: Final = {
    "boolean": re.compile("true|false"),
    "integer": re.compile(r"[-+]?\d+(\.0*)?"),
    "number": re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?"),
}
# What the Template Reference says besides: properties that take a replacement under a condition that always holds here.
_ALSO_REPLACING: Final[Mapping[str, tuple[str, ...]]] = {
    # Of the attached volumes only DeleteOnTermination changes in place.
    "AWS::EC2::Instance": ("/properties/BlockDeviceMappings",),
    "AWS::EC2::NetworkInterface": ("/properties/PrivateIpAddresses",),
    "AWS::EC2::TrafficMirrorSession": ("/properties/NetworkInterfaceId",),
}


def known(kind: str, region: str) -> bool:
    """Whether AWS has a resource type in a Region."""
    if kind.startswith(_CUSTOM):
        return _CUSTOM_NAME.fullmatch(kind) is not None
    return kind in _index(region)


def kinds(region: str) -> frozenset[str]:
    """The resource types that AWS has in a Region."""
    return frozenset(_index(region))


def replaces(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a resource with the new properties is another resource than the one with the old."""
    paths = (*_schema(kind).get("createOnlyProperties", ()), *_ALSO_REPLACING.get(kind, ()))
    return any(_at(path, old) != _at(path, new) for path in paths)


def has_attribute(kind: str, attribute: str) -> bool:
    """Whether Fn::GetAtt of a type may know an attribute; True where there is no schema to say."""
    schema = _schema(kind)
    properties = schema.get("properties")
    if not properties:
        return True
    # What a nested stack or a custom resource puts out is up to it.
    free = "patternProperties" in schema or attribute.startswith("Outputs.")
    return free or attribute.partition(".")[0] in properties


def permissions(kind: str, handler: str) -> tuple[str, ...]:
    """The actions that a handler of a type needs at most: create, update or delete."""
    handlers = _schema(kind).get("handlers") or _NONE
    return tuple((handlers.get(handler) or _NONE).get("permissions") or ())


def identifier(kind: str) -> str:
    """The property that identifies a resource of a type; empty where no single one does."""
    paths: list[str] = _schema(kind).get("primaryIdentifier") or []
    return paths[0].removeprefix("/properties/") if len(paths) == 1 else ""


def problems(kind: str, properties: Mapping[str, Any]) -> list[str]:
    """What is wrong with the form of a resource's properties, at any depth, as AWS words it."""
    schema = _schema(kind)
    if not schema.get("properties") or kind.startswith(_CUSTOM) or "patternProperties" in schema:
        return []
    # Which other properties there are, no schema of AWS's own types leaves open.
    return list(_wrong_members(schema, {**schema, "additionalProperties": False}, properties, "#"))


def _wrong_members(
    schema: Mapping[str, Any], declared: Mapping[str, Any], value: Mapping[str, Any], at: str
) -> Iterator[str]:
    """Yield what is wrong with an object: keys that are missing, that it may not have, and wrong values."""
    allowed = declared.get("properties") or _NONE
    for name in declared.get("required", ()):
        if name not in value:
            yield f"{at}: required key [{name}] not found"
    if declared.get("additionalProperties") is False and "patternProperties" not in declared:
        for name in value:
            if name not in allowed:
                yield f"{at}: extraneous key [{name}] is not permitted"
    for name, one in value.items():
        if name in allowed:
            yield from _wrong(schema, allowed[name], one, f"{at}/{name}")


def _wrong(schema: Mapping[str, Any], declared: Mapping[str, Any], value: Any, at: str) -> Iterator[str]:
    """Yield what is wrong with a value and what is in it."""
    # The data may have items by position, or true for anything.
    while isinstance(declared, dict) and (reference := str(declared.get("$ref", ""))).startswith(_DEFINITIONS):
        declared = (schema.get("definitions") or _NONE).get(reference.removeprefix(_DEFINITIONS)) or _NONE
    if not isinstance(declared, dict):
        return
    if expected := _mistyped(declared, value):
        found = _JSON_TYPES.get(type(value), "String")
        yield f"{at}: expected type: {expected}, found: {found}"
    elif isinstance(value, dict):
        yield from _wrong_members(schema, declared, value, at)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _wrong(schema, declared.get("items") or _NONE, one, f"{at}/{index}")


def _mistyped(declared: Mapping[str, Any], value: Any) -> str:
    """The type that a value should have and has not; "" where it has it, or where several are allowed."""
    match declared.get("type"):
        case "array":
            return "" if isinstance(value, list) else _JSON_TYPES[list]
        case "object":
            # Documents, such as policies, may be texts.
            is_document = not isinstance(value, list) and not declared.get("properties")
            return "" if isinstance(value, dict) or is_document else _JSON_TYPES[dict]
        case "string":
            return "String" if type(value) in _JSON_TYPES else ""
        case "integer" | "number" | "boolean" as wanted:
            # They may be texts.
            return "" if _SCALARS[wanted].fullmatch(str(value).lower()) else wanted.capitalize()
    return ""


def _at(path: str, properties: Any) -> Any:
    """The value at /properties/A/B; at lists the whole of them."""
    value = properties
    for part in path.split("/")[2:]:
        if not isinstance(value, Mapping):
            return value
        value = value.get(part)
    return value


@functools.cache
def _data() -> Path:
    found = importlib.util.find_spec("cfnlint")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("cfn-lint, which comes with moto, is not installed: it has the types of CloudFormation")
    return Path(next(iter(found.submodule_search_locations))) / "data" / "schemas"


@functools.cache
def _index(region: str) -> Mapping[str, str]:
    places: Iterator[Path] = (_data() / "providers" / f"{name}.json" for name in (region, _FALLBACK_REGION))
    found: dict[str, str] = json.loads(next(place for place in places if place.exists()).read_bytes())
    return found


@functools.cache
def _schema(kind: str) -> Mapping[str, Any]:
    name = _index(_FALLBACK_REGION).get(kind)
    if name is None:
        return _NONE
    schema: dict[str, Any] = json.loads((_data() / "resources" / f"{name}.json").read_bytes())
    return schema
