"""The form of what belongs at a place of the deployment file, from the JSON Schema of the fields.

Read where a message needs it: the schema takes longer than to check a file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Literal

import yaml

from tapstack.settings.model import Deployment
from tapstack.settings.problems import Path

_Schema = dict[str, Any]


def example_at(path: Path, kind: Literal["object", "array"]) -> str | None:
    """Return a mapping or a list that could stand at `path`, as YAML in one line; None where none can."""
    schema = next((found for found in _schemas_at(path) if found.get("type") == kind), None)
    if schema is None:
        return None
    return yaml.safe_dump(_example(schema), default_flow_style=True, sort_keys=False, width=1 << 20).strip()


def numbers_at(path: Path) -> str | None:
    """Return which numbers the field at `path` accepts, where not all."""
    found = (
        f"{each['minimum']} to {each['maximum']}" for each in _schemas_at(path) if {"minimum", "maximum"} <= {*each}
    )
    return next(found, None)


@functools.cache
def _schema() -> _Schema:
    return Deployment.model_json_schema()


def _schemas_at(path: Path) -> list[_Schema]:
    """Return the schemas one of which the value at `path` must fit."""
    schemas = list(_members(_schema()))
    for part in path:
        schemas = [member for schema in schemas for below in _below(schema, part) for member in _members(below)]
    return schemas


def _members(schema: _Schema) -> Iterator[_Schema]:
    """Yield the members of a union, at any depth, or the schema itself; references are followed."""
    if "$ref" in schema:
        yield from _members(_schema()["$defs"][schema["$ref"].rpartition("/")[2]])
    elif "anyOf" in schema:
        for member in schema["anyOf"]:
            yield from _members(member)
    else:
        yield schema


def _below(schema: _Schema, part: str | int) -> Iterator[_Schema]:
    if isinstance(part, int):
        found = [schema.get("items")]
    elif part in schema.get("properties", {}):
        found = [schema["properties"][part]]
    else:
        patterns = schema.get("patternProperties", {})
        found = [schema.get("additionalProperties"), *(patterns[each] for each in patterns if re.search(each, part))]
    yield from (each for each in found if isinstance(each, dict))


def _example(schema: _Schema) -> Any:
    """Return a value that fits: of a mapping the fields that it needs, or the first one."""
    if "examples" in schema:
        return schema["examples"][0]
    if isinstance(schema.get("default"), str | int | float):
        return schema["default"]
    member = next(_members(schema))
    if member is not schema:
        return _example(member)
    if "enum" in schema or "const" in schema:
        return schema.get("const", *schema.get("enum", ())[:1])
    match schema.get("type"):
        case "array":
            return [_example(schema["items"])]
        case "object":
            return _example_of_mapping(schema)
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("minimum", 1)
    return "text"


def _example_of_mapping(schema: _Schema) -> dict[str, Any]:
    if "properties" in schema:
        fields = schema.get("required") or list(schema["properties"])[:1]
        return {name: _example(schema["properties"][name]) for name in fields}
    values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return {"name": _example(values[0])} if isinstance(values[0], dict) else {}
