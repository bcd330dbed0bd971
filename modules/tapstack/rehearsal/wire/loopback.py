"""What carries copies to mirror targets: UDP datagrams on this machine's loopback.

A datagram holds what one of AWS holds: the VXLAN header, and what is copied of the frame. Without root nothing can send
from an address of the VPC; so each of these has a port of 127.0.0.1, and a recorder asks here whose it is.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Final

HOST: Final = "127.0.0.1"
Sender = tuple[str, int]
"""Address and port that a datagram came from."""


class Loopback:
    """The sockets of all that send copies; use it as a context manager."""

    def __init__(self) -> None:
        """Begin without a socket."""
        self._sockets: dict[str, socket.socket] = {}
        self._addresses: dict[Sender, str] = {}

    def __enter__(self) -> Loopback:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the sockets."""
        self.close()

    def send(self, source: str, port: int, data: bytes) -> None:
        """Send a datagram to a port of this machine.

        Args:
            source: address of the VPC that it comes from.
            port: that the recorder listens at.
            data: the VXLAN header and what is copied of the frame.

        Raises:
            OSError: it cannot be sent.
        """
        if source not in self._sockets:
            sending = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._sockets[source] = sending
            sending.bind((HOST, 0))
            self._addresses[sending.getsockname()] = source
        self._sockets[source].sendto(data, (HOST, port))

    def address_of(self, sender: Sender) -> str | None:
        """Return the address of the VPC that a datagram came from; None where this did not send it."""
        return self._addresses.get(sender)

    def close(self) -> None:
        """Close the sockets; nothing is sent from then on."""
        for sending in self._sockets.values():
            sending.close()
        self._sockets.clear()
        self._addresses.clear()
