"""JSON that Terraform completes: expressions in it must not hold quotes of their own."""

from __future__ import annotations

from typing import Any

from tapstack.bindings import Construct, cdk, rendered


class Expressions:
    """Gives expressions that hold quotes a name, so that they can stand inside a JSON text.

    `${data.x.outputs["Url"]}` would be escaped with the rest of the text, and Terraform
    would refuse it; `${local.Url}` is not.

    Args:
        scope: where the names are made.
    """

    def __init__(self, scope: Construct) -> None:
        """Begin without a name."""
        self._scope = scope
        self._named: dict[str, str] = {}

    def safe(self, value: Any, name: str = "") -> Any:
        """Return a JSON value with every such expression replaced.

        Args:
            value: texts, numbers, lists and objects.
            name: of the value; keys of objects name what is in them.
        """
        if isinstance(value, dict):
            return {key: self.safe(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.safe(inner, f"{name}_{position}") for position, inner in enumerate(value)]
        if isinstance(value, str) and "${" in value and '"' in value:
            if value not in self._named:
                self._named[value] = str(cdk.TerraformLocal(self._scope, name, rendered(value, typed=False)).as_string)
            return self._named[value]
        return value
