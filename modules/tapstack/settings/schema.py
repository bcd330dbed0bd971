"""The JSON Schema of the deployment file, for editors."""

from __future__ import annotations

import json
from typing import Any

from tapstack.settings.model import Deployment


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a deployment file."""
    schema = Deployment.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Tapstack deployment file",
    }


def render_schema() -> str:
    """Return the schema as the repository keeps it."""
    return json.dumps(json_schema(), indent=2) + "\n"
