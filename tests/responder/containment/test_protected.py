"""Tags protect an instance, and any caller that may write tags can write these: two persons override them."""

from __future__ import annotations

import time

import pytest

from tapstack.domain.callers import iam_caller
from tapstack.responder.containment import attachments, isolation, steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import Conflict, ContainmentRefused, OtherPersonNeeded
from tapstack.responder.incident import commands
from tapstack.responder.store import incidents, requests
from tests.responder.callers import CALLER, OTHER
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, contained, release

FORGED = "it gave that tag to itself"
TAG = "tag tapstack-protected='by an attacker'"


def tag(shop: Shop, instance: str) -> None:
    tags = [{"Key": "tapstack-protected", "Value": "by an attacker"}]
    shop.ec2.create_tags(Resources=[instance], Tags=tags)


def asked_for(shop: Shop) -> str:
    """Open an incident of a protected instance, and ask to contain it all the same."""
    tag(shop, shop.database)
    incident = opened(shop.database)
    containment_requests.contain_protected(incident, FORGED, by=CALLER)
    return incident


def said(incident: str) -> list[str]:
    return [f"{entry['what']}: {entry['detail']}" for entry in incidents.timeline(incident)]


def test_when_two_persons_override_it_then_it_is_contained_and_everything_says_who_and_which_tag(shop: Shop) -> None:
    incident = asked_for(shop)
    found = item(incident)["containment"]
    assert (found["state"], found["mode"], found["override_reason"]) == ("pending", "approval", FORGED)
    assert found["overridden_tags"] == ["tapstack-protected='by an attacker'"]
    [line] = [line for line in said(incident) if line.startswith("containment requested")]
    assert line.endswith(f"; leave without an answer; OVERRIDES its protection by {TAG}: {FORGED!r}")
    steps.decide(incident)
    mail = shop.site.messages()[-1]
    assert mail["Subject"].endswith("containment pending, of PROTECTED")
    asked = f"requested by {CALLER.name}: {FORGED!r}"
    assert f"Override: PROTECTED by its {TAG}. An override was {asked}" in mail["Message"].splitlines()
    assert (
        f"A person other than {CALLER.name} must approve it. {CALLER.name} cannot approve it, not even with the "
        "right to override."
    ) in mail["Message"]
    assert "tapstack incident override" not in mail["Message"]

    plan = containment_requests.plan_to_approve(incidents.get(incident), by=OTHER)
    assert (plan["refused"], plan["overridden"]) == (None, ["tapstack-protected='by an attacker'"])
    containment_requests.decide(incident, "approved", by=OTHER)
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)
    assert f"protection overridden: its {TAG}, as {CALLER.name} requested: {FORGED!r}" in said(incident)
    steps.notify(incident)
    agreed = f"Override: PROTECTION OVERRIDDEN: its {TAG}, approved by {OTHER.name}, {asked}"
    assert agreed in shop.site.messages()[-1]["Message"].splitlines()
    # The notifications that follow say so too.
    assert release(incident) == "released"
    steps.notify(incident, "released")
    assert shop.site.messages()[-1]["Subject"].endswith("released")
    assert agreed in shop.site.messages()[-1]["Message"].splitlines()
    # It was for this time: what is requested afterwards is refused again.
    with pytest.raises(ContainmentRefused, match="is protected by its tag"):
        containment_requests.contain(incident, "now", by=OTHER)


@pytest.mark.parametrize("how", ["approved", "overridden", "now"])
def test_fails_when_whoever_asked_approves_it_whatever_other_rights_they_have(shop: Shop, how: str) -> None:
    incident = asked_for(shop)

    def approve() -> object:
        if how == "now":
            return containment_requests.contain(incident, "now", by=CALLER)
        return containment_requests.decide(incident, how, by=CALLER, reason="alone")  # type: ignore[arg-type]

    with pytest.raises(OtherPersonNeeded) as caught:
        approve()
    assert str(caught.value) == (
        f"{CALLER.name} requested to override what protects {shop.database}. A person other than {CALLER.name} must "
        f"approve it, and {CALLER.name} cannot, not even with the right to override (approval.other_person). "
        f"Where there is no other person, an administrator may delete its {TAG}; then run contain again without "
        "--override-protection"
    )
    assert shop.state(incident) == "pending"
    if how == "overridden":
        plan = containment_requests.plan_to_override(incidents.get(incident), by=CALLER)
        assert (plan["refused"], plan["changes"]) == (str(caught.value), [])
        assert containment_requests.plan_to_override(incidents.get(incident), by=OTHER)["changes"]


def test_fails_when_another_session_of_the_role_approves_it(shop: Shop) -> None:
    role = "arn:aws:sts::123456789012:assumed-role/responders"
    tag(shop, shop.database)
    incident = opened(shop.database)
    containment_requests.contain_protected(incident, FORGED, by=iam_caller(f"{role}/ann", "AROAONE:ann"))
    with pytest.raises(OtherPersonNeeded, match="All sessions of the role responders count as one person"):
        containment_requests.decide(incident, "overridden", by=iam_caller(f"{role}/ben", "AROAONE:ben"), reason="x")
    assert containment_requests.contain(incident, "now", by=OTHER).containment_state == "containing"


def test_fails_when_it_is_requested_anew_to_override_at_the_moment_of_an_override(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was approved alone was not what is pending now."""
    incident = opened(shop.database)
    containment_requests.contain(incident, "approval", by=CALLER)
    real, meanwhile = requests.answer, list[str]()

    def requested_anew(*args: object) -> object:
        if not meanwhile:
            meanwhile.append(incident)
            containment_requests.decide(incident, "rejected", by=OTHER)
            tag(shop, shop.database)
            change(incident, "SET containment.asked_at = :past", past="2026-01-01T00:00:00Z")
            containment_requests.contain_protected(incident, FORGED, by=CALLER)
            change(incident, "SET containment.asked_at = :later", later="2026-01-02T00:00:00Z")
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(requests, "answer", requested_anew)
    with pytest.raises(OtherPersonNeeded, match="must approve it, and"):
        containment_requests.decide(incident, "overridden", by=CALLER, reason="alone")
    assert shop.state(incident) == "pending"


def test_when_no_other_person_is_needed_then_whoever_asked_approves_it_and_every_notice_says_so(shop: Shop) -> None:
    shop.set(approval={"other_person": False})
    incident = asked_for(shop)
    steps.decide(incident)
    assert "approval.other_person is off" in shop.site.messages()[-1]["Message"]
    containment_requests.decide(incident, "approved", by=CALLER)
    assert isolation.contain(incident) == {"status": "contained"}
    steps.notify(incident)
    said = f"approved by {CALLER.name} (approval.other_person is off), requested by {CALLER.name}: {FORGED!r}"
    assert f"Override: PROTECTION OVERRIDDEN: its {TAG}, {said}" in shop.site.messages()[-1]["Message"].splitlines()


def test_when_nobody_answers_then_it_is_left_whatever_the_default_is(shop: Shop) -> None:
    shop.set(approval={"default": "contain"})
    incident = asked_for(shop)
    assert item(incident)["containment"]["default"] == "leave"
    containment_requests.by_default(incidents.get(incident))
    assert shop.state(incident) == "rejected"
    assert not shop.is_isolated(shop.database)


def test_fails_when_the_deployment_file_protects_it_by_its_id(shop: Shop) -> None:
    shop.set(protect={"instance_ids": [shop.database], "tags": {"tapstack-protected": "*"}})
    tag(shop, shop.database)
    incident = opened(shop.database)
    with pytest.raises(ContainmentRefused, match=r"the deployment's settings \(protect.instance_ids\)"):
        containment_requests.contain_protected(incident, FORGED, by=CALLER)
    assert "protect.instance_ids" in containment_requests.plan_to_contain_protected(incidents.get(incident))["refused"]
    assert item(incident).get("containment") is None


def test_fails_when_there_is_nothing_to_override_or_something_is_under_way(shop: Shop) -> None:
    incident = opened(shop.database)
    with pytest.raises(Conflict, match=f"no tag protects {shop.database}: tapstack incident contain {incident} --mode"):
        containment_requests.contain_protected(incident, FORGED, by=CALLER)
    containment_requests.contain(incident, "approval", by=CALLER)
    tag(shop, shop.database)
    with pytest.raises(Conflict, match=f"is pending already: reject it first .tapstack incident reject {incident}"):
        containment_requests.contain_protected(incident, FORGED, by=CALLER)
    containment_requests.decide(incident, "rejected", by=CALLER)
    # Asked for twice, it is one request.
    runs = [containment_requests.contain_protected(incident, FORGED, by=CALLER).contain_runs for _ in range(2)]
    assert runs[0] == runs[1]
    commands.close(incident, by=CALLER.name)
    with pytest.raises(Conflict):
        containment_requests.contain_protected(incident, FORGED, by=CALLER)
    shop.set(modes=["now"])
    with pytest.raises(Conflict, match="mode approval is not allowed"):
        containment_requests.contain_protected(opened(shop.database), FORGED, by=CALLER)


def test_when_it_got_the_tag_after_it_was_contained_then_what_is_attached_is_isolated_all_the_same(shop: Shop) -> None:
    incident = contained(shop.database)
    tag(shop, shop.database)
    added = shop.ec2.create_network_interface(
        SubnetId=shop.company.shop.private[0], Groups=[shop.company.security_groups["web"]]
    )["NetworkInterface"]["NetworkInterfaceId"]
    shop.ec2.attach_network_interface(NetworkInterfaceId=added, InstanceId=shop.database, DeviceIndex=2)
    lines, problems = attachments.isolate()
    assert lines
    assert not problems
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)
    assert f"protection overridden: its {TAG}, which it got after its containment began, does not protect it" in said(
        incident
    )
    # Another incident overrides nothing by that.
    second = opened(shop.database)
    with pytest.raises(ContainmentRefused, match="is protected by its tag"):
        containment_requests.contain(second, "now", by=CALLER)
    assert release(incident) == "released"


def test_when_it_gives_itself_the_tag_between_two_steps_then_it_is_isolated_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.set(two_step={"enabled": True, "seconds": 60})
    incident = opened(shop.database)
    containment_requests.contain(incident, "now", by=CALLER)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)
    assert isolation.contain(incident)["status"] == "wait"
    tag(shop, shop.database)
    # Another incident overrides nothing by that.
    with pytest.raises(ContainmentRefused, match="is protected by its tag"):
        containment_requests.contain(opened(shop.database), "now", by=CALLER)
    now += 60
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)
    assert f"protection overridden: its {TAG}, which it got after its containment began, does not protect it" in said(
        incident
    )


def test_when_it_gives_itself_the_tag_before_its_containment_begins_then_it_is_left(shop: Shop) -> None:
    incident = opened(shop.database)
    containment_requests.contain(incident, "now", by=CALLER)
    tag(shop, shop.database)
    with pytest.raises(ContainmentRefused, match="is protected by its tag"):
        isolation.contain(incident)
    assert not shop.is_isolated(shop.database)
