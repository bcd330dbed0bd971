"""What stands before moto: records every call, plays faults, and has an API of its own."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tapstack.rehearsal import http_api
from tapstack.rehearsal.calls import Call, read_call
from tapstack.rehearsal.faults import Fault, Faults, error_response
from tapstack.rehearsal.lateness import answering_from, photograph
from tapstack.rehearsal.recorder import Recorder
from tapstack.rehearsal.refusals import refusal
from tapstack.rehearsal.running import Waits

OWN_PATH: Final = "/tapstack-rehearsal"
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class _Request:
    """A call that is being answered, and where the answer goes."""

    call: Call
    principal: str
    environ: dict[str, Any]
    start_response: StartResponse
    began: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)

    @property
    def account(self) -> str:
        """The account that the call is made in."""
        return self.principal.split(":")[4]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def code(self) -> int:
        return int(self.status.split(" ", 1)[0])


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
        if http_api.is_request(path, str(environ.get("HTTP_HOST", ""))):
            self._prepare("apigateway")
            return http_api.answer(environ, body, start_response)
        call = read_call(environ["REQUEST_METHOD"], path, str(environ.get("QUERY_STRING", "")), _headers(environ), body)
        if call is None:
            return self._moto(environ, start_response)
        self._prepare(call.service)
        return self._serve(_Request(call, self._recorder.principal_of(call), environ, start_response))

    def _serve(self, request: _Request) -> Iterable[bytes]:
        strike = self._faults.strike(request.call, request.principal)
        if strike is None:
            return self._answer(request)
        fault = strike.fault
        match fault.kind:
            case "throttled" | "server error":
                status, headers, body = error_response(request.call, fault.kind)
                return self._send(request, _Answer(f"{status} Fault", list(headers.items()), body), fault.kind)
            case "late":
                with answering_from(strike.before):
                    return self._answer(request, fault.kind)
            case "slow":
                answered = self._answer(request, fault.kind)
                # Recorded before: whoever has stopped waiting can see that it was done.
                time.sleep(fault.seconds)
                return answered
            case "lost after":
                self._ask(request)
        self._record(request, 0, fault.kind)
        raise _cut(request.environ)

    def _answer(self, request: _Request, fault: str = "") -> Iterable[bytes]:
        return self._send(request, self._ask(request), fault)

    def _ask(self, request: _Request) -> _Answer:
        """Let moto answer; keep how the account was before, where a late fault waits for this call."""
        waiting = self._faults.creation_of(request.call)
        before = photograph(request.call, request.account) if waiting else None
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def noting(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, headers))

        try:
            body = b"".join(self._moto(request.environ, noting))
        except NotImplementedError as missing:
            # moto's own answer, a page in HTML, would be tried again for minutes.
            call = request.call
            message = f"the rehearsal account has no {call.service}:{call.action} ({missing})"
            headers, body = refusal(call.protocol, "InvalidAction", message)
            return _Answer("400 Bad Request", list(headers.items()), body)
        except Exception:
            self._record(request, 500, "")
            raise
        answer = _Answer(*started[-1], body)
        if before is not None and answer.code < 400:
            self._faults.created(waiting, before)
        return answer

    def _send(self, request: _Request, answer: _Answer, fault: str) -> Iterable[bytes]:
        self._record(request, answer.code, fault, answer)
        request.start_response(answer.status, answer.headers)
        return [answer.body]

    def _record(self, request: _Request, code: int, fault: str, answer: _Answer | None = None) -> None:
        self._recorder.record(
            request.call,
            code,
            began=request.began,
            seconds=time.perf_counter() - request.clock,
            principal=request.principal,
            fault=fault,
            headers=dict(answer.headers) if answer else None,
            body=answer.body if answer else b"",
        )

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


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a request, with lower-case names."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if kind := environ.get("CONTENT_TYPE"):
        headers["content-type"] = str(kind)
    return headers


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
