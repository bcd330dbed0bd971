"""What a stack's service role may do with IAM: roles, instance profiles and the passing of roles are asked about.

A stack that was made with a role makes, changes and deletes everything with it, whoever asks for that. Of what its
resources do, this account asks IAM about roles only: that is where a template could gain more than it was given.

Sources: CloudFormation User Guide, "CloudFormation service role"; Service Authorization Reference, "AWS Identity and
Access Management"; IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from moto.cloudformation import parsing
from moto.core.exceptions import ServiceException
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from tapstack.rehearsal.iam.denials import message_of
from tapstack.rehearsal.iam.evaluation import decide
from tapstack.rehearsal.iam.identities import identity_of_arn
from tapstack.rehearsal.iam.policies import Request, Resource

# moto has types, but none for what is replaced at run time.
moto_parsing: Any = parsing


class AccessDeniedError(ServiceException):
    """What IAM answers where the service role may not."""

    code = "AccessDenied"


def install() -> None:
    """Ask before a resource is made. To be called before anything else wraps how moto makes them."""
    make = moto_parsing.parse_and_create_resource

    @functools.wraps(make)
    def parse_and_create_resource(
        logical_id: str, resource_json: dict[str, Any], resources_map: Any, account_id: str, region_name: str
    ) -> Any:
        ledger: Any = getattr(resources_map, "ledger", None)
        role_arn = ledger.stack.role_arn if ledger is not None else None
        condition = resource_json.get("Condition")
        if role_arn and not (condition and not resources_map.lazy_condition_map[condition]):
            properties = parsing.clean_json(resource_json.get("Properties") or {}, resources_map)
            iam = iam_backends[account_id][get_partition(region_name)]
            # Roles and profiles that it refers to are made by now: references make what they name.
            for request in _requests(iam, resource_json["Type"], properties, f"{ledger.stack.name}-{logical_id}"):
                _ask(request, role_arn)
        return make(logical_id, resource_json, resources_map, account_id, region_name)

    moto_parsing.parse_and_create_resource = parse_and_create_resource


def _requests(iam: Any, kind: str, properties: dict[str, Any], generated: str) -> Iterator[Request]:
    """Return what IAM is asked about a resource of a template; nothing where it has nothing to do with roles."""
    account = f"arn:{iam.partition}:iam::{iam.account_id}"
    # CloudFormation adds random letters to a name that the template leaves to it.
    generated = f"{generated}-1A2B3C4D5E6F"
    if kind == "AWS::IAM::Role":
        role = Resource(f"{account}:role/{properties.get('RoleName', generated)}", _boundary(properties))
        yield Request("iam:CreateRole", (role,))
        if properties.get("Policies"):
            yield Request("iam:PutRolePolicy", (role,))
        if properties.get("ManagedPolicyArns"):
            yield Request("iam:AttachRolePolicy", (role,))
    elif kind == "AWS::IAM::Policy":
        for name in properties.get("Roles", ()):
            bounded = _boundary({"PermissionsBoundary": iam.get_role(name).permissions_boundary_arn})
            yield Request("iam:PutRolePolicy", (Resource(f"{account}:role/{name}", bounded),))
    elif kind == "AWS::IAM::InstanceProfile":
        profile = Resource(f"{account}:instance-profile/{properties.get('InstanceProfileName', generated)}")
        yield Request("iam:CreateInstanceProfile", (profile,))
        yield Request("iam:AddRoleToInstanceProfile", (profile,))
        yield from (_passing(f"{account}:role/{name}") for name in properties.get("Roles", ()))
    elif kind == "AWS::EC2::Instance" and (profile_name := properties.get("IamInstanceProfile")):
        yield from (_passing(role.arn) for role in iam.get_instance_profile(profile_name).roles)
    elif kind.startswith("AWS::IAM::"):
        yield Request(f"iam:Create{kind.removeprefix('AWS::IAM::').removeprefix('Managed')}")


def _boundary(properties: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    boundary = properties.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": (str(boundary),)} if boundary else {}


def _passing(role_arn: str) -> Request:
    return Request("iam:PassRole", (Resource(role_arn),), {"iam:PassedToService": ("ec2.amazonaws.com",)})


def _ask(request: Request, role_arn: str) -> None:
    identity = identity_of_arn(role_arn)
    if denial := decide(request, identity.caller, identity.policies):
        _, partition, _, _, account, _ = role_arn.split(":", 5)
        session = f"arn:{partition}:sts::{account}:assumed-role/{role_arn.rpartition('/')[2]}/AWSCloudFormation"
        raise AccessDeniedError(message_of(denial, replace(identity.caller, session=session)))
