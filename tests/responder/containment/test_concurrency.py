"""Two concurrent commands, at every point: one completes between any two calls of the other.

The random sequences cover some of these points. These tests cover one in the middle of every second pair, or all of
them, of all pairs, with TAPSTACK_EVERY_POINT=1, as `make test-all` has it. The checks are the same.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import pytest

from strictmoto.account import Account
from tests.responder.containment.sequences.building import Play, found
from tests.responder.containment.sequences.executions import Execution
from tests.responder.containment.sequences.interruptions import Calls, Interruption, Pick
from tests.sampling import sampled

Doing = Callable[[Interruption | None], object]
"""Somebody does something, that may be interrupted."""
Meeting = tuple[Doing, Doing]
"""What is interrupted, and what happens meanwhile."""
_MOST_CALLS = 100
EVERY_POINT = os.environ.get("TAPSTACK_EVERY_POINT") == "1"


def opened(play: Play, containment: str = "now") -> str:
    """Open an incident for the server with two interfaces."""
    incident = play.operators.open_one(play.world.instances[0], containment)
    assert incident is not None
    return incident


def execution(play: Play, incident: str, task: str) -> Execution:
    """The latest execution of a task."""
    found = [one for name, one in play.world.executions.items() if name.startswith(f"{incident}-{task}-")]
    return found[-1]


def come_to_isolation(play: Play, incident: str) -> Execution:
    """Let the containment go on until its next task isolates the instance."""
    one = execution(play, incident, "contain")
    while one.ready and one.state != "Decided":
        play.workflow.go_on(one)
    return one


def contained(play: Play, containment: str = "now") -> str:
    incident = opened(play, containment)
    play.workflow.settle(Pick(0), ("contain", "release"))
    return incident


def containing(play: Play) -> tuple[str, Doing]:
    """An incident whose instance is isolated by the next step."""
    incident = opened(play)
    one = come_to_isolation(play, incident)
    return incident, lambda by: go_on(play, one, by)


def releasing(play: Play, incident: str, **flags: Any) -> Doing:
    """A release whose next step restores."""
    play.operators.about(incident, "release", **flags)
    one = execution(play, incident, "release")
    return lambda by: go_on(play, one, by)


def go_on(play: Play, one: Execution, by: Interruption | None) -> None:
    """The next step alone, where it is interrupted; else to the end."""
    play.workflow.go_on(one, by)
    while by is None and one.ready:
        play.workflow.go_on(one)


def a_release_and_a_containment(play: Play) -> Meeting:
    first = contained(play)
    _, contains = containing(play)
    return releasing(play, first), contains


def a_containment_and_a_release(play: Play) -> Meeting:
    releases, contains = a_release_and_a_containment(play)
    return contains, releases


def a_release_and_the_one_of_another(play: Play) -> Meeting:
    first, second = contained(play), contained(play)
    return releasing(play, first), releasing(play, second)


def a_release_for_all_and_the_one_of_another(play: Play) -> Meeting:
    first, second = contained(play), contained(play)
    return releasing(play, first, all=True), releasing(play, second)


def a_release_and_the_one_of_another_for_all(play: Play) -> Meeting:
    first, second = contained(play), contained(play)
    return releasing(play, first), releasing(play, second, all=True)


def a_release_for_all_and_a_containment_again(play: Play) -> Meeting:
    first, second = contained(play), contained(play)
    play.others.attach(Pick(0))
    assert play.operators.about(second, "contain", mode="now") == 202
    again = come_to_isolation(play, second)
    return releasing(play, first, all=True), lambda by: go_on(play, again, by)


def a_containment_again_and_a_release_for_all(play: Play) -> Meeting:
    releases, contains = a_release_for_all_and_a_containment_again(play)
    return contains, releases


def two_containments(play: Play) -> Meeting:
    return containing(play)[1], containing(play)[1]


def a_release_and_a_sweep(play: Play) -> Meeting:
    return releasing(play, contained(play)), lambda by: play.workflow.sweep(Pick(0), by)


def a_sweep_and_a_release(play: Play) -> Meeting:
    releases = releasing(play, contained(play))
    return lambda by: play.workflow.sweep(Pick(0), by), releases


def a_sweep_and_a_containment(play: Play) -> Meeting:
    _, contains = containing(play)
    return lambda by: play.workflow.sweep(Pick(0), by), contains


def asked_to(play: Play, incident: str, what: str, **body: str) -> Doing:
    return lambda by: play.operators.about(incident, what, by, **body)


def two_answers(play: Play, first: str, second: str) -> Meeting:
    """To one question that waits."""
    incident = contained(play, "approval")
    return asked_to(play, incident, first), asked_to(play, incident, second)


def an_approval_and_a_rejection(play: Play) -> Meeting:
    return two_answers(play, "approve", "reject")


def a_rejection_and_an_approval(play: Play) -> Meeting:
    return two_answers(play, "reject", "approve")


def a_close_and_an_approval(play: Play) -> Meeting:
    return two_answers(play, "close", "approve")


def an_approval_and_a_close(play: Play) -> Meeting:
    return two_answers(play, "approve", "close")


def an_approval_and_the_deadline(play: Play) -> Meeting:
    incident = contained(play, "approval")

    def deadline(_: Interruption | None) -> None:
        play.workflow.wait(16 * 60)
        go_on(play, execution(play, incident, "contain"), None)

    return asked_to(play, incident, "approve"), deadline


def the_deadline_and_an_approval(play: Play) -> Meeting:
    incident = contained(play, "approval")
    play.workflow.wait(15 * 60 - 1)
    one = execution(play, incident, "contain")

    def late(by: Interruption | None) -> None:
        play.workflow.wait(1)
        play.workflow.go_on(one)
        go_on(play, one, by)

    return late, asked_to(play, incident, "approve")


def a_containment_again_and_a_release(play: Play) -> Meeting:
    incident = contained(play)
    play.others.attach(Pick(0))

    def release(by: Interruption | None) -> None:
        releasing(play, incident)(by)

    return asked_to(play, incident, "contain", mode="now"), release


def a_request_to_release_and_a_containment_again(play: Play) -> Meeting:
    incident = contained(play)
    play.others.attach(Pick(0))
    return asked_to(play, incident, "release"), asked_to(play, incident, "contain", mode="now")


def _without_more(doing: Doing, _: Interruption) -> None:
    doing(None)


MEETINGS: dict[Callable[[Play], Meeting], int] = {
    a_release_and_a_containment: 27,
    a_containment_and_a_release: 27,
    a_release_and_the_one_of_another: 3,
    a_release_for_all_and_the_one_of_another: 30,
    a_release_and_the_one_of_another_for_all: 3,
    a_release_for_all_and_a_containment_again: 27,
    a_containment_again_and_a_release_for_all: 15,
    two_containments: 30,
    a_release_and_a_sweep: 27,
    a_sweep_and_a_release: 8,
    a_sweep_and_a_containment: 8,
    an_approval_and_a_rejection: 5,
    a_rejection_and_an_approval: 3,
    a_close_and_an_approval: 3,
    an_approval_and_a_close: 5,
    an_approval_and_the_deadline: 5,
    the_deadline_and_an_approval: 3,
    a_containment_again_and_a_release: 5,
    a_request_to_release_and_a_containment_again: 4,
}
"""Each with the fewest calls that are interrupted."""


# Functions that run in the middle of another share its metrics, which in Lambda none does.
@pytest.mark.filterwarnings("ignore::aws_lambda_powertools.warnings.PowertoolsUserWarning")
@pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning")
@sampled("meeting", MEETINGS, every=4, ids=lambda meeting: meeting.__name__)
def test_when_two_meet_at_any_point_then_both_are_right(
    meeting: Callable[[Play], Meeting],
    aws_account_server: Account,
    monkeypatch: pytest.MonkeyPatch,
    one_thread: Calls,
) -> None:
    points = range(1, _MOST_CALLS) if EVERY_POINT else (MEETINGS[meeting] // 2 + 1,)
    calls, interrupted = one_thread, 0
    for at in points:
        play = found(aws_account_server, monkeypatch, calls, seed=at, two_step=False, default="leave")
        first, meanwhile = meeting(play)
        calls.strike = functools.partial(_without_more, meanwhile)
        met = calls.met["meeting"]
        first(Interruption(at, False, "meeting", 0))
        if calls.met["meeting"] == met:
            break
        interrupted += 1
        play.checks.settle_containments(Pick(at))
        play.checks.check()
        play.checks.release_all()
    assert (MEETINGS[meeting] if EVERY_POINT else 1) <= interrupted < _MOST_CALLS - 1
