"""What moto knows of the network: interfaces, their instances, load balancers and endpoints."""

from __future__ import annotations

import re
from typing import Any, Final

from moto.ec2.exceptions import InvalidNetworkInterfaceIdError
from moto.elbv2.models import elbv2_backends

from strictmoto.ec2.mirroring import errors, instance_types

_NETWORK_LOAD_BALANCER: Final = re.compile(r"arn:[^:]+:elasticloadbalancing:[^:]+:\d{12}:loadbalancer/net/[^/]+/[^/]+")


def network_interface(backend: Any, interface_id: str) -> Any:
    """Return moto's network interface.

    Raises:
        EC2ClientError: InvalidNetworkInterfaceID.NotFound.
    """
    # moto's own lookup compares all interfaces one by one.
    if (interface := backend.enis.get(interface_id)) is None:
        raise InvalidNetworkInterfaceIdError(interface_id)
    return interface


def instance_type_of(backend: Any, interface_id: str) -> str | None:
    """Return the type of the instance an interface is attached to; None without one."""
    interface = backend.enis.get(interface_id)
    return interface.instance.instance_type if interface is not None and interface.instance else None


def check_source(backend: Any, interface_id: str) -> None:
    """Refuse an interface that AWS does not mirror.

    Raises:
        EC2ClientError: it does not exist, is of another type than `interface`, lies in an
            IPv6-only subnet, or its instance's type is not on the allow-list.
    """
    interface = network_interface(backend, interface_id)
    if interface.interface_type != "interface":
        raise errors.not_supported(
            f"Network interface {interface_id} is of type {interface.interface_type}: "
            "only interfaces of type interface can be mirrored"
        )
    if interface.subnet.ipv6_native:
        raise errors.not_supported(f"Network interface {interface_id} is in an IPv6-only subnet")
    instance_type = instance_type_of(backend, interface_id)
    if instance_type is not None and not instance_types.can_be_source(instance_type):
        raise errors.not_supported(
            f"Network interface {interface_id}: instance type {instance_type} cannot be a mirror source"
        )


def check_network_load_balancer(backend: Any, arn: str) -> None:
    """Refuse an ARN that is no Network Load Balancer of this account and Region."""
    if _NETWORK_LOAD_BALANCER.fullmatch(arn) is None:
        raise errors.refuse(
            "InvalidNetworkLoadBalancerArn.Malformed", f"The Network Load Balancer ARN '{arn}' is malformed"
        )
    if arn not in elbv2_backends[backend.account_id][backend.region_name].load_balancers:
        raise errors.refuse(
            "InvalidNetworkLoadBalancerArn.NotFound", f"The Network Load Balancer '{arn}' does not exist"
        )


def check_gateway_load_balancer_endpoint(backend: Any, endpoint_id: str) -> None:
    """Refuse an id that is no Gateway Load Balancer endpoint, and one that no packets pass."""
    endpoint = backend.vpc_end_points.get(endpoint_id)
    if endpoint is None or endpoint.state == "deleted":
        raise errors.refuse("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{endpoint_id}' does not exist")
    if endpoint.vpc_endpoint_type != "GatewayLoadBalancer":
        raise errors.refuse(
            "InvalidVpcEndpointType", f"The VPC endpoint '{endpoint_id}' is not a Gateway Load Balancer endpoint"
        )
    if endpoint.state != "available":
        raise errors.refuse(
            "IncorrectState", f"The VPC endpoint '{endpoint_id}' is in the state {endpoint.state}, and not available"
        )
