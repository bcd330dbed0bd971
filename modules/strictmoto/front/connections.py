"""The server of an account: its connections stay open between calls, as AWS's do.

werkzeug closes each after its answer. Then every call costs a connection and a thread, and takes half as long again.
"""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from strictmoto.requests.bodies import is_length

_READ_AT_ONCE: Final = 1 << 20
"""Bytes. After a longer body the connection is closed: the answer may come before all of it is read."""
_WITHOUT_BODY: Final = ("204", "304")


class Handler(MotoRequestHandler):
    """Answers the calls of a connection, one after the other.

    It writes no line for each: the recorder keeps the calls, and the lines would bury what matters.
    """

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""

    def run_wsgi(self) -> None:
        """Answer a call. What is no ordinary request of HTTP/1.1 is left to werkzeug, which closes the connection."""
        lengths = self.headers.get_all("Content-Length", ["0"])
        length = int(lengths[0]) if len(lengths) == 1 and is_length(lengths[0]) else None
        plain = not (self.headers.get("Transfer-Encoding") or self.headers.get("Expect"))
        if self.request_version != "HTTP/1.1" or not plain or length is None or length > _READ_AT_ONCE:
            super().run_wsgi()
            return
        self.environ = environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO(self.rfile.read(length))
        begun: list[Any] = []
        written = io.BytesIO()

        def start_response(status: str, headers: list[tuple[str, str]], _: object = None, /) -> Callable[[bytes], int]:
            begun[:] = [status, headers]
            return written.write

        answer = self.server.app(environ, start_response)
        try:
            written.write(b"".join(answer))
        finally:
            if close := getattr(answer, "close", None):
                close()
        status, headers = begun
        self._send(status, headers, written.getvalue())

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        names = {name.lower() for name, _ in headers}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        if "date" not in names:
            lines.append(f"Date: {self.date_time_string()}")
        if "content-length" not in names and self.command != "HEAD" and status[:3] not in _WITHOUT_BODY:
            lines.append(f"Content-Length: {len(content)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join((*lines, "", "")).encode("latin-1")
        # At once: two packets would wait for each other.
        self.wfile.write(head if self.command == "HEAD" else head + content)


class Server(ThreadedWSGIServer):
    """Ends its connections when it is closed: else they would go on answering, from an account that is gone."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Listen, as werkzeug's server does."""
        self._connections: set[socket.socket] = set()
        self._changing = threading.Lock()
        super().__init__(*arguments, **named)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        with self._changing:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        with self._changing:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Listen no more, and end each connection after the call that it may be answering."""
        super().server_close()
        with self._changing:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
