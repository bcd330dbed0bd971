"""What can happen to a response, one scenario after the other: between them they make every call that it may make."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.cloudwatch.metrics import Measurement
from strictmoto.faults import Fault
from strictmoto.iam.enforcement import needed_for
from strictmoto.recorder import Record
from strictmoto.testing.resource_conditions import attributes_now, tags_now
from tapstack.domain.incident_events import DETAIL_TYPE as TELEMETRY
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_EXPIRES, TAG_INCIDENT, TAG_SITE
from tapstack.rehearsal.packet_basics import vendor_client
from tests.end_to_end.appliance_templates import NESTED, everything, nested_updated, nesting, updated, with_role
from tests.end_to_end.deployed import LANDING, DeployedResponse, Incident, wait_for
from tests.end_to_end.webhooks import send_webhook, webhook_secret
from tests.unit.domain.alerts import sample

NESTED_TEMPLATE: Final = "nested-templates/nested.template"
"""Bucket and key of a template within the appliance's, in the site's own account."""
_BROKEN: Final = """
  Broken:
    Type: AWS::EC2::TrafficMirrorTarget
    # So that there is a session that the rollback deletes.
    DependsOn: Session
    Properties:
      NetworkInterfaceId: eni-00000000000000000
"""
_TAG: Final = "[{Key: purpose, Value: packets}]"
_LONG_AGO: Final = "2020-01-01T00:00:00Z"


@dataclass
class Scenarios:
    """The scenarios of one site, and what they leave for the proof.

    Attributes:
        response: the site's.
        records: all that was called, in order.
        tags: of everything that stood at some time, as first seen, by the last part of its ARN.
        attributes: what else conditions compare of it, likewise.
    """

    response: DeployedResponse
    records: list[Record] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    def play(self, *scenarios: Callable[[Scenarios], None]) -> None:
        """Let each scenario begin with the account as it was deployed."""
        self.record_account()
        with self.response.account.recorder.heard_by(self._record_what_stacks_create):
            self._play(scenarios)

    def _play(self, scenarios: Iterable[Callable[[Scenarios], None]]) -> None:
        for scenario in scenarios:
            scenario(self)
            self.response.account.faults.clear()
            self.response.bring_back()
            self.records += map(_with_arns_of_secrets, self.response.account.recorder.records())
            self.response.clean()

    def _record_what_stacks_create(self, record: Record) -> None:
        """Record what stacks tag, and where interfaces are: no call has either."""
        if record.call.action in ("CreateStack", "CreateNetworkInterface"):
            self.record_account()

    def record_account(self) -> None:
        """Record what conditions compare, of what exists now."""
        self.attributes |= attributes_now(self.response.account, region=REGION)
        for name, tags in tags_now(self.response.account, region=REGION).items():
            # As it was created; later changes of tags are in the calls.
            self.tags.setdefault(name, tags)


def _with_arns_of_secrets(record: Record) -> Record:
    """Return a record that says which secret was meant: the account knows how its ARN ends, no call does."""
    if record.call.service == "secretsmanager":
        vars(record)["authorizations"] = needed_for(record.call, record.principal)
    return record


def operators_open_inspect_extend_and_close(its: Scenarios) -> None:
    response, key = its.response, {"Idempotency-Key": "one"}
    incident = response.open("database", headers=key)
    assert response.open("database", headers=key)["id"] == incident["id"]
    response.until(incident, "capturing")
    response.until_waiting(incident)
    assert len(response.sessions()) == 2
    response.extend(incident, 120)
    response.until_waiting(incident)
    assert [i["id"] for i in response.api.get("/incidents", {"state": "open"})["incidents"]] == [incident["id"]]
    response.end(incident)
    assert [i["id"] for i in response.api.get("/incidents", {"state": "closed"})["incidents"]] == [incident["id"]]


def an_alert_names_interfaces_of_another_vpc(its: Scenarios) -> None:
    [interface] = its.response.company.interfaces["desktop"]
    incident = its.response.end(its.response.captured(interface))
    assert "warning" in [entry["what"] for entry in incident["timeline"]]


def two_incidents_share_a_capture(its: Scenarios) -> None:
    response = its.response
    first, second = its.response.captured("database"), its.response.captured("database")
    assert len(response.sessions()) == 2
    response.end(first)
    assert {_tags(session)[TAG_INCIDENT] for session in response.sessions()} == {second["id"]}
    response.end(second)
    assert response.sessions() == []


def a_critical_incident_takes_the_place_of_a_low_one(its: Scenarios) -> None:
    """The launched appliance takes ten sources; of the target that stands, AWS's first refusal tells it."""
    response, ec2 = its.response, its.response.account.client("ec2")
    subnet = response.company.shop.private[0]
    made = [ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(10)]
    low = response.captured(*made, severity="low")
    critical = response.captured("web-1", severity="critical")
    assert len(response.sessions()) == 10
    assert [_states(response, one).count("mirrored") for one in (low, critical)] == [9, 1]
    said = {entry["what"] for one in (low, critical) for entry in response.show(one)["timeline"]}
    assert {"place given", "place taken"} < said
    assert len(mails(response, "place given to a more severe incident")) == 1
    response.end(critical)
    assert response.sweep()["places"] == 1
    assert _states(response, low) == ["mirrored"] * 10
    assert len(mails(response, "mirrored after waiting")) == 1
    response.end(low)
    for interface in made:
        ec2.delete_network_interface(NetworkInterfaceId=interface)


def _states(response: DeployedResponse, incident: Incident) -> list[str]:
    return [entry["state"] for entry in response.show(incident)["interfaces"]]


def the_time_is_over(its: Scenarios) -> None:
    response = its.response
    scale, response.account.waits.scale = response.account.waits.scale, 0.05
    incident = its.response.captured("web-1", minutes=1)
    assert response.until(incident, "closed")["closed_because"] == "expired"
    response.account.waits.scale = scale
    response.until_idle()


def nothing_can_be_captured(its: Scenarios) -> None:
    incident = its.response.until(its.response.open("legacy"), "failed")
    assert (incident["in_place"], incident["undo"]) == ([], f"tapstack incident close {incident['id']}")
    its.response.end(incident)


def an_operator_closes_while_the_workflow_begins_to_wait(its: Scenarios) -> None:
    """The workflow is held between asking how long to wait and giving out its task token."""
    response = its.response
    role = response.role("incidents-workflow")
    response.account.faults.add(Fault("Invoke", "slow", call=_asks_for_time(its), seconds=1.5, principal=role))
    incident = response.open("web-1")
    response.until(incident, "capturing")
    wait_for(lambda: "waits" in response.read(incident), lambda: str(response.read(incident)))
    response.end(incident)


def _asks_for_time(its: Scenarios) -> int:
    """Return which call of the workflow asks how long to wait, where nothing goes wrong."""
    again = 1 if its.response.launches else 0
    return 5 + again  # prepare, ensure (again after a launch), start, notify, remaining


def a_function_was_killed_while_a_capture_ended(its: Scenarios) -> None:
    response = its.response
    eni = response.company.interfaces["web-1"][0]
    response.put(_capture(eni, ending={"BOOL": True}))
    response.end(its.response.captured("web-1"))


def a_session_was_deleted_by_hand(its: Scenarios) -> None:
    response = its.response
    first = its.response.captured("web-1")
    [session] = response.sessions()
    response.account.client("ec2").delete_traffic_mirror_session(
        TrafficMirrorSessionId=session["TrafficMirrorSessionId"]
    )
    # What was made within the last minute may only be late.
    eni = session["NetworkInterfaceId"]
    response.change({"pk": {"S": f"CAPTURE#{eni}"}, "sk": {"S": "CAPTURE"}}, session_since={"N": "1"})
    second = its.response.captured("web-1")
    assert len(response.sessions()) == 1
    response.end(first)
    response.end(second)


def guardduty_finds_something(its: Scenarios) -> None:
    response = its.response
    ec2 = response.account.client("ec2")
    legacy = response.company.instances["legacy"]
    ec2.create_tags(Resources=[legacy], Tags=[{"Key": "stage", "Value": "test"}])
    with heard_by(response):
        # A member of GuardDuty's administrator account: the rule does not accept it.
        find(response, response.company.instances["web-1"], "of-a-member", account="777788889999")
        for _ in range(2):
            find(response, response.company.instances["web-1"], "severe")
        wait_for(lambda: len(opened(response)) == 1, lambda: f"opened: {opened(response)}")
        [incident] = opened(response)
        response.until(incident, "capturing")
        find(response, legacy, "of-a-test")
        wait_for(
            lambda: len(_emitted(response, "findings")) == 3,
            lambda: f"findings: {response.records('findings')}",
        )
    assert [i["id"] for i in opened(response)] == [incident["id"]]
    response.end(incident)
    ec2.delete_tags(Resources=[legacy], Tags=[{"Key": "stage"}])


def several_findings_about_an_instance_join_one_incident(its: Scenarios) -> None:
    """One attack: each finding beside the first opens none, and each is one entry and one notification."""
    response = its.response
    instance = response.company.instances["web-1"]
    with heard_by(response):
        find(response, instance, "first")
        wait_for(lambda: len(opened(response)) == 1, lambda: f"opened: {opened(response)}")
        [incident] = opened(response)
        response.until(incident, "capturing")
        response.until_waiting(incident)
        for number in range(3):
            find(response, instance, f"further-{number}")
        wait_for(lambda: len(_joined(response, incident)) == 3, lambda: f"joined: {_joined(response, incident)}")
        wait_for(lambda: len(mails(response, "joined by another alert")) == 3, lambda: str(mails(response, "")))
        # One that comes again says nothing new.
        events = len(_emitted(response, "findings"))
        find(response, instance, "further-0")
        wait_for(
            lambda: len(_emitted(response, "findings")) > events,
            lambda: f"findings: {response.records('findings')}",
        )
    assert [one["id"] for one in opened(response)] == [incident["id"]]
    assert {entry["detail"].partition(",")[0] for entry in _joined(response, incident)} == {
        f"finding further-{number}" for number in range(3)
    }
    assert len(mails(response, "joined by another alert")) == 3
    assert len(response.sessions()) == 1
    response.end(incident)


def other_tools_raise_alerts(its: Scenarios) -> None:
    """Security Hub brings what GuardDuty found, in both forms; another tool names an address, and one of none."""
    response = its.response
    instance = response.company.instances["web-1"]
    bucket = response.account.client("s3")
    with heard_by(response):
        _find_by_security_hub(response, instance, "found")
        wait_for(lambda: len(opened(response)) == 1, lambda: f"opened: {opened(response)}")
        [incident] = opened(response)
        response.until(incident, "capturing")
        find(response, instance, "found")
        wait_for(lambda: len(_emitted(response, "findings")) == 2, lambda: f"{_emitted(response, 'findings')}")
        _find_by_security_hub_v2(response, instance, "found-later")
        wait_for(lambda: len(_joined(response, incident)) == 1, lambda: f"joined: {_joined(response, incident)}")
    [described] = response.account.client("ec2").describe_instances(InstanceIds=[instance])["Reservations"]
    address = described["Instances"][0]["PrivateIpAddress"]
    vpc = response.company.shop.id
    secret = webhook_secret(response)
    send_webhook(response, secret, "soc-1", {"private_ip": address, "vpc_id": vpc})
    send_webhook(response, secret, "soc-2", {"private_ip": "10.255.255.254", "vpc_id": vpc})
    wait_for(lambda: len(_joined(response, incident)) == 2, lambda: f"joined: {_joined(response, incident)}")
    wait_for(lambda: bool(bucket.list_objects_v2(Bucket=LANDING)["KeyCount"]), lambda: "nothing is unmatched")
    assert [one["id"] for one in opened(response)] == [incident["id"]]
    assert (incident["source"], incident["alert_id"]) == ("securityhub", "found")
    joined = [entry["detail"].partition(",")[0] for entry in _joined(response, incident)]
    assert joined == ["finding found-later", "alert soc:soc-1"]
    [kept] = bucket.list_objects_v2(Bucket=LANDING)["Contents"]
    assert kept["Key"].startswith("unmatched/soc/20")
    bucket.delete_object(Bucket=LANDING, Key=kept["Key"])
    response.end(incident)


def _find_by_security_hub(response: DeployedResponse, instance: str, finding_id: str) -> None:
    finding = {
        "Id": f"arn:aws:guardduty:{REGION}:{ACCOUNT_ID}:detector/d/finding/{finding_id}",
        "ProductArn": f"arn:aws:securityhub:{REGION}::product/aws/guardduty",
        "AwsAccountId": ACCOUNT_ID,
        "Region": REGION,
        "Types": ["TTPs/UnauthorizedAccess:EC2-TorClient"],
        "UpdatedAt": "2026-01-02T03:04:05Z",
        "Severity": {"Label": "HIGH", "Product": 8},
        "Title": "Tor",
        "Resources": [{"Type": "AwsEc2Instance", "Id": f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{instance}"}],
        "Workflow": {"Status": "NEW"},
        "RecordState": "ACTIVE",
    }
    # A finding about the configuration of the instance: the rule does not take it.
    other = {**finding, "Id": "configuration", "Types": ["Software and Configuration Checks/IMDSv1"]}
    for one in (other, finding):
        response.account.service_events.publish(
            {
                "source": "aws.securityhub",
                "detail-type": "Security Hub Findings - Imported",
                "detail": {"findings": [one]},
            }
        )


def _find_by_security_hub_v2(response: DeployedResponse, instance: str, finding_id: str) -> None:
    event = sample("securityhub_ocsf")
    [finding] = event["detail"]["findings"]
    finding["cloud"] |= {"account": {"uid": ACCOUNT_ID}, "region": REGION}
    finding["finding_info"]["uid"] = f"arn:aws:guardduty:{REGION}:{ACCOUNT_ID}:detector/d/finding/{finding_id}"
    finding["resources"] = [
        {
            "type": "AWS::EC2::Instance",
            "uid": f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:instance/{instance}",
            "region": REGION,
        }
    ]
    # A finding about the configuration of the instance: the rule does not take it.
    other = {**finding, "class_uid": 2003, "finding_info": {**finding["finding_info"], "uid": "configuration"}}
    for one in (other, finding):
        published = {name: event[name] for name in ("source", "detail-type")}
        response.account.service_events.publish({**published, "detail": {"findings": [one]}})


def findings_received(response: DeployedResponse) -> list[Record]:
    """Return what the function that receives findings emitted about them."""
    return _emitted(response, "findings")


def _emitted(response: DeployedResponse, function: str) -> list[Record]:
    """Return the events of a function about alerts and findings, not those about the incidents that they open."""
    return [
        record
        for record in response.records(function)
        if record.call.action == "PutEvents" and record.call.parameters["Entries"][0]["DetailType"] != TELEMETRY
    ]


def mails(response: DeployedResponse, what: str) -> list[str]:
    """Return the subjects of notifications on one of the topics that end so."""
    subjects = [
        record.call.parameters["Subject"]
        for record in response.records()
        if (record.call.action, record.status) == ("Publish", 200)
        and record.call.parameters["TopicArn"] == response.topic_arn
    ]
    return [subject for subject in subjects if subject.endswith(what)]


def alerts_join_an_open_incident(its: Scenarios) -> None:
    """A finding and an alert, which make the capture last longer: the workflow waits on."""
    response = its.response
    instance = response.company.instances["web-1"]
    with heard_by(response):
        incident = response.captured("web-1", alert_id="edr-1", minutes=10)
        find(response, instance, "joins")
        wait_for(lambda: len(_joined(response, incident)) == 1, lambda: f"joined: {_joined(response, incident)}")
        response.until_waiting(incident)
        joined = response.open("web-1", alert_id="edr-2", minutes=60)
        assert joined["id"] == incident["id"]
        # Its ten minutes are over, which were three seconds.
        wait_for(lambda: int(response.read(incident)["waits"]) > 1, lambda: "it did not go on waiting")
        response.until_waiting(incident)
    assert [entry["by"] == "guardduty" for entry in _joined(response, incident)] == [True, False]
    assert len(opened(response)) == 1
    response.end(incident)


def a_topic_is_deleted_for_a_while(its: Scenarios) -> None:
    """What an alert, an operator and the workflow notify of is kept for it, and delivered by a sweep."""
    response, sns = its.response, its.response.account.client("sns")
    instance = response.company.instances["web-1"]
    sns.delete_topic(TopicArn=response.topic_arn)
    with heard_by(response):
        incident = response.captured("web-1", alert_id="edr-1")
        find(response, instance, "joins")
        wait_for(lambda: len(_joined(response, incident)) == 1, lambda: f"joined: {_joined(response, incident)}")
        assert response.open("web-1", alert_id="edr-2")["id"] == incident["id"]
        wait_for(lambda: bool(_emitted(response, "findings")), lambda: f"{response.records('findings')}")
    response.until_waiting(incident)
    assert mails(response, "") == []
    sns.create_topic(Name=response.topic_arn.rpartition(":")[2])
    # What began the capture, and the two alerts.
    assert response.sweep()["delivered"] == 3
    assert len(mails(response, "joined by another alert")) == 2
    response.end(incident)


def _joined(response: DeployedResponse, incident: Incident) -> list[dict[str, Any]]:
    return [entry for entry in response.show(incident)["timeline"] if entry["what"] == "joined"]


def the_launch_fails(its: Scenarios) -> None:
    response = its.response
    with _template(response, lambda text: text.replace("\nOutputs:", f"{_BROKEN}\nOutputs:")):
        incident = response.until(response.open("database"), "failed")
    assert incident["appliance"]["state"] == "failed"
    response.end(incident)


def the_template_nests_target_and_filter(its: Scenarios) -> None:
    """The product's template is not public: its target and its filter may be made by a stack within the stack."""
    response = its.response
    with _nested_template(response) as url, _template(response, lambda text: nesting(text, url)):
        incident = its.response.captured("web-1")
        _update(response, nested_updated)
        response.end(incident)


def the_template_makes_a_role_within_the_boundary(its: Scenarios) -> None:
    response = its.response
    boundary = f"arn:aws:iam::123456789012:policy/{response.prefix}-epb-boundary"
    with _template(response, lambda text: with_role(text, f"PermissionsBoundary: {boundary}")):
        incident = its.response.captured("web-1")
        iam = response.account.client("iam")
        made = [r["RoleName"] for r in iam.list_roles()["Roles"] if r["RoleName"].startswith("tapstack-ward-epb-")]
        assert [
            iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] for name in made
        ] == [boundary]
        _update(response, lambda body: body.replace("      Policies:\n", f"      Tags: {_TAG}\n      Policies:\n"))
        _update(response, lambda body: body.replace(f"      Tags: {_TAG}\n", ""))
        response.end(incident)
    assert not [r for r in iam.list_roles()["Roles"] if r["RoleName"] in made]


def the_template_makes_a_role_without_the_boundary(its: Scenarios) -> None:
    response = its.response
    with _template(response, lambda text: with_role(text, "Description: no boundary")):
        incident = response.until(response.open("database"), "failed")
    [why] = [entry["detail"] for entry in incident["timeline"] if entry["what"] == "failed"]
    assert "ApplianceRole (AWS::IAM::Role)" in why
    assert f"assumed-role/{response.prefix}-epb/AWSCloudFormation is not authorized to perform: iam:CreateRole" in why
    response.end(incident)


def another_template_is_launched_and_changed(its: Scenarios) -> None:
    """What it makes otherwise, and what an operator changes in place, takes the rest of what the stack's role may."""
    response = its.response
    ec2 = response.account.client("ec2")
    ec2.create_key_pair(KeyName="operators")
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    with _template(response, lambda text: everything(text, "operators", snapshot)):
        incident = response.captured("web-1")
        _update(response, updated)
        response.end(incident)
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.delete_volume(VolumeId=volume)
    ec2.delete_key_pair(KeyName="operators")


def the_sweeper_ends_sessions_without_an_incident(its: Scenarios) -> None:
    response = its.response
    incident = its.response.captured("web-1")
    ec2 = response.account.client("ec2")
    [session] = response.sessions()
    # With our tags alone, of an incident that no table knows, and whose time is up.
    tags = {**_tags(session), TAG_INCIDENT: "inc-20200101t000000-00000000", TAG_EXPIRES: _LONG_AGO}
    tags |= {TAG_DEPLOYMENT: "tapstack", TAG_SITE: response.site}
    eni = response.company.interfaces["web-2"][0]
    where = {name: session[name] for name in ("TrafficMirrorTargetId", "TrafficMirrorFilterId")}
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    unknown, begun = (
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=eni,
            **where,
            SessionNumber=number,
            TagSpecifications=[{"ResourceType": "traffic-mirror-session", "Tags": listed}],
        )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
        for number in (1, 2)
    )
    # The second one a function began, and was killed before it recorded it.
    creation = f"{tags[TAG_INCIDENT]} 2 {where['TrafficMirrorTargetId']} {where['TrafficMirrorFilterId']}"
    response.put(_capture(eni, begun_before={"SS": [creation]}))
    # Nobody knows who held this one.
    response.put(_capture(response.company.interfaces["database"][0], holders={"SS": ["inc-20200101t000000-00000001"]}))
    done = response.sweep()
    # The captures that nobody holds any more end, too.
    assert (done["deleted"], done["unknown_sessions"]) == (3, 1)
    left = [s["TrafficMirrorSessionId"] for s in response.sessions()]
    assert (unknown in left, begun in left) == (True, False)
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=unknown)
    assert response.show(incident)["state"] == "capturing"
    response.end(incident)


def the_sweeper_mends_a_session_whose_target_was_replaced(its: Scenarios) -> None:
    response = its.response
    incident = its.response.captured("web-1")
    [session] = response.sessions()
    ec2 = response.account.client("ec2")
    other = ec2.create_traffic_mirror_target(NetworkInterfaceId=response.company.interfaces["desktop"][0])
    other_id = other["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    name = {"TrafficMirrorSessionId": session["TrafficMirrorSessionId"]}
    ec2.modify_traffic_mirror_session(**name, TrafficMirrorTargetId=other_id)
    assert response.sweep()["retargeted"] == 1
    assert response.sessions()[0]["TrafficMirrorTargetId"] == session["TrafficMirrorTargetId"]
    ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=other_id)
    response.end(incident)


def the_sweeper_repairs_sessions_that_others_change(its: Scenarios) -> None:
    """One is deleted, one is cut short and has lost tags: both mirror again as before."""
    response = its.response
    ec2 = response.account.client("ec2")
    incident = response.captured("database")
    first, second = (session["TrafficMirrorSessionId"] for session in response.sessions())
    [eni] = [s["NetworkInterfaceId"] for s in response.sessions() if s["TrafficMirrorSessionId"] == first]
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=first)
    # What was made within the last minute may only be late.
    response.change({"pk": {"S": f"CAPTURE#{eni}"}, "sk": {"S": "CAPTURE"}}, session_since={"N": "1"})
    ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=second, PacketLength=64)
    ec2.delete_tags(Resources=[second], Tags=[{"Key": TAG_EXPIRES}])
    assert response.sweep()["repaired"] == 2
    assert len(response.sessions()) == 2
    assert all(TAG_EXPIRES in _tags(session) and "PacketLength" not in session for session in response.sessions())
    shown = response.show(incident)
    assert {entry["session_id"] for entry in shown["interfaces"]} == {
        session["TrafficMirrorSessionId"] for session in response.sessions()
    }
    assert len(mails(response, f"{incident['id']}: mirroring repaired")) == 2
    assert response.sweep()["repaired"] == 0
    response.end(incident)
    assert response.sessions() == []


def the_sweeper_restarts_an_incident_whose_execution_failed(its: Scenarios) -> None:
    response = its.response
    incident = its.response.captured("web-1")
    response.stop_executions()
    response.change(
        {"pk": {"S": f"INCIDENT#{incident['id']}"}, "sk": {"S": "INCIDENT"}}, close_requested={"BOOL": True}
    )
    assert response.sweep()["started"] == 1
    response.until(incident, "closed")
    response.until_idle()


def the_sweeper_watches_the_packets(its: Scenarios) -> None:
    """Of one incident CloudWatch counts some, of another none for longer than ten minutes.

    Incidents that other scenarios left open may be as old by then, and are reported too.
    """
    response = its.response
    response.account.metrics.forget()
    seen, unseen = response.captured("web-1"), response.captured(response.company.interfaces["web-2"][0])
    response.sweep()
    assert [response.show(one)["packets"]["state"] for one in (seen, unseen)] == ["mirroring", "mirroring"]
    response.account.metrics.add(Measurement(response.company.instances["web-1"], "NetworkMirrorIn", 1500))
    mirroring = {
        "state": {"S": "mirroring"},
        "since": {"S": _LONG_AGO},
        "seen_at": {"NULL": True},
        "missing": {"L": []},
    }
    response.change({"pk": {"S": f"INCIDENT#{unseen['id']}"}, "sk": {"S": "INCIDENT"}}, packets={"M": mirroring})
    assert response.sweep()["packets"] >= 2
    assert response.show(seen)["packets"]["state"] == "packets seen"
    shown = response.show(unseen)
    assert (shown["packets"]["state"], shown["packets"]["missing"]) == (
        "no packets seen",
        [response.company.instances["web-2"]],
    )
    assert shown["timeline"][-1]["what"] == "no packets seen"
    assert len(mails(response, f"{unseen['id']}: NO PACKETS SEEN")) == 1
    assert mails(response, f"{seen['id']}: NO PACKETS SEEN") == []
    timelines = [response.show(one)["timeline"] for one in (seen, unseen)]
    response.sweep()
    assert [response.show(one)["timeline"] for one in (seen, unseen)] == timelines
    assert len(mails(response, f"{unseen['id']}: NO PACKETS SEEN")) == 1
    response.end(seen)
    response.end(unseen)


def the_sweeper_keeps_the_timeline_of_an_incident_that_lasts(its: Scenarios) -> None:
    response = its.response
    incident = response.captured("web-1")
    response.change({"pk": {"S": f"INCIDENT#{incident['id']}"}, "sk": {"S": "INCIDENT"}}, kept_until={"N": "1"})
    assert response.sweep()["problems"] == 0
    assert int(response.read(incident)["kept_until"]) > time.time()
    response.end(incident)


def the_sweeper_retires_an_unused_appliance(its: Scenarios) -> None:
    """And lets go for an incident that is closed: its execution died before it could."""
    response = its.response
    incident = its.response.captured("web-1")
    response.stop_executions()
    closed = {"pk": {"S": f"INCIDENT#{incident['id']}"}, "sk": {"S": "INCIDENT"}}
    response.change(closed, state={"S": "closed"}, listing={"S": "closed"})
    done = response.sweep()
    assert (done["deleted"], done["appliance"]) == (1, 1)
    appliance = {"pk": {"S": "APPLIANCE"}, "sk": {"S": "APPLIANCE"}}
    response.change(appliance, released_at={"N": "1"})
    assert response.sweep()["appliance"] == 1
    # Its snapshots are pending at first.
    wait_for(lambda: response.sweep()["appliance"] == 0, lambda: f"not retired: {_appliance(response)}")


def another_principal_uses_the_appliance_that_the_sweeper_retires(its: Scenarios) -> None:
    """CloudFormation cannot delete a target in use; once it is free, the next round deletes it."""
    response = its.response
    incident = its.response.captured("web-1")
    [session] = response.sessions()
    ec2 = response.account.client("ec2")
    theirs = ec2.create_traffic_mirror_session(
        NetworkInterfaceId=response.company.interfaces["database"][0],
        TrafficMirrorTargetId=session["TrafficMirrorTargetId"],
        TrafficMirrorFilterId=session["TrafficMirrorFilterId"],
        SessionNumber=7,
    )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
    response.end(incident)
    shown = response.show(incident)
    assert shown["timeline"][-1]["what"] == "cleanup failed"
    assert response.sweep()["problems"] == 1
    ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=theirs)
    response.sweep()
    assert response.sweep()["problems"] == 0


def an_incident_opens_while_snapshots_of_the_appliance_are_taken(its: Scenarios) -> None:
    """The stopped appliance is started again, and its packets are kept when it is retired the next time."""
    response = its.response
    first = response.captured("web-1")
    created = len(response.records("epb"))
    response.account.faults.add(Fault("CreateSnapshots", "throttled", call=0, principal=response.role("appliance")))
    response.close(first)
    wait_for(lambda: _appliance(response)["state"] == "retiring", lambda: f"not retired: {_appliance(response)}")
    wait_for(
        lambda: bool(response.account.recorder.records(action="CreateSnapshots")), lambda: "no snapshots are asked for"
    )
    second = response.open("database")
    response.until(second, "capturing")
    assert _appliance(response)["state"] == "ready"
    assert len(response.records("epb")) == created
    response.account.faults.clear()
    response.until_waiting(second)
    shown = response.end(second)
    assert shown["appliance"]["state"] == "gone"
    [snapshot] = shown["stored_packets"]["snapshots"]
    assert response.show(first)["stored_packets"]["snapshots"] == [snapshot]


def the_sweeper_keeps_packets_and_deletes_them_when_their_time_is_over(its: Scenarios) -> None:
    """It takes the snapshots itself where an execution died, and notifies of what it did and will do."""
    response = its.response
    incident = its.response.captured("web-1")
    response.stop_executions()
    closed = {"pk": {"S": f"INCIDENT#{incident['id']}"}, "sk": {"S": "INCIDENT"}}
    response.change(closed, state={"S": "closed"}, listing={"S": "closed"})
    response.sweep()
    response.change({"pk": {"S": "APPLIANCE"}, "sk": {"S": "APPLIANCE"}}, released_at={"N": "1"})
    done = response.sweep()
    assert done["appliance"] == 1
    # Its snapshots are pending at first, but no longer than this sweep may take.
    wait_for(
        lambda: done["snapshots"] == 1 or response.sweep()["snapshots"] == 1,
        lambda: f"packets are not kept: {_appliance(response)}",
    )
    ec2 = response.account.client("ec2")
    [snapshot] = response.show(incident)["stored_packets"]["snapshots"]
    assert ec2.describe_snapshots(SnapshotIds=[snapshot["snapshot_id"]])["Snapshots"]
    # Its tags, by which its deletion is allowed.
    its.record_account()
    [kept] = [item for item in response.items() if item["sk"]["S"] == "SNAPSHOTS" and "listing" in item]
    key = {"pk": kept["pk"], "sk": kept["sk"]}
    response.change(key, expires_at={"S": "2026-01-02T00:00:00Z"}, opened_at={"S": "2026-01-01T00:00:00Z"})
    assert response.sweep()["snapshots"] == 1
    # Not before operators had time to read the notification.
    assert response.sweep()["snapshots"] == 0
    response.change(key, warned_at={"S": "2026-01-01T12:00:00Z"})
    assert response.sweep()["snapshots"] == 1
    assert not ec2.describe_snapshots(
        OwnerIds=["self"], Filters=[{"Name": "snapshot-id", "Values": [snapshot["snapshot_id"]]}]
    )["Snapshots"]
    said = [
        record.call.parameters["Subject"].partition("] ")[2]
        for record in response.account.recorder.records(action="Publish")
        if "packets" in record.call.parameters["Subject"]
    ]
    # Once for each topic.
    assert list(dict.fromkeys(said)) == ["packets kept in snapshots", "packets will be DELETED"]


def _appliance(response: DeployedResponse) -> dict[str, Any]:
    [found] = [item for item in response.items() if item["pk"]["S"] == "APPLIANCE"]
    return {name: next(iter(value.values())) for name, value in found.items()}


def the_schedule_starts_the_sweeper(its: Scenarios) -> None:
    response = its.response
    response.set_sweeper("ENABLED")
    try:
        wait_for(lambda: bool(response.records("sweeper")), lambda: "the sweeper does not run")
    finally:
        response.set_sweeper("DISABLED")
    wait_for(lambda: _swept(response), lambda: f"it did not finish: {response.records('sweeper')}")


def _swept(response: DeployedResponse) -> bool:
    """Whether a round ended: what closed incidents did not emit is listed last, then a launched appliance is read."""
    asked = [record.requested for record in response.records("sweeper")]
    listed = [
        position
        for position, request in enumerate(asked)
        if request.get("ExpressionAttributeValues", {}).get(":listing") == {"S": "closed"}
        and "owed" in request.get("FilterExpression", "")
    ]
    after = asked[listed[-1] + 1 :] if listed else []
    read = any(request.get("Key", {}).get("pk") == {"S": "APPLIANCE"} for request in after)
    return bool(listed) and (read or not response.launches)


EVERYWHERE: Final = (
    operators_open_inspect_extend_and_close,
    an_alert_names_interfaces_of_another_vpc,
    two_incidents_share_a_capture,
    a_critical_incident_takes_the_place_of_a_low_one,
    the_time_is_over,
    nothing_can_be_captured,
    an_operator_closes_while_the_workflow_begins_to_wait,
    a_function_was_killed_while_a_capture_ended,
    a_session_was_deleted_by_hand,
    guardduty_finds_something,
    several_findings_about_an_instance_join_one_incident,
    alerts_join_an_open_incident,
    a_topic_is_deleted_for_a_while,
    other_tools_raise_alerts,
    the_sweeper_ends_sessions_without_an_incident,
    the_sweeper_mends_a_session_whose_target_was_replaced,
    the_sweeper_repairs_sessions_that_others_change,
    the_sweeper_restarts_an_incident_whose_execution_failed,
    the_sweeper_watches_the_packets,
    the_sweeper_keeps_the_timeline_of_an_incident_that_lasts,
    the_schedule_starts_the_sweeper,
)
WHERE_ONE_IS_LAUNCHED: Final = (
    the_launch_fails,
    the_template_nests_target_and_filter,
    the_template_makes_a_role_within_the_boundary,
    the_template_makes_a_role_without_the_boundary,
    another_template_is_launched_and_changed,
    the_sweeper_retires_an_unused_appliance,
    another_principal_uses_the_appliance_that_the_sweeper_retires,
    an_incident_opens_while_snapshots_of_the_appliance_are_taken,
    the_sweeper_keeps_packets_and_deletes_them_when_their_time_is_over,
)


def _tags(session: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in session["Tags"] if not tag["Key"].startswith("aws:")}


def _capture(eni: str, **more: dict[str, Any]) -> dict[str, Any]:
    return {
        "pk": {"S": f"CAPTURE#{eni}"},
        "sk": {"S": "CAPTURE"},
        "network_interface_id": {"S": eni},
        # A free one: they are counted on from the second in which the first one began.
        "generation": {"N": str(time.time_ns())},
        "listing": {"S": "capture"},
        "opened_at": {"S": _LONG_AGO},
        **more,
    }


def opened(response: DeployedResponse) -> list[Incident]:
    """Return the open incidents, as the API has them."""
    found: list[Incident] = response.api.get("/incidents", {"state": "open"})["incidents"]
    return found


@contextmanager
def heard_by(response: DeployedResponse) -> Any:
    """Let no other response hear of findings: both would capture the same interface."""
    events = response.account.client("events")
    others = [rule["Name"] for rule in events.list_rules()["Rules"] if not rule["Name"].startswith(response.prefix)]
    for name in others:
        events.disable_rule(Name=name)
    try:
        yield
    finally:
        for name in others:
            events.enable_rule(Name=name)


def find(
    response: DeployedResponse,
    instance: str,
    finding_id: str,
    *,
    severity: float = 8.0,
    account: str = ACCOUNT_ID,
    last_seen: str | None = None,
) -> None:
    """Have GuardDuty find something on an instance."""
    service = {"serviceName": "guardduty", "resourceRole": "ACTOR", "count": 1, "archived": False}
    detail = {
        "schemaVersion": "2.0",
        "accountId": account,
        "region": REGION,
        "id": finding_id,
        "type": "UnauthorizedAccess:EC2/TorClient",
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": instance, "tags": []}},
        "service": service if last_seen is None else {**service, "eventLastSeen": last_seen},
        "severity": severity,
        "title": "Tor",
    }
    _deliver(response, detail)


def find_sequence(response: DeployedResponse, finding_id: str, *arns: str) -> None:
    """Have GuardDuty find an attack sequence about instances."""
    resources = [{"uid": arn, "resourceType": "EC2_INSTANCE", "data": {"ec2Instance": {}}} for arn in arns]
    detail = {
        "schemaVersion": "2.0",
        "accountId": ACCOUNT_ID,
        "region": REGION,
        "id": finding_id,
        "type": "AttackSequence:EC2/CompromisedInstanceGroup",
        "resource": {"resourceType": "AttackSequence"},
        "service": {"count": 1, "archived": False, "detection": {"sequence": {"resources": resources}}},
        "severity": 9.0,
        "title": "Sequence",
    }
    _deliver(response, detail)


def _deliver(response: DeployedResponse, detail: dict[str, Any]) -> None:
    event = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "detail": detail}
    response.account.service_events.publish(event)


def _update(response: DeployedResponse, change: Callable[[str], str]) -> None:
    """Change the launched stack in place, as an operator does."""
    stacks, name = response.account.client("cloudformation"), f"tapstack-{response.site}-epb"
    stack = stacks.describe_stacks(StackName=name)["Stacks"][0]
    stacks.update_stack(
        StackName=name,
        TemplateBody=change(stacks.get_template(StackName=name)["TemplateBody"]),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True} for parameter in stack["Parameters"]
        ],
    )
    assert stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"


def _where(response: DeployedResponse) -> dict[str, str]:
    """Return bucket and key of the appliance's template."""
    functions = response.account.client("lambda")
    configuration = functions.get_function_configuration(FunctionName=response.function("appliance"))["Environment"][
        "Variables"
    ]
    url = json.loads(configuration["TAPSTACK_SETTINGS"])["appliance"]["launch"]["template_url"]
    bucket, _, key = urlsplit(url).path.lstrip("/").partition("/")
    return {"Bucket": bucket, "Key": key}


@contextmanager
def _nested_template(response: DeployedResponse) -> Iterator[str]:
    """Yield the address of a template in the site's own account, whose bucket lets the appliance's role read it."""
    s3, (bucket, key) = response.account.client("s3"), NESTED_TEMPLATE.split("/")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [read]}))
    s3.put_object(Bucket=bucket, Key=key, Body=NESTED.encode())
    try:
        yield f"https://s3.amazonaws.com/{bucket}/{key}"
    finally:
        s3.delete_object(Bucket=bucket, Key=key)
        s3.delete_bucket(Bucket=bucket)


@contextmanager
def _template(response: DeployedResponse, change: Callable[[str], str]) -> Any:
    """Have another template under the same address, for a while."""
    s3, where = vendor_client(REGION), _where(response)
    body = s3.get_object(**where)["Body"].read()
    s3.put_object(**where, Body=change(body.decode()).encode())
    try:
        yield
    finally:
        s3.put_object(**where, Body=body)
