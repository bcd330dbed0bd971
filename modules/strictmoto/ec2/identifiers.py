"""Ids that requests of EC2 name: one that cannot be an id is malformed, whether or not such a thing exists.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API". Its list has no code for ids of Traffic
Mirroring that are malformed, and writes the one of endpoint services "InvalidVpcEndpointServiceIdId.Malformed":
theirs are inferred from the others.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError


@dataclass(frozen=True, slots=True)
class _Kind:
    """What ids of one kind begin with, and the error code of one that is malformed."""

    prefix: str
    code: str

    def is_well_formed(self, text: str) -> bool:
        """Return whether a text has the form of an id: the prefix and 8 or 17 hexadecimal digits."""
        return _pattern(self.prefix).fullmatch(text) is not None


_ENDPOINT: Final = _Kind("vpce", "InvalidVpcEndpointId.Malformed")
_GROUP: Final = _Kind("sg", "InvalidGroupId.Malformed")
_INTERFACE: Final = _Kind("eni", "InvalidNetworkInterfaceId.Malformed")
_PREFIX_LIST: Final = _Kind("pl", "InvalidPrefixListId.Malformed")
_ROUTE_TABLE: Final = _Kind("rtb", "InvalidRouteTableId.Malformed")
_SUBNET: Final = _Kind("subnet", "InvalidSubnetID.Malformed")
_VPC: Final = _Kind("vpc", "InvalidVpcID.Malformed")
# By the name of the parameter, as it is sent.
KINDS: Final[Mapping[str, _Kind]] = {
    "AddRouteTableId": _ROUTE_TABLE,
    "AddSecurityGroupId": _GROUP,
    "AddSubnetId": _SUBNET,
    "AttachmentId": _Kind("eni-attach", "InvalidNetworkInterfaceAttachmentId.Malformed"),
    "BranchInterfaceId": _INTERFACE,
    "CustomerGatewayId": _Kind("cgw", "InvalidCustomerGatewayId.Malformed"),
    "DestinationPrefixListId": _PREFIX_LIST,
    "EgressOnlyInternetGatewayId": _Kind("eigw", "InvalidEgressOnlyInternetGatewayId.Malformed"),
    "GatewayLoadBalancerEndpointId": _ENDPOINT,
    "GroupId": _GROUP,
    "ImageId": _Kind("ami", "InvalidAMIID.Malformed"),
    "InstanceId": _Kind("i", "InvalidInstanceID.Malformed"),
    "InternetGatewayId": _Kind("igw", "InvalidInternetGatewayId.Malformed"),
    "LaunchTemplateId": _Kind("lt", "InvalidLaunchTemplateId.Malformed"),
    "NatGatewayId": _Kind("nat", "NatGatewayMalformed"),
    "NetworkAclId": _Kind("acl", "InvalidNetworkAclId.Malformed"),
    "NetworkInterfaceId": _INTERFACE,
    "PrefixListId": _PREFIX_LIST,
    "RemoveRouteTableId": _ROUTE_TABLE,
    "RemoveSecurityGroupId": _GROUP,
    "RemoveSubnetId": _SUBNET,
    "RouteTableId": _ROUTE_TABLE,
    "SecurityGroupId": _GROUP,
    "SecurityGroupRuleId": _Kind("sgr", "InvalidSecurityGroupRuleId.Malformed"),
    "ServiceId": _Kind("vpce-svc", "InvalidVpcEndpointServiceId.Malformed"),
    "SnapshotId": _Kind("snap", "InvalidSnapshotID.Malformed"),
    "SubnetId": _SUBNET,
    "TrafficMirrorFilterId": _Kind("tmf", "InvalidTrafficMirrorFilterId.Malformed"),
    "TrafficMirrorFilterRuleId": _Kind("tmfr", "InvalidTrafficMirrorFilterRuleId.Malformed"),
    "TrafficMirrorSessionId": _Kind("tms", "InvalidTrafficMirrorSessionId.Malformed"),
    "TrafficMirrorTargetId": _Kind("tmt", "InvalidTrafficMirrorTargetId.Malformed"),
    "TrunkInterfaceId": _INTERFACE,
    "VolumeId": _Kind("vol", "InvalidVolumeID.Malformed"),
    "VpcEndpointId": _ENDPOINT,
    "VpcId": _VPC,
    "VpcPeeringConnectionId": _Kind("pcx", "InvalidVpcPeeringConnectionId.Malformed"),
}
# Of these it is something else than an id that may stand there.
_NOT_AN_ID: Final = re.compile(r"resolve:ssm:.+")
# And of these it is another kind: a placement group's.
_OTHERS: Final = "Placement.GroupId"


def check(parameters: Mapping[str, Iterable[str]]) -> None:
    """Refuse a request with an id that is malformed.

    Args:
        parameters: as they were sent: names with dots and positions, each with its values.

    Raises:
        EC2ClientError: Invalid<Kind>Id.Malformed, or what EC2 calls it.
    """
    for name, values in parameters.items():
        if (kind := _kind_of(name)) is None:
            continue
        for text in values:
            if text and not kind.is_well_formed(text) and not _NOT_AN_ID.fullmatch(text):
                raise _malformed(kind, text)


def _malformed(kind: _Kind, text: str) -> Any:
    expected = "" if text.startswith(f"{kind.prefix}-") else f' (expecting "{kind.prefix}-...")'
    return EC2ClientError(kind.code, f'Invalid id: "{text}"{expected}')


@functools.lru_cache(maxsize=4096)
def _kind_of(name: str) -> _Kind | None:
    """Return the kind of ids that a parameter holds; filters hold texts."""
    bare = name.rstrip("0123456789").rstrip(".")
    if bare.endswith(_OTHERS):
        return None
    return KINDS.get(bare.rpartition(".")[2])


@functools.cache
def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(rf"{prefix}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})")
