"""The life of a stack: what AWS does when a resource of it fails.

CreateStack answers with the id of the stack, whatever becomes of it. A failed creation is rolled back
(ROLLBACK_COMPLETE), deleted (DELETE_COMPLETE) or left as it is (CREATE_FAILED), as OnFailure says; a failed
update goes back to the stack before it (UPDATE_ROLLBACK_COMPLETE).

Source: CloudFormation API Reference, CreateStack and UpdateStack; User Guide, "Stack failure options".
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.cloudformation import models, parsing
from moto.cloudformation.exceptions import UnformattedGetAttTemplateException, ValidationError
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.utilities.utils import get_partition

from strictmoto.cloudformation import exports, outputs, policies, rules, s3_urls, working
from strictmoto.cloudformation import parameters as stack_parameters
from strictmoto.cloudformation.acting import acting_for
from strictmoto.cloudformation.api_types import client
from strictmoto.cloudformation.resources import Ledger, ResourceFailedError, reason_of, retag_all
from strictmoto.cloudformation.templates import check_makeable, check_wanted, parse, text
from strictmoto.cloudformation.yaml_templates import read
from strictmoto.dns_suffixes import dns_suffix_of

# moto has types, but none for what is replaced at run time.
Stack: Any = models.Stack
ChangeSet: Any = models.ChangeSet
CloudFormationBackend: Any = models.CloudFormationBackend
ResourceMap: Any = parsing.ResourceMap

ON_FAILURE: Final[ContextVar[str]] = ContextVar("ON_FAILURE", default="ROLLBACK")
"""What becomes of a stack that cannot be made, for the CreateStack that is being answered."""
CAPABILITIES: Final[ContextVar[tuple[str, ...]]] = ContextVar("CAPABILITIES", default=())
"""What the call that is being answered acknowledges for the stack that it makes or changes."""
_PARENT: Final[ContextVar[Any]] = ContextVar("PARENT", default=None)
"""The stack that is being made or changed: those nested in it have its tags, its role and its capabilities."""

_LEFT: Final = "Update successful. One or more resources could not be deleted."
_STANDING: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"})


def install() -> None:
    """Replace the lives of moto's stacks."""
    _read_templates()
    _know_partitions()
    _check_parameters()
    _keep_a_ledger()
    _show_only_what_stands()
    _create()
    _update()
    _delete()


def _read_templates() -> None:
    def parse_change_set(self: Any) -> None:
        self.template_dict = read(self.template)

    Stack.parse_template = staticmethod(read)
    ChangeSet._parse_template = parse_change_set


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
        # moto leaves the default of a list as it is, and the spaces around what is in one.
        for name, slot in declared.items():
            if slot["Type"].startswith(("List<", "CommaDelimitedList")):
                value = self.resolved_parameters[name]
                values = value.split(",") if isinstance(value, str) else value
                stripped = [one.strip() if isinstance(one, str) else one for one in values]
                self.resolved_parameters[name] = self._parsed_resources[name] = stripped

    def parse_ssm_parameter(self: Any, value: str, value_type: str) -> Any:
        try:
            return find(self, value, value_type)
        except AttributeError:
            # moto finds none.
            raise ValidationError(
                message=f"Unable to fetch parameters [{value}] from parameter store for this account."
            ) from None

    def parameter_list(self: Any) -> list[dict[str, str]]:
        """What DescribeStacks shows: the texts that were given."""
        return [_shown(self, name, value) for name, value in _texts(self).items()]

    find = ResourceMap.parse_ssm_parameter
    Stack.parameter_list = property(parameter_list)
    Stack.stack_parameters = property(_texts)
    ResourceMap.load_parameters = load_parameters
    ResourceMap.parse_ssm_parameter = parse_ssm_parameter


def _texts(stack: Any) -> dict[str, str]:
    """The parameters of a stack as they were given, or their defaults; moto knows what they stand for only."""
    given = stack.resource_map.input_parameters
    declared = stack.template_dict.get("Parameters") or {}
    return {name: text(given.get(name, slot.get("Default", ""))) for name, slot in declared.items()}


def _shown(stack: Any, name: str, value: str) -> dict[str, str]:
    slot = stack.template_dict["Parameters"][name]
    if text(slot.get("NoEcho", False)) == "true":
        return {"ParameterKey": name, "ParameterValue": "****"}
    shown = {"ParameterKey": name, "ParameterValue": value}
    if slot.get("Type", "").startswith("AWS::SSM::Parameter::Value"):
        found = stack.resource_map.resolved_parameters.get(name, "")
        shown["ResolvedValue"] = ",".join(found) if isinstance(found, list) else text(found)
    return shown


def _know_partitions() -> None:
    initialize = ResourceMap.__init__

    @functools.wraps(initialize)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        partition = get_partition(self._region_name)
        suffix = dns_suffix_of(self._region_name)
        self._parsed_resources |= {"AWS::Partition": partition, "AWS::URLSuffix": suffix}

    ResourceMap.__init__ = init


def _keep_a_ledger() -> None:
    create = Stack._create_resource_map

    @functools.wraps(create)
    def create_resource_map(self: Any) -> Any:
        if self.template_dict:
            check_makeable(parse(self.template), self.region_name, self.account_id)
        resource_map = create(self)
        check_wanted(self.template_dict, resource_map.lazy_condition_map)
        resource_map._parsed_resources["AWS::NotificationARNs"] = self.notification_arns
        resource_map.ledger = Ledger(self)
        return resource_map

    Stack._create_resource_map = create_resource_map


def _show_only_what_stands() -> None:
    """moto makes the resources that outputs and exports name; a stack that failed must stay as it is."""
    put_out, exported = Stack.outputs.fget, Stack.exports.fget

    def shown_outputs(self: Any) -> Any:
        return put_out(self) if self.status in _STANDING else None

    def shown_exports(self: Any) -> Any:
        return exported(self) if self.status in _STANDING else []

    def shown_resources(self: Any) -> Any:
        made = map(self.resource_map._parsed_resources.get, list(self.resource_map))
        return [resource for resource in made if resource is not None]

    Stack.outputs = property(shown_outputs)
    Stack.exports = property(shown_exports)
    Stack.stack_resources = property(shown_resources)


def _status(stack: Any, status: str, reason: str | None = None) -> None:
    stack.status = status
    stack.stack_status_reason = reason
    stack._add_stack_event(status, resource_status_reason=reason)


def _create() -> None:
    create = Stack.create_resources

    def create_resources(self: Any) -> None:
        _inherit(self, _PARENT.get())
        working.begin(self, acting_for(self, functools.partial(_make, create, self)))

    @classmethod  # type: ignore[misc]
    def nested(
        cls: Any, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_kwargs: Any
    ) -> Any:
        properties, parent = cloudformation_json["Properties"], _PARENT.get()
        stack = models.cloudformation_backends[account_id][region_name].create_stack(
            name=resource_name,
            notification_arns=properties.get("NotificationARNs"),
            role_arn=parent.role_arn,
            timeout_in_mins=properties.get("TimeoutInMinutes"),
            **_nested(properties, parent),
        )
        if stack.status not in _STANDING:
            raise ValidationError(message=f"Embedded stack {stack.stack_id} was not successfully created")
        return stack

    @classmethod  # type: ignore[misc]
    def nested_update(
        cls: Any,
        original_resource: Any,
        new_resource_name: str,
        cloudformation_json: Any,
        account_id: str,
        region_name: str,
    ) -> Any:
        properties = cloudformation_json["Properties"]
        original_resource.notification_arns = properties.get("NotificationARNs") or []
        original_resource.timeout_in_minutes = properties.get("TimeoutInMinutes")
        original_resource.update(**_nested(properties, _PARENT.get()))
        if original_resource.status != "UPDATE_COMPLETE":
            raise ValidationError(message=f"Embedded stack {original_resource.stack_id} was not successfully updated")
        return original_resource

    def nested_attribute(self: Any, attribute_name: str) -> Any:
        for output in self.outputs or []:
            if attribute_name == f"Outputs.{output['OutputKey']}":
                return output["OutputValue"]
        raise UnformattedGetAttTemplateException

    Stack.update_from_cloudformation_json = nested_update
    Stack.get_cfn_attribute = nested_attribute
    # What Ref says.
    Stack.physical_resource_id = property(lambda self: self.stack_id)
    Stack.create_resources = create_resources
    Stack.create_from_cloudformation_json = nested


def _nested(properties: Mapping[str, Any], parent: Any) -> dict[str, Any]:
    """Return what a stack that is nested in another is made of: its own tags win.

    Raises:
        ValidationError: a parameter is no text.
    """
    given = properties.get("Parameters") or {}
    if any(isinstance(value, dict | list) for value in given.values()):
        raise ValidationError(
            message="Value of property Parameters must be an object with String (or simple type) properties"
        )
    return {
        "template": s3_urls.fetch(properties["TemplateURL"], parent.account_id, get_partition(parent.region_name)),
        "parameters": {name: text(value) for name, value in given.items()},
        "tags": {**parent.tags, **{tag["Key"]: text(tag["Value"]) for tag in properties.get("Tags") or ()}},
    }


def _inherit(stack: Any, parent: Any) -> None:
    """Let a stack know the one that it is nested in, and what was acknowledged for it."""
    if parent is None:
        stack.capabilities = CAPABILITIES.get()
    else:
        stack.parent_id, stack.root_id = parent.stack_id, getattr(parent, "root_id", parent.stack_id)
        stack.capabilities = parent.capabilities


@contextmanager
def _parent_of_others(stack: Any) -> Iterator[None]:
    token = _PARENT.set(stack)
    try:
        yield
    finally:
        _PARENT.reset(token)


def _make(create: Any, stack: Any) -> None:
    """Make the resources of a stack, and do what its failure is to lead to."""
    on_failure = ON_FAILURE.get()
    # A nested stack that fails is its parent's failure, and rolls back by itself.
    token = ON_FAILURE.set("ROLLBACK")
    stack.disable_rollback = on_failure == "DO_NOTHING"
    stack.stack_status_reason = None
    try:
        with _failing(), _parent_of_others(stack):
            _refuse_absent(stack)
            create(stack)
            if stack.status in _STANDING:
                # They are evaluated now: AWS's stack fails with an output that cannot be.
                outputs.evaluate(stack)
                exports.publish(stack)
    except ResourceFailedError as failed:
        _fail(stack, on_failure, _reason(failed, "create"))
    finally:
        ON_FAILURE.reset(token)
    stack.resource_map.ledger.sealed = True
    if stack.status == "DELETE_COMPLETE":
        backend = models.cloudformation_backends[stack.account_id][stack.region_name]
        backend.deleted_stacks[stack.stack_id] = backend.stacks.pop(stack.stack_id)


def _refuse_absent(stack: Any) -> None:
    backend = ec2_backends[stack.account_id][stack.region_name]
    declared = stack.template_dict.get("Parameters") or {}
    _read_parameters(stack, declared, stack.resource_map.input_parameters)
    if reason := stack_parameters.absent(backend, declared, stack.resource_map.resolved_parameters):
        raise ResourceFailedError("", f"{reason}. ")


def _read_parameters(stack: Any, declared: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Read what parameters name in Systems Manager, which IAM may refuse; moto reads it without a call."""
    kinds = {name: str(slot.get("Type", "")) for name, slot in declared.items()}
    named = [name for name, kind in kinds.items() if kind.startswith("AWS::SSM::Parameter::")]
    names = [text(given.get(name, declared[name].get("Default"))) for name in named]
    if not names:
        return
    try:
        client("ssm", stack.account_id, stack.region_name).get_parameters(Names=names)
    except ClientError as error:
        raise ResourceFailedError("", f"{reason_of(error)}. ") from error


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
    def update(
        self: Any,
        template: str,
        role_arn: str | None = None,
        parameters: dict[str, Any] | None = None,
        tags: dict[str, str] | None = None,
    ) -> None:
        changed = parse(template)
        check_makeable(changed, self.region_name, self.account_id)
        declared = changed.get("Parameters") or {}
        given = parameters or {key: value for key, value in self.parameters.items() if key in declared}
        stack_parameters.check(declared, given)
        rules.check_update(self, changed, given)
        _refuse_other_types(self.template_dict, changed)
        before = self.template, self.parameters, dict(self.tags)
        exported = exports.of(self)

        def work() -> None:
            _status(self, "UPDATE_IN_PROGRESS", "User Initiated")
            self.template = template
            self._parse_template()
            self.role_arn = role_arn or self.role_arn
            self.tags = self.tags if tags is None else tags

            def settle() -> None:
                retag_all(self.resource_map, before[2])
                outputs.evaluate(self)
                exports.renew(self, exported)
                _status(self, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")

            try:
                with _failing(), _parent_of_others(self):
                    _read_parameters(self, declared, given)
                    left = self.resource_map.update(self.template_dict, given, settle)
            except ResourceFailedError as failed:
                self.tags = before[2]
                _go_back(self, before[0], before[1], failed)
            else:
                self.parameters = given
                self.description = self.template_dict.get("Description")
                self.output_map = self._create_output_map()
                self.policy = self.__dict__.pop("next_policy", None) or self.policy
                _status(self, "UPDATE_COMPLETE", _LEFT if left else None)
            self.__dict__.pop("next_policy", None)
            self.last_updated_time = utcnow()

        working.begin(self, acting_for(self, work, role_arn))

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

    Stack.update = functools.wraps(Stack.update)(update)
    CloudFormationBackend._resolve_update_parameters = resolve


def _refuse_other_types(before: dict[str, Any], after: dict[str, Any]) -> None:
    old, new = before.get("Resources") or {}, after["Resources"]
    if other := [name for name in new if name in old and old[name]["Type"] != new[name]["Type"]]:
        raise ValidationError(
            message="Update of resource type is not permitted. The new template modifies resource type of the "
            f"following resources: [{', '.join(other)}]"
        )


def _go_back(stack: Any, template: str, parameters: dict[str, Any], failed: ResourceFailedError) -> None:
    _status(stack, "UPDATE_ROLLBACK_IN_PROGRESS", _reason(failed, "update"))
    stack.template, stack.parameters = template, parameters
    stack._parse_template()
    stack.resource_map.input_parameters = parameters
    try:
        # Going back is no update that a policy governs.
        with policies.governed_by(""), _failing(), _parent_of_others(stack):
            left = stack.resource_map.update(
                stack.template_dict,
                parameters,
                lambda: _status(stack, "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
            )
    except ResourceFailedError as again:
        _status(stack, "UPDATE_ROLLBACK_FAILED", f"The following resource(s) failed to update: [{again.logical_id}]. ")
        return
    stack.output_map = stack._create_output_map()
    _status(stack, "UPDATE_ROLLBACK_COMPLETE", _LEFT if left else None)


@contextmanager
def _failing() -> Iterator[None]:
    """Fail the stack, and not the call, where something in the template cannot be evaluated or done."""
    try:
        yield
    except ResourceFailedError:
        raise
    except Exception as error:
        raise ResourceFailedError("", f"{reason_of(error)}. ") from error


def _reason(failed: ResourceFailedError, done: str) -> str:
    if failed.logical_id:
        return f"The following resource(s) failed to {done}: [{failed.logical_id}]. "
    return str(failed)


def _delete() -> None:
    def delete(self: Any, retained: Iterable[str] = (), *, forced: bool = False) -> None:
        _status(self, "DELETE_IN_PROGRESS", "User Initiated")
        try:
            with _failing():
                self.resource_map.delete(retained, forced=forced)
        except ResourceFailedError as failed:
            _status(self, "DELETE_FAILED", str(failed))
        else:
            _status(self, "DELETE_COMPLETE")
            self.deletion_time = utcnow()

    def delete_stack(self: Any, name_or_stack_id: str, retained: Iterable[str] = (), *, forced: bool = False) -> None:
        found = [stack for stack in self.stacks.values() if name_or_stack_id in (stack.name, stack.stack_id)]
        for stack in found:
            if stack.enable_termination_protection:
                raise ValidationError(
                    message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
            if reason := exports.in_use(stack):
                # The stack stays as it was, and says why.
                _status(stack, stack.status, reason)
                continue
            acting = acting_for(stack, functools.partial(_delete_one, self, stack, retained, forced=forced))
            # What is being done for it ends.
            working.cancel(stack)
            working.begin(stack, acting)

    Stack.delete = delete
    CloudFormationBackend.delete_stack = delete_stack


def _delete_one(backend: Any, stack: Any, retained: Iterable[str], *, forced: bool) -> None:
    names = exports.of(stack)
    stack.delete(retained, forced=forced)
    if stack.status == "DELETE_COMPLETE":
        backend.deleted_stacks[stack.stack_id] = backend.stacks.pop(stack.stack_id)
        for name in names:
            backend.exports.pop(name, None)
