"""A step that is repeated counts, records and notifies of what happened once."""

from __future__ import annotations

import json

import pytest

from strictmoto.faults import Fault
from tapstack.domain.own_names import CONTAINMENTS_FAILED, RELEASES_BLOCKED
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers.incident import handler
from tapstack.responder.store import incidents
from tests.responder.containment.conftest import Shop, asked, contained, release

Printed = pytest.CaptureFixture[str]
FAILED_CALLS = ("Publish", "PutEvents")


def times(printed: Printed, metric: str) -> int:
    """How often a metric was counted since the last time."""
    found = [json.loads(line) for line in printed.readouterr().out.splitlines() if '"_aws"' in line]
    return sum(int(sum(one.get(metric, []))) for one in found)


def mails(shop: Shop, what: str) -> int:
    return sum(message["Subject"].endswith(f": {what}") for message in shop.site.messages())


def failing(incident: str) -> dict[str, str]:
    return {"action": "fail_containment", "incident_id": incident, "error": "ContainmentRefused", "cause": "no"}


@pytest.mark.parametrize("call", FAILED_CALLS)
def test_when_a_failure_is_recorded_again_then_it_counts_once(shop: Shop, capsys: Printed, call: str) -> None:
    incident = asked(shop.database)
    # Longer than the client tries again.
    shop.site.account.faults.add(Fault(call, "throttled", times=10))
    with pytest.raises(TryAgain):
        handler(failing(incident), None)
    shop.site.account.faults.clear()
    for _ in range(2):
        handler(failing(incident), None)
    assert times(capsys, CONTAINMENTS_FAILED) == 1
    timeline = [entry["what"] for entry in incidents.timeline(incident)]
    assert timeline.count("containment failed") == 1
    assert "after containment" not in timeline
    # A later one counts again.
    handler(failing(asked(shop.company.instances["legacy"])), None)
    assert times(capsys, CONTAINMENTS_FAILED) == 1


def test_when_a_later_step_fails_again_then_it_counts_once(shop: Shop, capsys: Printed) -> None:
    incident = contained(shop.database)
    for _ in range(2):
        containment_steps.fail(incident, "TryAgain", "throttled")
    assert times(capsys, CONTAINMENTS_FAILED) == 1
    assert [entry["what"] for entry in incidents.timeline(incident)].count("after containment") == 1
    assert mails(shop, "containment FAILED") == 1


@pytest.mark.parametrize("call", FAILED_CALLS)
def test_when_a_blocked_release_is_notified_of_again_then_it_counts_once(
    shop: Shop, capsys: Printed, call: str
) -> None:
    incident = contained(shop.database)
    [interface, *_] = shop.groups(shop.database)
    shop.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[shop.untrack])
    assert release(incident) == "blocked"
    notifying = {"action": "notify_containment", "incident_id": incident, "outcome": "blocked"}
    shop.site.account.faults.add(Fault(call, "throttled", times=10))
    with pytest.raises(TryAgain):
        handler(notifying, None)
    shop.site.account.faults.clear()
    for _ in range(2):
        handler(notifying, None)
    assert times(capsys, RELEASES_BLOCKED) == 1
