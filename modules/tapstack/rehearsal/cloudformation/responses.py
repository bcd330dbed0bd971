"""What the CloudFormation API refuses and answers before a stack is touched.

Source: CloudFormation API Reference, CreateStack, UpdateStack, GetTemplateSummary and ValidateTemplate.
"""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import urlsplit

from moto.cloudformation import responses
from moto.cloudformation.exceptions import CloudFormationError, ValidationError
from moto.cloudformation.responses import StackResourceDTO
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from tapstack.rehearsal.cloudformation import templates
from tapstack.rehearsal.cloudformation.stacks import ON_FAILURE

# moto has types, but none for what is replaced at run time.
moto_responses: Any = responses
CloudFormationResponse: Any = responses.CloudFormationResponse


def install() -> None:
    """Replace moto's answers."""
    _fetch_templates()
    _create()
    _update()
    _describe_templates()
    _show_statuses()


def _fetch_templates() -> None:
    fetch = CloudFormationResponse._get_stack_from_s3_url

    @functools.wraps(fetch)
    def get_stack_from_s3_url(self: Any, template_url: str) -> Any:
        host = urlsplit(template_url).hostname or ""
        # localhost: moto's own form of an S3 address.
        if host != "localhost" and not (template_url.startswith("https://") and "s3" in host):
            raise ValidationError(message="TemplateURL must be a supported URL.")
        try:
            return fetch(self, template_url)
        except (ServiceException, AttributeError) as error:
            said = getattr(error, "message", None) or "The specified key does not exist."
            raise ValidationError(message=f"S3 error: {said}") from error

    CloudFormationResponse._get_stack_from_s3_url = get_stack_from_s3_url


def _check_capabilities(response: Any, template: dict[str, Any]) -> None:
    needed, _reason = templates.capabilities(template)
    given = set(response._get_param("Capabilities", []))
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    if missing := [capability for capability in needed if capability not in given]:
        raise CloudFormationError("InsufficientCapabilitiesException", f"Requires capabilities : [{missing[0]}]")


def _template(response: Any, *, stack: Any = None) -> dict[str, Any]:
    body = response._get_param("TemplateBody")
    if url := response._get_param("TemplateURL"):
        if body:
            raise ValidationError(message="You cannot specify both TemplateURL and TemplateBody")
        body = response._get_stack_from_s3_url(url)
    if body is None and stack is not None:
        body = stack.template
    if not body:
        raise ValidationError(message="Either Template URL or Template Body must be specified.")
    return templates.parse(body)


def _create() -> None:
    create = CloudFormationResponse.create_stack

    @functools.wraps(create)
    def create_stack(self: Any) -> Any:
        template = _template(self)
        rollback = self._get_param("DisableRollback")
        on_failure = self._get_param("OnFailure")
        if rollback is not None and on_failure is not None:
            raise ValidationError(message="You cannot specify both DisableRollback and OnFailure")
        _check_capabilities(self, template)
        token = ON_FAILURE.set(on_failure or ("DO_NOTHING" if rollback else "ROLLBACK"))
        try:
            return create(self)
        finally:
            ON_FAILURE.reset(token)

    CloudFormationResponse.create_stack = create_stack


def _update() -> None:
    update = CloudFormationResponse.update_stack
    create_change_set = CloudFormationResponse.create_change_set

    @functools.wraps(update)
    def update_stack(self: Any) -> Any:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        _check_capabilities(self, _template(self, stack=stack))
        return update(self)

    @functools.wraps(create_change_set)
    def change_set(self: Any) -> Any:
        if self._get_param("TemplateBody") or self._get_param("TemplateURL"):
            _check_capabilities(self, _template(self))
        return create_change_set(self)

    CloudFormationResponse.update_stack = update_stack
    CloudFormationResponse.create_change_set = change_set


def _describe_templates() -> None:
    def get_template_summary(self: Any) -> ActionResult:
        stack = None
        if name := self._get_param("StackName"):
            stack = self.cloudformation_backend.get_stack(name)
            if stack.status == "REVIEW_IN_PROGRESS":
                raise ValidationError(message="GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
        return ActionResult(templates.summary(_template(self, stack=stack)))

    def validate_template(self: Any) -> ActionResult:
        # AWS looks at form and references only. moto runs cfn-lint here, which knows better than AWS.
        return ActionResult(templates.validation(_template(self)))

    CloudFormationResponse.get_template_summary = get_template_summary
    CloudFormationResponse.validate_template = validate_template


def _show_statuses() -> None:
    class StatusDTO(StackResourceDTO):
        """A resource with its own status, where moto shows its stack's."""

        def __init__(self, stack: Any, resource: Any) -> None:
            super().__init__(stack, resource)
            self.resource_status = stack.resource_map.ledger.statuses.get(self.logical_resource_id, stack.status)

    moto_responses.StackResourceDTO = StatusDTO
