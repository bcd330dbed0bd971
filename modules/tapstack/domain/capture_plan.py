"""The plan of a capture: for each network interface, create a session, use an existing one, or refuse it.

Sources: VPC Traffic Mirroring guide, "Traffic mirror sources", "Traffic mirror targets"
and "Traffic Mirroring quotas".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from tapstack.domain import instance_types, limits
from tapstack.domain.errors import RuleViolation


@dataclass(frozen=True, slots=True)
class Interface:
    """Facts about a network interface.

    Attributes:
        id: its id.
        type: AWS's word; only `interface` is mirrored.
        vpc_id: where it lies.
        instance_id: what it is attached to; none where nothing, or something of AWS's own.
        instance_type: of that instance.
        requester_managed: an AWS service made it.
        appliance: it belongs to the appliance that receives the packets.
        addresses: private, public and IPv6.
    """

    id: str
    type: str = "interface"
    vpc_id: str | None = None
    instance_id: str | None = None
    instance_type: str | None = None
    requester_managed: bool = False
    appliance: bool = False
    addresses: tuple[str, ...] = ()

    @property
    def place(self) -> dict[str, Any]:
        """VPC and addresses, as incidents record them."""
        return {"vpc_id": self.vpc_id, "addresses": list(self.addresses)}


@dataclass(frozen=True, slots=True)
class Session:
    """A traffic mirror session that exists.

    Attributes:
        id: its id.
        network_interface_id: its source.
        number: 1 to 32766.
        ours: created by an incident of this deployment and site.
        target_id: where it sends the packets; empty where that does not matter.
        packet_length: bytes of each packet that it mirrors; none where it mirrors whole packets.
    """

    id: str
    network_interface_id: str
    number: int
    ours: bool = False
    target_id: str = ""
    packet_length: int | None = None

    def cuts(self, packet_length: int | None) -> bool:
        """Return whether it mirrors less of each packet than a session of this packet length."""
        return self.packet_length is not None and (packet_length is None or self.packet_length < packet_length)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do about one interface.

    Attributes:
        network_interface_id: the interface.
        do: `create` a session, `keep` the existing one of another incident, `wait` for a place at the target, or
            `refuse`.
        session_number: of the session to create, or to keep.
        session_id: of the session to keep.
        note: why it waits or is refused; empty otherwise.
        instead_of: the interface whose place at the target it takes; none where there is a free one.
    """

    network_interface_id: str
    do: Literal["create", "keep", "wait", "refuse"]
    session_number: int | None = None
    session_id: str | None = None
    note: str = ""
    instead_of: str | None = None


def refusal(interface: Interface, *, accept_unsupported_instance_types: bool = False) -> str | None:
    """Return why an interface cannot, or should not, be mirrored; None when it can.

    Args:
        interface: the source.
        accept_unsupported_instance_types: the list of instance types of this version does not count.
    """
    if interface.appliance:
        return "it belongs to the appliance that receives the packets, and no interface can be both source and target"
    if interface.type != "interface":
        return f"it is of type {interface.type}: only interfaces of type interface can be mirrored"
    if interface.instance_type is not None:
        try:
            instance_types.check_source_type(
                interface.instance_type,
                accept=accept_unsupported_instance_types,
                override="accept_unsupported_instance_types in the response's capture",
            )
        except RuleViolation as violation:
            return str(violation)
    return None


def warnings(interface: Interface, *, vpc_id: str) -> tuple[str, ...]:
    """Return warnings about a source that may not work.

    Args:
        interface: the source.
        vpc_id: of the site, where the appliance stands.
    """
    said = []
    if interface.vpc_id not in (None, vpc_id):
        said.append(
            f"{interface.id} lies in {interface.vpc_id}: its packets arrive only where peering, a transit gateway "
            f"or an endpoint leads to the appliance in {vpc_id}"
        )
    if interface.requester_managed:
        said.append(f"{interface.id} is managed by an AWS service: AWS mirrors few of those (RDS, ElastiCache)")
    if interface.instance_type is not None and not instance_types.can_be_mirrored(interface.instance_type):
        said.append(
            f"instance type {interface.instance_type} of {interface.id} is not on AWS's allow-list of mirror sources "
            f"as of {instance_types.AS_OF}"
        )
    return tuple(said)


def first_free_number(taken: Iterable[int]) -> int:
    """Return the lowest session number that no session of the interface has."""
    used = set(taken)
    return next(
        number for number in range(limits.SESSION_NUMBER[0], limits.SESSION_NUMBER[1] + 1) if number not in used
    )


def number_for(interface_id: str, sessions: Iterable[Session]) -> int | None:
    """Return the first free session number of an interface; None when it is in 3 sessions already."""
    taken = [session.number for session in sessions if session.network_interface_id == interface_id]
    return None if len(taken) >= limits.SESSIONS_PER_INTERFACE else first_free_number(taken)


def other_sessions(
    interface_id: str, number: int, sessions: Sequence[Session], *, target_id: str, packet_length: int | None = None
) -> str:
    """Return a remark about sessions of which either they or one of this number take the packets; empty without any.

    AWS evaluates the sessions of an interface by number, and sends a packet with the first whose filter accepts it.

    Args:
        interface_id: the source.
        number: of the session that captures it.
        sessions: all that exist on the interface.
        target_id: of the session that captures it: to the same target the packets come either way, but may be cut.
        packet_length: of the session that captures it.
    """
    others = sorted(
        (session.number, session.id)
        for session in sessions
        if session.network_interface_id == interface_id and session.number != number and session.target_id != target_id
    )
    earlier, later = (
        ", ".join(f"{session_id} (number {taken})" for taken, session_id in others if (taken < number) is before)
        for before in (True, False)
    )
    short = ", ".join(
        f"{one.id} (number {one.number})"
        for one in sorted(sessions, key=lambda one: (one.number, one.id))
        if one.network_interface_id == interface_id
        and one.number < number
        and one.target_id == target_id
        and one.cuts(packet_length)
    )
    said = []
    if short:
        said.append(f"packets that the filter of {short} accepts are captured as it cuts them")
    if earlier:
        said.append(f"packets that the filter of {earlier} accepts go to its target only, and are not captured here")
    if later:
        said.append(
            f"while this is captured, packets that its filter accepts go to its target only, and not to that of {later}"
        )
    return "; ".join(said)


def preceding(
    number: int, sessions: Sequence[Session], *, target_id: str, packet_length: int | None = None
) -> list[Session]:
    """Return the sessions on an interface that take packets before one of this number, or cut them, the lowest first.

    Args:
        number: of the session that captures the interface.
        sessions: the others on it.
        target_id: as in `other_sessions`.
        packet_length: likewise.
    """
    before = [one for one in sessions if one.number < number]
    return sorted(
        (one for one in before if one.target_id != target_id or one.cuts(packet_length)), key=lambda one: one.number
    )


MORE_PLACES: Final = (
    "close incidents that are over, put the appliance behind a Network Load Balancer, which has no such limit, or use "
    f"one of the largest instance types as appliance, which take {limits.SOURCES_PER_LARGEST_INTERFACE_TARGET}"
)
"""What to do where a target has no place for another source."""
IN_ALL_SESSIONS: Final = (
    f"it is in {limits.SESSIONS_PER_INTERFACE} other mirror sessions already, which is the most AWS allows"
)
"""Why an interface is refused."""
_FULL: Final = f"has them: {MORE_PLACES}"
_RESERVED: Final = "the last {} are for captures that responders open (capture.reserved_sources)"


def plan(
    interface_ids: Sequence[str],
    sessions: Sequence[Session],
    *,
    known: Mapping[str, str] | None = None,
    sources_of_target: Iterable[str] = (),
    max_sources: int | None = None,
    reserved: int = 0,
    displaceable: Sequence[str] = (),
    free_only: Collection[str] = (),
) -> tuple[Step, ...]:
    """Return a step for each interface, in the order given: the first ones get the free places.

    Args:
        interface_ids: the sources; what can be no source is left out already.
        sessions: all that exist on the interfaces.
        known: session ids of incidents by interface, from the table; they count although a late
            answer of AWS may not show them yet.
        sources_of_target: the interfaces that are mirrored to our target now.
        max_sources: how many distinct sources the target takes; no limit when None.
        reserved: how many of them are for others than the ones who ask; never all.
        displaceable: those that give their place at the target where it has no other, the first one first.
        free_only: the sources for which none of those gives its place.
    """
    known = known or {}
    on_target = set(sources_of_target)
    given = iter(displaceable)
    steps = []
    for interface_id in interface_ids:
        there = [session for session in sessions if session.network_interface_id == interface_id]
        step = _step(interface_id, there, known.get(interface_id))
        if step.do == "create":
            if max_sources is None or interface_id in on_target or len(on_target) < max(1, max_sources - reserved):
                on_target.add(interface_id)
            elif interface_id not in free_only and (instead_of := next(given, None)) is not None:
                on_target = on_target - {instead_of} | {interface_id}
                step = replace(step, instead_of=instead_of)
            else:
                has = _FULL if len(on_target) >= max_sources else _RESERVED.format(reserved)
                step = Step(
                    interface_id,
                    "wait",
                    note=f"the target takes at most {max_sources} distinct sources, and {has}",
                )
        steps.append(step)
    return tuple(steps)


def _step(interface_id: str, there: Sequence[Session], known: str | None) -> Step:
    ours = sorted((s for s in there if s.ours), key=lambda s: (s.id != known, s.number))
    if ours:
        return Step(interface_id, "keep", ours[0].number, ours[0].id)
    if known is not None:
        return Step(interface_id, "keep", None, known)
    number = number_for(interface_id, there)
    if number is None:
        return Step(
            interface_id,
            "refuse",
            note=IN_ALL_SESSIONS,
        )
    return Step(interface_id, "create", number)
