"""Every key of the deployment file, as tables for its page: drawn from the JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def render_reference(schema: Schema) -> str:
    """Return a table for each part of the file, in the order in which the parts are first named."""
    parts = [("", schema), *_parts("", schema, schema["$defs"])]
    return "\n".join(line for path, part in parts for line in _table(path, part, schema["$defs"]))


def _parts(path: str, schema: Schema, definitions: Schema) -> Iterator[tuple[str, Schema]]:
    for name, field in schema.get("properties", {}).items():
        for suffix, found in _models(field, definitions):
            here = f"{path}.{name}{suffix}".removeprefix(".")
            if found.get("properties"):
                yield here, found
                yield from _parts(here, found, definitions)


def _models(field: Schema, definitions: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the parts that a field holds, with what stands between its name and theirs."""
    if "$ref" in field:
        yield "", definitions[field["$ref"].rpartition("/")[2]]
    for member in field.get("anyOf", ()):
        yield from _models(member, definitions)
    if "items" in field:
        yield from (("[]", found) for _, found in _models(field["items"], definitions))
    for member in field.get("patternProperties", {}).values():
        yield from ((".NAME", found) for _, found in _models(member, definitions))


def _table(path: str, part: Schema, definitions: Schema) -> Iterator[str]:
    yield f"### `{path}`" if path else "### The file"
    yield ""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for name, field in part["properties"].items():
        default = "needed" if name in part.get("required", ()) else _default(field)
        meaning = " ".join(str(field.get("description", "")).split())
        yield f"| `{name}` | {_value(field, definitions)} | {default} | {meaning} |"
    yield ""


def _default(field: Schema) -> str:
    default = field.get("default")
    return "" if default in (None, "", [], {}) else f"`{json.dumps(default).strip(chr(34))}`"


def _value(field: Schema, definitions: Schema) -> str:
    # The range of a number says more, and a mapping is said to be one.
    if (examples := field.get("examples")) and field.get("type") not in ("number", "object"):
        return f"such as `{examples[0]}`"
    if "anyOf" in field:
        members = [_value(member, definitions) for member in field["anyOf"] if member.get("type") != "null"]
        return " or ".join(dict.fromkeys(members))
    if "$ref" in field:
        return "mapping, below" if definitions[field["$ref"].rpartition("/")[2]].get("properties") else "`{}`"
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = field.get("type")
    if kind == "array":
        return f"list: {_value(field['items'], definitions)}"
    if kind == "object":
        named = any(_models(field, definitions))
        return "mapping by name, below" if named else "mapping of texts"
    if kind == "boolean":
        return "`true`, `false`"
    if kind in ("integer", "number"):
        limits = (field.get("minimum"), field.get("maximum"))
        return "number" if None in limits else f"{limits[0]} to {limits[1]}"
    return "text"
