"""How long an idle TCP connection of a network interface stays tracked.

It can be set, not unset: where nothing was set before, release sets AWS's default.

Sources: Amazon EC2 User Guide, "Security group connection tracking", "Idle connection tracking timeout"; Amazon EC2 API
Reference, ConnectionTrackingConfiguration (the defaults).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tapstack.domain.containment import PriorState, Value
from tapstack.responder.aws.clients import client
from tapstack.responder.containment.changes import groups

DEFAULT_SECONDS: Final = 432_000
NITRO_V6_SECONDS: Final = 350
"""The default of instance types of Nitro v6, in place of the five days of all others. No call says which those are."""


def read(instance: dict[str, Any] | None, prior_states: Sequence[PriorState]) -> dict[str, Value]:
    """Return the seconds of each interface that exists; None where nothing is set."""
    return {
        item["NetworkInterfaceId"]: seconds_of(item) for item in groups.interfaces([one.key for one in prior_states])
    }


def change(instance_id: str, prior: PriorState, to: Value) -> None:
    """Set the seconds."""
    seconds = DEFAULT_SECONDS if to is None else int(to)
    with groups.gone_with(prior.key):
        client("ec2").modify_network_interface_attribute(
            NetworkInterfaceId=prior.key, ConnectionTrackingSpecification={"TcpEstablishedTimeout": seconds}
        )


restore = change


def seconds_of(interface: dict[str, Any]) -> int | None:
    """Return the seconds that are set on an interface; None where nothing is."""
    seconds = (interface.get("ConnectionTrackingConfiguration") or {}).get("TcpEstablishedTimeout")
    return None if seconds is None else int(seconds)
