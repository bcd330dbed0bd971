"""What stacks export: each name once, and neither changed nor gone as long as another stack imports it.

Source: CloudFormation User Guide, "Get exported outputs from a deployed CloudFormation stack".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.cloudformation import models

from strictmoto.cloudformation.intrinsics import resolve
from strictmoto.cloudformation.resources import ResourceFailedError


def of(stack: Any) -> dict[str, Any]:
    """Return the exports of a stack that stands: values by name."""
    return {export.name: export.value for export in stack.exports}


def publish(stack: Any) -> None:
    """Let others import what a new stack exports.

    Raises:
        ResourceFailedError: another stack exports a name already.
    """
    _put(stack, list(stack.exports))


def renew(stack: Any, before: Mapping[str, Any]) -> None:
    """Put the exports of a changed stack in the place of those that it had.

    Args:
        stack: whose resources are changed already.
        before: its exports until now.

    Raises:
        ResourceFailedError: another stack imports one that is changed or gone, or exports a new name already.
    """
    backend = _backend(stack)
    now = stack._create_output_map().exports
    values = {export.name: export.value for export in now}
    for name, value in before.items():
        verb = "updated" if name in values else "deleted"
        if values.get(name) != value and (users := _importers(backend, stack, name)):
            raise ResourceFailedError("", f"Export {name} cannot be {verb} as it is in use by {users}. ")
    _put(stack, now)
    for name in before.keys() - values.keys():
        backend.exports.pop(name, None)


def in_use(stack: Any) -> str:
    """Return why a stack cannot be deleted; "" where nothing imports what it exports."""
    backend = _backend(stack)
    for name in of(stack):
        if users := _importers(backend, stack, name):
            return f"Export {name} cannot be deleted as it is in use by {users}"
    return ""


def _backend(stack: Any) -> Any:
    return models.cloudformation_backends[stack.account_id][stack.region_name]


def _put(stack: Any, exports: list[Any]) -> None:
    known = _backend(stack).exports
    for export in exports:
        owner = known[export.name].exporting_stack_id if export.name in known else stack.stack_id
        if owner != stack.stack_id:
            raise ResourceFailedError("", f"Export with name {export.name} is already exported by stack {owner}. ")
    for export in exports:
        known[export.name] = export


def importers(backend: Any, name: str, exporting: Any = None) -> list[str]:
    """Return the names of the stacks that import an export; the one that exports it is not asked."""
    return [
        stack.name
        for stack in backend.stacks.values()
        if stack is not exporting and name in set(_imported(stack.template_dict, stack.resource_map))
    ]


def _importers(backend: Any, exporting: Any, name: str) -> str:
    """The names of the stacks that import an export, for a message; "" where none does."""
    return " and ".join(importers(backend, name, exporting))


def _imported(part: Any, known: Any) -> Iterator[str]:
    """What the template of a stack imports, by name."""
    if isinstance(part, list):
        for item in part:
            yield from _imported(item, known)
    if not isinstance(part, dict):
        return
    condition = part.get("Condition")
    if isinstance(condition, str) and not known.lazy_condition_map.get(condition, True):
        return
    for key, value in part.items():
        if key == "Fn::ImportValue":
            yield str(resolve(value, known))
        elif key != "Metadata":
            yield from _imported(value, known)
