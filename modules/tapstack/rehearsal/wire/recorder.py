"""A stand-in for the appliance behind a mirror target: receives copies, and writes them as a recorder in AWS would.

It has no root, so that it sees datagrams and not the packets around them. Those it puts around the datagrams again as
AWS makes them; only the UDP source port may be another where a session copies less than the headers of a frame.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

from tapstack.packets import storage, vxlan
from tapstack.packets.captures import MAX_CAPTURED, NANOSECONDS
from tapstack.packets.frames import ETHERNET
from tapstack.rehearsal.wire.interfaces import WiredTarget
from tapstack.rehearsal.wire.loopback import HOST, Sender

ELSEWHERE: Final = ("192.0.2.9", "2001:db8::9")
"""Addresses of documentation, for an appliance behind a load balancer: its target does not tell that one's."""
MAX_FILE: Final = 64 << 20
"""Bytes after which a file is closed and the next one begun."""
_MAGIC: Final = 0xA1B23C4D
_DATAGRAM: Final = 65_535


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A file that is complete.

    Attributes:
        target: id of the mirror target.
        data: a pcap with nanoseconds; it has a packet.
    """

    target: str
    data: bytes


class Store(Protocol):
    """Where complete files go."""

    def keep(self, file: RecordedFile, /) -> None:
        """Take a file."""


class RecordedFiles:
    """A store that is a directory, with the keys and manifests of `tapstack.packets.storage`.

    Attributes:
        files: what was kept, in order.
    """

    def __init__(self, path: Path, recorder: storage.Recorder) -> None:
        """Keep files below a directory, which is made.

        Args:
            path: the directory.
            recorder: that manifests name.
        """
        path.mkdir(parents=True, exist_ok=True)
        self._path, self._recorder = path, recorder
        self.files: list[Path] = []

    def keep(self, file: RecordedFile, /) -> None:
        """Write a file and its manifest."""
        with tempfile.NamedTemporaryFile(suffix=".pcap") as closed:
            closed.write(file.data)
            closed.flush()
            store = storage.DirectoryStore(self._path)
            manifest = storage.record(store, closed.name, self._recorder, len(self.files) + 1, dropped=0)
        if manifest is not None:
            self.files.append(self._path / manifest.key)


class Recorder:
    """Listens on a port of this machine, for one mirror target; use it as a context manager.

    Attributes:
        port: where it listens.
        packets: how many it has received.
    """

    def __init__(
        self,
        target: WiredTarget,
        address_of: Callable[[Sender], str | None],
        store: Store,
        *,
        largest: int = MAX_FILE,
    ) -> None:
        """Begin to listen.

        Args:
            target: that copies come to it through.
            address_of: returns the address that a datagram came from; None where it is none of a copy.
            store: gets the files.
            largest: bytes after which a file is closed.

        Raises:
            OSError: there is no port.
        """
        self._target, self._address_of, self._store, self._largest = target, address_of, store, largest
        self._addresses = {
            ipaddress.ip_address(address).version: address for address in (*ELSEWHERE, *reversed(target.addresses))
        }
        self.packets = 0
        self._data = bytearray()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Recorder:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self.close()

    def receive(self, at: int, *, seconds: float = 10.0) -> None:
        """Wait for the next copy, and write it.

        Args:
            at: when it arrives, nanoseconds since 1970: the clock of the wire is the recorder's, too.
            seconds: how long to wait.

        Raises:
            TimeoutError: none arrived.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            data, sender = self._socket.recvfrom(_DATAGRAM)
            source = self._address_of(sender)
            # Any program of this machine can send something to this port.
            if source is not None and len(data) >= vxlan.HEADER:
                break
        vni = int.from_bytes(data[4:7], "big")
        target = self._addresses[ipaddress.ip_address(source).version]
        self._write(vxlan.wrap(data[vxlan.HEADER :], vni=vni, source=source, target=target), at)

    def rotate(self) -> None:
        """Close the file, if it has packets; the next copy begins another one."""
        if self._data:
            file = RecordedFile(self._target.id, bytes(self._data))
            self._data = bytearray()
            self._store.keep(file)

    def close(self) -> None:
        """Stop listening, and close the file."""
        self._socket.close()
        self.rotate()

    def _write(self, packet: bytes, at: int) -> None:
        if not self._data:
            self._data += struct.pack("<IHHiIII", _MAGIC, 2, 4, 0, 0, MAX_CAPTURED, ETHERNET)
        self._data += struct.pack("<IIII", at // NANOSECONDS, at % NANOSECONDS, len(packet), len(packet)) + packet
        self.packets += 1
        if len(self._data) >= self._largest:
            self.rotate()
