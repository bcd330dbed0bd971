"""Roles that a service is given: when something is made, the service tries whether it can assume its role.

Sources: Lambda Developer Guide, "Defining Lambda function permissions with an execution role"; Step Functions Developer
Guide, "How AWS Step Functions works with IAM"; EventBridge Scheduler User Guide, "Setting up Amazon EventBridge
Scheduler"; CloudFormation User Guide, "CloudFormation service role". The texts are those that the services send.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.iam.authorizations.place import Place
from strictmoto.iam.denials import NotAllowed
from strictmoto.iam.trust import trusts
from strictmoto.requests.calls import Call


@dataclass(frozen=True, slots=True)
class _Given:
    """How a service is given a role, and how it refuses one that it cannot assume.

    Attributes:
        actions: of its API that give one.
        principal: that the role has to trust.
        roles: finds the ARNs in a request.
        source: returns the ARN of what the role is for; empty where the service names none.
        code: of the error.
        message: of the error, with the role's ARN.
    """

    actions: frozenset[str]
    principal: str
    roles: Callable[[Mapping[str, Any]], Iterator[Any]]
    source: Callable[[Mapping[str, Any], Place], str]
    code: str
    message: str


def _member(name: str) -> Callable[[Mapping[str, Any]], Iterator[Any]]:
    def find(requested: Mapping[str, Any]) -> Iterator[Any]:
        yield requested.get(name)

    return find


def _of_targets(requested: Mapping[str, Any]) -> Iterator[Any]:
    for target in requested.get("Targets") or ():
        yield target.get("RoleArn")


def _of_target(requested: Mapping[str, Any]) -> Iterator[Any]:
    yield (requested.get("Target") or {}).get("RoleArn")


def _machine(requested: Mapping[str, Any], place: Place) -> str:
    return str(requested.get("stateMachineArn") or place.arn("states", f"stateMachine:{requested.get('name')}"))


def _stack(requested: Mapping[str, Any], place: Place) -> str:
    name = str(requested.get("StackName"))
    return name if name.startswith("arn:") else place.arn("cloudformation", f"stack/{name}/{uuid.uuid4()}")


def _rule(requested: Mapping[str, Any], place: Place) -> str:
    bus = str(requested.get("EventBusName") or "default").rpartition("/")[2]
    rule = str(requested.get("Rule"))
    return place.arn("events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")


_GIVEN: Final[Mapping[str, _Given]] = {
    "cloudformation": _Given(
        frozenset({"CreateChangeSet", "CreateStack", "DeleteStack", "UpdateStack"}),
        "cloudformation.amazonaws.com",
        _member("RoleARN"),
        _stack,
        "ValidationError",
        "Role {} is invalid or cannot be assumed",
    ),
    "events": _Given(
        frozenset({"PutTargets"}),
        "events.amazonaws.com",
        _of_targets,
        _rule,
        "ValidationException",
        "Provided role '{}' cannot be assumed by principal 'events.amazonaws.com'.",
    ),
    "lambda": _Given(
        frozenset({"CreateFunction", "UpdateFunctionConfiguration"}),
        "lambda.amazonaws.com",
        _member("Role"),
        lambda requested, place: place.arn("lambda", f"function:{requested.get('FunctionName')}"),
        "InvalidParameterValueException",
        "The role defined for the function cannot be assumed by Lambda.",
    ),
    "scheduler": _Given(
        frozenset({"CreateSchedule", "UpdateSchedule"}),
        "scheduler.amazonaws.com",
        _of_target,
        lambda requested, place: place.arn("scheduler", f"schedule-group/{requested.get('GroupName') or 'default'}"),
        "ValidationException",
        "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
    ),
    "states": _Given(
        frozenset({"CreateStateMachine", "UpdateStateMachine"}),
        "states.amazonaws.com",
        _member("roleArn"),
        _machine,
        "AccessDeniedException",
        "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the "
        "provided role.",
    ),
}


def gives_role(call: Call) -> bool:
    """Return whether a call may give a service a role that it tries at once."""
    given = _GIVEN.get(call.service)
    return given is not None and call.action in given.actions


def check_roles(call: Call, requested: Mapping[str, Any], account: str) -> None:
    """Refuse roles that do not exist, or do not trust the service that they are given to.

    Args:
        call: for which gives_role holds.
        requested: its parameters.
        account: that it is made in.

    Raises:
        NotAllowed: with the service's error.
    """
    given = _GIVEN[call.service]
    for role in given.roles(requested):
        if role and not trusts(str(role), given.principal, given.source(requested, Place(call.region, account))):
            raise NotAllowed(given.message.format(role), given.code)
