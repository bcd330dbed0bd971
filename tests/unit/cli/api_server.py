"""An HTTP server on this machine that answers as it is set up to, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

BreaksOff = Literal["ended", "ended in a chunk", "stalled"]
"""What becomes of a connection before all of an answer is sent."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class ApiServer:
    """What to answer, one after another (the last one for ever), and what was asked."""

    url: str = ""
    answers: list[tuple[int, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    breaks_off: dict[int, BreaksOff] = field(default_factory=dict)
    """By the status of the answer."""

    def answer(self, *answers: tuple[int, Any]) -> None:
        """Answer so from now on; a status of 0 hangs up."""
        self.answers = list(answers)


@contextmanager
def serving() -> Iterator[ApiServer]:
    """Run the server on a free loopback port."""
    api = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply()

        def reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            api.asked.append(
                Asked(self.command, self.path, dict(self.headers), json.loads(content) if content else None)
            )
            status, body = api.answers.pop(0) if len(api.answers) > 1 else api.answers[0]
            if status == 0:
                self.close_connection = True
                return
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in api.headers.items():
                self.send_header(name, value)
            breaks_off = api.breaks_off.get(status)
            if breaks_off == "ended in a chunk":
                self.send_header("Transfer-Encoding", "chunked")
                data = f"{len(data) + 1:x}\r\n".encode() + data
            else:
                self.send_header("Content-Length", str(len(data) + (breaks_off is not None)))
            self.end_headers()
            self.wfile.write(data)
            if breaks_off == "stalled":
                self.rfile.read(1)  # until the client gives up

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
