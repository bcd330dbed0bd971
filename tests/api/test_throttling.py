"""Too many requests: the gateway says so, before a function runs."""

from __future__ import annotations

from strictmoto.account import Account
from tests.api.conftest import Caller
from tests.response_by_hand import deploy


def test_fails_when_more_requests_come_than_the_stage_takes(aws_account: Account) -> None:
    call = Caller(deploy(aws_account, throttling=(0.01, 2)))
    assert [call("GET", "/incidents").status for _ in range(3)] == [200, 200, 429]
    assert call("GET", "/incidents").json == {"message": "Too Many Requests"}
