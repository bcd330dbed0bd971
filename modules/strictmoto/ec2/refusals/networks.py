"""Subnets of sizes and zones that can be; those in use stay. Blocks that a VPC can have, and those that it cannot have
besides another.

Sources: Amazon EC2 API Reference, CreateSubnet, DeleteSubnet, EnableTransitGatewayRouteTablePropagation and "Error
codes for the Amazon EC2 API" (InvalidSubnet.Range, InvalidVpc.Range, InvalidParameterValue, DependencyViolation);
Amazon VPC User Guide, "VPC CIDR blocks" (no block of a VPC overlaps another of it; "IPv4 CIDR block association
restrictions"; 169.254.0.0/16 cannot be assigned), "Subnet CIDR blocks" (/28 to /16) and "Work with NAT gateways" (one
that is deleted releases its interface).
"""

from __future__ import annotations

import functools
import ipaddress
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError, InvalidSubnetRangeError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.responses.subnets import Subnets as _Response

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response

_TOO_SMALL: Final = (29, 30, 31, 32)
_LARGEST, _SMALLEST = 16, 28
"""Prefixes that a block of a VPC may have."""
_NO_VPC: Final = tuple(map(ipaddress.IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
"""Blocks that no VPC has: this network, loopback, link local, multicast and reserved addresses."""
_TEN, _OF_172, _OF_192 = map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_PRIVATE: Final = (_TEN, _OF_172, _OF_192)
"""Those of RFC 1918."""
_DEFAULT: Final = ipaddress.IPv4Network("172.31.0.0/16")
_BENCHMARKS: Final = ipaddress.IPv4Network("198.19.0.0/16")
_RESTRICTED: Final = {
    _TEN: (_OF_172, _OF_192, _BENCHMARKS),
    _OF_172: (_TEN, _OF_192, _DEFAULT, _BENCHMARKS),
    _OF_192: (_TEN, _OF_172, _BENCHMARKS),
    _BENCHMARKS: _PRIVATE,
}
"""By the range of a VPC's primary block: ranges of which it gets no further block."""
_RESTRICTED_OF_PUBLIC: Final = (*_PRIVATE, _BENCHMARKS)
_FIRST_OF_TEN, _FIRST_TWO_OF_TEN = map(ipaddress.IPv4Network, ("10.0.0.0/16", "10.0.0.0/15"))
"""The first is not added to a VPC with a block of the second."""


def install() -> None:
    """Refuse others, refuse to delete them, and free what a NAT gateway held."""
    create = Response.create_subnet
    delete, end = EC2Backend.delete_subnet, EC2Backend.delete_nat_gateway
    associate, create_network = EC2Backend.associate_vpc_cidr_block, EC2Backend.create_vpc
    for verb in ("enable", "disable"):
        name = f"{verb}_transit_gateway_route_table_propagation"
        setattr(EC2Backend, name, _of_attachments(getattr(EC2Backend, name)))

    @functools.wraps(create)
    def create_subnet(self: Any) -> Any:
        block, zone = self._get_param("CidrBlock"), self._get_param("AvailabilityZone")
        if block and block.rpartition("/")[2].isdecimal() and int(block.rpartition("/")[2]) in _TOO_SMALL:
            raise InvalidSubnetRangeError(block)
        zones = [one.name for one in self.ec2_backend.describe_availability_zones()]
        if zone and zone not in zones:
            raise EC2ClientError(
                "InvalidParameterValue",
                f"Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently only be created in "
                f"the following availability zones: {', '.join(zones)}.",
            )
        return create(self)

    @functools.wraps(delete)
    def delete_subnet(self: Any, subnet_id: str) -> Any:
        if any(interface.subnet.id == subnet_id for interface in list(self.enis.values())):
            raise EC2ClientError(
                "DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted."
            )
        return delete(self, subnet_id)

    @functools.wraps(end)
    def delete_nat_gateway(self: Any, nat_gateway_id: str) -> Any:
        gateway = end(self, nat_gateway_id)
        if gateway._eni.id in self.enis:
            self.delete_network_interface(gateway._eni.id)
        return gateway

    def associate_vpc_cidr_block(self: Any, vpc_id: str, cidr_block: str | None, amazon_provided: Any = None) -> Any:
        if not amazon_provided:
            _check_association(self.get_vpc(vpc_id), _vpc_block(cidr_block))
        return associate(self, vpc_id, cidr_block, amazon_provided)

    @functools.wraps(create_network)
    def create_vpc(self: Any, cidr_block: str, *args: Any, **kwargs: Any) -> Any:
        _vpc_block(cidr_block)
        return create_network(self, cidr_block, *args, **kwargs)

    EC2Backend.create_vpc = create_vpc
    EC2Backend.associate_vpc_cidr_block = functools.wraps(associate)(associate_vpc_cidr_block)
    Response.create_subnet = create_subnet
    EC2Backend.delete_subnet = delete_subnet
    EC2Backend.delete_nat_gateway = delete_nat_gateway


def _of_attachments(propagate: Any) -> Any:
    """Wrap what propagates routes: of announcements there are none here; the code is inferred."""

    @functools.wraps(propagate)
    def propagated(
        self: Any, transit_gateway_attachment_id: str | None, transit_gateway_route_table_id: str | None
    ) -> Any:
        if not transit_gateway_attachment_id:
            raise EC2ClientError(
                "InvalidTransitGatewayRouteTableAnnouncementId.NotFound",
                "The transit gateway route table announcement does not exist.",
            )
        return propagate(
            self,
            transit_gateway_attachment_id=transit_gateway_attachment_id,
            transit_gateway_route_table_id=transit_gateway_route_table_id,
        )

    return propagated


def _vpc_block(block: str | None) -> ipaddress.IPv4Network:
    """Return a block of a VPC; refuse what is none: moto would keep it, and fail at the VPC from then on."""
    if block is None:
        raise EC2ClientError("Unsupported", "strictmoto has no pools of addresses.")
    try:
        network = ipaddress.IPv4Network(block, strict=False) if "/" in block else None
    except ValueError:
        network = None
    if network is None:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({block}) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
        )
    if not _LARGEST <= network.prefixlen <= _SMALLEST or any(network.overlaps(other) for other in _NO_VPC):
        raise EC2ClientError("InvalidVpc.Range", f"The CIDR '{block}' is invalid.")
    return network


def _check_association(vpc: Any, block: ipaddress.IPv4Network) -> None:
    """Refuse a block that a VPC cannot have besides those that it has."""
    kept = [
        ipaddress.IPv4Network(one["cidr_block"], strict=False)
        for one in vpc.get_cidr_block_association_set()
        if one["cidr_block_state"]["state"] != "disassociated"
    ]
    primary = ipaddress.IPv4Network(vpc.cidr_block, strict=False)
    for other in kept:
        if block.overlaps(other):
            raise EC2ClientError("InvalidVpc.Range", f"The CIDR '{block}' overlaps '{other}' of VPC '{vpc.id}'.")
    near = next((within for within in _RESTRICTED if primary.subnet_of(within)), None)
    restricted = _RESTRICTED[near] if near else _RESTRICTED_OF_PUBLIC
    if any(block.subnet_of(other) for other in restricted) or (
        block.subnet_of(_FIRST_OF_TEN) and any(other.subnet_of(_FIRST_TWO_OF_TEN) for other in kept)
    ):
        raise EC2ClientError(
            "InvalidVpc.Range",
            f"The CIDR '{block}' is restricted. Use a CIDR from the same private address range as the current VPC "
            "CIDR, or use a publicly-routable CIDR. For additional restrictions, see "
            "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html",
        )
