"""Connections stay open between calls, and end with the account."""

from __future__ import annotations

import http.client
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator

import pytest
from botocore.exceptions import ConnectionClosedError

from strictmoto.account import Account
from strictmoto.faults import Fault


@pytest.fixture
def connection(aws_account: Account) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection(urllib.parse.urlsplit(aws_account.endpoint).netloc, timeout=10)
    yield made
    made.close()


def asked(connection: http.client.HTTPConnection, method: str = "GET", **more: object) -> http.client.HTTPResponse:
    connection.request(method, "/", **more)  # type: ignore[arg-type]
    answer = connection.getresponse()
    answer.read()
    return answer


def test_when_calls_follow_each_other_then_they_use_one_connection(connection: http.client.HTTPConnection) -> None:
    first = asked(connection)
    kept = connection.sock
    assert first.status == asked(connection, "POST", body=b"x" * 1000).status == asked(connection, "HEAD").status
    assert kept is not None
    assert connection.sock is kept


@pytest.mark.parametrize(
    "headers", [{"Transfer-Encoding": "chunked"}, {"Expect": "100-continue"}, {"Content-Length": "1048577"}], ids=str
)
def test_when_a_body_may_not_be_read_whole_then_the_connection_ends(
    connection: http.client.HTTPConnection, headers: dict[str, str]
) -> None:
    body = b"0\r\n\r\n" if "Transfer-Encoding" in headers else b"x" * int(headers.get("Content-Length", 10))
    answer = asked(connection, "POST", body=body, headers=headers)
    assert answer.will_close


def test_when_a_fault_cuts_it_then_the_next_call_has_another_connection(aws_account: Account) -> None:
    sqs = aws_account.client("sqs")
    sqs.create_queue(QueueName="before")
    aws_account.faults.add(Fault("CreateQueue", "lost after"))
    with pytest.raises(ConnectionClosedError):
        sqs.create_queue(QueueName="after")
    assert len(sqs.list_queues()["QueueUrls"]) == 2


def test_when_the_account_stops_then_open_connections_end_with_their_threads() -> None:
    program = (
        "import http.client, threading\n"
        "from strictmoto.account import Account\n"
        "with Account() as account:\n"
        "    connection = http.client.HTTPConnection(account.endpoint.removeprefix('http://'), timeout=10)\n"
        "    connection.request('GET', '/')\n"
        "    connection.getresponse().read()\n"
        "assert connection.sock.recv(1) == b''\n"
        "for thread in set(threading.enumerate()) - {threading.current_thread()}:\n"
        "    thread.join(10)\n"
        "    assert not thread.is_alive(), thread\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
