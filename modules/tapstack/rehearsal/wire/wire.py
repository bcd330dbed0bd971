"""Lets packets flow at network interfaces of the account, and sends copies of those that are mirrored.

For each packet: security groups and network ACL, with the flows that they track; the sessions of the interface; how
much is copied; a datagram to the listener of the target; and what CloudWatch counts of it. Groups, ACLs and
sessions are those of the moment at which `play` or `converse` is called. Flows are tracked over all calls.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Protocol

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.cloudwatch.metrics import Measurement
from tapstack.domain.filter_rules import Direction
from tapstack.packets import vxlan
from tapstack.packets.captures import NANOSECONDS
from tapstack.packets.firewall import Firewall
from tapstack.packets.frames import decode_frame
from tapstack.packets.mirroring import TARGET_MTU, Verdict, decide
from tapstack.packets.written import packet_text
from tapstack.rehearsal.wire.conversations import Conversation, Host, Packet
from tapstack.rehearsal.wire.interfaces import WiredInterface, WiredTarget, read_interface
from tapstack.rehearsal.wire.loopback import Loopback

_MINUTE: Final = 60_000_000_000


class Listener(Protocol):
    """What listens for a target."""

    @property
    def port(self) -> int:
        """Of this machine's loopback."""

    def receive(self, at: int) -> None:
        """Take the copy that was sent just now, at `at`, nanoseconds since 1970."""

    def close(self) -> None:
        """Stop listening."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a packet.

    Attributes:
        interface: id of the network interface.
        packet: as it was given.
        text: its headers in words.
        verdict: whether it was mirrored, by which session, and why.
        target: id of the target that its copy was sent to; empty where there is no copy.
    """

    interface: str
    packet: Packet
    text: str
    verdict: Verdict
    target: str = ""


@dataclass(slots=True)
class Played:
    """What became of the packets of one call.

    Attributes:
        packets: how many there were.
        mirrored: of which a copy was sent.
        dropped: that groups or an ACL dropped.
        counted: bytes of mirrored packets, and packets, by direction.
    """

    packets: int = 0
    mirrored: int = 0
    dropped: int = 0
    counted: Counter[tuple[str, Direction]] = field(default_factory=Counter)


def _ignore(seen: Seen) -> None:
    """Take no notice."""


class Wire:
    """The wire of an account; use it as a context manager.

    Args:
        account: the account, which runs.
        listen: returns the listener of what is sent to a target; called at the first copy to it.
        carrying: what carries the copies.
        region: of the interfaces; the account's default Region by default.
        role_arn: role to assume for reading EC2; its account has the interfaces.
        watch: called with what became of each packet.
        mtu: of the appliances behind the targets.
        outer_family: of the outer packets of copies.

    Attributes:
        number: of the account that has the interfaces.
        region: of the interfaces.
    """

    def __init__(
        self,
        account: Account,
        listen: Callable[[WiredTarget], Listener],
        carrying: Loopback,
        *,
        region: str | None = None,
        role_arn: str | None = None,
        watch: Callable[[Seen], None] = _ignore,
        mtu: int = TARGET_MTU,
        outer_family: Literal[4, 6] = 4,
    ) -> None:
        """Prepare; nothing flows yet."""
        self._account = account
        self.number = role_arn.split(":")[4] if role_arn else ACCOUNT_ID
        self._ec2: Any = account.client("ec2", region=region, role_arn=role_arn)
        self.region: str = self._ec2.meta.region_name
        self._listen, self._carrying, self._watch = listen, carrying, watch
        self._mtu, self._outer_family = mtu, outer_family
        self._firewalls: dict[str, Firewall] = {}
        self._listeners: dict[str, Listener] = {}

    def __enter__(self) -> Wire:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let no packet flow any more."""
        self.close()

    def close(self) -> None:
        """End; the listeners stop to listen."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def host(self, interface_id: str) -> Host:
        """Return the host of an interface, as conversations take it."""
        found = self.read(interface_id)
        return Host(found.mac, found.addresses[0])

    def resolver(self, interface_id: str) -> str:
        """Return the address of the Route 53 Resolver that the host of an interface asks."""
        return str(ipaddress.IPv4Network(self.read(interface_id).vpc_cidr)[2])

    def play(self, interface_id: str, packets: Iterable[Packet]) -> Played:
        """Let packets flow at an interface, each whatever became of the one before, as those of a capture.

        Raises:
            ClientError: what AWS refuses.
            TimeoutError: a copy did not arrive.
        """
        return self.converse(interface_id, _one_by_one(packets))

    def converse(self, interface_id: str, conversation: Conversation) -> Played:
        """Let a conversation take place at an interface, in which what is dropped gets no answer.

        Raises:
            ClientError: what AWS refuses.
            TimeoutError: a copy did not arrive.
        """
        interface = self.read(interface_id)
        firewall = self._firewalls.setdefault(interface_id, Firewall())
        firewall.set_idle_seconds(**interface.idle_seconds)
        done, minutes = Played(), dict[tuple[int, str, Direction], tuple[int, int]]()
        try:
            packet = next(conversation, None)
            while packet is not None:
                seen, passed = self._pass(interface, firewall, packet)
                done.packets += 1
                done.dropped += not passed
                if seen.target:
                    done.mirrored += 1
                    for what, value in (("Network", len(packet.frame)), ("NetworkPackets", 1)):
                        done.counted[what, packet.direction] += value
                        key = (packet.at // _MINUTE, what, packet.direction)
                        minutes[key] = (packet.at, minutes.get(key, (0, 0))[1] + value)
                self._watch(seen)
                try:
                    packet = conversation.send(passed)
                except StopIteration:
                    packet = None
        finally:
            self._count(interface, minutes)
        return done

    def read(self, interface_id: str) -> WiredInterface:
        """Return what EC2 has of an interface now."""
        return read_interface(self._ec2, interface_id, mtu=self._mtu, outer_family=self._outer_family)

    def _pass(self, interface: WiredInterface, firewall: Firewall, packet: Packet) -> tuple[Seen, bool]:
        """Return what became of a packet, and whether groups and ACL pass it."""
        headers, vpc = decode_frame(packet.frame), interface.vpc_cidr
        dropped = firewall.check(
            headers, packet.direction, packet.at, rules=interface.rules, acl=interface.acl, vpc_cidr=vpc
        )
        length = len(packet.frame)
        verdict = decide(headers, packet.direction, interface.sessions, length=length, vpc_cidr=vpc, dropped=dropped)
        sent_to = self._copy(interface, packet, verdict) if verdict.outcome == "mirrored" else ""
        return Seen(interface.id, packet, packet_text(headers, length), verdict, sent_to), dropped is None

    def _copy(self, interface: WiredInterface, packet: Packet, verdict: Verdict) -> str:
        session = verdict.session
        assert session is not None
        assert session.virtual_network_id is not None
        target = interface.targets[session.target.name]
        if target.id not in self._listeners:
            self._listeners[target.id] = self._listen(target)
        listener = self._listeners[target.id]
        data = vxlan.datagram(packet.frame[: verdict.kept], session.virtual_network_id)
        self._carrying.send(interface.source_of(target), listener.port, data)
        listener.receive(packet.at)
        return target.id

    def _count(self, interface: WiredInterface, minutes: dict[tuple[int, str, Direction], tuple[int, int]]) -> None:
        """Let CloudWatch count what was mirrored, per minute, as for an instance."""
        if not interface.instance:
            return
        for (_, what, direction), (at, value) in minutes.items():
            metric = f"{what}Mirror{'In' if direction == 'ingress' else 'Out'}"
            self._account.metrics.add(
                Measurement(
                    interface.instance, metric, value, at / NANOSECONDS, region=self.region, account=self.number
                )
            )


def _one_by_one(packets: Iterable[Packet]) -> Conversation:
    for packet in packets:  # noqa: UP028
        yield packet  # an iterator would not take the answer
