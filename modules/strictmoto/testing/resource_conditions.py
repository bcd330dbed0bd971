"""What IAM's conditions compare of resources that stand in an account: their tags, and where they belong.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2", resource types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.account import Account
from strictmoto.iam.authorizations.place import Place

Tags = Mapping[str, Mapping[str, str]]
"""Tags of resources by the last part of their ARN, for example an id of EC2."""
Attributes = Mapping[str, Mapping[str, str]]
"""Condition keys that are no tags, and their values, by the last part of the resource's ARN."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of resource of EC2.

    Attributes:
        operation: that lists them.
        key: what names one.
        belongs: condition keys that hold the ARN of another resource: its kind, and the member that names it.
    """

    operation: str
    key: str
    belongs: Mapping[str, tuple[str, str]]


_VPC: Final = {"ec2:Vpc": ("vpc", "VpcId")}
_KINDS: Final = {
    "NetworkInterfaces": _Kind(
        "describe_network_interfaces", "NetworkInterfaceId", {**_VPC, "ec2:Subnet": ("subnet", "SubnetId")}
    ),
    "RouteTables": _Kind("describe_route_tables", "RouteTableId", _VPC),
    "SecurityGroups": _Kind("describe_security_groups", "GroupId", _VPC),
    "Subnets": _Kind("describe_subnets", "SubnetId", _VPC),
}
"""Those that conditions know by where they belong, by the member of the answer that lists them."""


def tags_now(account: Account, *, region: str, role_arn: str | None = None) -> dict[str, dict[str, str]]:
    """Return the tags of everything of EC2, and of every stack, that stands now."""
    ec2 = account.client("ec2", region=region, role_arn=role_arn)
    found: dict[str, dict[str, str]] = {}
    for page in ec2.get_paginator("describe_tags").paginate():
        for tag in page["Tags"]:
            found.setdefault(tag["ResourceId"], {})[tag["Key"]] = tag["Value"]
    stacks = account.client("cloudformation", region=region, role_arn=role_arn)
    for page in stacks.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            found[last_part(stack["StackId"])] = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
    return found


def attributes_now(account: Account, *, region: str, role_arn: str | None = None) -> dict[str, dict[str, str]]:
    """Return what conditions compare, besides tags, of everything of EC2 that stands now."""
    ec2 = account.client("ec2", region=region, role_arn=role_arn)
    owners = {vpc["VpcId"]: vpc["OwnerId"] for page in _pages(ec2, "describe_vpcs") for vpc in page["Vpcs"]}
    return {
        item[kind.key]: {
            # A shared VPC, and its subnets, belong to another account.
            key: Place(region, owners[item["VpcId"]]).arn("ec2", f"{of}/{item[member]}")
            for key, (of, member) in kind.belongs.items()
        }
        for listed, kind in _KINDS.items()
        for page in _pages(ec2, kind.operation)
        for item in page[listed]
    }


def last_part(arn: str) -> str:
    """Return the part of an ARN behind its last slash: the id of a resource of EC2."""
    return arn.rpartition("/")[2]


def _pages(ec2: Any, operation: str) -> Any:
    return ec2.get_paginator(operation).paginate()
