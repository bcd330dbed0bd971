"""Load balancers that are protected or in use, names and ports that are taken, and networks that there are not.

Source: Elastic Load Balancing API Reference, CreateListener, CreateLoadBalancer and DeleteLoadBalancer
(DuplicateListener, DuplicateLoadBalancerName, InvalidSecurityGroup, InvalidSubnet, OperationNotPermitted,
ResourceInUse).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from moto.ec2.models import ec2_backends
from moto.elbv2 import models as elbv2_models
from moto.elbv2.exceptions import DuplicateListenerError, DuplicateLoadBalancerName, ELBClientError, ResourceInUseError

# moto has types, but none for what is replaced at run time.
Backend: Any = elbv2_models.ELBv2Backend

_PROTECTION: Final = "deletion_protection.enabled"
_NAME: Final = re.compile(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")


@functools.cache
def install() -> None:
    """Make the moto of this process refuse so. A second call changes nothing."""
    create, delete, listen = Backend.create_load_balancer, Backend.delete_load_balancer, Backend.create_listener

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
        return listen(self, load_balancer_arn, protocol, port, *args, **kwargs)

    Backend.create_load_balancer = create_load_balancer
    Backend.delete_load_balancer = delete_load_balancer
    Backend.create_listener = create_listener


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
