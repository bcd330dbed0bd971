"""The JSON Schema of the deployment file, for editors."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from tapstack.settings.descriptions import descriptions_of
from tapstack.settings.model import Deployment


class _Generator(GenerateJsonSchema):
    """Leaves out titles that only repeat the key, refuses names of the wrong form, and says what fields are for."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        found = super().model_schema(schema)
        properties = found.get("properties", {})
        model: type[BaseModel] = schema["cls"]
        for name, text in descriptions_of(model).items():
            if name in properties:
                properties[name].setdefault("description", text)
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        # Where null is no value, it is no default that could be written either.
        if schema.get("default", ...) is None and schema["schema"]["type"] != "nullable":
            found.pop("default", None)
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        if "patternProperties" in found:
            found["additionalProperties"] = False
        return found


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a deployment file."""
    schema = Deployment.model_json_schema(schema_generator=_Generator)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Tapstack deployment file",
    }


def render_schema() -> str:
    """Return the schema as the repository keeps it."""
    return json.dumps(json_schema(), indent=2) + "\n"
