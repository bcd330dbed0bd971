"""Subnets that are in use, which stay.

Sources: Amazon EC2 API Reference, DeleteSubnet and "Error codes for the Amazon EC2 API" (DependencyViolation); Amazon
VPC User Guide, "Work with NAT gateways" (one that is deleted releases its interface).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend


def install() -> None:
    """Refuse to delete them, and free what a NAT gateway held."""
    delete, end = EC2Backend.delete_subnet, EC2Backend.delete_nat_gateway

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

    EC2Backend.delete_subnet = delete_subnet
    EC2Backend.delete_nat_gateway = delete_nat_gateway
