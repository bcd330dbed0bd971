"""What happens seldom, on the deployed workflow with IAM enforced; tests/responder tries each of it in process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.testing.least_privilege import policies_of, prove
from tapstack.domain.incidents import as_text, utc_now
from tests.end_to_end.deployed import SITE, STANDING_SITE, DeployedResponse, Incident, wait_for
from tests.end_to_end.rare_containments import (
    a_containment_waits_for_packets_of_the_launched_appliance,
    a_flood_of_findings_leaves_responders_their_own,
    an_interface_is_in_a_foreign_vpc,
    pods_have_security_groups_of_their_own,
    the_mirror_target_admits_an_instance_by_its_group,
)
from tests.end_to_end.scenarios import Scenarios, find, findings_received, heard_by, mails, opened

pytestmark = pytest.mark.long


def activity_goes_on_after_the_incident_closed(its: Scenarios) -> None:
    """Until it is newer than the closing it opens nothing."""
    response, instance = its.response, its.response.company.instances["web-1"]
    before = as_text(utc_now() - timedelta(minutes=5))
    with heard_by(response):
        find(response, instance, "goes-on", last_seen=before)
        wait_for(lambda: len(opened(response)) == 1, lambda: f"opened: {opened(response)}")
        [first] = opened(response)
        response.until(first, "capturing")
        response.until_waiting(first)
        response.end(first)
        received = len(findings_received(response))
        find(response, instance, "goes-on", last_seen=as_text(utc_now() - timedelta(minutes=2)))
        wait_for(lambda: len(findings_received(response)) > received, lambda: "the update is not received")
        response.until_handled()
        assert opened(response) == []
        find(response, instance, "goes-on", last_seen=as_text(utc_now() + timedelta(seconds=1)))
        wait_for(lambda: len(opened(response)) == 1, lambda: f"opened: {opened(response)}")
        [second] = opened(response)
        response.until(second, "capturing")
    assert second["id"] != first["id"]
    response.end(second)


def a_release_for_all_withdraws_what_is_pending(its: Scenarios) -> None:
    """What was found before the release contains nothing after it."""
    response, instance = its.response, its.response.company.instances["database"]
    before = response.groups_of("database")
    pending, contained = response.open("database"), response.open("database")
    response.contain(pending, "approval")
    response.until_asked(pending)
    response.contain(contained)
    response.until_settled(contained, "contained")
    response.release(contained, all=True)
    response.until_settled(contained, "released")
    response.until_settled(pending, "rejected")
    assert response.groups_of("database") == before
    with heard_by(response):
        received = len(findings_received(response))
        find(response, instance, "old", severity=9.5, last_seen=as_text(utc_now() - timedelta(minutes=30)))
        wait_for(lambda: len(findings_received(response)) > received, lambda: "the finding is not received")
        response.until_handled()
    response.until_settled(pending, "rejected")
    assert response.groups_of("database") == before


def an_instance_stops_and_starts(its: Scenarios) -> None:
    response, instance = its.response, its.response.company.instances["web-1"]
    incident, ec2 = response.captured("web-1"), its.response.account.client("ec2")
    there = vars(ec2_backends[ACCOUNT_ID][REGION].get_instance(instance))
    before = dict(there)
    ec2.stop_instances(InstanceIds=[instance])
    assert response.sweep()["instances"] == 1
    ec2.start_instances(InstanceIds=[instance])
    assert response.sweep()["instances"] == 1
    said = [entry["detail"] for entry in response.show(incident)["timeline"] if entry["what"] == "instance changed"]
    assert ["was stopped" in said[0], "was started" in said[1], len(said)] == [True, True, 2]
    response.end(incident)
    # When it was launched last, and why it stopped: no call undoes that.
    there.update(before)


def a_session_of_others_comes_first(its: Scenarios) -> None:
    """Where it has number 1, AWS sends it the packets that its filter accepts: the incident says so."""
    response, ec2 = its.response, its.response.account.client("ec2")
    [interface] = response.company.interfaces["web-1"]
    first = response.captured("web-1")
    [ours] = response.sessions()
    ec2.modify_traffic_mirror_session(
        TrafficMirrorSessionId=ours["TrafficMirrorSessionId"], SessionNumber=ours["SessionNumber"] + 1
    )
    [other] = response.company.interfaces["legacy"]
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=other)["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    theirs = ec2.create_traffic_mirror_session(
        NetworkInterfaceId=interface,
        TrafficMirrorTargetId=target,
        TrafficMirrorFilterId=ours["TrafficMirrorFilterId"],
        SessionNumber=ours["SessionNumber"],
    )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
    response.sweep()
    [entry] = response.show(first)["interfaces"]
    assert (theirs in entry["note"], entry["session_number"] > ours["SessionNumber"]) == (True, True)
    assert len(mails(response, "PACKETS GO TO ANOTHER MIRROR SESSION")) == 1
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=theirs)
    ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=target)
    response.end(first)


def a_lone_responder_overrides(its: Scenarios) -> None:
    response = its.response
    before = response.groups_of("database")
    incident = response.open("database")
    response.contain(incident, "approval")
    response.until_asked(incident)
    alone = {"reason": "no other responder is awake"}
    response.api.post(f"/incidents/{incident['id']}/override", alone, repeatable=True)
    response.until_settled(incident, "contained")
    assert response.groups_of("database") != before
    assert _says_who_overrode(response, incident)
    response.release(incident)
    response.until_settled(incident, "released")
    assert response.groups_of("database") == before


def _says_who_overrode(response: DeployedResponse, incident: Incident) -> bool:
    return any("overr" in entry["detail"] or "overr" in entry["what"] for entry in response.show(incident)["timeline"])


RARE: Final = (
    activity_goes_on_after_the_incident_closed,
    a_release_for_all_withdraws_what_is_pending,
    an_instance_stops_and_starts,
    a_session_of_others_comes_first,
    a_lone_responder_overrides,
    pods_have_security_groups_of_their_own,
    an_interface_is_in_a_foreign_vpc,
    the_mirror_target_admits_an_instance_by_its_group,
    a_flood_of_findings_leaves_responders_their_own,
    a_containment_waits_for_packets_of_the_launched_appliance,
)


@pytest.mark.parametrize(
    ("site", "scenario"),
    [
        *(pytest.param(SITE, scenario, id=scenario.__name__) for scenario in RARE),
        pytest.param(
            STANDING_SITE,
            the_mirror_target_admits_an_instance_by_its_group,
            id=f"{the_mirror_target_admits_an_instance_by_its_group.__name__}, of a group of others",
        ),
    ],
)
def test_when_it_happens_then_every_call_is_allowed(
    deployed: dict[str, DeployedResponse], site: str, scenario: Callable[[Scenarios], None]
) -> None:
    response = deployed[site]
    its = Scenarios(response)
    its.play(scenario)
    policies = policies_of(response.account, response.roles)
    proof = prove(its.records, policies, its.tags, attributes=its.attributes, state_machine=response.state_machine_arn)
    assert list(map(str, proof.refusals)) == []
    assert proof.judged > 20
