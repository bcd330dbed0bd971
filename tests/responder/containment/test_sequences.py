"""Random sequences of operators, the workflow and other principals: nothing is lost, and no resource is left.

A default run tests the same sequences every time. TAPSTACK_SEQUENCES=1000 tests that many new ones; --hypothesis-seed
repeats them.
"""

from __future__ import annotations

import os
from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from strictmoto.account import Account
from tests.responder.containment.sequences.building import Play, found
from tests.responder.containment.sequences.interruptions import Calls, Interruption, Pick
from tests.responder.containment.test_concurrency import EVERY_POINT

EXAMPLES = 10 if EVERY_POINT else 3
STEPS = 40
OTHERS = (
    "change_groups",
    "change_groups",
    "delete_group",
    "attach",
    "detach",
    "stop",
    "terminate",
    "protect",
    "register",
    "add_session",
    "delete_session",
    "replace_target",
)
AGAINST = (
    "delete_ours",
    "turn_ours",
    "truncate_ours",
    "untag_ours",
    "retag_ours",
    "forge",
    "protect_by_tag",
    "aim",
)
OURS = (
    "open",
    "open_again",
    "find",
    "find_old",
    "alert",
    "extend",
    "close",
    "contain",
    "approve",
    "override",
    "reject",
    "release",
    "sweep",
    "abort",
)
MEANWHILE = (*OTHERS, *AGAINST, *OURS, "release", "contain", "advance", "advance", "advance")
# Executions have many steps: most of the time they go on. hypothesis takes the first more often than the rest.
ANYTHING = (
    *("find", "find", "find", "find_old", "alert", "open", "contain", "release", "pass_time", "settle", "watch"),
    *OURS,
    *OTHERS,
    *AGAINST,
    *("advance",) * 24,
)
NEEDED = {"advance", "open", "find", "contain", "approve", "release", "close", "sweep", "pass_time", "change_groups"}
"""What ten sequences must have. Of a few, which depend on any change of the code, one or two may lack."""

picks = st.integers(0, 10**9)
# Most functions make a handful of calls, to contain takes fifty.
at = st.one_of(st.integers(1, 8), st.integers(1, 50))
kills = st.builds(Interruption, at, st.booleans(), st.just("killed"), st.just(0))
repeats = st.builds(Interruption, at, st.just(False), st.just("repeated"), st.just(0))
meetings = st.builds(Interruption, at, st.booleans(), st.sampled_from(MEANWHILE), picks)
interruptions = st.one_of(st.none(), kills, repeats, meetings, meetings)


class Sequences(RuleBasedStateMachine):
    """Each step is an action of an operator, of others or of AWS; functions may be interrupted."""

    def __init__(self, account: Account, monkeypatch: pytest.MonkeyPatch, calls: Calls, done: Counter[str]) -> None:
        super().__init__()
        self.account, self.monkeypatch, self.calls, self.totals = account, monkeypatch, calls, done
        self.keep = False
        self.play: Play | None = None

    @initialize(
        seed=st.integers(0, 10**6),
        two_step=st.booleans(),
        default=st.sampled_from(["leave", "contain"]),
        keep=st.booleans(),
        first=picks,
    )
    def begin(self, seed: int, two_step: bool, default: str, keep: bool, first: int) -> None:
        self.keep = keep
        self.play = found(self.account, self.monkeypatch, self.calls, seed=seed, two_step=two_step, default=default)
        self.play.operators.open(Pick(first))

    @rule(what=st.sampled_from(ANYTHING), pick=picks, by=interruptions)
    def step(self, what: str, pick: int, by: Interruption | None) -> None:
        assert self.play is not None
        before = self.play.world.done.total()
        if what in ("settle", "watch"):
            getattr(self.play.checks, what)(Pick(pick))
        else:
            self.play.do(what, Pick(pick), by)
        if self.play.world.done.total() > before:
            event(what)

    @invariant()
    def holds(self) -> None:
        if self.play is not None:
            self.play.checks.check()

    def teardown(self) -> None:
        if self.play is not None:
            self.totals.update(self.play.world.done)
            self.play.checks.end(self.keep)


# Functions that run in the middle of another share its metrics, which in Lambda none does.
@pytest.mark.filterwarnings("ignore::aws_lambda_powertools.warnings.PowertoolsUserWarning")
@pytest.mark.filterwarnings("ignore:No application metrics to publish:UserWarning")
def test_when_anything_happens_in_any_order_then_prior_state_is_restored_and_nothing_is_left(
    aws_account_server: Account,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    one_thread: Calls,
) -> None:
    calls, done = one_thread, Counter[str]()
    many = os.environ.get("TAPSTACK_SEQUENCES")
    try:
        run_state_machine_as_test(
            lambda: Sequences(aws_account_server, monkeypatch, calls, done),  # type: ignore[arg-type]
            settings=settings(
                max_examples=int(many or EXAMPLES),
                stateful_step_count=STEPS,
                derandomize=many is None,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink) if many is None else (Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
        if many is None:
            # What all of this is about did happen.
            assert len(NEEDED - set(done)) <= (0 if EVERY_POINT else 2)
            assert calls.met["killed"]
    finally:
        with capsys.disabled():
            print(f"\n{done.total()} steps: {dict(done.most_common())}\ninterrupted: {dict(calls.met.most_common())}")
