"""Several stacks at the same time, each as soon as what it needs is there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest

from tapstack.rehearsal.together import Needed, work_together

SECONDS = 20
"""After so long, what a test waits for will not come."""
Report = Callable[[str], None]
Ready = Callable[[], None]


def test_when_nothing_is_needed_then_all_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(3)

    def work(stack: str, _: Report, ready: Ready) -> str:
        ready()
        meeting.wait(SECONDS)
        return stack.upper()

    assert work_together(["a", "b", "c"], work, {}) == {"a": "A", "b": "B", "c": "C"}


def test_when_a_line_is_needed_then_the_other_one_goes_on_meanwhile() -> None:
    begun = threading.Event()
    order: list[str] = []

    def work(stack: str, report: Report, ready: Ready) -> None:
        ready()
        order.append(f"{stack} begins")
        if stack == "telemetry":
            report("aws_kms_key.key: Creation complete after 9s")
            report("aws_kms_alias.alias: Creation complete after 1s")
            assert begun.wait(SECONDS)
            order.append("telemetry ends")
        else:
            begun.set()

    needs = {"response": [Needed("telemetry", re.compile(r"^aws_kms_alias\.\S+: Creation complete"))]}
    work_together(["response", "telemetry"], work, needs)
    assert order == ["telemetry begins", "response begins", "telemetry ends"]


def test_when_another_one_is_needed_then_its_end_is_waited_for_and_what_is_not_there_is_not() -> None:
    order: list[str] = []
    prepared: list[str] = []
    waiting = threading.Event()

    def work(stack: str, report: Report, ready: Ready) -> None:
        prepared.append(stack)
        if stack == "response":
            waiting.set()
        else:
            # What needs nothing yet is done meanwhile.
            assert waiting.wait(SECONDS)
        ready()
        report("a line")
        order.append(stack)

    work_together(["response", "capture"], work, {"response": [Needed("capture"), Needed("telemetry")]})
    assert order == ["capture", "response"]
    assert sorted(prepared) == order


def test_when_the_line_is_never_said_then_the_end_is_enough() -> None:
    order: list[str] = []

    def work(stack: str, _: Report, ready: Ready) -> None:
        ready()
        order.append(stack)

    work_together(["b", "a"], work, {"b": [Needed("a", re.compile("never"))]})
    assert order == ["a", "b"]


def test_fails_when_one_fails_and_what_waits_for_it_is_not_begun() -> None:
    begun: list[str] = []

    def work(stack: str, _: Report, ready: Ready) -> None:
        ready()
        begun.append(stack)
        raise ValueError(f"{stack} failed")

    with pytest.raises(ValueError, match="capture failed"):
        work_together(["response", "capture"], work, {"response": [Needed("capture")]})
    assert begun == ["capture"]
