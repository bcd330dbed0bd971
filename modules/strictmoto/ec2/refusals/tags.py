"""Tags of resources that do not exist or that a call does not make, and all tags of those that do.

moto takes tags for some kinds of what is not there, instances and network interfaces among them, and DeleteTags for
all. Where no tag is named, it deletes none.

Sources: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API" (one code for each kind of resource) and
DeleteTags ("if you omit this parameter, we delete all user-defined tags"); RunInstances, CreateFleet, CopyImage and
RegisterImage, TagSpecification.N (which kinds it takes).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models import validate_resource_ids
from moto.ec2.responses.tags import TagResponse as _Response
from moto.ec2.utils import get_prefix

from strictmoto.iam.authorizations.ec2 import made_by

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response

_MIRRORING: Final = "traffic-mirror-"
"""Kinds whose tags are checked where they are made."""
_INVALID_PARAMETER: Final = frozenset({"subnet", "vpc-endpoint"})
"""Kinds whose tags are refused with this code, without "Value"."""
_ALSO_TAGGED: Final[Mapping[str, tuple[str, ...]]] = {
    "CopyImage": ("snapshot",),
    # Instances of fleets of type instant, and what comes with them.
    "CreateFleet": ("instance", "network-interface", "spot-instances-request", "volume"),
    "RegisterImage": ("snapshot",),
    "RunInstances": ("elastic-gpu", "spot-instances-request"),
}
"""What an action tags beside what it makes, as IAM sees it."""
_RESERVED: Final = "aws:"
"""Prefixes of the keys that AWS sets and that only AWS deletes."""


def install() -> None:
    """Refuse to change them, and delete all where none is named."""
    exist, delete = EC2Backend.do_resources_exist, Response.delete_tags

    @functools.wraps(exist)
    def do_resources_exist(self: Any, resource_ids: list[str]) -> bool:
        check_exist(self, resource_ids)
        return bool(exist(self, [one for one in resource_ids if get_prefix(one) not in _KINDS]))

    @functools.wraps(delete)
    def delete_tags(self: Any) -> Any:
        resource_ids = self._get_param("Resources", [])
        validate_resource_ids(resource_ids)
        self.ec2_backend.do_resources_exist(resource_ids)
        answered = delete(self)
        if not self._get_param("Tags", []):
            for resource_id in resource_ids:
                keys = [key for key in self.ec2_backend.tags.get(resource_id, ()) if not key.startswith(_RESERVED)]
                self.ec2_backend.delete_tag_keys([resource_id], keys)
        return answered

    EC2Backend.do_resources_exist = do_resources_exist
    Response.delete_tags = delete_tags


def check_specifications(action: str, parameters: Mapping[str, Any]) -> None:
    """Refuse tags for a kind of resource that an action does not make.

    Args:
        action: of EC2.
        parameters: of the call.

    Raises:
        EC2ClientError: InvalidParameterValue, or InvalidParameter.
    """
    given = parameters.get("TagSpecifications") or parameters.get("TagSpecification")
    if not given or not (made := made_by(action)) or made[0].startswith(_MIRRORING):
        return
    taken = (*made, *_ALSO_TAGGED.get(action, ()))
    code = "InvalidParameter" if made[0] in _INVALID_PARAMETER else "InvalidParameterValue"
    for specification in given if isinstance(given, list) else (given,):
        kind = specification.get("ResourceType")
        if kind and kind not in taken:
            raise EC2ClientError(code, f"'{kind}' is not a valid taggable resource type for this operation.")


def check_exist(backend: Any, texts: Iterable[str]) -> None:
    """Refuse the first text that is the id of something that does not exist; those of unknown kinds are passed over.

    Args:
        backend: of moto.
        texts: ids, and others.

    Raises:
        EC2ClientError: the NotFound of its kind.
    """
    for text in texts:
        kind = _KINDS.get(get_prefix(text))
        if kind is not None and not kind[2](backend, text):
            raise EC2ClientError(kind[0], f"The {kind[1]} '{text}' does not exist")


def _in(*names: str) -> Callable[[Any, str], bool]:
    """Return a test whether one of moto's tables of these names has an id."""
    return lambda backend, resource_id: any(resource_id in getattr(backend, name) for name in names)


def _in_parts_of(name: str) -> Callable[[Any, str], bool]:
    """Return a test whether a table that moto divides has an id."""
    return lambda backend, resource_id: any(resource_id in part for part in list(getattr(backend, name).values()))


def _is_address(backend: Any, resource_id: str) -> bool:
    return any(address.allocation_id == resource_id for address in list(backend.addresses))


def _is_key_pair(backend: Any, resource_id: str) -> bool:
    return any(pair.id == resource_id for pair in list(backend.key_pairs.values()))


def _is_rule(backend: Any, resource_id: str) -> bool:
    groups = [group for part in list(backend.groups.values()) for group in list(part.values())]
    return any(group.get_rule(resource_id) is not None for group in groups)


# By the prefix of the id: the code, what a message calls it, and whether it exists.
_KINDS: Final[Mapping[str, tuple[str, str, Callable[[Any, str], bool]]]] = {
    "acl": ("InvalidNetworkAclID.NotFound", "network acl ID", _in("network_acls")),
    "ami": ("InvalidAMIID.NotFound", "image id", _in("amis")),
    "dopt": ("InvalidDhcpOptionID.NotFound", "dhcp option ID", _in("dhcp_options_sets")),
    "eigw": ("InvalidGatewayID.NotFound", "gateway ID", _in("egress_only_internet_gateways")),
    "eipalloc": ("InvalidAllocationID.NotFound", "allocation ID", _is_address),
    "eni": ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID", _in("enis")),
    "fl": ("InvalidFlowLogId.NotFound", "flow log ID", _in("flow_logs")),
    "i": (
        "InvalidInstanceID.NotFound",
        "instance ID",
        lambda backend, resource_id: backend.get_instance_by_id(resource_id) is not None,
    ),
    "igw": ("InvalidInternetGatewayID.NotFound", "internetGateway ID", _in("internet_gateways")),
    "key": ("InvalidKeyPair.NotFound", "key pair ID", _is_key_pair),
    "lt": ("InvalidLaunchTemplateId.NotFound", "specified launch template, with template ID", _in("launch_templates")),
    "nat": ("NatGatewayNotFound", "NAT gateway", _in("nat_gateways")),
    "pl": ("InvalidPrefixListID.NotFound", "prefix list ID", _in("managed_prefix_lists")),
    "rtb": ("InvalidRouteTableID.NotFound", "routeTable ID", _in("route_tables")),
    "sg": ("InvalidGroup.NotFound", "security group", _in_parts_of("groups")),
    "sgr": ("InvalidSecurityGroupRuleId.NotFound", "security group rule ID", _is_rule),
    "sir": ("InvalidSpotInstanceRequestID.NotFound", "spot instance request ID", _in("spot_instance_requests")),
    "snap": ("InvalidSnapshot.NotFound", "snapshot", _in("snapshots")),
    "subnet": ("InvalidSubnetID.NotFound", "subnet ID", _in_parts_of("subnets")),
    "h": ("InvalidHostID.NotFound", "host ID", _in("hosts")),
    "sfr": ("InvalidSpotFleetRequestId.NotFound", "spot fleet request ID", _in("spot_fleet_requests")),
    "tgw": ("InvalidTransitGatewayID.NotFound", "transit gateway", _in("transit_gateways")),
    "tgw-attach": (
        "InvalidTransitGatewayAttachmentID.NotFound",
        "transit gateway attachment ID",
        _in("transit_gateway_attachments"),
    ),
    "tgw-rtb": ("InvalidRouteTableID.NotFound", "transit gateway route table ID", _in("transit_gateways_route_tables")),
    "vol": ("InvalidVolume.NotFound", "volume", _in("volumes")),
    "vpc": ("InvalidVpcID.NotFound", "vpc ID", _in("vpcs")),
    "vpce": ("InvalidVpcEndpointId.NotFound", "Vpc Endpoint Id", _in("vpc_end_points")),
    "vpce-svc": ("InvalidVpcEndpointServiceId.NotFound", "VpcEndpointService Id", _in("configurations")),
}
