"""The filters of EC2's Describe actions: which there are, and what of an answer each compares.

The names are those of the API's documentation, which botocore's model of EC2 holds. What a filter compares is found
by its name: `attachment.instance-id` is the member InstanceId of Attachment, or of each of Attachments. Where the name
says something else, a table does.

Source: Amazon EC2 API Reference, the parameter Filter of each action; botocore's model of EC2.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from moto.core.utils import get_service_model

Path = tuple[str, ...]
"""Members from an item of the answer down to the value; of lists, every element counts."""

_NAMES: Final = re.compile(r"<li>\s*<p>\s*<code>\s*([^<]+?)\s*</code>(.*?)(?=<li>|</ul>|$)", re.DOTALL)
_ALSO: Final = re.compile(r"also use ((?:<code>[^<]+</code>[\s,or]*)+)as the filter name")
_OF_TAGS: Final = ("tag-key", "tag-value")

# Names that an answer's members do not have: of an action, and of all.
_WORDS: Final[dict[str, dict[str, str]]] = {
    "DescribeFlowLogs": {"deliver-log-status": "deliver-logs-status"},
    "DescribeImages": {
        "is-public": "public",
        "manifest-location": "image-location",
        "owner-alias": "image-owner-alias",
        "product-code": "product-codes.product-code-id",
        "product-code.type": "product-codes.product-code-type",
    },
    "DescribeInstances": {
        "instance.group-id": "security-groups.group-id",
        "instance.group-name": "security-groups.group-name",
        "instance-state-code": "state.code",
        "instance-state-name": "state.name",
        "ip-address": "public-ip-address",
        "launch-index": "ami-launch-index",
        # Of both protocols, it is the endpoint as such that an answer shows.
        "metadata-options.http-protocol-ipv4": "metadata-options.http-endpoint",
        "network-interface.attachment.instance-id": "instance-id",
        "network-interface.attachment.instance-owner-id": "owner-id",
        "network-interface.availability-zone": "availability-zone",
        "dns-name": "public-dns-name",
        "network-interface.addresses": "network-interface.private-ip-addresses",
        "product-code": "product-codes.product-code-id",
        "product-code.type": "product-codes.product-code-type",
        "reason": "state-transition-reason",
    },
    "DescribeInstanceStatus": {
        # What is tested of an instance and of its host is whether they are reached.
        "instance-status.reachability": "instance-status.details.status",
        "system-status.reachability": "system-status.details.status",
    },
    "DescribeLaunchTemplateVersions": {
        "host-resource-group-arn": "launch-template-data.placement.host-resource-group-arn",
        "http-endpoint": "launch-template-data.metadata-options.http-endpoint",
        "http-protocol-ipv4": "launch-template-data.metadata-options.http-endpoint",
        "http-tokens": "launch-template-data.metadata-options.http-tokens",
        "iam-instance-profile": "launch-template-data.iam-instance-profile.arn",
        "is-default-version": "default-version",
        "license-configuration-arn": "launch-template-data.license-specifications.license-configuration-arn",
        "network-card-index": "launch-template-data.network-interfaces.network-card-index",
    },
    "DescribeKeyPairs": {"fingerprint": "key-fingerprint"},
    "DescribeNetworkAcls": {
        "association.association-id": "associations.network-acl-association-id",
        "default": "is-default",
        "entry.cidr": "entries.cidr-block",
        "entry.icmp": "entries.icmp-type-code",
        "entry.ipv6-cidr": "entries.ipv6-cidr-block",
    },
    "DescribeNetworkInterfaces": {
        "addresses": "private-ip-addresses",
        "addresses.association.owner-id": "private-ip-addresses.association.ip-owner-id",
    },
    "DescribeSecurityGroups": {
        "ip-permission.cidr": "ip-permissions.ip-ranges.cidr-ip",
        "ip-permission.group-id": "ip-permissions.user-id-group-pairs.group-id",
        "ip-permission.group-name": "ip-permissions.user-id-group-pairs.group-name",
        "ip-permission.ipv6-cidr": "ip-permissions.ipv6-ranges.cidr-ipv6",
        "ip-permission.prefix-list-id": "ip-permissions.prefix-list-ids.prefix-list-id",
        "ip-permission.protocol": "ip-permissions.ip-protocol",
        "ip-permission.user-id": "ip-permissions.user-id-group-pairs.user-id",
        "egress.ip-permission.cidr": "ip-permissions-egress.ip-ranges.cidr-ip",
        "egress.ip-permission.from-port": "ip-permissions-egress.from-port",
        "egress.ip-permission.group-id": "ip-permissions-egress.user-id-group-pairs.group-id",
        "egress.ip-permission.group-name": "ip-permissions-egress.user-id-group-pairs.group-name",
        "egress.ip-permission.ipv6-cidr": "ip-permissions-egress.ipv6-ranges.cidr-ipv6",
        "egress.ip-permission.prefix-list-id": "ip-permissions-egress.prefix-list-ids.prefix-list-id",
        "egress.ip-permission.protocol": "ip-permissions-egress.ip-protocol",
        "egress.ip-permission.to-port": "ip-permissions-egress.to-port",
        "egress.ip-permission.user-id": "ip-permissions-egress.user-id-group-pairs.user-id",
    },
    "DescribeSnapshots": {"status": "state"},
    "DescribeVolumes": {"status": "state", "attachment.status": "attachment.state"},
    "DescribeVpcs": {"cidr": "cidr-block"},
    "DescribeVpcEndpoints": {"vpc-endpoint-state": "state"},
}
# Names that AWS takes, and the parameter's documentation leaves out. Source: AWS Tools for PowerShell, the example of
# Get-EC2Vpc; Terraform's AWS provider looks for the default VPC by it.
_ALSO_TAKEN: Final = {"DescribeVpcs": {"isDefault": "is-default"}}
# What holds the items, where that is not the only list of structures.
_ITEMS: Final = {"DescribeInstances": ("Reservations", "Instances"), "DescribeVpcEndpointServices": ("ServiceDetails",)}


@functools.cache
def documented(action: str) -> dict[str, str]:
    """Return the filters of an action, each by its names; empty where the documentation lists none.

    Filters on tags go with every action, and are not among them.
    """
    shape = get_service_model("ec2").operation_model(action).input_shape
    member = next((shape.members[name] for name in ("Filters", "Filter") if name in shape.members), None)
    if member is None:
        return {}
    found = dict(_ALSO_TAKEN.get(action, {}))
    for name, text in _NAMES.findall(member.documentation):
        found[name] = name
        for also in _ALSO.findall(text):
            found |= dict.fromkeys(re.findall(r"<code>([^<]+)</code>", also), name)
    return {name: meant for name, meant in found.items() if not is_of_tags(name)}


def is_of_tags(name: str) -> bool:
    """Return whether a filter is on tags."""
    return name in _OF_TAGS or name.startswith("tag:") or name == "tag"


@functools.cache
def has_items(action: str) -> bool:
    """Tell whether an action describes items of one kind, which items_of finds."""
    shape = get_service_model("ec2").operation_model(action).output_shape
    if action in _ITEMS or shape is None:
        return action in _ITEMS
    lists = [member for member in shape.members.values() if member.type_name == "list" and _is_of_structures(member)]
    return len(lists) == 1


@functools.cache
def items_of(action: str) -> tuple[Path, Any]:
    """Return where the items that an action describes stand in its answer, and their shape."""
    shape = get_service_model("ec2").operation_model(action).output_shape
    path = _ITEMS.get(action) or tuple(
        name for name, member in shape.members.items() if member.type_name == "list" and _is_of_structures(member)
    )
    for name in path:
        shape = shape.members[name].member
    return path, shape


@functools.cache
def path_of(action: str, name: str) -> Path | None:
    """Return what of an item a filter compares; None where an answer does not show it."""
    path, shape = items_of(action)
    words = _WORDS.get(action, {})
    begins = max((one for one in words if name == one or name.startswith(f"{one}.")), key=len, default="")
    text = tuple(re.split(r"[.-]", words[begins] + name[len(begins) :] if begins else name))
    shapes = [shape]
    if len(path) == 2:
        # What an item is in, as an instance in its reservation, has members that are compared, too.
        shapes.append(get_service_model("ec2").operation_model(action).output_shape.members[path[0]].member)
    found = (next(_paths(one, text, deeper=deeper), None) for deeper in (False, True) for one in shapes)
    return next((one for one in found if one is not None), None)


def _is_of_structures(shape: Any) -> bool:
    return bool(shape.member.type_name == "structure")


def _paths(shape: Any, words: tuple[str, ...], *, deeper: bool = True) -> Iterator[Path]:
    """Yield the paths that words name: the longest member first, then what the structures in it have."""
    if shape.type_name == "list":
        shape = shape.member
    if shape.type_name != "structure":
        if not words:
            yield ()
        return
    members = {name.lower(): name for name in shape.members}
    for end in range(len(words), 0, -1):
        text = "".join(words[:end])
        for spelling in (text, f"{text}s", f"{text}es", f"{text}set", f"{text.removesuffix('y')}ies"):
            if name := members.get(spelling):
                yield from ((name, *rest) for rest in _paths(shape.members[name], words[end:], deeper=deeper))
    if deeper and words:
        for name, member in shape.members.items():
            yield from ((name, *rest) for rest in _paths(member, words, deeper=False))
