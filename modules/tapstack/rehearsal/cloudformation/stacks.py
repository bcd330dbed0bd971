"""The life of a stack: what AWS does when a resource of it fails.

CreateStack answers with the id of the stack, whatever becomes of it. A failed creation is rolled back
(ROLLBACK_COMPLETE), deleted (DELETE_COMPLETE) or left as it is (CREATE_FAILED), as OnFailure says; a failed
update goes back to the stack before it (UPDATE_ROLLBACK_COMPLETE).

Source: CloudFormation API Reference, CreateStack and UpdateStack; User Guide, "Stack failure options".
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import ValidationError
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends

from tapstack.rehearsal.cloudformation import parameters as stack_parameters
from tapstack.rehearsal.cloudformation import policies
from tapstack.rehearsal.cloudformation.resources import Ledger, ResourceFailedError, retag_all
from tapstack.rehearsal.cloudformation.templates import parse, text

# moto has types, but none for what is replaced at run time.
Stack: Any = models.Stack
ChangeSet: Any = models.ChangeSet
CloudFormationBackend: Any = models.CloudFormationBackend
ResourceMap: Any = parsing.ResourceMap

ON_FAILURE: Final[ContextVar[str]] = ContextVar("ON_FAILURE", default="ROLLBACK")
"""What becomes of a stack that cannot be made, for the CreateStack that is being answered."""
_PARENT_TAGS: Final[ContextVar[Mapping[str, str]]] = ContextVar("PARENT_TAGS", default=MappingProxyType({}))
"""The tags of the stack that is being made, which those nested in it get, too."""

_STANDING: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})


def install() -> None:
    """Replace the lives of moto's stacks."""
    _check_parameters()
    _keep_a_ledger()
    _show_only_what_stands()
    _create()
    _update()
    _execute_change_sets()
    _delete()


def _check_parameters() -> None:
    load = ResourceMap.load_parameters

    @functools.wraps(load)
    def load_parameters(self: Any) -> None:
        declared = self._template.get("Parameters") or {}
        stack_parameters.check(declared, self.input_parameters)
        for slot in declared.values():
            # moto reads a parameter's type from here, and AWS compares texts.
            slot.setdefault("Type", "String")
            if "Default" in slot:
                slot["Default"] = text(slot["Default"])
        self.resolved_parameters = {}
        load(self)

    ResourceMap.load_parameters = load_parameters


def _keep_a_ledger() -> None:
    create = Stack._create_resource_map

    @functools.wraps(create)
    def create_resource_map(self: Any) -> Any:
        if self.template_dict:
            parse(self.template)
        resource_map = create(self)
        resource_map.ledger = Ledger(self)
        return resource_map

    Stack._create_resource_map = create_resource_map


def _show_only_what_stands() -> None:
    """moto makes the resources that outputs and exports name; a stack that failed must stay as it is."""
    outputs, exports, made = Stack.outputs.fget, Stack.exports.fget, Stack.stack_resources.fget

    def shown_outputs(self: Any) -> Any:
        return outputs(self) if self.status in _STANDING else None

    def shown_exports(self: Any) -> Any:
        return exports(self) if self.status in _STANDING else []

    def shown_resources(self: Any) -> Any:
        sealed, self.resource_map.ledger.sealed = self.resource_map.ledger.sealed, True
        try:
            return [resource for resource in made(self) if resource is not None]
        finally:
            self.resource_map.ledger.sealed = sealed

    Stack.outputs = property(shown_outputs)
    Stack.exports = property(shown_exports)
    Stack.stack_resources = property(shown_resources)


def _status(stack: Any, status: str, reason: str | None = None) -> None:
    stack.status = status
    stack.stack_status_reason = reason
    stack._add_stack_event(status, resource_status_reason=reason)


def _create() -> None:
    create = Stack.create_resources
    create_stack = CloudFormationBackend.create_stack

    @functools.wraps(create)
    def create_resources(self: Any) -> None:
        on_failure = ON_FAILURE.get()
        # A nested stack that fails is its parent's failure, and rolls back by itself.
        token = ON_FAILURE.set("ROLLBACK")
        parent = _PARENT_TAGS.set(dict(self.tags))
        self.disable_rollback = on_failure == "DO_NOTHING"
        self.stack_status_reason = None
        try:
            _refuse_absent(self)
            create(self)
            if self.status in _STANDING:
                _publish_exports(self)
        except ResourceFailedError as failed:
            _fail(self, on_failure, _creation_reason(failed))
        finally:
            _PARENT_TAGS.reset(parent)
            ON_FAILURE.reset(token)
        self.resource_map.ledger.sealed = True

    @functools.wraps(create_stack)
    def backend(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if inherited := _PARENT_TAGS.get():
            kwargs["tags"] = {**inherited, **(kwargs.get("tags") or {})}
        stack = create_stack(self, name, *args, **kwargs)
        if stack.status == "DELETE_COMPLETE":
            self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)
        return stack

    @classmethod  # type: ignore[misc]
    def nested(cls: Any, *args: Any, **kwargs: Any) -> Any:
        stack = make_nested(cls, *args, **kwargs)
        if stack.status not in _STANDING:
            raise ValidationError(message=f"Embedded stack {stack.stack_id} was not successfully created")
        return stack

    make_nested = Stack.create_from_cloudformation_json.__func__
    Stack.create_resources = create_resources
    Stack.create_from_cloudformation_json = nested
    CloudFormationBackend.create_stack = backend


def _refuse_absent(stack: Any) -> None:
    backend = ec2_backends[stack.account_id][stack.region_name]
    declared = stack.template_dict.get("Parameters") or {}
    if reason := stack_parameters.absent(backend, declared, stack.resource_map.resolved_parameters):
        raise ResourceFailedError("", f"{reason}. ")


def _publish_exports(stack: Any) -> None:
    backend = models.cloudformation_backends[stack.account_id][stack.region_name]
    for export in stack.exports:
        if export.name in backend.exports:
            owner = backend.exports[export.name].exporting_stack_id
            raise ResourceFailedError("", f"Export with name {export.name} is already exported by stack {owner}. ")
    for export in stack.exports:
        backend.exports[export.name] = export


def _fail(stack: Any, on_failure: str, reason: str) -> None:
    stack.resource_map.ledger.sealed = True
    if on_failure == "DO_NOTHING":
        _status(stack, "CREATE_FAILED", reason)
        return
    verb, status = ("Delete", "DELETE") if on_failure == "DELETE" else ("Rollback", "ROLLBACK")
    _status(stack, f"{status}_IN_PROGRESS", f"{reason}{verb} requested by user.")
    try:
        stack.resource_map.delete()
    except ResourceFailedError as failed:
        _status(stack, f"{status}_FAILED", str(failed))
    else:
        # The reason stays with the stack, where DescribeStacks shows it; the last event has none.
        _status(stack, f"{status}_COMPLETE")
        stack.stack_status_reason = f"{reason}{verb} requested by user."


def _update() -> None:
    update = Stack.update

    @functools.wraps(update)
    def updated(
        self: Any,
        template: str,
        role_arn: str | None = None,
        parameters: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        declared = parse(template).get("Parameters") or {}
        given = parameters or {key: value for key, value in self.parameters.items() if key in declared}
        stack_parameters.check(declared, given)
        before, before_parameters, before_tags = self.template, self.parameters, dict(self.tags)
        self.resource_map.input_parameters = given
        try:
            update(self, template, role_arn, given, tags)
        except ResourceFailedError as failed:
            self.tags = before_tags
            _go_back(self, before, before_parameters, failed)
        else:
            self.parameters = given
            retag_all(self.resource_map, before_tags)
        self.last_updated_time = utcnow()

    def resolve(self: Any, instance: Any, incoming_params: list[dict[str, Any]]) -> dict[str, str]:
        # moto's own knows no previous value that was a default.
        resolved = {}
        for parameter in incoming_params:
            key = parameter["ParameterKey"]
            if not parameter.get("UsePreviousValue"):
                resolved[key] = parameter["ParameterValue"]
            elif key in instance.parameters:
                resolved[key] = instance.parameters[key]
        return resolved

    Stack.update = updated
    CloudFormationBackend._resolve_update_parameters = resolve


def _go_back(stack: Any, template: str, parameters: dict[str, Any], failed: ResourceFailedError) -> None:
    reason = f"The following resource(s) failed to update: [{failed.logical_id}]. "
    _status(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)
    stack.template, stack.parameters = template, parameters
    stack._parse_template()
    stack.resource_map.input_parameters = parameters
    # Going back is no update that a policy governs.
    with policies.governed_by(""):
        stack.resource_map.update(stack.template_dict, parameters)
    stack.output_map = stack._create_output_map()
    _status(stack, "UPDATE_ROLLBACK_COMPLETE")


def _execute_change_sets() -> None:
    """A change set fails as its stack does, and leaves outputs."""
    apply, execute = ChangeSet.apply, CloudFormationBackend.execute_change_set

    @functools.wraps(apply)
    def applied(self: Any) -> None:
        stack = self.stack
        declared = self.template_dict.get("Parameters") or {}
        stack_parameters.check(declared, self.parameters)
        before, before_parameters = stack.template, stack.parameters
        stack.resource_map.ledger.sealed = False
        stack.resource_map.input_parameters = self.parameters
        try:
            if self.change_set_type == "CREATE":
                stack.resource_map._template, stack.resource_map.resolved_parameters = self.template_dict, {}
                stack.resource_map.load_parameters()
                _refuse_absent(stack)
            apply(self)
        except ResourceFailedError as failed:
            if self.change_set_type == "CREATE":
                _fail(stack, "ROLLBACK", _creation_reason(failed))
            else:
                _go_back(stack, before, before_parameters, failed)
            raise
        stack.template, stack.parameters = self.template, self.parameters
        stack._parse_template()
        stack.output_map = stack._create_output_map()
        stack.resource_map.ledger.sealed = True

    @functools.wraps(execute)
    def execute_change_set(self: Any, *args: Any, **kwargs: Any) -> None:
        # The answer does not tell: the stack's own state does.
        with contextlib.suppress(ResourceFailedError):
            execute(self, *args, **kwargs)

    ChangeSet.apply = applied
    CloudFormationBackend.execute_change_set = execute_change_set


def _creation_reason(failed: ResourceFailedError) -> str:
    if failed.logical_id:
        return f"The following resource(s) failed to create: [{failed.logical_id}]. "
    return str(failed)


def _delete() -> None:
    def delete(self: Any) -> None:
        _status(self, "DELETE_IN_PROGRESS", "User Initiated")
        try:
            self.resource_map.delete()
        except ResourceFailedError as failed:
            _status(self, "DELETE_FAILED", str(failed))
        else:
            _status(self, "DELETE_COMPLETE")
            self.deletion_time = utcnow()

    def delete_stack(self: Any, name_or_stack_id: str) -> None:
        found = [stack for stack in self.stacks.values() if name_or_stack_id in (stack.name, stack.stack_id)]
        for stack in found:
            if stack.enable_termination_protection:
                raise ValidationError(
                    message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
            exports = [export.name for export in stack.exports]
            stack.delete()
            if stack.status == "DELETE_COMPLETE":
                self.deleted_stacks[stack.stack_id] = self.stacks.pop(stack.stack_id)
                for name in exports:
                    self.exports.pop(name, None)

    Stack.delete = delete
    CloudFormationBackend.delete_stack = delete_stack
