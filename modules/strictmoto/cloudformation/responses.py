"""What the CloudFormation API refuses and answers before a stack is touched.

Source: CloudFormation API Reference, CreateStack, UpdateStack, GetTemplateSummary and ValidateTemplate.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from moto.cloudformation import models, responses
from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.cloudformation.responses import StackResourceDTO
from moto.core.responses import ActionResult, EmptyResult

from strictmoto.cloudformation import exports, policies, s3_urls, templates, transforms
from strictmoto.cloudformation.events import CLIENT_TOKEN
from strictmoto.cloudformation.stacks import CAPABILITIES, ON_FAILURE

# moto has types, but none for what is replaced at run time.
moto_models: Any = models
moto_responses: Any = responses
CloudFormationResponse: Any = responses.CloudFormationResponse
_LONGEST_BODY: Final = 51_200
_LONGEST_NAME: Final = 128
_FORCE: Final = "FORCE_DELETE_STACK"
_STACK_NAME: Final = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")


def install() -> None:
    """Replace moto's answers."""
    _fetch_templates()
    _create()
    _update()
    _delete()
    _protect()
    _list_imports()
    _refuse_stack_sets()
    _set_policies()
    _describe_templates()
    _show_statuses()


def _fetch_templates() -> None:
    def get_stack_from_s3_url(self: Any, template_url: str) -> str:
        return s3_urls.fetch(template_url, self.current_account, self.partition)

    CloudFormationResponse._get_stack_from_s3_url = get_stack_from_s3_url
    moto_models.get_stack_from_s3_url = s3_urls.fetch


def _check_capabilities(response: Any, template: dict[str, Any], *, reviewed: bool = False) -> None:
    """Refuse what a template needs and the request does not acknowledge; of changes to review, macros need nothing."""
    _check_resource_types(response, template)
    needed, _reason = templates.capabilities(template)
    if reviewed:
        needed = [capability for capability in needed if capability != transforms.CAPABILITY]
    given = set(response._get_param("Capabilities", []))
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    if missing := [capability for capability in needed if capability not in given]:
        raise CloudFormationError(
            "InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(missing)}]"
        )


def _check_resource_types(response: Any, template: dict[str, Any]) -> None:
    """Refuse resources of other types than those that the request lists: conditions of policies compare the list.

    Source: CloudFormation API Reference, CreateStack, UpdateStack and CreateChangeSet (ResourceTypes).
    """
    given = response._get_param("ResourceTypes", [])
    found = sorted({str(resource["Type"]) for resource in template["Resources"].values()})
    others = [kind for kind in found if not any(fnmatch.fnmatchcase(kind, pattern) for pattern in given)]
    if given and others:
        raise ValidationError(message=f"Resource types [{', '.join(others)}] are not in the list of resource types")


def _template(response: Any, *, stack: Any = None) -> dict[str, Any]:
    body = response._get_param("TemplateBody")
    _refuse_long(body)
    if url := response._get_param("TemplateURL"):
        if body:
            raise ValidationError(message="You cannot specify both TemplateURL and TemplateBody")
        body = response._get_stack_from_s3_url(url)
    if body is None and stack is not None:
        body = stack.template
    if not body:
        raise ValidationError(message="Either Template URL or Template Body must be specified.")
    template = templates.parse(body)
    templates.check_types(template, response.region)
    return template


def _refuse_long(body: str | None) -> None:
    if body and len(body.encode()) > _LONGEST_BODY:
        shown = body if len(body) < 100 else f"{body[:100]}..."
        raise ValidationError(
            message=f"1 validation error detected: Value '{shown}' at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_LONGEST_BODY}"
        )


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a new stack.

    Raises:
        ValidationError: it has other characters, does not begin with a letter, or is too long.
    """
    constraint = ""
    if not _STACK_NAME.fullmatch(name):
        constraint = f"Member must satisfy regular expression pattern: {_STACK_NAME.pattern}"
    elif len(name) > _LONGEST_NAME:
        constraint = f"Member must have length less than or equal to {_LONGEST_NAME}"
    if constraint:
        said = f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: {constraint}"
        raise ValidationError(message=said)


def _create() -> None:
    create = CloudFormationResponse.create_stack

    @functools.wraps(create)
    def create_stack(self: Any) -> Any:
        check_name(self._get_param("StackName"))
        template = _template(self)
        rollback = self._get_param("DisableRollback")
        on_failure = self._get_param("OnFailure")
        if rollback is not None and on_failure is not None:
            raise ValidationError(message="You cannot specify both DisableRollback and OnFailure")
        _check_capabilities(self, template)
        transforms.check(template, self.current_account)
        if policy := _policy(self, "StackPolicy"):
            policies.check(policy)
        token = ON_FAILURE.set(on_failure or ("DO_NOTHING" if rollback else "ROLLBACK"))
        acknowledged = CAPABILITIES.set(tuple(self._get_param("Capabilities", [])))
        try:
            with _client_token(self):
                return create(self)
        finally:
            CAPABILITIES.reset(acknowledged)
            ON_FAILURE.reset(token)

    CloudFormationResponse.create_stack = create_stack


def _update() -> None:
    update = CloudFormationResponse.update_stack

    @functools.wraps(update)
    def update_stack(self: Any) -> Any:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        refuse_unchangeable(stack)
        template = _template(self, stack=stack)
        _check_capabilities(self, template)
        transforms.check(template, self.current_account)
        policy, during = _policy(self, "StackPolicy"), _policy(self, "StackPolicyDuringUpdate")
        for given in (policy, during):
            if given:
                policies.check(given)
        _refuse_no_change(self, stack, template)
        # The policy that the stack has governs this update; a new one those that follow.
        stack.next_policy = policy
        stack.capabilities = tuple(self._get_param("Capabilities", []))
        with policies.governed_by(during), _client_token(self):
            return update(self)

    def accept(self: Any, *args: Any) -> None:
        """Tags alone are an update, too: `_refuse_no_change` knows."""

    CloudFormationResponse._validate_different_update = accept
    CloudFormationResponse._check_capabilities = _check_capabilities
    CloudFormationResponse._refuse_long = staticmethod(_refuse_long)
    CloudFormationResponse.update_stack = update_stack


def _delete() -> None:
    def delete_stack(self: Any) -> EmptyResult:
        name, role_arn = self._get_param("StackName"), self._get_param("RoleARN")
        retained, mode = self._get_param("RetainResources", []), self._get_param("DeletionMode")
        for stack in self.cloudformation_backend.stacks.values():
            if name in (stack.name, stack.stack_id):
                _check_retained(stack, retained, forced=mode == _FORCE)
                stack.role_arn = role_arn or stack.role_arn
        with _client_token(self):
            self.cloudformation_backend.delete_stack(name, retained, forced=mode == _FORCE)
        return EmptyResult()

    CloudFormationResponse.delete_stack = delete_stack


def _check_retained(stack: Any, retained: list[str], *, forced: bool) -> None:
    """Refuse to let resources stay where the stack was not about to be deleted and could not be."""
    if not retained and not forced:
        return
    if stack.status != "DELETE_FAILED":
        asked = f"Specified resources to retain: [{', '.join(retained)}]" if retained else f"DeletionMode is {_FORCE}"
        raise ValidationError(
            message=f"Invalid operation on stack [{stack.stack_id}]. {asked}, and it is not in DELETE_FAILED state."
        )
    ledger = stack.resource_map.ledger
    if wrong := [name for name in retained if ledger.statuses.get(name) != "DELETE_FAILED"]:
        raise ValidationError(
            message=f"Resources to retain must be in a valid state. The following resources are not in DELETE_FAILED "
            f"state: [{', '.join(wrong)}]"
        )


def _protect() -> None:
    def update_termination_protection(self: Any) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
        return ActionResult({"StackId": stack.stack_id})

    CloudFormationResponse.update_termination_protection = update_termination_protection


def _list_imports() -> None:
    def list_imports(self: Any) -> ActionResult:
        name = self._get_param("ExportName")
        if name not in self.cloudformation_backend.exports:
            raise ValidationError(message=f"Export '{name}' does not exist.")
        if not (users := exports.importers(self.cloudformation_backend, name)):
            raise ValidationError(message=f"Export '{name}' is not imported by any stack.")
        return ActionResult({"Imports": users})

    CloudFormationResponse.list_imports = list_imports


def _refuse_stack_sets() -> None:
    """Refuse stack sets: moto remembers them, and makes no stack of any."""
    for action in [name for name in dir(CloudFormationResponse) if "stack_set" in name or "stack_instances" in name]:
        setattr(CloudFormationResponse, action, _missing(action))


def _missing(action: str) -> Any:
    def missing(self: Any) -> ActionResult:
        raise NotImplementedError(f"strictmoto makes no stacks of stack sets ({action})")

    return missing


@contextmanager
def _client_token(response: Any) -> Iterator[None]:
    token = CLIENT_TOKEN.set(response._get_param("ClientRequestToken"))
    try:
        yield
    finally:
        CLIENT_TOKEN.reset(token)


def _policy(response: Any, name: str) -> str | None:
    """A stack policy that a request brings along, by value or by address."""
    body, url = response._get_param(f"{name}Body"), response._get_param(f"{name}URL")
    if body and url:
        raise ValidationError(message=f"You cannot specify both {name}URL and {name}Body")
    return s3_urls.fetch_policy(url, response.current_account, response.partition) if url else body


def refuse_unchangeable(stack: Any) -> None:
    """Refuse to change a stack that was rolled back, is at work, or has no template yet.

    Source: CloudFormation User Guide, "Stack status codes" (ROLLBACK_COMPLETE). That it comes before "No updates are to
    be performed." is inferred.
    """
    if stack.status == "ROLLBACK_COMPLETE" or stack.status.endswith("_IN_PROGRESS"):
        raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")


def _refuse_no_change(response: Any, stack: Any, template: dict[str, Any]) -> None:
    """A new policy alone is no update: SetStackPolicy is for that."""
    tags = {item["Key"]: item["Value"] for item in response._get_param("Tags", [])}
    given = response._get_param("Parameters", [])
    parameters = response.cloudformation_backend._resolve_update_parameters(stack, given) if given else stack.parameters
    topics = response._get_param("NotificationARNs", [])
    if (
        template == templates.parse(stack.template)
        and parameters == stack.parameters
        and tags in ({}, stack.tags)
        and topics in ([], stack.notification_arns)
    ):
        raise ValidationError(message="No updates are to be performed.")


def _set_policies() -> None:
    set_policy = CloudFormationResponse.set_stack_policy

    @functools.wraps(set_policy)
    def set_stack_policy(self: Any) -> Any:
        # It refuses a stack that is not there, whatever the policy is.
        self.cloudformation_backend.get_stack_policy(self._get_param("StackName"))
        if policy := _policy(self, "StackPolicy"):
            policies.check(policy)
        return set_policy(self)

    CloudFormationResponse.set_stack_policy = set_stack_policy


def _describe_templates() -> None:
    def get_template_summary(self: Any) -> ActionResult:
        stack = None
        if name := self._get_param("StackName"):
            stack = self.cloudformation_backend.get_stack(name)
            if stack.status == "REVIEW_IN_PROGRESS":
                raise ValidationError(message="GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
        return ActionResult(templates.summary(_template(self, stack=stack)))

    def validate_template(self: Any) -> ActionResult:
        # AWS checks form and references only. moto runs cfn-lint here, which knows better than AWS.
        return ActionResult(templates.validation(_template(self)))

    CloudFormationResponse.get_template_summary = get_template_summary
    CloudFormationResponse.validate_template = validate_template


def _show_statuses() -> None:
    class StatusDTO(StackResourceDTO):
        """A resource with its own status, where moto shows its stack's."""

        def __init__(self, stack: Any, resource: Any) -> None:
            super().__init__(stack, resource)
            self.resource_status = stack.resource_map.ledger.statuses.get(self.logical_resource_id, stack.status)

    def list_stack_resources(self: Any) -> ActionResult:
        stack, resources = self.cloudformation_backend.list_stack_resources(self._get_param("StackName"))
        shown = [StatusDTO(stack, resource) for resource in resources]
        summaries = [
            {
                "ResourceStatus": one.resource_status,
                "LogicalResourceId": one.logical_resource_id,
                "LastUpdatedTimestamp": getattr(stack, "last_updated_time", None) or stack.creation_time,
                "PhysicalResourceId": one.physical_resource_id,
                "ResourceType": one.resource_type,
            }
            for one in shown
        ]
        return ActionResult({"StackResourceSummaries": summaries})

    moto_responses.StackResourceDTO = StatusDTO
    CloudFormationResponse.list_stack_resources = list_stack_resources
