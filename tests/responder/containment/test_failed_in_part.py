"""A containment that failed in part: it goes on as decided, and a release always restores what it left changed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from tapstack.domain.callers import iam_caller
from tapstack.domain.incidents import as_text, as_time, utc_now
from tapstack.domain.policy import Rule
from tapstack.domain.policy_rules import Action
from tapstack.responder.containment import isolation, restoration, steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment.other_requests import other_requests
from tapstack.responder.errors import Conflict, ContainmentRefused
from tapstack.responder.incident import commands
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import containments, incidents, retention, table
from tapstack.responder.store.keys import containment_key
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, behind_the_target, contained
from tests.responder.test_api import ask
from tests.responder.test_findings import decided, decides
from tests.responder.test_joining import found
from tests.sampling import sampled

TAG = [{"Key": "tapstack-protected", "Value": "of the attacker"}]


def failed_in_part(shop: Shop) -> str:
    """A containment that two persons decided failed between the two steps: the instance is open to all traffic."""
    shop.set(two_step={"enabled": True, "seconds": 60})
    incident = opened(shop.database, containment="approval")
    containment_requests.decide(incident, "approved", by=OTHER)
    assert isolation.contain(incident)["status"] == "wait"
    steps.fail(incident, "ContainmentFailed", json.dumps({"errorMessage": "eni-1 is NOT isolated: refused"}))
    assert shop.state(incident) == "failed"
    return incident


def failed_release(shop: Shop) -> str:
    """A release failed after it had begun: the instance is still in quarantine."""
    incident = contained(shop.database)
    containment_requests.release(incident, by=CALLER.name)
    held = containments.get(shop.database)
    assert held is not None
    containments.begin_release(held)
    steps.fail(incident, "ReleaseFailed", json.dumps({"errorMessage": "no"}))
    assert shop.state(incident) == "failed"
    assert shop.is_isolated(shop.database)
    return incident


def began_release(shop: Shop) -> datetime:
    """A release for all incidents began, and restored nothing: since when."""
    there = containments.get(shop.database)
    assert there is not None
    began = containments.begin_release(there).release_began_at
    assert began is not None
    return as_time(began)


def is_open_to_all(shop: Shop) -> bool:
    return set(map(tuple, shop.groups(shop.database).values())) == {(shop.untrack,)}


def finish(shop: Shop, incident: str) -> None:
    """Make the second step, as the workflow does; the time between the two is over."""
    table.change(containment_key(shop.database), "SET untracked_at = :past", values={"past": 1}, names={})
    assert steps.decide(incident) == {"status": "contain"}
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)


class TestGoesOn:
    @pytest.mark.parametrize("action", ["contain_on_approval", "contain_now"])
    def test_when_another_finding_joins_then_it_goes_on_as_decided(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, action: Action
    ) -> None:
        incident = failed_in_part(shop)
        decides(monkeypatch, Rule("worst", action))
        before = item(incident)["containment"]
        assert decided(found(shop.database, 1, 9.0, seen=utc_now()))["incident_id"] == incident
        after = item(incident)["containment"]
        assert (after["state"], after["failure"]) == ("containing", None)
        kept = ("mode", "decision", "decided_by", "asked_by", "asked_at", "changed")
        assert [after[name] for name in kept] == [before[name] for name in kept]
        said = [entry for entry in incidents.timeline(incident) if entry["what"] == "containment requested"]
        assert said[-1]["detail"] == "again, as decided before it failed in part"
        finish(shop, incident)

    @pytest.mark.parametrize("mode", ["contain", "contain-now"])
    def test_when_an_alert_of_the_api_joins_then_it_goes_on_as_decided(self, shop: Shop, mode: str) -> None:
        incident = failed_in_part(shop)
        body = {"instance_id": shop.database, "reason": "beacons", "alert_id": "siem-1"}
        assert ask("POST", f"/incidents/{mode}", body)[1]["joined"] is True
        assert shop.state(incident) == "containing"
        finish(shop, incident)

    def test_when_it_got_a_protecting_tag_meanwhile_then_it_goes_on_all_the_same(self, shop: Shop) -> None:
        incident = failed_in_part(shop)
        shop.ec2.create_tags(Resources=[shop.database], Tags=TAG)
        assert containment_requests.plan_to_contain(incidents.get(incident))["refused"] is None
        containment_requests.contain(incident, "approval", by=CALLER)
        finish(shop, incident)

    def test_when_a_release_for_all_of_another_did_not_end_then_a_person_contains_it_again(self, shop: Shop) -> None:
        incident = failed_in_part(shop)
        began_release(shop)
        change(incident, "SET containment.decided_at = :past", past="2026-01-01T00:00:00Z")
        containment_requests.contain(incident, "now", by=CALLER)
        assert isolation.contain(incident)["status"] == "wait"
        finish(shop, incident)

    @pytest.mark.parametrize("again", [False, True])
    def test_when_a_release_for_all_of_another_did_not_end_then_newer_activity_contains_it_again(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch, again: bool
    ) -> None:
        incident = failed_in_part(shop)
        began = began_release(shop)
        change(incident, "SET containment.decided_at = :past", past="2026-01-01T00:00:00Z")
        if again:
            change(incident, "SET containment.asked_again_at = :past", past="2026-01-02T00:00:00Z")
        decides(monkeypatch, Rule("worst", "contain_now"))
        seen = began + timedelta(seconds=1)
        assert decided(found(shop.database, 1, 9.0, seen=seen))["incident_id"] == incident
        assert item(incident)["containment"]["as_of"] == as_text(seen)
        assert isolation.contain(incident)["status"] == "wait"
        finish(shop, incident)

    def test_when_activity_is_older_than_the_decision_then_the_decision_holds(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident = failed_in_part(shop)
        began_release(shop)
        later = as_text(utc_now() + timedelta(minutes=1))
        change(incident, "SET containment.decided_at = :later", later=later)
        decides(monkeypatch, Rule("worst", "contain_now"))
        decided(found(shop.database, 1, 9.0, seen=utc_now() + timedelta(seconds=30)))
        assert item(incident)["containment"]["as_of"] is None
        assert isolation.contain(incident)["status"] == "wait"
        finish(shop, incident)

    def test_fails_when_its_protection_is_to_be_overridden_because_nothing_protects_it(self, shop: Shop) -> None:
        incident = failed_in_part(shop)
        shop.ec2.create_tags(Resources=[shop.database], Tags=TAG)
        with pytest.raises(Conflict, match=f"tapstack incident contain {incident} --mode approval"):
            containment_requests.contain_protected(incident, "not ours", by=CALLER)
        assert shop.state(incident) == "failed"

    def test_when_its_incident_is_closed_then_it_goes_on_and_is_proposed(self, shop: Shop) -> None:
        incident = failed_in_part(shop)
        commands.close(incident, by="ann")
        incident_steps.close(incident)
        assert item(incident)["state"] == "closed"
        assert "ttl" not in item(incident)
        shown = incidents.shown(incidents.get(incident))
        assert (shown["containment_modes"], shown["containment_failed_in_part"]) == (["approval", "now"], True)
        assert containment_requests.contain(incident, "approval", by=CALLER).containment_state == "containing"
        finish(shop, incident)

    def test_when_what_was_never_decided_fails_then_it_needs_a_decision(self, shop: Shop) -> None:
        incident = failed_release(shop)
        containment_requests.contain(incident, "approval", by=CALLER)
        steps.fail(incident, "SomethingElse", json.dumps({"errorMessage": "while it waited"}))
        assert incidents.shown(incidents.get(incident))["containment_failed_in_part"] is False
        assert containment_requests.contain(incident, "approval", by=CALLER).containment_state == "pending"


class TestLeftChanged:
    """It was decided anew after a failed release, or an earlier version had let it be asked anew."""

    @pytest.fixture(params=["failed release", "earlier version"])
    def pending(self, shop: Shop, request: pytest.FixtureRequest) -> str:
        if request.param == "failed release":
            incident = failed_release(shop)
            containment_requests.contain(incident, "approval", by=CALLER)
        else:
            incident = failed_in_part(shop)
            later = as_text(utc_now() + timedelta(hours=1))
            update = "SET containment.#state = :pending, containment.deadline = :later, containment.decision = :none"
            change(incident, update, pending="pending", later=later, none=None)
        assert shop.state(incident) == "pending"
        assert item(incident)["containment"]["changed"]
        return incident

    def reject(self, incident: str, how: str) -> None:
        if how == "reject":
            containment_requests.decide(incident, "rejected", by=OTHER)
        elif how == "close":
            commands.close(incident, by="ann")
        else:
            containment_requests.by_default(incidents.get(incident))

    @sampled("how", ["reject", "close", "no answer"], every=3)
    def test_when_it_is_not_approved_then_the_notification_says_what_stays_changed_and_it_is_released(
        self, shop: Shop, pending: str, how: str
    ) -> None:
        self.reject(pending, how)
        assert shop.state(pending) == "rejected"
        steps.decide(pending)
        mail = shop.site.messages()[-1]
        assert mail["Subject"].endswith("rejected, NOT RESTORED")
        assert "Nothing was changed" not in mail["Message"]
        lines = mail["Message"].splitlines()
        assert {f"  {line}" for line in item(pending)["containment"]["changed"]} <= set(lines)
        assert (
            f"  tapstack incident release {pending}  # RECONNECTS it as before, unless another incident contains it"
            in lines
        )
        containment_requests.release(pending, by=CALLER.name)
        assert restoration.release(pending) == {"status": "released"}
        assert shop.state(pending) == "released"
        quarantines = {shop.quarantine, shop.untrack}
        assert not quarantines & {group for groups in shop.groups(shop.database).values() for group in groups}

    def test_when_it_is_closed_then_the_incident_is_kept_and_the_notification_says_so(
        self, shop: Shop, pending: str
    ) -> None:
        commands.close(pending, by="ann")
        incident_steps.close(pending)
        assert item(pending)["state"] == "closed"
        assert "ttl" not in item(pending)
        assert "containment NOT RELEASED" in shop.site.messages()[-1]["Subject"]
        assert retention.still_contained(incidents.get(pending))[-1].strip().startswith("tapstack incident release")

    def test_when_it_is_released_while_it_is_pending_then_that_ends_the_request(self, shop: Shop, pending: str) -> None:
        before = item(pending)["contain_runs"]
        containment_requests.release(pending, by=CALLER.name)
        assert shop.state(pending) == "releasing"
        assert steps.decide(pending) == {"status": "leave"}
        assert restoration.release(pending) == {"status": "released"}
        assert shop.state(pending) == "released"
        assert item(pending)["contain_runs"] == before

    def test_when_it_is_approved_then_a_tag_that_it_got_since_does_not_protect_it(
        self, shop: Shop, pending: str
    ) -> None:
        if not is_open_to_all(shop):
            return  # its release had begun, which ended its containment
        shop.ec2.create_tags(Resources=[shop.database], Tags=TAG)
        third = iam_caller("arn:aws:iam::123456789012:user/cat", "AIDACAT")
        assert containment_requests.decide(pending, "approved", by=third).containment_state == "containing"
        finish(shop, pending)


def test_when_a_load_balancer_makes_it_a_mirror_target_between_the_steps_then_it_is_isolated_all_the_same(
    shop: Shop,
) -> None:
    incident = failed_in_part(shop)
    behind_the_target(shop, shop.company.shop.id, shop.database)
    containment_requests.contain(incident, "now", by=CALLER)
    table.change(containment_key(shop.database), "SET untracked_at = :past", values={"past": 1}, names={})
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)
    # One that is not being contained is refused.
    shop.set(two_step={"enabled": False})
    behind_the_target(shop, shop.company.shop.id, shop.company.instances["legacy"], listener=514)
    with pytest.raises(ContainmentRefused, match="if it is no appliance of yours, deregister it"):
        contained(shop.company.instances["legacy"])


def test_when_it_is_rejected_while_that_of_another_failed_in_part_then_no_notification_says_contained(
    shop: Shop,
) -> None:
    first = failed_in_part(shop)
    second = opened(shop.database, containment="approval")
    containment_requests.decide(second, "rejected", by=CALLER)
    assert steps.decide(second) == {"status": "leave"}
    message = shop.site.messages()[-1]
    assert message["Subject"].endswith(": rejected; another NOT COMPLETED")
    said = f"its containment for {first} is not completed, and it may be connected, or open to all traffic"
    assert f"Nothing was changed: {said}." in message["Message"]
    assert f"  tapstack incident show {first}" in message["Message"].splitlines()
    assert restoration.plan(second).refused == f"{said}: all of them release it with --all"
    [other] = other_requests(incidents.get(second))
    assert str(other) == f"{said}, until that is released, or all are (--all)"
