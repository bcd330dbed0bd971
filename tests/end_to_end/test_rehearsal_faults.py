"""Faults of AWS's calls, one an incident: it ends right all the same. `make faults` tries them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end import faults
from tests.end_to_end.deployed import SITE, DeployedResponse
from tests.end_to_end.faulting import (
    FAILED,
    KILLED,
    LOST_AFTER,
    LOST_BEFORE,
    LOST_FOR_LONG,
    MISSED,
    RIGHT,
    SERVER_ERROR,
    SWEPT,
    Point,
    Runner,
    Way,
    sample,
)
from tests.end_to_end.paths import PATHS, WORKFLOW

LAUNCH, JOIN, JOINED, BY_WEBHOOK, REPAIRED, EXPIRE, FAIL, CONTAIN, *_rest = PATHS
APPROVED, OVERRIDDEN, PROTECTED, REJECTED, BY_DEFAULT, WITH_ALERT, OVERWRITTEN, KEPT, SHARED, OVERTAKEN, DENIED = _rest
FAULTS = [
    (Point(LAUNCH, "appliance", "cloudformation", "CreateStack", 1), KILLED),
    (Point(JOINED, "findings", "dynamodb", "TransactWriteItems", 1), KILLED),
    # Half of the interfaces are isolated.
    (Point(CONTAIN, "containment", "ec2", "ModifyNetworkInterfaceAttribute", 3), KILLED),
    # Restored again after a release, in part.
    (Point(OVERTAKEN, "release", "ec2", "ModifyNetworkInterfaceAttribute", 5), KILLED),
]
"""With the rest, one at least on each path."""
MORE = [
    # The workflow does not reach the function.
    (Point(LAUNCH, WORKFLOW, "lambda", "Invoke", 4), SERVER_ERROR),
    (Point(REPAIRED, "sweeper", "ec2", "CreateTrafficMirrorSession", 1), KILLED),
    (Point(EXPIRE, "capture", "ec2", "DeleteTrafficMirrorSession", 1), LOST_AFTER),
    # Decided, and the workflow that waits does or does not get the decision.
    (Point(APPROVED, "api", "states", "SendTaskSuccess", 1), LOST_AFTER),
    (Point(JOIN, "capture", "ec2", "CreateTags", 1), KILLED),
    (Point(PROTECTED, "api", "states", "SendTaskSuccess", 1), KILLED),
    # Decided, and not published.
    (Point(BY_DEFAULT, "incident", "dynamodb", "UpdateItem", 4), KILLED),
    (Point(OVERWRITTEN, "release", "dynamodb", "UpdateItem", 2), KILLED),
    # Given back in part what was changed in part.
    (Point(DENIED, "release", "ec2", "ModifyNetworkInterfaceAttribute", 2), KILLED),
    (Point(FAIL, "incident", "dynamodb", "TransactWriteItems", 1), KILLED),
    (Point(OVERRIDDEN, "api", "states", "SendTaskSuccess", 1), LOST_BEFORE),
    (Point(WITH_ALERT, "api", "states", "StartExecution", 2), LOST_AFTER),
    (Point(KEPT, "release", "dynamodb", "TransactWriteItems", 4), KILLED),
    (Point(SHARED, "containment", "dynamodb", "UpdateItem", 7), KILLED),
    (Point(REJECTED, "incident", "sns", "Publish", 3), KILLED),
    # In service again, and not noted so.
    (Point(CONTAIN, "release", "autoscaling", "ExitStandby", 1), KILLED),
    # The function learns of no effect, however often its client tries.
    (Point(LAUNCH, "capture", "ec2", "CreateTrafficMirrorSession", 1), LOST_FOR_LONG),
    (Point(LAUNCH, "appliance", "cloudformation", "DeleteStack", 1), KILLED),
    (Point(LAUNCH, "appliance", "ec2", "CreateSnapshots", 1), LOST_FOR_LONG),
    (Point(JOINED, "findings", "sns", "Publish", 1), KILLED),
    # The alert is kept, and its sender gets no answer: it sends the same again.
    (Point(BY_WEBHOOK, "alerts", "sqs", "SendMessage", 2), KILLED),
    # The snapshots are taken, and not recorded.
    (Point(CONTAIN, "containment", "ec2", "CreateSnapshots", 1), LOST_AFTER),
    (Point(CONTAIN, "release", "ec2", "ModifyNetworkInterfaceAttribute", 1), LOST_FOR_LONG),
]


@pytest.fixture(scope="module")
def runner(deployed: dict[str, DeployedResponse]) -> Iterator[Runner]:
    made = Runner(deployed[SITE])
    yield made
    made.close()


@pytest.mark.parametrize(
    ("point", "kind"), [*FAULTS, *(pytest.param(*more, marks=pytest.mark.long) for more in MORE)], ids=str
)
def test_when_a_call_fails_then_the_incident_ends_as_without_it_or_says_how_to_undo_it(
    runner: Runner, point: Point, kind: Way
) -> None:
    ending = runner.meet(point, kind)
    # Where a retry comes late, it is the sweeper that retires the appliance.
    assert ending.end in ((RIGHT,) if PATHS[point.path].contains else (RIGHT, FAILED, SWEPT)), str(ending)


@pytest.mark.long
@pytest.mark.parametrize("reads", [False, True])
def test_when_any_action_is_struck_once_then_the_incident_ends_as_without_it(runner: Runner, reads: bool) -> None:
    points = runner.points(PATHS[LAUNCH])
    endings = [runner.meet(point, kind) for point, kind in sample(points, reads=reads)]
    assert [str(ending) for ending in endings if ending.end != RIGHT] == []
    assert {point.role for point in points} == {"api", "prepare", "appliance", "capture", "incident", WORKFLOW}


def test_when_there_is_a_path_then_a_fault_on_it_is_tried() -> None:
    assert {point.path for point, _kind in (*FAULTS, *MORE)} == set(PATHS)


def test_fails_when_a_named_call_is_never_made(runner: Runner) -> None:
    """Otherwise a point that no longer exists would pass for ever."""
    assert runner.meet(Point(FAIL, "prepare", "ec2", "DescribeImages", 1), SERVER_ERROR).end == MISSED


def test_when_the_page_says_how_faults_are_tried_then_these_are_the_words_of_the_program() -> None:
    """A change of the words needs no sweep, which takes hours."""
    assert faults.HOW in faults.REPORT.read_text(encoding="utf-8")
