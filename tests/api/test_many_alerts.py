"""Many webhooks at once: each is answered, joins or is unmatched, and lands once; how long that takes is not tested."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import webhooks
from benchmarks.webhooks import GUARDDUTY, WEBHOOK, Bench, Figures
from strictmoto.account import Account


@pytest.fixture(scope="module")
def bench(aws_account_server: Account) -> Iterator[Bench]:
    aws_account_server.reset()
    # What another one changed at the same moment is tried again soon.
    aws_account_server.waits.scale = 0.02
    yield Bench(aws_account_server, real_workflow=False)
    aws_account_server.waits.scale = 1.0
    aws_account_server.reset()


def test_when_thirty_alerts_come_at_once_then_each_is_answered_joined_and_landed_once(bench: Bench) -> None:
    # Each sender more is a process more of the function that answers.
    found = bench.burst(30, 0.0, senders=3)
    assert found.wrong == []
    # One was sent twice.
    assert [status for status, _ in found.answers] == [202] * 31


def test_when_a_webhook_opens_an_incident_then_one_function_more_worked_for_it_than_for_a_finding(bench: Bench) -> None:
    functions = {road: bench.measure(road, f"{road.lower()}-1").functions for road in (GUARDDUTY, WEBHOOK)}
    assert functions == {GUARDDUTY: ("findings",), WEBHOOK: ("alerts", "findings")}


def test_fails_when_an_alert_is_lost_or_about_another_instance(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "_PATIENCE", 0.0)
    instances = bench.instances(2)
    found = webhooks.Burst(2, 0.0, answers=[(202, 0.1), (503, 0.1)])
    wrong = bench._wrong(found, [("burst-a", instances[0]), ("burst-b", instances[1])], instances, 0)
    assert wrong[0] == "503: 1 answers"
    assert "burst-b: no outcome is recorded" in wrong


def test_fails_when_a_webhook_takes_two_functions_more() -> None:
    measured = {
        GUARDDUTY: [Figures(("findings",), 9, 1.0)],
        WEBHOOK: [Figures(("alerts", "findings"), 9, 1.0), Figures(("alerts", "mapper", "findings"), 9, 1.0)],
    }
    assert webhooks.too_many_functions(measured) == [
        "a webhook took 3 functions, alerts, mapper, findings: expected at most 2"
    ]
