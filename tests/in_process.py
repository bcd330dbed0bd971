"""The account answers the clients of this process in the thread that asks: the same requests, without a connection.

A conftest imports the fixture, for tests that call much and are not about connections.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from werkzeug.test import run_wsgi_app

from strictmoto.account import Account


class _Raw(BytesIO):
    """A body as urllib3 has it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture(autouse=True, scope="module")
def answered_in_process(aws_account_server: Account) -> Iterator[None]:
    """Let the account answer botocore's clients without a connection, which takes a third of a call.

    A fault may cut a connection, or be slow on it: while one is set, requests go over HTTP, as bodies in chunks do.
    """
    account, send = aws_account_server, URLLib3Session.send

    def answered(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        plain = request.body is None or isinstance(request.body, str | bytes | bytearray)
        here = plain and request.url.startswith(f"{account.endpoint}/") and not account.faults.are_set
        return answer(account, request) if here else send(session, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", answered)
        yield


def answer(account: Account, request: AWSPreparedRequest) -> AWSResponse:
    """Return what the account answers to a request."""
    assert account._server is not None
    answered, status, headers = run_wsgi_app(account._server.app, _environ(request), buffered=True)
    return AWSResponse(request.url, int(status.split(" ", 1)[0]), dict(headers), _Raw(b"".join(answered)))


def _environ(request: AWSPreparedRequest) -> dict[str, Any]:
    """Return a request as a WSGI server has it. By hand: werkzeug's builder takes as long as the account's answer."""
    address = urlsplit(request.url)
    body = request.body or b""
    data = body.encode() if isinstance(body, str) else bytes(body)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(address.path or "/").decode("latin-1"),
        "QUERY_STRING": address.query,
        "RAW_URI": f"{address.path or '/'}?{address.query}" if address.query else address.path or "/",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": address.hostname,
        "SERVER_PORT": str(address.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": address.netloc,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": address.scheme,
        "wsgi.input": BytesIO(data),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ["REQUEST_URI"] = environ["RAW_URI"]
    for name, value in request.headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = text
    return environ
