"""All in one thread: time stands still until it is passed, and the account answers where it is asked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace
from typing import Any, Final

import pytest
from botocore.awsrequest import AWSResponse

from strictmoto.account import Account
from tests.in_process import answer
from tests.responder.containment.sequences.interruptions import Calls

BEGINNING: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


class Clock:
    """Time of the functions: it stands still until it is passed."""

    def __init__(self) -> None:
        self.now = BEGINNING

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = self

        class Moment(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.fromtimestamp(clock.now, tz)

        still = SimpleNamespace(time=lambda: clock.now, sleep=lambda _: None)
        for module in (
            "store.containments",
            "store.captures",
            "store.appliance",
            "store.retry",
            "containment.isolation",
        ):
            monkeypatch.setattr(f"tapstack.responder.{module}.time", still)
        monkeypatch.setattr("tapstack.responder.capture.steps.time", still)
        monkeypatch.setattr("tapstack.responder.capture.repair.time", still)
        monkeypatch.setattr("tapstack.responder.appliance.steps.time", still)
        monkeypatch.setattr("tapstack.domain.incidents.datetime", Moment)


def answer_here(account: Account, monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    """Let the account answer in the thread that asks: the same requests without a connection, many times as fast."""

    def send(_: Any, request: Any) -> AWSResponse:
        for _ in range(calls.times):
            answered = answer(account, request)
            calls.statuses.append(answered.status_code)
        return answered

    monkeypatch.setattr("botocore.httpsession.URLLib3Session.send", send)


class Inline:
    """Threads that are none: the same calls in the same order, each time."""

    def __init__(self, *_: Any) -> None:
        pass

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)
        return future
