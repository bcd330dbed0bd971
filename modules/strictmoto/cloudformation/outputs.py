"""What a stack puts out: texts, and nothing else.

Source: CloudFormation User Guide, "CloudFormation template Outputs syntax". AWS refuses a value that is a list or an
object where the template shows it (`forms`), and fails the stack where only its making does.
"""

from __future__ import annotations

import re
from typing import Any, Final

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError

from strictmoto.cloudformation.forms import unnamed_export
from strictmoto.cloudformation.intrinsics import resolve
from strictmoto.cloudformation.templates import text

# moto has types, but none for what is replaced at run time.
moto_parsing: Any = parsing
OutputMap: Any = parsing.OutputMap
ResourceMap: Any = parsing.ResourceMap
_EXPORT_NAME: Final = re.compile(r"[A-Za-z0-9:-]+")


def install() -> None:
    """Replace how moto evaluates outputs and exports."""
    moto_parsing.parse_output = _output
    OutputMap.exports = property(_exports)
    ResourceMap.validate_outputs = _validate


def evaluate(stack: Any) -> None:
    """Evaluate all that a stack puts out.

    Raises:
        ValidationError: a value is no text, or an export has no name that it may have.
    """
    outputs = stack._create_output_map()
    for name in outputs:
        outputs[name]
    _ = outputs.exports


def _output(name: str, declared: dict[str, Any], known: Any) -> Any:
    """Return an output; None where its condition is false, or its value AWS::NoValue."""
    if not _is_wanted(declared, known) or (value := _value(declared, known)) is None:
        return None
    return parsing.Output(key=name, value=value, description=declared.get("Description"))  # type: ignore[arg-type]


def _exports(self: Any) -> list[Any]:
    found = []
    for name, declared in (self._output_json_map or {}).items():
        if "Export" not in declared or not _is_wanted(declared, self._resource_map):
            continue
        value = _value(declared, self._resource_map)
        named = resolve(declared["Export"]["Name"], self._resource_map)
        if isinstance(named, dict | list) or not _EXPORT_NAME.fullmatch(text(named)):
            raise unnamed_export(name)
        if value is not None:
            found.append(parsing.Export(self._stack_id, text(named), value))
    return found


def _validate(self: Any) -> None:
    """Refuse outputs of a resource that is not made; what its type has as attributes, `templates` knows."""
    if self._template.get("Transform"):
        # Functions may name the resource.
        return
    for declared in (self._template.get("Outputs") or {}).values():
        value = declared.get("Value")
        if not isinstance(value, dict) or "Fn::GetAtt" not in value or not _is_wanted(declared, self):
            continue
        name = value["Fn::GetAtt"][0]
        if not _is_wanted(self._resource_json_map[name], self):
            raise ValidationError(
                message=f"Unresolved resource dependencies [{name}] in the Outputs block of the template"
            )


def _is_wanted(declared: dict[str, Any], known: Any) -> bool:
    return "Condition" not in declared or bool(known.lazy_condition_map[declared["Condition"]])


def _value(declared: dict[str, Any], known: Any) -> str | None:
    value = resolve(declared["Value"], known)
    if isinstance(value, dict | list):
        raise ValidationError(message="Template format error: Every Value member must be a string.")
    return None if value is None else text(value)
