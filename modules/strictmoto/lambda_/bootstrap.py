"""What runs inside a function's process: loads the handler once, then serves invocations one after another.

It is a program of its own, started with an isolated interpreter; it imports nothing but the standard library. Both
directions of its connection carry messages of two parts, each with its length before it: JSON, and a payload.

Source: Lambda Developer Guide, "Building Lambda functions with Python" and its pages on the handler, the context
object, logging and errors.
"""

from __future__ import annotations

import decimal
import importlib
import importlib.machinery
import json
import logging
import os
import select
import site
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, BinaryIO

TASK_ROOT_ON_AWS = "/var/task"
Handler = Callable[[Any, Any], Any]


class Fault(Exception):  # noqa: N818 - as the runtime says it
    """The runtime itself finds a fault in the function."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        """Note what AWS calls it."""
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


class RuntimePackages:
    """Finds the packages that Lambda's Python brings, and no other package of this machine."""

    def __init__(self, homes: dict[str, str]) -> None:
        """Take the directory that each package is in, by its name."""
        self._homes = homes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """Find one of them; what is inside of it, Python finds by itself."""
        home = self._homes.get(name)
        return importlib.machinery.PathFinder.find_spec(name, [home]) if home else None


class _Identity:
    def __init__(self) -> None:
        self.cognito_identity_id = None
        self.cognito_identity_pool_id = None


class _Client:
    def __init__(self, given: dict[str, Any]) -> None:
        for name in ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name"):
            setattr(self, name, given.get(name))


class _ClientContext:
    def __init__(self, given: dict[str, Any]) -> None:
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = _Client(given["client"]) if given.get("client") else None


class Context:
    """What a handler is given beside its event."""

    def __init__(self, invocation: dict[str, Any]) -> None:
        """Take it from the environment and from the invocation."""
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = invocation["arn"]
        self.aws_request_id = invocation["request_id"]
        self.identity = _Identity()
        self.tenant_id = None
        given = invocation["client_context"]
        self.client_context = _ClientContext(given) if given else None
        self._deadline = invocation["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Return how many milliseconds are left before the function times out."""
        return max(int(self._deadline * 1000 - time.time() * 1000), 0)

    def log(self, message: Any) -> None:
        """Write to the log."""
        sys.stdout.write(str(message))


class _Encoder(json.JSONEncoder):
    def default(self, o: Any) -> Any:
        return float(o) if isinstance(o, decimal.Decimal) else super().default(o)


class _RequestIds(logging.Filter):
    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.request_id
        return True


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", ""),
        }
        if record.exc_info and record.exc_info[0]:
            line["errorType"] = record.exc_info[0].__name__
            line["errorMessage"] = str(record.exc_info[1])
            line["stackTrace"] = json.dumps(_frames(record.exc_info[2]))
        return json.dumps(line)


class Runtime:
    """One execution environment, seen from inside."""

    def __init__(self, connection: socket.socket) -> None:
        """Take the connection to the account."""
        self._connection = connection
        self._stream: BinaryIO = connection.makefile("rb")
        self._ids = _RequestIds()

    def run(self) -> None:
        """Load the handler and serve invocations until the account hangs up."""
        settings, _ = self._receive()
        threading.Thread(target=self._die_with_the_account, name="account", daemon=True).start()
        self._prepare(settings)
        try:
            handler = _load(os.environ["_HANDLER"])
        except Exception as error:
            self._send({"kind": "init error"}, self._report(error, ""))
            return
        self._send({"kind": "ready"}, b"")
        while True:
            invocation, event = self._receive()
            self._ids.request_id = invocation["request_id"]
            os.environ["_X_AMZN_TRACE_ID"] = invocation["trace_id"]
            kind, answer = self._serve(handler, invocation, event)
            sys.stdout.flush()
            sys.stderr.flush()
            self._send({"kind": kind}, answer)

    def _serve(self, handler: Handler, invocation: dict[str, Any], event: bytes) -> tuple[str, bytes]:
        try:
            result = handler(json.loads(event), Context(invocation))
            try:
                return "result", json.dumps(result, cls=_Encoder).encode()
            except Exception as error:
                raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error
        except Exception as error:
            return "error", self._report(error, invocation["request_id"])

    def _report(self, error: Exception, request_id: str) -> bytes:
        """Log an error and return the payload that reports it."""
        found = {
            "errorMessage": str(error),
            "errorType": error.kind if isinstance(error, Fault) else type(error).__name__,
            "requestId": request_id,
            "stackTrace": error.trace if isinstance(error, Fault) else _frames(error.__traceback__),
        }
        if os.environ["AWS_LAMBDA_LOG_FORMAT"] == "JSON":
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            print(json.dumps({"timestamp": now, "level": "ERROR", **found}))
        else:
            # A carriage return keeps the lines together in one event of the log.
            lines = [f"[ERROR] {found['errorType']}: {found['errorMessage']}", "Traceback (most recent call last):"]
            print("\r".join([*lines, *(line for frame in error_lines(found) for line in frame.splitlines())]))
        sys.stdout.flush()
        return json.dumps(found).encode()

    def _prepare(self, settings: dict[str, Any]) -> None:
        """Make the interpreter one of Lambda's: its import path, its logging, and what `site` would have added."""
        site.setquit()
        site.sethelper()
        sys.argv = ["/var/runtime/bootstrap.py"]
        sys.path[:0] = settings["path"]
        sys.meta_path.append(RuntimePackages(settings["packages"]))
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        text = logging.Formatter(form, "%Y-%m-%dT%H:%M:%S")
        text.converter = time.gmtime
        logs = logging.StreamHandler(sys.stdout)
        logs.setFormatter(_JsonFormatter() if os.environ["AWS_LAMBDA_LOG_FORMAT"] == "JSON" else text)
        logs.addFilter(self._ids)
        logging.getLogger().addHandler(logs)
        if level := os.environ.get("AWS_LAMBDA_LOG_LEVEL"):
            logging.getLogger().setLevel("CRITICAL" if level == "FATAL" else "DEBUG" if level == "TRACE" else level)

    def _die_with_the_account(self) -> None:
        """End when the account is gone, whatever the handler does."""
        poller = select.poll()
        poller.register(self._connection, 0)
        poller.poll()
        os._exit(0)

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        lengths = self._stream.read(8)
        if len(lengths) < 8:
            os._exit(0)
        about, payload = struct.unpack("!II", lengths)
        return json.loads(self._stream.read(about)), self._stream.read(payload)

    def _send(self, about: dict[str, Any], payload: bytes) -> None:
        text = json.dumps(about).encode()
        self._connection.sendall(struct.pack("!II", len(text), len(payload)) + text + payload)


def error_lines(found: dict[str, Any]) -> list[str]:
    """Return the stack of an error as the log shows it: indented so that a terminal keeps the indent."""
    return [frame.replace("  ", "\u00a0\u00a0") for frame in found["stackTrace"]]


def _load(handler: str) -> Handler:
    module_name, dot, function = handler.rpartition(".")
    if not dot:
        message = f"Bad handler '{handler}': not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", message)
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        trace = [f'  File "{_on_aws(error.filename or "")}" Line {error.lineno}\n    {error.text}']
        message = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", message, trace) from error
    try:
        loaded: Handler = getattr(module, function)
    except AttributeError as error:
        message = f"Handler '{function}' missing on module '{module_name}'"
        raise Fault("Runtime.HandlerNotFound", message) from error
    return loaded


def _frames(trace: TracebackType | None) -> list[str]:
    """Return the frames below this file, with the paths that they have on AWS."""
    frames = traceback.extract_tb(trace)
    while frames and frames[0].filename in (__file__, "<frozen importlib._bootstrap>"):
        del frames[0]
    # As tuples, because the runtime shows no carets.
    plain = [(frame.filename, frame.lineno or 0, frame.name, frame.line) for frame in frames]
    return [_on_aws(line) for line in traceback.format_list(plain)]


def _on_aws(text: str) -> str:
    return text.replace(os.environ["LAMBDA_TASK_ROOT"], TASK_ROOT_ON_AWS)


if __name__ == "__main__":
    descriptor = int(sys.argv[1])
    # What the function starts must not keep the connection open.
    os.set_inheritable(descriptor, False)
    Runtime(socket.socket(fileno=descriptor)).run()
