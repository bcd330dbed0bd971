"""Containment as a responder asks for it: over HTTP, through the workflow, with the functions' own zip."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.credentials import Credentials

from strictmoto.account import Account
from strictmoto.cloudwatch.metrics import Measurement
from strictmoto.testing.snapshot import differences, take_snapshot
from tests.api.conftest import Answer, Caller
from tests.response_by_hand import IMAGE, Deployed, deploy

SECONDS = 60
BOTH = {"modes": ["approval", "now"], "per_hour": 1000}
ANN = "arn:aws:iam::123456789012:"
OPENING = {"none": "/incidents", "approval": "/incidents/contain", "now": "/incidents/contain-now"}


@dataclass
class Responder:
    """What a responder does, and what comes of it."""

    deployed: Deployed
    call: Caller

    @property
    def ec2(self) -> Any:
        return self.deployed.ec2

    @property
    def quarantine(self) -> str:
        settings = json.loads(self.deployed.variables["TAPSTACK_SETTINGS"])
        return str(settings["containment"]["groups"][self.deployed.vpc]["quarantine"])

    def instance(self, **more: Any) -> tuple[str, str]:
        made = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=self.deployed.subnet, **more
        )["Instances"][0]
        return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def groups(self, interface: str) -> list[str]:
        [found] = self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        return [group["GroupId"] for group in found["Groups"]]

    def open(self, instance: str, **more: Any) -> str:
        body = {"instance_id": instance, "reason": "beacons", **more}
        answer = self.post(OPENING[more.get("containment", "none")], body)
        assert answer.status == 202, answer
        return str(answer.json["incident"]["id"])

    def post(self, path: str, body: Any = None) -> Answer:
        return self.call("POST", path, json.dumps({} if body is None else body).encode())

    def do(self, incident: str, what: str, **body: Any) -> Answer:
        at_once = what == "contain" and body.get("mode") == "now"
        return self.post(f"/incidents/{incident}/{'contain-now' if at_once else what}", body)

    def approve(self, incident: str, **body: Any) -> Answer:
        """Another person than the one who opens incidents approves."""
        return self.other("POST", f"/incidents/{incident}/approve", json.dumps(body).encode())

    @functools.cached_property
    def other(self) -> Caller:
        iam = self.deployed.account.client("iam")
        iam.create_user(UserName="ben")
        key = iam.create_access_key(UserName="ben")["AccessKey"]
        may = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        iam.put_user_policy(UserName="ben", PolicyName="all", PolicyDocument=policy)
        return Caller(self.deployed, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    def show(self, incident: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/incidents/{incident}").json
        return found

    def until(self, incident: str, *states: str) -> dict[str, Any]:
        """Wait until the containment is in one of these states."""
        deadline = time.monotonic() + SECONDS
        while True:
            found = self.show(incident)
            if (found["containment"] or {}).get("state") in states:
                return found
            assert time.monotonic() < deadline, found["containment"]
            time.sleep(0.1)

    def until_state(self, incident: str, state: str) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while (found := self.show(incident))["state"] != state:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        return found

    def said(self, incident: str) -> list[str]:
        return [entry["what"] for entry in self.show(incident)["timeline"]]

    def until_published(self, words: str) -> str:
        deadline = time.monotonic() + SECONDS
        while True:
            for record in self.deployed.account.recorder.records(service="sns", action="Publish"):
                if words in record.call.parameters["Subject"]:
                    return str(record.call.parameters["Message"])
            assert time.monotonic() < deadline, f"no notification has {words}"
            time.sleep(0.1)


def responder(account: Account, settings: dict[str, Any] | None, scale: float = 1.0) -> Responder:
    account.reset()
    account.waits.scale = scale
    deployed = deploy(account, real_workflow=True, containment=settings)
    return Responder(deployed, Caller(deployed))


@pytest.fixture(scope="module")
def team(aws_account_server: Account) -> Iterator[Responder]:
    """Both modes, with a deadline later than these tests take."""
    yield responder(aws_account_server, BOTH)
    aws_account_server.reset()


class TestNow:
    def test_when_contained_now_then_it_is_isolated_and_a_release_restores_it(self, team: Responder) -> None:
        instance, interface = team.instance()
        before = team.groups(interface)
        incident = team.open(instance)
        asked = team.do(incident, "contain", mode="now")
        assert asked.status == 202
        assert asked.json["containment"]["state"] == "containing"
        assert asked.json["containment"]["asked_by"].startswith(ANN)
        found = team.until(incident, "contained")
        assert team.groups(interface) == [team.quarantine]
        assert any(interface in line for line in found["containment"]["changed"])
        message = team.until_published(f"{incident}: CONTAINED")
        assert "What continues:" in message
        assert f"tapstack incident release {incident}" in message

        # Containing twice is allowed, and nothing is published a second time.
        assert team.do(incident, "contain", mode="now").json["containment"]["state"] == "contained"

        released = team.do(incident, "release")
        assert (released.status, released.json["containment"]["state"]) == (202, "releasing")
        found = team.until(incident, "released")
        assert team.groups(interface) == before
        assert found["containment"]["released_by"].startswith(ANN)
        assert found["containment"]["not_restored"] == []
        assert {"containment requested", "contained", "release requested", "released"} <= set(team.said(incident))
        team.until_published(f"{incident}: released")
        assert team.do(incident, "release").status == 202

    def test_when_an_interface_is_attached_since_then_only_it_is_isolated_by_containing_again(
        self, team: Responder
    ) -> None:
        instance, _ = team.instance()
        incident = team.open(instance, containment="now")
        team.until(incident, "contained")
        for _ in range(2):
            assert team.do(incident, "contain").json["containment"]["state"] == "contained"
        assert team.said(incident).count("containment requested") == 1, "when it was opened"
        added = team.ec2.create_network_interface(SubnetId=team.deployed.subnet)["NetworkInterface"]
        interface = added["NetworkInterfaceId"]
        before = team.groups(interface)
        team.ec2.attach_network_interface(NetworkInterfaceId=interface, InstanceId=instance, DeviceIndex=1)
        assert team.do(incident, "contain").status == 202
        deadline = time.monotonic() + SECONDS
        while team.groups(interface) != [team.quarantine]:
            assert time.monotonic() < deadline, team.show(incident)
            time.sleep(0.1)
        assert team.said(incident).count("containment requested") == 2
        team.do(incident, "release")
        team.until(incident, "released")
        assert team.groups(interface) == before

    def test_when_an_incident_is_opened_with_containment_then_the_instance_is_isolated(self, team: Responder) -> None:
        instance, interface = team.instance()
        incident = team.open(instance, containment="now")
        team.until(incident, "contained")
        team.until_state(incident, "capturing")
        assert team.groups(interface) == [team.quarantine]

    def test_when_the_incident_is_closed_then_it_stays_contained_until_a_release(self, team: Responder) -> None:
        instance, interface = team.instance()
        before = team.groups(interface)
        incident = team.open(instance, containment="now")
        team.until(incident, "contained")
        team.until_state(incident, "capturing")
        assert team.do(incident, "close").status == 202
        team.until_state(incident, "closed")
        message = team.until_published(f"{incident}: closed, containment NOT RELEASED")
        assert f"tapstack incident release {incident}" in message
        assert team.groups(interface) == [team.quarantine]
        assert team.do(incident, "contain").status == 202, "saying so twice is fine"
        assert team.do(incident, "release").status == 202
        team.until(incident, "released")
        assert team.groups(interface) == before
        refused = team.do(incident, "contain", mode="now")
        assert (refused.status, refused.problem) == (409, "wrong-state")

    def test_when_the_instance_is_protected_then_a_guard_rail_refuses(self, team: Responder) -> None:
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "tapstack-protected", "Value": "yes"}]}]
        instance, interface = team.instance(TagSpecifications=tags)
        before = team.groups(interface)
        incident = team.open(instance)
        plan = team.do(incident, "contain", dry_run=True)
        assert plan.status == 200
        assert "tapstack-protected" in plan.json["refused"]
        refused = team.do(incident, "contain", mode="now")
        assert refused.problem == "wrong-state"
        assert "containment is refused: " in refused.json["detail"]
        # The policy, or who opened the incident so, gets a notification.
        second = team.open(instance, containment="now")
        found = team.until(second, "failed")
        assert found["containment"]["failure"].startswith("ContainmentRefused: ")
        team.until_published(f"{second}: containment REFUSED")
        assert team.groups(interface) == before

    def test_when_others_changed_something_then_the_release_is_blocked_until_a_decision(self, team: Responder) -> None:
        instance, interface = team.instance()
        before = team.groups(interface)
        incident = team.open(instance, containment="now")
        team.until(incident, "contained")
        other = team.ec2.create_security_group(GroupName=incident, Description="x", VpcId=team.deployed.vpc)["GroupId"]
        team.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[other])
        plan = team.do(incident, "release", dry_run=True).json
        [difference] = [entry for entry in plan["differences"] if entry["what"] == "groups"]
        assert (difference["original"], difference["ours"], difference["now"]) == (before, [team.quarantine], [other])
        team.do(incident, "release")
        found = team.until(incident, "blocked")
        assert found["containment"]["differences"][0]["now"] == [other]
        assert team.groups(interface) == [other]
        team.until_published(f"{incident}: release BLOCKED")
        assert team.do(incident, "release", overwrite=True, keep=True).problem == "invalid-request"
        assert team.do(incident, "release", overwrite=True).status == 202
        team.until(incident, "released")
        assert team.groups(interface) == before


class TestApproval:
    def test_when_approved_then_it_is_isolated(self, team: Responder) -> None:
        instance, interface = team.instance()
        before = team.groups(interface)
        incident = team.open(instance)
        asked = team.do(incident, "contain").json["containment"]
        assert (asked["mode"], asked["state"], asked["default"]) == ("approval", "pending", "leave")
        message = team.until_published(f"{incident}: containment pending approval")
        assert f"tapstack incident approve {incident}" in message
        assert team.groups(interface) == before
        assert team.do(incident, "release").problem == "wrong-state"
        refused = team.do(incident, "approve")
        assert (refused.status, refused.problem) == (403, "other-person-needed")
        assert (
            f'tapstack incident override {incident} --reason "no other person is available"' in refused.json["detail"]
        )
        assert team.approve(incident).status == 202
        found = team.until(incident, "contained")["containment"]
        assert (found["decision"], found["decided_by"].startswith(ANN)) == ("approved", True)
        assert team.groups(interface) == [team.quarantine]
        assert team.do(incident, "reject").problem == "wrong-state"
        assert team.approve(incident).status == 202, "the same person may say the same twice"

    def test_when_nobody_else_is_there_then_an_override_contains_it_and_the_notice_says_so(
        self, team: Responder
    ) -> None:
        instance, interface = team.instance()
        incident = team.open(instance, containment="approval")
        assert f"tapstack incident override {incident}" in team.until_published(f"{incident}: containment pending")
        assert team.do(incident, "override").problem == "invalid-request", "without a reason"
        assert team.do(incident, "override", reason="alone").json["containment"]["decision"] == "overridden"
        team.until(incident, "contained")
        assert team.groups(interface) == [team.quarantine]
        assert "WITHOUT ANOTHER PERSON" in team.until_published(f"{incident}: CONTAINED")

    def test_when_rejected_then_nothing_is_changed_and_it_may_be_asked_for_again(self, team: Responder) -> None:
        instance, interface = team.instance()
        before = team.groups(interface)
        incident = team.open(instance, containment="approval")
        team.until_published(f"{incident}: containment pending approval")
        assert team.do(incident, "reject", reason="false alarm").status == 202
        found = team.until(incident, "rejected")["containment"]
        assert found["decision"] == "rejected"
        team.until_published(f"{incident}: NOT contained")
        assert team.groups(interface) == before
        assert team.approve(incident).problem == "wrong-state"
        assert team.do(incident, "release").problem == "wrong-state"
        assert team.do(incident, "contain", mode="now").status == 202
        team.until(incident, "contained")

    def test_when_contained_now_while_it_waits_then_it_is_approved(self, team: Responder) -> None:
        instance, _ = team.instance()
        incident = team.open(instance, containment="approval")
        assert team.do(incident, "contain", mode="now").json["containment"]["decision"] == "approved"
        team.until(incident, "contained")

    def test_when_the_incident_is_closed_while_it_waits_then_it_is_rejected(self, team: Responder) -> None:
        instance, interface = team.instance()
        before = team.groups(interface)
        incident = team.open(instance, containment="approval")
        team.until_published(f"{incident}: containment pending approval")
        team.do(incident, "close")
        assert team.until(incident, "rejected")["containment"]["decided_by"].startswith(ANN)
        team.until_published(f"{incident}: NOT contained")
        assert team.groups(interface) == before

    def test_when_many_decide_at_once_then_one_does(self, team: Responder) -> None:
        from concurrent.futures import ThreadPoolExecutor

        instance, _ = team.instance()
        incident = team.open(instance, containment="approval")
        with ThreadPoolExecutor(6) as pool:
            either = (lambda: team.approve(incident), lambda: team.do(incident, "reject"))
            found = list(pool.map(lambda decide: decide().status, either * 3))
        decisions = [what for what in team.said(incident) if what in ("containment approved", "containment rejected")]
        assert len(decisions) == 1
        assert set(found) == {202, 409}


class TestDryRun:
    def test_when_it_is_a_dry_run_then_the_plan_is_shown_and_nothing_is_changed(self, team: Responder) -> None:
        instance, interface = team.instance()
        groups = team.groups(interface)
        incident = team.open(instance, containment="approval")
        team.until_published(f"{incident}: containment pending approval")
        team.until_state(incident, "capturing")
        assert team.approve("inc-20260102T030405-k3v9x0ab").problem == "no-such-incident", "which makes the other user"
        account = team.deployed.account
        before = take_snapshot(account, region="eu-central-1")
        assert "does not approve it" in team.do(incident, "approve", dry_run=True).json["refused"]
        for what in ("contain", "approve", "reject"):
            answer = (team.approve if what == "approve" else functools.partial(team.do, what=what))(
                incident, dry_run=True
            )
            assert answer.status == 200
            assert answer.json["instance_id"] == instance
            cut = [change for change in answer.json["changes"] if change["what"] == "groups"]
            wanted = {"what": "groups", "key": interface, "from": groups, "to": [team.quarantine]}
            assert {change.pop("names")[team.quarantine] for change in cut} <= {"quarantine"}
            assert cut == ([] if what == "reject" else [wanted])
        assert differences(before, take_snapshot(account, region="eu-central-1")) == []
        assert team.show(incident)["containment"]["state"] == "pending"

        team.approve(incident)
        team.until(incident, "contained")
        before = take_snapshot(account, region="eu-central-1")
        plan = team.do(incident, "release", dry_run=True).json
        back = {"what": "groups", "key": interface, "from": [team.quarantine], "to": groups}
        [change] = [change for change in plan["changes"] if change["what"] == "groups"]
        assert change.pop("names")[team.quarantine] == "quarantine"
        assert change == back
        assert differences(before, take_snapshot(account, region="eu-central-1")) == []
        assert team.show(incident)["containment"]["state"] == "contained"


class TestRefused:
    @pytest.mark.parametrize(
        ("what", "body"),
        [
            ("contain", {"mode": "later"}),
            ("contain-now", {"asked_by": "another user"}),
            ("contain", {"dry_run": "yes"}),
            ("approve", {"by": "another user"}),
            ("approve", {"mode": "now"}),
            ("reject", {"reason": ""}),
            ("reject", {"decision": "approved"}),
            ("release", {"force": True}),
            ("release", {"overwrite": 1}),
            ("release", []),
        ],
    )
    def test_fails_when_a_request_says_what_none_may(self, team: Responder, what: str, body: Any) -> None:
        refused = team.post(f"/incidents/inc-20260102T030405-k3v9x0ab/{what}", body)
        assert (refused.status, refused.problem) == (400, "invalid-request")

    @pytest.mark.parametrize("what", ["contain", "contain-now", "approve", "reject", "release"])
    def test_fails_when_there_is_no_such_incident(self, team: Responder, what: str) -> None:
        assert team.do("inc-20260102T030405-k3v9x0ab", what).problem == "no-such-incident"

    @pytest.mark.parametrize(
        ("path", "body", "instead"),
        [
            ("/incidents", {"containment": "now"}, "/incidents/contain-now"),
            ("/incidents", {"containment": "approval"}, "/incidents/contain"),
            ("/incidents/contain", {"containment": "now"}, "/incidents/contain-now"),
            ("/incidents/{id}/contain", {"mode": "now"}, "/incidents/{id}/contain-now"),
            ("/incidents/{id}/contain-now", {"mode": "approval"}, "/incidents/{id}/contain"),
        ],
    )
    def test_fails_when_the_body_wants_more_than_its_path_allows(
        self, team: Responder, path: str, body: dict[str, str], instead: str
    ) -> None:
        instance, _ = team.instance()
        of_opening = {} if "{id}" in path else {"instance_id": instance, "reason": "beacons"}
        refused = team.post(path.replace("{id}", "inc-20260102T030405-k3v9x0ab"), {**of_opening, **body})
        assert (refused.status, refused.problem) == (403, "right-needed")
        assert refused.json["detail"].endswith(f"needs a separate permission: send this to POST {instead}")

    def test_fails_when_interfaces_are_to_be_contained(self, team: Responder) -> None:
        _, interface = team.instance()
        body = {"network_interface_ids": [interface], "reason": "beacons"}
        assert team.post("/incidents/contain-now", body).problem == "invalid-request"
        incident = team.post("/incidents", body).json["incident"]["id"]
        assert "open an incident for the instance" in team.do(incident, "contain").json["detail"]

    def test_fails_when_nothing_is_contained(self, team: Responder) -> None:
        instance, _ = team.instance()
        incident = team.open(instance)
        for what in ("approve", "reject", "release"):
            assert team.do(incident, what).problem == "wrong-state"


@pytest.mark.parametrize(
    ("default", "state"), [pytest.param("leave", "rejected", marks=pytest.mark.long), ("contain", "contained")]
)
def test_when_the_deadline_passes_then_the_default_applies(
    aws_account_server: Account, default: str, state: str
) -> None:
    approval = {"minutes": 5, "default": default}
    settings = {"modes": ["approval"], "approval": approval, "two_step": {"enabled": True, "seconds": 1}}
    # Five minutes take three seconds.
    team = responder(aws_account_server, settings, scale=0.01)
    instance, interface = team.instance()
    before = team.groups(interface)
    incident = team.open(instance, minutes=1440)
    assert team.do(incident, "contain", mode="now").problem == "wrong-state", "this mode is not allowed here"
    assert team.do(incident, "contain").status == 202
    found = team.until(incident, state)["containment"]
    assert (found["decision"], found["decided_by"]) == ("default", "the deployment's default")
    assert team.groups(interface) == (before if default == "leave" else [team.quarantine])
    put_on = [
        record.call.parameters["SecurityGroupId.1"]
        for record in aws_account_server.recorder.records(service="ec2", action="ModifyNetworkInterfaceAttribute")
        if "SecurityGroupId.1" in record.call.parameters
    ]
    # In two steps: the all-open group first, and the workflow waits between them.
    assert len(set(put_on)) == (0 if default == "leave" else 2)
    team.until_published(f"{incident}: NOT contained" if default == "leave" else f"{incident}: CONTAINED")


@pytest.mark.long
def test_when_it_waits_for_packets_then_it_is_contained_once_they_are_seen_or_the_time_is_over(
    aws_account_server: Account,
) -> None:
    # Half a minute, in which a slow machine rejects, too.
    team = responder(aws_account_server, {**BOTH, "wait_for_packets": {"at_most_seconds": 300}}, scale=0.1)
    (first, interface), (second, other), (third, _) = (team.instance() for _ in range(3))
    before = team.groups(interface)
    seen = team.open(first, containment="now", minutes=1440)
    team.until_state(seen, "capturing")
    assert team.groups(interface) == before
    aws_account_server.metrics.add(Measurement(first, "NetworkMirrorIn", 1500, at=time.time()))
    found = team.until(seen, "contained")["containment"]
    assert found["packets_wait"].startswith("packets were seen from ")
    assert team.groups(interface) == [team.quarantine]
    assert "Waited for packets: packets were seen" in team.until_published(f"{seen}: CONTAINED")
    rejected = team.open(third, containment="now", minutes=1440)
    team.until_state(rejected, "capturing")
    assert team.do(rejected, "reject", reason="false alarm").json["containment"]["state"] == "rejected"
    team.until_published(f"{rejected}: NOT contained")
    aws_account_server.waits.scale = 0.02
    unseen = team.open(second, containment="now", minutes=1440)
    found = team.until(unseen, "contained")["containment"]
    assert found["packets_wait"] == "NO packets were seen within 300 seconds; contained all the same"
    assert team.groups(other) == [team.quarantine]
    assert "waited for packets" in team.said(unseen)


def test_when_containment_is_not_configured_then_it_is_refused(aws_account_server: Account) -> None:
    team = responder(aws_account_server, None)
    instance, _ = team.instance()
    incident = team.open(instance)
    for what in ("contain", "contain-now", "approve", "override", "reject", "release"):
        refused = team.do(incident, what)
        assert (refused.status, refused.problem) == (409, "wrong-state")
        assert refused.json["detail"] == "containment is not configured for this site"
    for path in ("/incidents/contain", "/incidents/contain-now"):
        assert team.post(path, {"instance_id": instance, "reason": "x"}).problem == "wrong-state"
    assert team.show(incident)["containment"] is None
    aws_account_server.reset()
