"""Where mirrored packets can go: the three kinds of traffic mirror target.

Source: VPC Traffic Mirroring guide, "Traffic mirror targets" and "Traffic Mirroring quotas".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tapstack.domain import instance_types
from tapstack.domain.arguments import check_fields, checked
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token

Kind = Literal["network interface", "network load balancer", "gateway load balancer endpoint"]


@dataclass(frozen=True, slots=True)
class Destination:
    """What receives mirrored packets. Use the factories.

    Attributes:
        kind: one of the three kinds AWS has.
        value: network interface id, load balancer ARN or endpoint id; may be a token. None
            where it is known that an interface receives the packets, but not which.
        max_sources: distinct sources it takes, 1 or more; no limit when None.
        needs: resources without which it receives nothing, such as the listener of a load balancer.

    Raises:
        RuleViolation: another kind, an id of another kind, or fewer sources than one.
    """

    kind: Kind
    value: str | None
    max_sources: int | None
    needs: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Check every field."""
        check_fields(self)
        if self.value is not None:
            check_identifier(self.kind, self.value)
        check_max_sources(self.max_sources)

    @classmethod
    @checked
    def network_interface(
        cls, network_interface_id: str, *, instance_type: str | None = None, accept_instance_type: bool = False
    ) -> Destination:
        """Send to an appliance's network interface.

        Args:
            network_interface_id: of an interface that is itself no mirror source.
            instance_type: of the appliance. It decides how many distinct sources the
                interface takes: 100 for the largest size of some families, 10 otherwise.
            accept_instance_type: the instance type takes 100, whatever the list says.
        """
        if instance_type is not None and not accept_instance_type:
            instance_types.check_size(instance_type)
        return cls(
            "network interface",
            network_interface_id,
            instance_types.sources_per_target(instance_type, accept=accept_instance_type),
        )

    @classmethod
    @checked
    def some_network_interface(cls, *, instance_type: str | None = None) -> Destination:
        """Send to an interface whose id is not known, such as that of a target created elsewhere."""
        return cls("network interface", None, instance_types.sources_per_target(instance_type))

    @classmethod
    @checked
    def network_load_balancer(cls, arn: str) -> Destination:
        """Send to a Network Load Balancer with a UDP listener on port 4789; any number of sources."""
        return cls("network load balancer", arn, None)

    @classmethod
    @checked
    def gateway_load_balancer_endpoint(cls, endpoint_id: str) -> Destination:
        """Send to a Gateway Load Balancer endpoint; any number of sources."""
        return cls("gateway load balancer endpoint", endpoint_id, None)


def check_max_sources(number: int | None) -> None:
    """Refuse a number of sources that no target has."""
    if number is not None and not is_token(number) and number < 1:
        raise RuleViolation(f"max_sources must be 1 or more, got {number}")
