"""ARNs of load balancers as AWS has them: `net/` of Network Load Balancers, `gwy/` of Gateway Load Balancers.

moto writes `app/` into all of them. Listeners and their rules get theirs from their load balancer. And a listener of
a Network Load Balancer can be modified (Elastic Load Balancing API, ModifyListener), where moto refuses its protocols.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import Any, Final

from moto.elbv2 import models as elbv2_models

# moto has types, but none for what is replaced at run time.
models: Any = elbv2_models

_PREFIXES: Final = {"network": "net", "gateway": "gwy"}
_NETWORK_PROTOCOLS: Final = ("TCP", "TLS", "UDP", "TCP_UDP")
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

    modify = backend.modify_listener

    @functools.wraps(modify)
    def modify_listener(
        self: Any, arn: str, port: str | None = None, protocol: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        if protocol not in _NETWORK_PROTOCOLS:
            return modify(self, arn, port, protocol, *args, **kwargs)
        listener = modify(self, arn, port, None, *args, **kwargs)
        listener.protocol = protocol
        return listener

    backend.modify_listener = modify_listener
    backend.create_load_balancer = create_load_balancer
    models.make_arn_for_load_balancer = make_arn_for_load_balancer
