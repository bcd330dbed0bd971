"""ARNs of load balancers as AWS has them: `net/` of Network Load Balancers, `gwy/` of Gateway Load Balancers.

moto writes `app/` into all of them. Listeners and their rules get theirs from their load balancer. Of a load balancer
in a stack, moto leaves out its type, its address type, its tags and what it maps to subnets.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any, Final

from moto.elbv2 import models as elbv2_models

# moto has types, but none for what is replaced at run time.
models: Any = elbv2_models

_PREFIXES: Final = {"network": "net", "gateway": "gwy"}
_kind: ContextVar[str] = ContextVar("kind", default="application")


@functools.cache
def install() -> None:
    """Make the moto of this process write such ARNs. A second call changes nothing."""
    backend = models.ELBv2Backend
    create, make_arn = backend.create_load_balancer, models.make_arn_for_load_balancer

    @functools.wraps(create)
    def create_load_balancer(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _kind.set(str(kwargs.get("loadbalancer_type") or "application"))
        try:
            return create(self, *args, **kwargs)
        finally:
            _kind.reset(token)

    def make_arn_for_load_balancer(*args: Any, **kwargs: Any) -> str:
        prefix = _PREFIXES.get(_kind.get(), "app")
        return str(make_arn(*args, **kwargs)).replace(":loadbalancer/app/", f":loadbalancer/{prefix}/")

    def from_stack(
        cls: Any, /, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Any:
        properties = cloudformation_json["Properties"]
        return models.elbv2_backends[account_id][region_name].create_load_balancer(
            resource_name,
            properties.get("SecurityGroups"),
            properties.get("Subnets") or [],
            subnet_mappings=properties.get("SubnetMappings"),
            scheme=properties.get("Scheme", "internet-facing"),
            loadbalancer_type=properties.get("Type"),
            ip_address_type=properties.get("IpAddressType", "ipv4"),
            tags=properties.get("Tags"),
        )

    models.FakeLoadBalancer.create_from_cloudformation_json = classmethod(from_stack)
    backend.create_load_balancer = create_load_balancer
    models.make_arn_for_load_balancer = make_arn_for_load_balancer
