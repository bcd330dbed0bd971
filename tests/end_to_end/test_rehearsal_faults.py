"""Faults of AWS's calls, one an incident: it ends right all the same. `make faults` tries them all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.deployed import SITE, DeployedResponse
from tests.end_to_end.faulting import (
    FAILED,
    KILLED,
    LOST_AFTER,
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

LAUNCH, _join, JOINED, REPAIRED, _expire, FAIL, CONTAIN, *_rest = PATHS
BY_DEFAULT = "contain without an answer, release"
OVERTAKEN = "contain, be overtaken by a release for all, restore again"


@pytest.fixture(scope="module")
def runner(deployed: dict[str, DeployedResponse]) -> Iterator[Runner]:
    made = Runner(deployed[SITE])
    yield made
    made.close()


@pytest.mark.parametrize("reads", [False, pytest.param(True, marks=pytest.mark.long)])
def test_when_any_action_is_struck_once_then_the_incident_ends_as_without_it(runner: Runner, reads: bool) -> None:
    points = runner.points(PATHS[LAUNCH])
    endings = [runner.meet(point, kind) for point, kind in sample(points, reads=reads)]
    assert [str(ending) for ending in endings if ending.end != RIGHT] == []
    assert {point.role for point in points} == {"api", "prepare", "appliance", "capture", "incident", WORKFLOW}


@pytest.mark.parametrize(
    ("path", "role", "service", "action"),
    [
        (LAUNCH, "appliance", "cloudformation", "CreateStack"),
        (LAUNCH, "appliance", "cloudformation", "DeleteStack"),
        (LAUNCH, "appliance", "ec2", "CreateSnapshots"),
        (LAUNCH, "capture", "ec2", "CreateTrafficMirrorSession"),
        (JOINED, "api", "dynamodb", "TransactWriteItems"),
        (JOINED, "findings", "dynamodb", "TransactWriteItems"),
        (JOINED, "findings", "sns", "Publish"),
        (REPAIRED, "sweeper", "ec2", "CreateTrafficMirrorSession"),
        (REPAIRED, "sweeper", "monitoring", "GetMetricData"),
        (FAIL, "incident", "dynamodb", "TransactWriteItems"),
    ],
)
def test_when_the_function_is_killed_after_a_call_then_another_try_ends_right(
    runner: Runner, path: str, role: str, service: str, action: str
) -> None:
    ending = runner.meet(Point(path, role, service, action, 1), KILLED)
    # Where the retry comes late, it is the sweeper that retires the appliance.
    assert ending.end in (RIGHT, SWEPT), str(ending)


@pytest.mark.parametrize(
    ("point", "kind"),
    [
        # The function learns of no effect, however often its client tries.
        (Point(LAUNCH, "capture", "ec2", "CreateTrafficMirrorSession", 1), LOST_FOR_LONG),
        (Point(LAUNCH, "appliance", "cloudformation", "CreateStack", 1), LOST_FOR_LONG),
        (Point(LAUNCH, "appliance", "ec2", "CreateSnapshots", 1), LOST_FOR_LONG),
        (Point(LAUNCH, "appliance", "dynamodb", "UpdateItem", 1), LOST_FOR_LONG),
        # The workflow does not reach the function.
        (Point(LAUNCH, WORKFLOW, "lambda", "Invoke", 4), SERVER_ERROR),
    ],
    ids=str,
)
def test_when_it_lasts_then_the_workflow_tries_again_or_the_incident_says_how_to_undo_it(
    runner: Runner, point: Point, kind: Way
) -> None:
    ending = runner.meet(point, kind)
    assert ending.end in (RIGHT, FAILED, SWEPT), str(ending)


@pytest.mark.parametrize(
    ("point", "kind"),
    [
        # Half of the interfaces are isolated.
        (Point(CONTAIN, "containment", "ec2", "ModifyNetworkInterfaceAttribute", 3), KILLED),
        # The snapshots are taken, and not recorded.
        (Point(CONTAIN, "containment", "ec2", "CreateSnapshots", 1), LOST_AFTER),
        # In service again, and not noted so.
        (Point(CONTAIN, "release", "autoscaling", "ExitStandby", 1), KILLED),
        (Point(CONTAIN, "release", "ec2", "ModifyNetworkInterfaceAttribute", 1), LOST_FOR_LONG),
        # Put back after a release, in part.
        (Point(OVERTAKEN, "release", "ec2", "ModifyNetworkInterfaceAttribute", 5), KILLED),
        # Decided, and not published.
        (Point(BY_DEFAULT, "incident", "dynamodb", "UpdateItem", 4), KILLED),
    ],
    ids=str,
)
def test_when_a_containment_or_its_release_is_struck_then_both_end_as_without_it(
    runner: Runner, point: Point, kind: Way
) -> None:
    ending = runner.meet(point, kind)
    assert ending.end == RIGHT, str(ending)


def test_fails_when_a_named_call_is_never_made(runner: Runner) -> None:
    """Otherwise a point that no longer exists would pass for ever."""
    assert runner.meet(Point(FAIL, "prepare", "ec2", "DescribeImages", 1), SERVER_ERROR).end == MISSED
