"""What flows while an incident is rehearsed: the company's conversations, the beacon, and what containment leaves."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from strictmoto.account import Account
from tapstack.packets import storage, vxlan
from tapstack.packets.handing_over import HandOver, Label, hand_over
from tapstack.rehearsal.wire import conversations
from tapstack.rehearsal.wire.conversations import Channel, Clock, Conversation
from tapstack.rehearsal.wire.interfaces import WiredTarget
from tapstack.rehearsal.wire.loopback import Loopback
from tapstack.rehearsal.wire.played import read_packets
from tapstack.rehearsal.wire.recorder import RecordedFiles, Recorder
from tapstack.rehearsal.wire.wire import Played, Seen, Wire

PHASES: Final = ("before containment", "contained", "released")
_PORTS: Final = {"before containment": 45_000, "contained": 46_000, "released": 47_000}
"""The first port of the beacon's connections: none comes twice."""


@dataclass(slots=True)
class Flowed:
    """What became of one conversation.

    Attributes:
        phase: of the incident, one of `PHASES`.
        what: the conversation.
        packets: how many there were.
        mirrored: of which a copy was sent.
        dropped: that groups or an ACL dropped.
        times: nanoseconds since 1970 of each packet, and whether it was mirrored.
        why: of the first one that was not mirrored; empty where all were.
    """

    phase: str
    what: str
    packets: int = 0
    mirrored: int = 0
    dropped: int = 0
    times: list[tuple[int, bool]] = field(default_factory=list)
    why: str = ""


class Traffic:
    """The packets of a rehearsal at the suspect's interface; use it as a context manager.

    Args:
        account: the account, which runs.
        interface: id of the network interface.
        client: address of a host that asks the suspect's database.
        folder: where the recorder writes.
        region: of the interface; the account's default Region by default.
        role_arn: role to assume for reading EC2.
        incident: that the packets are recorded for; none by default.
        scale: how much shorter the pauses of the conversations are.

    Attributes:
        flowed: what became of each conversation, in order.
    """

    def __init__(
        self,
        account: Account,
        interface: str,
        client: str,
        folder: Path,
        *,
        region: str | None = None,
        role_arn: str | None = None,
        incident: str | None = None,
        scale: float = 1.0,
    ) -> None:
        """Prepare; nothing flows yet."""
        self._folder, self._interface, self._client = folder, interface, client
        self.flowed: list[Flowed] = []
        self._loopback = Loopback()
        self._recorders: list[Recorder] = []

        def listen(target: WiredTarget) -> Recorder:
            self._recorders.append(Recorder(target, self._loopback.address_of, store))
            return self._recorders[-1]

        self._wire = Wire(account, listen, self._loopback, region=region, role_arn=role_arn, watch=self._note)
        self._clock = Clock(time.time_ns(), scale)
        self._host = self._wire.host(interface)
        store = RecordedFiles(folder, self._recorder(incident))
        self._channel = Channel.of(self._host, self._clock)

    def __enter__(self) -> Traffic:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let nothing flow any more."""
        self._wire.close()
        self._loopback.close()

    def before_containment(self) -> list[Flowed]:
        """Let the company work, and the beacon report; a connection of the beacon's server stays open."""
        host, clock, phase = self._host, self._clock, PHASES[0]
        resolver = self._wire.resolver(self._interface)
        return [
            self._flow(phase, "web", conversations.website(host, clock)),
            self._flow(phase, "database", conversations.database(host, clock, self._client)),
            self._flow(phase, "DNS", conversations.dns(host, clock, resolver)),
            self._flow(phase, "scan", conversations.scan(host, clock)),
            self._flow(phase, "channel", self._channel.begin()),
            self._beacon(phase),
        ]

    def carry(self, phase: str) -> Flowed:
        """Let the open connection carry something."""
        return self._flow(phase, "channel", self._channel.carry(2))

    def contained(self) -> list[Flowed]:
        """Let the beacon try new connections, and the open one carry something, while the host is contained."""
        return [self._beacon(PHASES[1]), self.carry(PHASES[1])]

    def released(self) -> Flowed:
        """Let the beacon report again."""
        return self._beacon(PHASES[2])

    def play(self, path: Path, hosts: Sequence[str]) -> Flowed:
        """Play a capture at the interface.

        Args:
            path: of the capture.
            hosts: addresses in it whose packets are those of the interface.

        Raises:
            CaptureError: it is no capture, or is damaged.
            OSError: it cannot be read.
            RuleViolation: no packet in it is of these hosts.
        """
        flowed = self._begin(PHASES[0], path.name)
        packets = read_packets(path, hosts, self._clock.now)
        self._end(flowed, self._wire.play(self._interface, packets))
        return flowed

    def hand_over(self, labels: Mapping[int, Label], comment: str) -> tuple[HandOver, bytes]:
        """Return what the recorder has as one pcapng, without the headers of the copies.

        Args:
            labels: how the interface of a VNI is called.
            comment: of the whole capture.
        """
        for recorder in self._recorders:
            recorder.rotate()
        file = io.BytesIO()
        done = hand_over(
            [found.capture for found in storage.find(storage.DirectoryStore(self._folder))],
            file,
            labels=labels,
            comment=comment,
        )
        return done, file.getvalue()

    def _recorder(self, incident: str | None) -> storage.Recorder:
        """Return what the manifests of the files say."""
        interface = self._wire.read(self._interface)
        return storage.Recorder(
            f"rehearsal-{secrets.token_hex(4)}",
            self._wire.number,
            self._wire.region,
            vpc_id=interface.vpc_id,
            incident=incident,
            interfaces=tuple(
                storage.RecordedInterface(
                    interface.id, session.virtual_network_id, session.name, interface.addresses[0]
                )
                for session in interface.sessions
            ),
            vxlan_port=vxlan.PORT,
        )

    def _beacon(self, phase: str) -> Flowed:
        beats = conversations.beacon(self._host, self._clock, first_port=_PORTS[phase])
        return self._flow(phase, "beacon", beats)

    def _flow(self, phase: str, what: str, conversation: Conversation) -> Flowed:
        flowed = self._begin(phase, what)
        self._end(flowed, self._wire.converse(self._interface, conversation))
        return flowed

    def _begin(self, phase: str, what: str) -> Flowed:
        # Not before what has been: pauses are of the conversations, and what comes between takes its time as well.
        self._clock.now = max(self._clock.now, time.time_ns())
        self.flowed.append(Flowed(phase, what))
        return self.flowed[-1]

    @staticmethod
    def _end(flowed: Flowed, played: Played) -> None:
        flowed.packets, flowed.mirrored, flowed.dropped = played.packets, played.mirrored, played.dropped

    def _note(self, seen: Seen) -> None:
        flowed = self.flowed[-1]
        flowed.times.append((seen.packet.at, bool(seen.target)))
        self._clock.now = max(self._clock.now, seen.packet.at)
        if not seen.target and not flowed.why:
            flowed.why = seen.verdict.why
