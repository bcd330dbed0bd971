"""What stands before moto: records every call, plays faults, and has an API of its own."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

from tapstack.rehearsal.calls import Call, read_call
from tapstack.rehearsal.faults import Fault, Faults, error_response
from tapstack.rehearsal.recorder import Record, Recorder
from tapstack.rehearsal.running import Waits

OWN_PATH: Final = "/tapstack-rehearsal"
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Front:
    """A WSGI application around moto's.

    Its own API, for other processes: `GET /tapstack-rehearsal/calls` returns the recorded calls,
    `DELETE` forgets them; `POST /tapstack-rehearsal/faults` sets a fault, `DELETE` takes all back;
    `POST /tapstack-rehearsal/waits` with a scale shortens waits.
    """

    def __init__(
        self,
        moto: Application,
        recorder: Recorder,
        faults: Faults,
        waits: Waits,
        prepare: Callable[[str], None],
    ) -> None:
        """Stand before `moto`; `prepare` is told of a service before moto gets a call of it."""
        self._waits = waits
        self._prepare = prepare
        self._moto = moto
        self._recorder = recorder
        self._faults = faults

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = str(environ.get("PATH_INFO", ""))
        body = _take_body(environ)
        if path.startswith(OWN_PATH):
            return self._own(environ["REQUEST_METHOD"], path.removeprefix(OWN_PATH), body, start_response)
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        call = read_call(environ["REQUEST_METHOD"], path, str(environ.get("QUERY_STRING", "")), headers, body)
        if call is None:
            return self._moto(environ, start_response)
        self._prepare(call.service)
        fault = self._faults.strike(call)
        return (
            self._answer(call, environ, start_response)
            if fault is None
            else self._play(fault, call, environ, start_response)
        )

    def _answer(self, call: Call, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        statuses: list[int] = []

        def noting(status: str, *arguments: Any) -> Any:
            statuses.append(int(status.split(" ", 1)[0]))
            return start_response(status, *arguments)

        answer = b"".join(self._moto(environ, noting))
        self._recorder.add(Record(call, statuses[-1]))
        return [answer]

    def _play(
        self, fault: Fault, call: Call, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        if fault.kind in ("throttled", "server error"):
            status, content_type, body = error_response(call, fault.kind)
            self._recorder.add(Record(call, status, fault.kind))
            start_response(f"{status} Fault", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
            return [body]
        if fault.kind == "lost after":
            b"".join(self._moto(environ, lambda *_: None))
        self._recorder.add(Record(call, 0, fault.kind))
        raise _cut(environ)

    def _own(self, method: str, path: str, body: bytes, start_response: StartResponse) -> Iterable[bytes]:
        status, answer = self._route(method, path, body)
        text = json.dumps(answer).encode()
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
        return [text]

    def _route(self, method: str, path: str, body: bytes) -> tuple[str, Any]:
        match method, path:
            case "GET", "/calls":
                return "200 OK", [record.as_dict() for record in self._recorder.records()]
            case "DELETE", "/calls":
                self._recorder.clear()
                return "200 OK", {}
            case "POST", "/faults":
                try:
                    self._faults.add(Fault(**json.loads(body)))
                except (TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
                return "200 OK", {}
            case "POST", "/waits":
                try:
                    self._waits.scale = json.loads(body)["scale"]
                except (KeyError, TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
                return "200 OK", {}
            case "DELETE", "/faults":
                self._faults.clear()
                return "200 OK", {}
        return "404 Not Found", {"message": f"no {method} {path}: expected calls, faults or waits"}


def _take_body(environ: dict[str, Any]) -> bytes:
    """Read the body and put it back, because moto reads it again."""
    source = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    body: bytes = (
        source.read(int(length)) if length else (source.read() if environ.get("wsgi.input_terminated") else b"")
    )
    environ["wsgi.input"] = io.BytesIO(body)
    if environ.pop("HTTP_TRANSFER_ENCODING", None):
        environ["CONTENT_LENGTH"] = str(len(body))
    return body


def _cut(environ: dict[str, Any]) -> ConnectionAbortedError:
    """Close the connection under the caller; the server ends the request on the exception quietly."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return ConnectionAbortedError("cut by a fault")
