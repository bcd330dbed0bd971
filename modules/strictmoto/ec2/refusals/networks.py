"""Subnets of sizes and zones that can be; those in use stay.

Sources: Amazon EC2 API Reference, CreateSubnet, DeleteSubnet, EnableTransitGatewayRouteTablePropagation and "Error
codes for the Amazon EC2 API" (InvalidSubnet.Range, InvalidParameterValue, DependencyViolation); Amazon VPC User Guide,
"Subnet CIDR blocks" (/28 to /16) and "Work with NAT gateways" (one that is deleted releases its interface).
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


def install() -> None:
    """Refuse others, refuse to delete them, and free what a NAT gateway held."""
    create = Response.create_subnet
    delete, end = EC2Backend.delete_subnet, EC2Backend.delete_nat_gateway
    associate = EC2Backend.associate_vpc_cidr_block
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
            _check_block(cidr_block)
        return associate(self, vpc_id, cidr_block, amazon_provided)

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


def _check_block(block: str | None) -> None:
    """Refuse what is no block of a VPC: moto would keep it, and fail at the VPC from then on."""
    if block is None:
        raise EC2ClientError("Unsupported", "strictmoto has no pools of addresses.")
    try:
        network = ipaddress.IPv4Network(block)
    except ValueError:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({block}) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
        ) from None
    if not _LARGEST <= network.prefixlen <= _SMALLEST:
        raise EC2ClientError("InvalidVpc.Range", f"The CIDR '{block}' is invalid.")
