"""A proxy on this machine that serves nothing and remembers what it was asked for."""

from __future__ import annotations

import socketserver
import threading


class RecordingProxy:
    """A proxy; use it as a context manager.

    Attributes:
        received: the first line of every request.
        url: where it listens.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        received = self.received

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                received.append(self.rfile.readline().decode(errors="replace").strip())
                self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that name it, in either case, and no host that does without it."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {spelled: self.url for name in names for spelled in (name, name.lower())}

    def __enter__(self) -> RecordingProxy:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
