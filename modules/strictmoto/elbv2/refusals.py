"""Load balancers that are protected or in use, names and ports that are taken, networks that there are not, and
protocols that do not go together.

Sources: Elastic Load Balancing API Reference, CreateListener, CreateLoadBalancer and DeleteLoadBalancer
(DuplicateListener, DuplicateLoadBalancerName, IncompatibleProtocols, InvalidSecurityGroup, InvalidSubnet,
OperationNotPermitted, ResourceInUse) and CreateTargetGroup (Port; the protocols of health checks); User Guide for
Network Load Balancers, "Target groups for your Network Load Balancers" (the protocols of target groups by listener).
The codes of ports and health checks, and the texts, are inferred.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moto.ec2.models import ec2_backends
from moto.elbv2 import models as elbv2_models
from moto.elbv2.exceptions import DuplicateListenerError, DuplicateLoadBalancerName, ELBClientError, ResourceInUseError

# moto has types, but none for what is replaced at run time.
Backend: Any = elbv2_models.ELBv2Backend

_PROTECTION: Final = "deletion_protection.enabled"
_NAME: Final = re.compile(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_PORTS: Final = range(1, 65_536)
_HEALTH_CHECKS: Final = ("HTTP", "HTTPS", "TCP")
_TARGETS: Final[Mapping[str, tuple[str, ...]]] = {
    "HTTP": ("HTTP", "HTTPS"),
    "HTTPS": ("HTTP", "HTTPS"),
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}
"""By the protocol of a listener: those of the target groups that it forwards to."""


@functools.cache
def install() -> None:
    """Make the moto of this process refuse so. A second call changes nothing."""
    create, delete, listen = Backend.create_load_balancer, Backend.delete_load_balancer, Backend.create_listener
    group = Backend.create_target_group

    @functools.wraps(create)
    def create_load_balancer(self: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        if not _NAME.fullmatch(name):
            raise ELBClientError("ValidationError", f"The load balancer name '{name}' is not valid")
        # What moto takes for another one, as it is of another kind.
        if any(balancer.name == name for balancer in list(self.load_balancers.values())):
            raise DuplicateLoadBalancerName
        _check_network(self, kwargs)
        return create(self, name, *args, **kwargs)

    @functools.wraps(delete)
    def delete_load_balancer(self: Any, arn: str) -> None:
        balancer = self.load_balancers.get(arn)
        if balancer is not None:
            if str(balancer.attrs.get(_PROTECTION)).lower() == "true":
                raise ELBClientError(
                    "OperationNotPermitted",
                    f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
                )
            services = list(ec2_backends[self.account_id][self.region_name].configurations.values())
            if any(arn in _balancers(service) for service in services):
                raise ResourceInUseError(
                    f"Load balancer '{arn}' cannot be deleted because it is currently associated with another service"
                )
        delete(self, arn)

    @functools.wraps(listen)
    def create_listener(self: Any, load_balancer_arn: str, protocol: str, port: Any, *args: Any, **kwargs: Any) -> Any:
        balancer = self.load_balancers.get(load_balancer_arn)
        # moto looks for the port among the ARNs of listeners.
        if balancer is not None and any(str(one.port) == str(port) for one in balancer.listeners.values()):
            raise DuplicateListenerError
        _check_targets(self, protocol, args[2] if len(args) > 2 else kwargs.get("actions") or ())
        return listen(self, load_balancer_arn, protocol, port, *args, **kwargs)

    @functools.wraps(group)
    def create_target_group(self: Any, name: str, **given: Any) -> Any:
        _check_target_group(given)
        return group(self, name, **given)

    Backend.create_target_group = create_target_group
    Backend.create_load_balancer = create_load_balancer
    Backend.delete_load_balancer = delete_load_balancer
    Backend.create_listener = create_listener


def _check_target_group(given: Mapping[str, Any]) -> None:
    """Refuse a port that there is not, and health checks that the target group's protocol does not have."""
    if (port := given.get("port")) is not None and int(port) not in _PORTS:
        raise ELBClientError("ValidationError", f"The port '{port}' is not valid: it must be from 1 to 65535")
    protocol, checked = given.get("protocol"), given.get("healthcheck_protocol")
    allowed = [one for one in _HEALTH_CHECKS if one != "TCP" or protocol not in ("HTTP", "HTTPS")]
    if checked and checked not in allowed:
        raise ELBClientError(
            "ValidationError",
            f"Health check protocol '{checked}' is not supported for target groups with protocol '{protocol}': "
            f"it must be one of '{', '.join(allowed)}'",
        )


def _check_targets(backend: Any, protocol: str | None, actions: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a listener that forwards to a target group of a protocol that does not go with its own."""
    allowed = _TARGETS.get(protocol or "", ())
    for action in actions if allowed else ():
        forwarded = action.get("ForwardConfig", {}).get("TargetGroups") or ()
        for arn in {action.get("TargetGroupArn"), *(one.get("TargetGroupArn") for one in forwarded)}:
            group = backend.target_groups.get(arn)
            # One of a function has no protocol.
            if group is not None and group.protocol and group.protocol not in allowed:
                raise ELBClientError(
                    "IncompatibleProtocols",
                    f"Listener protocol '{protocol}' is not supported with a target group with protocol "
                    f"'{group.protocol}'",
                )


def _check_network(backend: Any, given: Mapping[str, Any]) -> None:
    """Refuse subnets and security groups that there are not: moto answers with EC2's codes, or takes them."""
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    mapped = [mapping.get("SubnetId") for mapping in given.get("subnet_mappings") or ()]
    there = {subnet_id for of_zone in ec2.subnets.values() for subnet_id in of_zone}
    for subnet_id in (*(given.get("subnet_ids") or ()), *mapped):
        if subnet_id not in there:
            raise ELBClientError("InvalidSubnet", f"The subnet ID '{subnet_id}' is not valid")
    for group_id in given.get("security_groups") or ():
        if ec2.get_security_group_from_id(group_id) is None:
            raise ELBClientError("InvalidSecurityGroup", f"Security group '{group_id}' is not valid")


def _balancers(service: Any) -> tuple[str, ...]:
    """Return the ARNs of the load balancers of an endpoint service."""
    return (*service.network_load_balancer_arns, *service.gateway_load_balancer_arns)
