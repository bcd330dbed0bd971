"""What stands before moto: refuses strangers, records every call, plays faults, and has an API of its own."""

from __future__ import annotations

import http
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from botocore.model import OperationNotFoundError

from strictmoto import http_api
from strictmoto.call_rules.services import refusal_of_call
from strictmoto.cloudwatch.metrics import Measurement, Metrics
from strictmoto.ec2.flow_records import Flow, FlowRecords
from strictmoto.events.service_events import ServiceEvents
from strictmoto.faults import Fault, Faults, error_response
from strictmoto.front.anonymous import anonymous_call, protocol_of, scope_of
from strictmoto.front.denials import denial
from strictmoto.front.missing import refusal_of_missing
from strictmoto.front.refusals import refusal
from strictmoto.front.strangers import why_strange
from strictmoto.front.unknown_calls import identified, is_no_answer, is_unknown, unknown
from strictmoto.guardduty.findings import Findings
from strictmoto.iam.enforcement import Connection, refusal_of
from strictmoto.iam.identities import is_root
from strictmoto.identity.callers import ANONYMOUS, CALLER, AccessKeys, Caller
from strictmoto.identity.issuers import Issuers
from strictmoto.identity.signatures import Received, Refused, Signature, read_signature, verify
from strictmoto.lateness import answering_from, photograph
from strictmoto.recorder import Recorder
from strictmoto.requests import bodies
from strictmoto.requests.calls import Call
from strictmoto.requests.dispatching import READING
from strictmoto.requests.documents import TooDeepError
from strictmoto.requests.readings import Reading, read, spoken
from strictmoto.requests.services import NOT_MOTOS, is_in, models_of
from strictmoto.running import Waits, running

OWN_PATH: Final = "/strictmoto"
_DRAINED: Final = 1 << 20
_CODE: Final = re.compile(rb"<Code>([^<]+)</Code>")
_log = logging.getLogger(__name__)
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class _Request:
    """A call that is being answered, and where the answer goes."""

    reading: Reading
    caller: Caller
    environ: dict[str, Any]
    start_response: StartResponse
    began: float
    clock: float

    @property
    def call(self) -> Call:
        """What is asked for."""
        return self.reading.call

    @property
    def principal(self) -> str:
        """The ARN of who calls; empty where AWS asks for no signature."""
        return self.caller.principal_arn


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

    Each request goes one way: strangers are refused; the signature is verified; the call meets its fault; moto answers.

    Its own API, for other processes, signed by root: `GET /strictmoto/calls` returns the recorded calls,
    `DELETE` forgets them; `POST /strictmoto/faults` sets a fault, `DELETE` takes all back;
    `POST /strictmoto/waits` with a scale shortens waits; `POST /strictmoto/metrics` sets a metric, and
    `POST /strictmoto/issuers` the keys of an identity provider; `POST /strictmoto/flow-records` writes files of flow
    logs, `POST /strictmoto/findings` lets GuardDuty find something, and `POST /strictmoto/events` lets a service put an
    event on the default bus.
    """

    def __init__(
        self,
        moto: Application,
        keys: AccessKeys,
        recorder: Recorder,
        faults: Faults,
        waits: Waits,
        metrics: Metrics,
        issuers: Issuers,
        flow_records: FlowRecords,
        findings: Findings,
        service_events: ServiceEvents,
        origins: Collection[str],
        prepare: Callable[[str], None],
    ) -> None:
        """Stand before `moto`; `prepare` gets each service's name before moto gets its first call.

        Web pages of `origins` may call HTTP APIs.
        """
        self._origins = origins
        self._waits = waits
        self._metrics = metrics
        self._issuers = issuers
        self._flow_records = flow_records
        self._findings = findings
        self._service_events = service_events
        self._prepare = prepare
        self._moto = moto
        self._keys = keys
        self._recorder = recorder
        self._faults = faults

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            return self._receive(environ, start_response)
        except bodies.MalformedError as error:
            return _refuse(400, {"Content-Type": "text/plain"}, f"{error}\n".encode(), environ, start_response)
        except ConnectionError:
            # The caller is gone, or disconnected by a fault.
            raise
        except Exception:
            _log.exception("strictmoto failed at %s", environ.get("PATH_INFO"))
            refused = _failed(_received(environ, b""), environ)
            return _refuse(500, *refused, environ, start_response)

    def _receive(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", ""))
        headers = _headers(environ)
        calls_http_api = http_api.is_request(path, headers.get("host", ""))
        if strange := why_strange(path, headers, origins=self._origins if calls_http_api else ()):
            _drain(environ)
            return _refuse(403, {"Content-Type": "text/plain"}, f"{strange}\n".encode(), environ, start_response)
        if calls_http_api:
            self._prepare("apigateway")
            try:
                body = bodies.take(environ, bodies.OF_HTTP_APIS)
            except bodies.TooLongError:
                return _send_json("413 Content Too Large", {"message": "Request Entity Too Large"}, start_response)
            return http_api.answer(_received(environ, body), environ, start_response)
        if path.startswith(f"{OWN_PATH}/"):
            try:
                body = bodies.take(environ, bodies.OF_STRANGERS)
            except bodies.TooLongError as error:
                return _send_json("413 Content Too Large", {"message": f"too long: {error}"}, start_response)
            return self._own(_received(environ, body), path.removeprefix(OWN_PATH), start_response)
        return self._authenticate(_received(environ, b""), path, environ, start_response)

    def _authenticate(
        self, received: Received, path: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve a call whose signature is true, or that AWS takes without one."""
        try:
            signature = read_signature(received)
        except Refused as refused:
            try:
                received = replace(received, body=bodies.take(environ, bodies.OF_STRANGERS))
            except bodies.TooLongError:
                _drain(environ)
                return self._deny_stranger(refused, received, path, environ, start_response)
            reading = anonymous_call(received) if refused.reason == "missing" else None
            # Where IAM does not decide, nothing would check what such a call of STS shows instead of a signature.
            if reading is None or (reading.call.service == "sts" and not running().enforces_iam):
                return self._deny_stranger(refused, received, path, environ, start_response)
            environ["HTTP_AUTHORIZATION"] = scope_of(reading)
            return self._serve(reading, ANONYMOUS, environ, start_response)
        # Who has no key of the account may write no more than a stranger.
        known = self._keys.find(signature.access_key, signature.region) is not None
        try:
            longest = bodies.longest_of(signature.service) if known else bodies.OF_STRANGERS
            received = replace(received, body=bodies.take(environ, longest))
        except bodies.TooLongError:
            _drain(environ)
            protocol = spoken(signature.service, received)
            return _refuse(*_too_long(protocol, signature.service), environ, start_response)
        if not models_of(signature.service):
            try:
                verify(received, signature, self._keys)
            except Refused as forged:
                reason = forged
            else:
                message = f"Credential should be scoped to correct service, not '{signature.service}'. "
                reason = Refused("wrong service", message)
            return self._deny_stranger(reason, received, path, environ, start_response)
        try:
            caller = verify(received, signature, self._keys)
            _check_region(signature)
        except Refused as refused:
            return _deny(refused, spoken(signature.service, received), signature.service, environ, start_response)
        if signature.expires:
            # Where moto looks for what the query says.
            environ["HTTP_AUTHORIZATION"] = signature.authorization
        scope = (signature.service, signature.region, signature.access_key)
        reading = read(received, *scope, signature.query)
        return self._serve(reading, caller, environ, start_response)

    def _deny_stranger(
        self, refused: Refused, received: Received, path: str, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Refuse a request that names no service, in the way of the service that it looks like one of."""
        protocol = protocol_of(received, path)
        return _deny(refused, protocol, "s3" if protocol == "rest-xml" else "", environ, start_response)

    def _serve(
        self, reading: Reading, caller: Caller, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a call whose caller is known."""
        request = _Request(reading, caller, environ, start_response, time.time(), time.perf_counter())
        # moto takes the account from this header, which a caller may not choose.
        request.environ["HTTP_X_MOTO_ACCOUNT_ID"] = request.caller.account_id
        request.reading.apply_to(request.environ)
        request.environ[READING] = request.reading
        self._prepare(request.call.service)
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
        """Let moto answer what IAM allows; keep how the account was before, where a late fault waits for this call."""
        call = request.call
        if is_unknown(call) or call.service in NOT_MOTOS:
            return _refused_with(unknown(call))
        if (unread := request.reading.wrong) is not None:
            return _refused_with((unread.status, *refusal(call.protocol, unread.code, unread.message)))
        if running().enforces_iam and (refused := _refused(request)):
            return refused
        if (wrong := refusal_of_call(call)) is not None:
            return _refused_with((wrong.status, *refusal(call.protocol, wrong.code, wrong.message)))
        waiting = self._faults.creation_of(request.call)
        before = photograph(request.call, request.caller.account_id) if waiting else None
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def noting(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, headers))

        answering = CALLER.set(request.caller)
        try:
            body = b"".join(self._moto(request.environ, noting))
        except (NotImplementedError, OperationNotFoundError) as absent:
            # moto's own answer, a page in HTML, would be tried again for minutes.
            return _refused_with(unknown(call, str(absent)))
        except RecursionError:
            # A document in the call is nested too deep for what reads it (see `documents`). AWS words it by service.
            return _refused_with((400, *refusal(call.protocol, "ValidationError", str(TooDeepError()))))
        except Exception as failed:
            if missing := refusal_of_missing(call, failed):
                return _refused_with((missing.status, *refusal(call.protocol, missing.code, missing.message)))
            _log.exception("strictmoto failed at %s:%s", call.service, call.action)
            return _refused_with((500, *refusal(call.protocol, "InternalFailure", "strictmoto failed")))
        finally:
            CALLER.reset(answering)
        answer = _Answer(*started[-1], body)
        if is_no_answer(call, request.environ["REQUEST_METHOD"], answer.code, body):
            return _refused_with(unknown(call))
        if call.protocol == "ec2":
            answer = _Answer(answer.status, *identified(answer.headers, body))
        if before is not None and answer.code < 400:
            self._faults.created(waiting, before)
        return answer

    def _send(self, request: _Request, answer: _Answer, fault: str) -> Iterable[bytes]:
        self._record(request, answer.code, fault, answer)
        if request.call.service == "s3":
            _log_access(request, answer)
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

    def _own(self, received: Received, path: str, start_response: StartResponse) -> Iterable[bytes]:
        try:
            caller = verify(received, read_signature(received), self._keys)
        except Refused as refused:
            return _send_json("403 Forbidden", {"message": str(refused)}, start_response)
        if not is_root(caller.principal_arn):
            message = f"only the account's root user may do this, not {caller.principal_arn}"
            return _send_json("403 Forbidden", {"message": message}, start_response)
        return _send_json(*self._route(received.method, path, received.body), start_response)

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
            case "POST", "/metrics":
                try:
                    self._metrics.add(Measurement(**json.loads(body)))
                except (TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
                return "200 OK", {}
            case "POST", "/issuers":
                try:
                    self._issuers.add(**json.loads(body))
                except (TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
                return "200 OK", {}
            case "POST", "/flow-records":
                try:
                    asked = json.loads(body)
                    flows = [Flow(**one) for one in asked.pop("flows", ())]
                    return "200 OK", {"objects": self._flow_records.write(*flows, **asked)}
                except (AttributeError, TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
            case "POST", "/findings":
                try:
                    return "200 OK", {"objects": self._findings.publish(**json.loads(body))}
                except (TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
            case "POST", "/events":
                try:
                    return "200 OK", {"id": self._service_events.publish(**json.loads(body))}
                except (AttributeError, TypeError, ValueError) as error:
                    return "400 Bad Request", {"message": str(error)}
            case "DELETE", "/faults":
                self._faults.clear()
                return "200 OK", {}
        known = "calls, faults, waits, metrics, issuers, flow-records, findings or events"
        return "404 Not Found", {"message": f"no {method} {path}: expected {known}"}


def _log_access(request: _Request, answer: _Answer) -> None:
    """Let the bucket of a request log it."""
    # Late: S3 is the first to need it.
    from strictmoto.s3 import access_logs

    environ = request.environ
    said = {name.lower(): value for name, value in answer.headers}
    code = _CODE.search(answer.body) if answer.code >= 400 else None
    exchange = access_logs.Exchange(
        method=environ["REQUEST_METHOD"],
        target=str(environ["REQUEST_URI"]),
        protocol=environ.get("SERVER_PROTOCOL", ""),
        headers=_headers(environ),
        address=environ.get("REMOTE_ADDR", ""),
        status=answer.code,
        error=code[1].decode() if code else "",
        request_id=said.get("x-amz-request-id") or said.get("x-amzn-requestid", ""),
        size=len(answer.body),
        seconds=time.perf_counter() - request.clock,
    )
    access_logs.write(request.call, request.caller, exchange)


def _check_region(signature: Signature) -> None:
    if not is_in(signature.service, signature.region):
        message = f"Credential should be scoped to a valid region, not '{signature.region}'. "
        raise Refused("wrong region", message)


def _refused_with(refused: tuple[int, dict[str, str], bytes]) -> _Answer:
    status, headers, body = refused
    return _Answer(f"{status} {http.HTTPStatus(status).phrase}", list(headers.items()), body)


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a request, with lower-case names; those sent more than once are joined by commas."""
    # Of S3's metadata, whose names may have underscores.
    written = environ.get("moto.preserved_header_names") or {}
    return {
        str(written.get(name) or name.removeprefix("HTTP_").replace("_", "-")).lower(): str(value)
        for name, value in environ.items()
        # WSGI servers have these two empty where the request has none; any other was sent empty.
        if name.startswith("HTTP_") or (name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value != "")
    }


def _deny(
    refused: Refused, protocol: str, service: str, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    status, headers, body = denial(refused, protocol, service)
    return _refuse(status, headers, body, environ, start_response)


def _refuse(
    status: int, headers: dict[str, str], body: bytes, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    start_response(f"{status} {http.HTTPStatus(status).phrase}", list(headers.items()))
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def _send_json(status: str, answer: Any, start_response: StartResponse) -> Iterable[bytes]:
    text = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


def _drain(environ: dict[str, Any]) -> None:
    """Read what a stranger sends, up to a limit: a connection that is closed before may hide the answer."""
    length = str(environ.get("CONTENT_LENGTH") or "0")
    if bodies.is_length(length):
        environ["wsgi.input"].read(min(int(length), _DRAINED))


def _refused(request: _Request) -> _Answer | None:
    """Return the answer where IAM does not allow a call."""
    environ = request.environ
    source_ip, user_agent = (str(environ.get(name, "")) for name in ("REMOTE_ADDR", "HTTP_USER_AGENT"))
    refused = refusal_of(request.call, request.principal, Connection(source_ip, user_agent))
    return _Answer(f"{refused.status} Refused", list(refused.headers.items()), refused.body) if refused else None


def _received(environ: dict[str, Any], body: bytes) -> Received:
    target, _, query = str(environ["REQUEST_URI"]).partition("?")
    return Received(environ["REQUEST_METHOD"], target, query, _headers(environ), body)


def _too_long(protocol: str, service: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the refusal of a request that is longer than its service takes."""
    if service == "s3":
        message = "Your proposed upload exceeds the maximum allowed size"
        return 400, *refusal("rest-xml", "EntityTooLarge", message)
    code = "RequestEntityTooLargeException" if "json" in protocol else "RequestEntityTooLarge"
    message = f"Request must be smaller than {bodies.longest_of(service)} bytes"
    return 413, *refusal("query" if protocol == "rest-xml" else protocol, code, message)


def _failed(received: Received, environ: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    protocol = protocol_of(received, str(environ.get("PATH_INFO", "")))
    return refusal(protocol, "InternalFailure", "strictmoto failed")


def _cut(environ: dict[str, Any]) -> ConnectionAbortedError:
    """Close the connection under the caller; the server ends the request on the exception quietly."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return ConnectionAbortedError("cut by a fault")
