"""The stack of the launched appliance, as CloudFormation has it.

Source: AWS CloudFormation API Reference, CreateStack, GetTemplateSummary, DescribeStacks, DescribeStackEvents,
DescribeStackResources and DeleteStack.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE
from tapstack.domain.outside_text import LONG, quoted, word
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.domain.packet_basics import MIRROR_SOURCE, SESSION_NUMBER, USER_ACCESS_OUTPUT
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of, message_of
from tapstack.responder.environment import environment
from tapstack.responder.errors import ApplianceFailed, TryAgain

Stack = dict[str, Any]
"""A stack as CloudFormation describes it."""

TARGET: Final = "AWS::EC2::TrafficMirrorTarget"
FILTER: Final = "AWS::EC2::TrafficMirrorFilter"
SESSION: Final = "AWS::EC2::TrafficMirrorSession"
STACK: Final = "AWS::CloudFormation::Stack"
GONE: Final = "DELETE_COMPLETE"
CREATED: Final = frozenset(
    {
        *("CREATE_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_FAILED"),
        *("UPDATE_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"),
    }
)
"""Of a stack that was created, and whose deletion did not begin. An update that failed leaves its resources.

Source: AWS CloudFormation User Guide, "Understand CloudFormation stack creation events" (stack status codes).
"""
IN_PROGRESS: Final = "_IN_PROGRESS"
NAMED_IAM: Final = "CAPABILITY_NAMED_IAM"
"""Stands for CAPABILITY_IAM as well."""
_TO_GIVE: Final = (
    "inspect the roles in the template, then allow the capabilities it requires, and deploy: "
    "response.appliance.launch.capabilities in the deployment file"
)


def describe(name_or_id: str) -> Stack | None:
    """Return a stack; None when there is none. A deleted one is shown for 90 days, by its id only."""
    try:
        found = client("cloudformation").describe_stacks(StackName=name_or_id)["Stacks"]
    except ClientError as error:
        if _is_absence(error):
            return None
        raise
    return dict(found[0]) if found else None


def _is_absence(error: ClientError) -> bool:
    return code_of(error) == "ValidationError" and "does not exist" in message_of(error)


@contextmanager
def _shown_late() -> Iterator[None]:
    """Retry where CloudFormation does not yet know a stack that another of its calls has returned."""
    try:
        yield
    except ClientError as error:
        if _is_absence(error):
            raise TryAgain(message_of(error)) from error
        raise


def creates(stack_name: str, tags: Mapping[str, str]) -> bool:
    """Return whether the appliance's stack itself creates a resource, by the resource's tags alone.

    Only CloudFormation writes the tag with a stack's name, and no two stacks have the same. The name of a nested stack
    begins with that of its parent, but so may that of any other stack, and whoever creates a stack chooses its other
    tags: that proves nothing. Which stacks are nested, `parts_of` knows, for functions that may ask CloudFormation.

    Args:
        stack_name: of the appliance's stack.
        tags: of the resource.
    """
    return tags.get(STACK_NAME_TAG) == stack_name


def parts_of(stack_name: str, names: Collection[str]) -> set[str]:
    """Return which of some stacks are the appliance's, or nested in it, as CloudFormation says.

    CloudFormation is called only where a name leaves that open. What is nested deeper is not known: the name of a
    nested stack, too, may be the beginning of another one's.

    Args:
        stack_name: of the appliance's stack.
        names: of the stacks, as the tag of their resources has them.
    """
    found = {name for name in names if name == stack_name}
    if open_ := {name for name in names if name.startswith(f"{stack_name}-")}:
        found |= open_.intersection(_nested_in(stack_name))
    return found


def create(launch: DeployedLaunch, incident_id: str, generation: int, source: tuple[str, int] | None) -> str | None:
    """Create the stack and return its id; None when one of that name exists.

    Args:
        launch: the settings of the stack.
        incident_id: for which incident.
        generation: of the launch; it makes a retry the same request.
        source: the interface that the stack mirrors itself, and its session number.

    Raises:
        ApplianceFailed: CloudFormation refuses the request; trying again changes nothing.
    """
    named = environment()
    parameters = dict(launch.parameters)
    if source is not None:
        parameters |= {MIRROR_SOURCE: source[0], SESSION_NUMBER: str(source[1])}
    tags = {TAG_INCIDENT: incident_id, TAG_DEPLOYMENT: named.deployment, TAG_SITE: named.site}
    try:
        capabilities = _capabilities(launch)
        answer = client("cloudformation").create_stack(
            StackName=launch.stack_name,
            TemplateURL=launch.template_url,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Capabilities=capabilities,
            TimeoutInMinutes=launch.timeout_minutes,
            # A failed creation leaves no resources.
            OnFailure="DELETE",
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            ClientRequestToken=f"{launch.stack_name}-{generation}"[-128:].lstrip("-"),
            **({"RoleARN": launch.role_arn} if launch.role_arn else {}),
        )
    except ClientError as error:
        code = code_of(error)
        if code == "AlreadyExistsException":
            return None
        if code in ("ValidationError", "InsufficientCapabilitiesException", "AccessDenied", "AccessDeniedException"):
            hint = f"; {_TO_GIVE}" if code == "InsufficientCapabilitiesException" else ""
            raise ApplianceFailed(
                f"CloudFormation refuses the stack {launch.stack_name}: {message_of(error)}{hint}"
            ) from error
        raise
    return str(answer["StackId"])


def _capabilities(launch: DeployedLaunch) -> list[str]:
    """Return the capabilities to acknowledge: those that the template requires, if the settings allow them.

    Raises:
        ApplianceFailed: the template requires others.
    """
    asked = client("cloudformation").get_template_summary(TemplateURL=launch.template_url)
    needed, given = set(asked.get("Capabilities", [])), list(launch.capabilities)
    covered = {*given, *(["CAPABILITY_IAM"] if NAMED_IAM in given else [])}
    if missing := sorted(needed - covered):
        reason = f" ({quoted(asked['CapabilitiesReason'], LONG)})" if asked.get("CapabilitiesReason") else ""
        raise ApplianceFailed(
            f"the template of the stack {launch.stack_name} asks for {', '.join(missing)}{reason}, and the settings "
            f"give it {', '.join(given) or 'nothing'}; {_TO_GIVE}"
        )
    if "CAPABILITY_AUTO_EXPAND" in needed:
        # Which capabilities a macro needs is known only when it has run.
        return given
    return [one for one in given if one in needed or (one == NAMED_IAM and "CAPABILITY_IAM" in needed)]


def reason_of_failure(stack: Stack) -> str:
    """Return why a creation failed: the first resource that did, in CloudFormation's words."""
    pages = client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=stack["StackId"])
    with _shown_late():
        # Newest first, so the last one is the first that failed.
        failed = [e for page in pages for e in page["StackEvents"] if e.get("ResourceStatus") == "CREATE_FAILED"]
    if not failed:
        reason = stack.get("StackStatusReason")
        return f"{stack['StackStatus']}: {quoted(reason, LONG)}" if reason else str(stack["StackStatus"])
    first = failed[-1]
    why = quoted(first["ResourceStatusReason"], LONG) if first.get("ResourceStatusReason") else "failed"
    return f"{word(first['LogicalResourceId'])} ({word(str(first.get('ResourceType')))}): {why}"


def resources(stack: Stack) -> dict[str, str]:
    """Return ids of the stack's resources by type; the first of each type."""
    with _shown_late():
        answer = client("cloudformation").describe_stack_resources(StackName=stack["StackId"])
    found: dict[str, str] = {}
    for resource in answer["StackResources"]:
        if resource.get("PhysicalResourceId"):
            found.setdefault(resource["ResourceType"], resource["PhysicalResourceId"])
    return found


def _nested_in(stack_name: str) -> list[str]:
    """Return the names of the stacks that are nested in a stack; none where it does not exist."""
    try:
        answer = client("cloudformation").describe_stack_resources(StackName=stack_name)
    except ClientError as error:
        if _is_absence(error):
            return []
        raise
    arns = [one.get("PhysicalResourceId") for one in answer["StackResources"] if one["ResourceType"] == STACK]
    return [str(arn).split("/")[1] for arn in arns if arn]


def portal_url(stack: Stack) -> str | None:
    """Return the URL of the portal. The credentials among the outputs are never read."""
    for output in stack.get("Outputs", []):
        if output["OutputKey"] == USER_ACCESS_OUTPUT:
            return str(output["OutputValue"])
    return None


def parameter(stack: Stack, name: str) -> str | None:
    """Return a parameter of a stack."""
    values = {item["ParameterKey"]: item.get("ParameterValue") for item in stack.get("Parameters", [])}
    return values.get(name) or None


def delete(stack: Stack, generation: int, *, again: bool = False) -> None:
    """Begin to delete a stack, with its service role.

    A stack whose deletion failed because its session was already deleted is deleted without the session.

    Args:
        stack: which.
        generation: of the launch; it makes a retry the same request.
        again: whether the deletion failed before, for another reason: this is then a new request.
    """
    retain = sessions_that_stay(stack) if stack["StackStatus"] == "DELETE_FAILED" else []
    suffix = f"again-{int(time.time())}" if again else "retaining" if retain else "delete"
    try:
        client("cloudformation").delete_stack(
            StackName=stack["StackId"],
            ClientRequestToken=f"{stack['StackName']}-{generation}-{suffix}"[-128:].lstrip("-"),
            **({"RetainResources": retain} if retain else {}),
        )
    except ClientError as error:
        if code_of(error) != "AccessDenied":
            raise
        # The role may delete stacks with the deployment's tags only. A stack may have lost them where an earlier call
        # deleted it, whose response was lost.
        now = describe(stack["StackId"])
        if now is not None and now["StackStatus"] not in ("DELETE_IN_PROGRESS", GONE):
            raise


def sessions_that_stay(stack: Stack) -> list[str]:
    """Return the logical ids of sessions that a deletion failed on."""
    with _shown_late():
        answer = client("cloudformation").describe_stack_resources(StackName=stack["StackId"])
    return [
        resource["LogicalResourceId"]
        for resource in answer["StackResources"]
        if resource["ResourceType"] == SESSION and resource["ResourceStatus"] == "DELETE_FAILED"
    ]
