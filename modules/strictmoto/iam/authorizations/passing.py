"""The roles that a call gives to a service: each needs iam:PassRole.

A role is given where a member that is named after roles, or one of the few that are not, holds the ARN of a role, or
its name where the service takes names; whatever the service, and however deep in the request.

Sources: IAM User Guide, "Grant a user permissions to pass a role to an AWS service"; botocore's models of the services;
Service Authorization Reference, the dependent actions of each action.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.iam.authorizations.authorization import Authorization
from strictmoto.iam.authorizations.place import Place
from strictmoto.requests.calls import Call, operation_of

_ROLE: Final = re.compile(r"arn:[^:]+:iam::\d{12}:role/.+")
_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_NAMED_AFTER_ROLES: Final = re.compile(r"role", re.IGNORECASE)
_NAMED_OTHERWISE: Final = frozenset(
    {
        "AuthorizerCredentialsArn",
        "CredentialsArn",
        "DeliverLogsPermissionArn",
        "authorizerCredentials",
        "authorizerCredentialsArn",
        "credentials",
        "credentialsArn",
    }
)
_BY_NAME: Final[Mapping[str, frozenset[str]]] = {
    "ecs": frozenset({"executionRoleArn", "taskRoleArn"}),
    "elasticmapreduce": frozenset({"AutoScalingRole", "ServiceRole"}),
    "glue": frozenset({"Role"}),
    "rds": frozenset({"DomainIAMRoleName"}),
}
"""Members that take the name of a role as well as its ARN."""
_MAPS_OF_PARAMETERS: Final = frozenset({"Attributes", "Parameters"})
"""Members that are maps whose keys are parameters of the service."""
_GIVES_NONE: Final = re.compile(r"(?:BatchGet|Describe|Disassociate|Get|List|Remove|Search|Untag|TagResource)\w*")
# Naming a role is not passing it to the service.
_PASS_NOTHING: Final = frozenset({"iam", "sts", "tagging"})
_PRINCIPALS: Final = {
    "ecs": "ecs-tasks.amazonaws.com",
    "email": "ses.amazonaws.com",
    "monitoring": "cloudwatch.amazonaws.com",
}
"""Whom a service has the role for, where that is not SERVICE.amazonaws.com."""
_PRINCIPALS_OF: Final = {
    ("ec2", "DeliverLogsPermissionArn"): "vpc-flow-logs.amazonaws.com",
    ("ec2", "IamFleetRole"): "spotfleet.amazonaws.com",
    ("ecs", "roleArn"): "ecs.amazonaws.com",
    ("ecs", "infrastructureRoleArn"): "ecs.amazonaws.com",
    ("ecs", "role"): "ecs.amazonaws.com",
    ("rds", "MonitoringRoleArn"): "monitoring.rds.amazonaws.com",
}


def passing(call: Call, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Yield iam:PassRole for each role that a call gives to a service."""
    if call.service == "iam":
        if call.action == "AddRoleToInstanceProfile" and (role := requested.get("RoleName")):
            arn = str(role) if str(role).startswith("arn:") else place.arn("iam", f"role/{role}", region=False)
            yield _pass(arn, "ec2.amazonaws.com")
        return
    if call.service in _PASS_NOTHING or _GIVES_NONE.fullmatch(call.action):
        return
    operation = operation_of(call)
    shape = operation.input_shape if operation is not None else None
    for role, member in dict.fromkeys(_roles(requested, shape, call.service, place)):
        given_to = _PRINCIPALS_OF.get((call.service, member)) or _PRINCIPALS.get(call.service)
        yield _pass(role, given_to or f"{call.service}.amazonaws.com")


def _pass(role: str, service: str) -> Authorization:
    return Authorization("iam:PassRole", (role,), {"iam:PassedToService": service})


def _roles(value: Any, shape: Any, service: str, place: Place, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield role and member; what stands in a member that is named after roles is named so, too."""
    if isinstance(value, Mapping):
        kind = getattr(shape, "type_name", "structure")
        if named := value.get("AttributeName"):
            value = {str(named): value.get("AttributeValue")}
        for key, item in value.items():
            # The keys of a map are the caller's own words, such as the variables of a function.
            names_inner = kind == "structure" or name in _MAPS_OF_PARAMETERS
            inner = key if names_inner and (key in _NAMED_OTHERWISE or _NAMED_AFTER_ROLES.search(key)) else name
            inner = inner or (key if key in _MAPS_OF_PARAMETERS else "")
            members = {} if shape is None or kind != "structure" else shape.members
            yield from _roles(item, shape.value if kind == "map" else members.get(key), service, place, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _roles(item, getattr(shape, "member", None), service, place, name)
    elif name and isinstance(value, str):
        if _ROLE.fullmatch(value) and name not in _MAPS_OF_PARAMETERS:
            yield value, name
        elif name in _BY_NAME.get(service, ()) and _NAME.fullmatch(value):
            yield place.arn("iam", f"role/{value}", region=False), name
