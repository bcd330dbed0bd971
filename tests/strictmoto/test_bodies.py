"""A request that is not checked yet, whatever it is: it makes no traceback, hangs nothing and fills no memory."""

from __future__ import annotations

import json
import resource
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from strictmoto.account import REGION, Account
from strictmoto.requests import bodies
from tests.strictmoto.signing import keys_of
from tests.strictmoto.test_readings import FORM, JSON, ask
from tests.strictmoto.test_signatures import send

HOST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def exchange(account: Account, sent: bytes) -> bytes:
    """Send bytes as they are; return what comes back first."""
    address = urlsplit(account.endpoint)
    with socket.create_connection((str(address.hostname), int(address.port or 80)), timeout=20) as connection:
        try:
            connection.sendall(sent)
            return connection.recv(65_536)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("length", ["abc", "²", "-1", "+5", "1e3", "0x10", "9" * 30])
def test_fails_where_a_length_is_none(aws_account: Account, length: str) -> None:
    answer = exchange(aws_account, HOST + f"Content-Length: {length}\r\n\r\n".encode("latin-1", "replace"))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"<html" not in answer.lower()


@pytest.mark.parametrize("chunk", [b"zz\r\nab\r\n", b"-5\r\nab\r\n", b"2\r\nabXX0\r\n\r\n"])
def test_fails_where_a_chunk_is_none(aws_account: Account, chunk: bytes) -> None:
    answer = exchange(aws_account, HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)

    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("headers", [{}, {"X-Amz-Target": "AWSCognitoIdentityService.GetId"}, FORM])
@pytest.mark.parametrize("body", [b"[" * 200_000, b"\xff" * 1000, b'{"a":' * 5000])
def test_fails_without_a_traceback_where_the_request_is_not_signed(
    aws_account: Account, headers: dict[str, str], body: bytes
) -> None:
    answer = send(aws_account, "POST", "/", headers, body)

    assert answer.status in (400, 403)
    assert b"<html" not in answer.body.lower()


def test_fails_where_a_stranger_writes_much(aws_account: Account) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = 100 << 20
    head = HOST + f"Content-Length: {size}\r\n\r\n".encode()
    answers = [exchange(aws_account, head + bytes(4 << 20)) for _ in range(3)]

    assert all(answer.startswith(b"HTTP/1.1 403 ") or not answer for answer in answers)
    assert any(answers)
    # In KiB: less than one of the bodies.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize(
    ("service", "status", "code"),
    [("s3", 400, b"EntityTooLarge"), ("lambda", 413, b"RequestEntityTooLargeException"), ("sts", 413, b"TooLarge")],
)
def test_fails_where_a_request_is_longer_than_its_service_takes(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch, service: str, status: int, code: bytes
) -> None:
    monkeypatch.setattr(bodies, "longest_of", lambda _service: 1000)
    path = "/2015-03-31/functions" if service == "lambda" else "/"
    answer = ask(aws_account, service, "POST", path, {}, b"a" * 1001)

    assert (answer.status, code in answer.body) == (status, True)


@pytest.mark.parametrize("date", ["99991231T235959Z", "00010101T000000Z", "20261345T000000Z"])
def test_fails_where_a_date_is_far_away(aws_account: Account, date: str) -> None:
    credential = f"{aws_account.credentials.access_key_id}/{date[:8]}/{REGION}/sts/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={'0' * 64}",
        "X-Amz-Date": date,
    }
    answer = send(aws_account, "POST", "/", headers, b"")

    assert answer.status in (400, 403)
    assert b"<ErrorResponse>" in answer.body


def test_fails_in_the_form_of_a_service_where_the_account_itself_fails(
    aws_account: Account, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr("strictmoto.front.front.read", fail)
    answer = ask(aws_account, "dynamodb", "POST", "/", JSON | {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, b"{}")

    assert (answer.status, json.loads(answer.body)["__type"]) == (500, "InternalFailure")
    assert "a mistake of ours" in caplog.text


def test_metadata_of_s3_may_have_underscores(aws_account: Account) -> None:
    s3 = aws_account.client("s3")
    s3.create_bucket(Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="evidence", Key="capture", Body=b"packets", Metadata={"taken_by": "sensor", "case": "7"})

    found = s3.head_object(Bucket="evidence", Key="capture")["Metadata"]
    assert found == {"taken_by": "sensor", "case": "7"}


@pytest.mark.parametrize(("service", "code"), [("s3", b"InvalidArgument"), ("sts", b"IncompleteSignature")])
def test_fails_where_headers_and_query_both_sign(aws_account: Account, service: str, code: bytes) -> None:
    path = "/?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    signing = AWSRequest("GET", aws_account.endpoint + path, {})
    SigV4Auth(keys_of(aws_account), service, REGION).add_auth(signing)
    answer = send(aws_account, "GET", path, dict(signing.headers.items()))

    assert answer.status == 400
    assert code in answer.body or service != "s3"
