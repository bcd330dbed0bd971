"""Change sets: what a new template would change, and the stack that is made or updated when one is executed.

Sources: CloudFormation API Reference, CreateChangeSet, DescribeChangeSet, ExecuteChangeSet and DeleteChangeSet; User
Guide, "Update CloudFormation stacks using change sets".
"""

from __future__ import annotations

import copy
from typing import Any, Final

from moto.cloudformation import models, responses
from moto.cloudformation.exceptions import AlreadyExistsException, CloudFormationError, ValidationError
from moto.cloudformation.utils import generate_changeset_id, generate_stack_id, validate_create_change_set
from moto.core.responses import ActionResult, EmptyResult

from strictmoto.cloudformation import parameters as stack_parameters
from strictmoto.cloudformation import resources, rules, schemas, templates
from strictmoto.cloudformation.responses import check_name, refuse_unchangeable
from strictmoto.cloudformation.stacks import CAPABILITIES, ON_FAILURE

# moto has types, but none for what is replaced at run time.
Stack: Any = models.Stack
ChangeSet: Any = models.ChangeSet
CloudFormationResponse: Any = responses.CloudFormationResponse

_REVIEW: Final = "REVIEW_IN_PROGRESS"
_EXECUTED: Final = "EXECUTE_COMPLETE"
_NO_CHANGES: Final = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)
_UNKNOWN: Final = object()


def install() -> None:
    """Replace moto's change sets."""
    ChangeSet.diff = _diff
    for answer in (create_change_set, describe_change_set, execute_change_set, delete_change_set, list_change_sets):
        setattr(CloudFormationResponse, answer.__name__, answer)


def create_change_set(self: Any) -> ActionResult:
    """CreateChangeSet."""
    backend, name = self.cloudformation_backend, self._get_param("ChangeSetName")
    validate_create_change_set(name)
    kind = self._get_param("ChangeSetType") or "UPDATE"
    if kind not in ("CREATE", "UPDATE"):
        raise ValidationError(message=f"strictmoto makes no change set of type {kind}")
    stack = _stack_of(self, kind)
    body = _body(self, stack)
    template = templates.parse(body)
    templates.check_makeable(template, self.region, self.current_account)
    self._check_capabilities(template, reviewed=True)
    tags = {item["Key"]: item["Value"] for item in self._get_param("Tags", [])}
    given = backend._resolve_update_parameters(stack, self._get_param("Parameters", [])) if stack else None
    parameters = given if given is not None else self._get_params_from_list(self._get_param("Parameters", []))
    stack_parameters.check(template.get("Parameters") or {}, parameters)
    if stack is None:
        stack = _reviewed(self, tags)
    elif any(found.change_set_name == name for found in _open_sets(backend, stack)):
        raise AlreadyExistsException(f"ChangeSet {name} already exists")
    made = ChangeSet(
        change_set_type=kind,
        change_set_id=generate_changeset_id(name, self.region, self.current_account),
        change_set_name=name,
        stack=stack,
        template=body,
        parameters=parameters,
        description=self._get_param("Description"),
        notification_arns=self._get_param("NotificationARNs", []) or None,
        tags=tags or None,
        role_arn=self._get_param("RoleARN"),
    )
    made.capabilities = tuple(self._get_param("Capabilities", []))
    made.on_failure = self._get_param("OnStackFailure")
    retagged = bool(tags) and tags != stack.tags
    if kind == "UPDATE" and not made.changes and not retagged and not _other_outputs(stack, made):
        made.status, made.execution_status, made.status_reason = "FAILED", "UNAVAILABLE", _NO_CHANGES
    else:
        made.status, made.execution_status = "CREATE_COMPLETE", "AVAILABLE"
    # A new stack is there from now on: before, its change set may have been refused.
    backend.stacks[stack.stack_id] = stack
    backend.change_sets[made.change_set_id] = made
    return ActionResult({"Id": made.change_set_id, "StackId": stack.stack_id})


def describe_change_set(self: Any) -> ActionResult:
    """DescribeChangeSet."""
    return ActionResult(_find(self))


def list_change_sets(self: Any) -> ActionResult:
    """ListChangeSets."""
    stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
    return ActionResult({"Summaries": _open_sets(self.cloudformation_backend, stack)})


def delete_change_set(self: Any) -> ActionResult:
    """DeleteChangeSet; one that is not there is as good as deleted."""
    try:
        found = _find(self)
    except CloudFormationError as missing:
        if missing.code != "ChangeSetNotFound":
            raise
    else:
        del self.cloudformation_backend.change_sets[found.change_set_id]
    return EmptyResult()


def execute_change_set(self: Any) -> ActionResult:
    """ExecuteChangeSet: the stack is made or updated as CreateStack and UpdateStack would."""
    found = _find(self)
    if found.execution_status != "AVAILABLE":
        raise CloudFormationError(
            "InvalidChangeSetStatus",
            f"ChangeSet [{found.change_set_id}] cannot be executed in its current status of [{found.status}]",
        )
    backend, stack = self.cloudformation_backend, found.stack
    # Executing one makes the others of its stack worthless.
    for other in _open_sets(backend, stack):
        if other is not found:
            del backend.change_sets[other.change_set_id]
    found.execution_status = _EXECUTED
    on_failure = found.on_failure or ("DO_NOTHING" if self._get_bool_param("DisableRollback", False) else "ROLLBACK")
    token, acknowledged = ON_FAILURE.set(on_failure), CAPABILITIES.set(found.capabilities)
    try:
        if found.change_set_type == "CREATE":
            stack.template, stack.parameters = found.template, found.parameters
            stack._parse_template()
            stack.role_arn = found.role_arn
            stack.resource_map = stack._create_resource_map()
            stack.output_map = stack._create_output_map()
            stack.status = "CREATE_IN_PROGRESS"
            stack._add_stack_event("CREATE_IN_PROGRESS", resource_status_reason="User Initiated")
            stack.create_resources()
        else:
            stack.capabilities = found.capabilities
            stack.update(found.template, found.role_arn, parameters=found.parameters, tags=found.tags)
    finally:
        CAPABILITIES.reset(acknowledged)
        ON_FAILURE.reset(token)
    return EmptyResult()


def _stack_of(response: Any, kind: str) -> Any:
    """The stack that a change set is for; None where it is to be made.

    Raises:
        ValidationError: there is none to update, or one already that is to be made.
    """
    name = response._get_param("StackName")
    existing = [
        stack for stack in response.cloudformation_backend.stacks.values() if name in (stack.name, stack.stack_id)
    ]
    if kind == "CREATE":
        if not existing:
            check_name(name)
            return None
        if existing[0].status != _REVIEW:
            raise ValidationError(
                message=f"Stack [{name}] already exists and cannot be created again with the changeSet "
                f"[{response._get_param('ChangeSetName')}]."
            )
        return existing[0]
    if not existing:
        raise ValidationError(message=f"Stack [{name}] does not exist")
    stack = existing[0]
    refuse_unchangeable(stack)
    return stack


def _body(response: Any, stack: Any) -> str:
    body, url = response._get_param("TemplateBody"), response._get_param("TemplateURL")
    previous = response._get_bool_param("UsePreviousTemplate", False)
    if (body or url) and previous:
        raise ValidationError(message="You cannot specify both usePreviousTemplate and Template Body/Template URL.")
    if body and url:
        raise ValidationError(message="You cannot specify both TemplateURL and TemplateBody")
    response._refuse_long(body)
    found: str | None = response._get_stack_from_s3_url(url) if url else body
    if previous and stack is not None:
        found = stack.template
    if not found:
        raise ValidationError(message="Either Template URL or Template Body must be specified.")
    return found


def _reviewed(response: Any, tags: dict[str, str]) -> Any:
    """A stack that nothing is made of yet."""
    name = response._get_param("StackName")
    stack = Stack(
        stack_id=generate_stack_id(name, response.region, response.current_account),
        name=name,
        template={},
        parameters={},
        account_id=response.current_account,
        region_name=response.region,
        notification_arns=response._get_param("NotificationARNs", []),
        tags=tags,
        role_arn=response._get_param("RoleARN"),
    )
    stack.status = _REVIEW
    stack._add_stack_event(_REVIEW, resource_status_reason="User Initiated")
    return stack


def _open_sets(backend: Any, stack: Any) -> list[Any]:
    """The change sets of a stack that were not executed: whose was, its name is free again."""
    sets = backend.change_sets.values()
    return [found for found in sets if found.stack_id == stack.stack_id and found.execution_status != _EXECUTED]


def _find(response: Any) -> Any:
    name, stack_name = response._get_param("ChangeSetName"), response._get_param("StackName")
    backend = response.cloudformation_backend
    if name in backend.change_sets:
        return backend.change_sets[name]
    if not name.startswith("arn:") and not stack_name:
        raise ValidationError(message="StackName must be specified if ChangeSetName is not specified as an ARN.")
    # Of those of one name the newest counts; what was executed before is found by its ARN.
    for found in reversed(backend.change_sets.values()):
        if found.change_set_name == name and stack_name in (found.stack_name, found.stack_id):
            return found
    raise CloudFormationError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")


def _other_outputs(stack: Any, change_set: Any) -> bool:
    return any(
        stack.template_dict.get(block) != change_set.template_dict.get(block) for block in ("Outputs", "Description")
    )


class _Change:
    """What a change set would do with one resource."""

    def __init__(self, action: str, name: str, kind: str, existing: Any = None) -> None:
        self.action, self.logical_resource_id, self.resource_type = action, name, kind
        if existing is not None:
            self.physical_resource_id = resources.physical_id(existing)


def _diff(self: Any) -> list[_Change]:
    """The changes, as far as they are known before anything is made."""
    before, after = self.stack.resource_map, self.template_dict["Resources"]
    old = {name: json for name, json in before._resource_json_map.items() if before._parsed_resources.get(name)}
    known = _preview(self)
    wanted = {name: json for name, json in after.items() if _is_wanted(json, known)}
    made = before._parsed_resources
    changes = [_Change("Add", name, json["Type"]) for name, json in wanted.items() if name not in old]
    changes += [_Change("Remove", name, json["Type"], made[name]) for name, json in old.items() if name not in wanted]
    for name in (name for name in wanted if name in old):
        properties = before.ledger.properties.get(name) or {}
        try:
            new = resources.resolved(known, after[name])
        except (ValidationError, KeyError):
            # It refers to what is not there yet.
            new = {"": _UNKNOWN}
        if new == properties:
            continue
        kind = after[name]["Type"]
        change: Any = _Change("Modify", name, kind, made[name])
        change.replacement = "True" if schemas.replaces(kind, properties, new) else "False"
        keys = {key for key in {*properties, *new} if properties.get(key) != new.get(key)}
        change.scope = [part for part, there in (("Properties", keys - {"Tags"}), ("Tags", keys & {"Tags"})) if there]
        changes.append(change)
    return changes


def _preview(change_set: Any) -> Any:
    """The stack's map with the new template and parameters, of which nothing is made."""
    known = copy.copy(change_set.stack.resource_map)
    known._template = copy.deepcopy(change_set.template_dict)
    known._resource_json_map = known._template["Resources"]
    known._parsed_resources = dict(known._parsed_resources)
    known.ledger = copy.copy(known.ledger)
    known.ledger.sealed = True
    known.input_parameters = change_set.parameters
    known.load_mapping()
    known.load_parameters()
    rules.check(known)
    known.load_conditions()
    return known


def _is_wanted(json: dict[str, Any], known: Any) -> bool:
    condition = json.get("Condition")
    return not condition or bool(known.lazy_condition_map[condition])
