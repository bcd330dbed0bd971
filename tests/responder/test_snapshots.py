"""The packets of a launched appliance are kept in snapshots before it is deleted."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.ec2 import snapshots as account_snapshots
from strictmoto.faults import Fault
from strictmoto.recorder import Record
from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.evidence_settings import TAG_APPLIANCE
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE, as_time, utc_now
from tapstack.responder.appliance import snapshots, stacks
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.appliance.instances import instances_of
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.environment import environment
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.outbound import executions
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import incidents
from tapstack.responder.store import snapshots as kept_snapshots
from tapstack.responder.store.keys import appliance_key
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import IMAGE, TABLE, TOPIC, Site, configure, item, prepared, tags
from tests.responder.test_appliances import NAME, ready
from tests.sampling import sampled

KEEPING = {"keep_days": 90}


@pytest.fixture
def keeping(launching: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site that launches its appliance, and keeps its packets for 90 days."""
    monkeypatch.setattr(executions, "is_running", lambda _: True)
    # Until a test lets them be complete.
    monkeypatch.setattr(account_snapshots, "PENDING_SECONDS", 86400.0)
    launch = {**launching.settings["appliance"]["launch"], "snapshots": KEEPING}
    configure(monkeypatch, launching, {"launch": launch})
    return launching


def captured(site: Site) -> str:
    """An incident that was captured and is closed; its appliance is not needed any more."""
    incident = prepared(site.instance()[0])
    ready(incident)
    capture_steps.start(incident)
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    appliance_steps.release(incident)
    return incident


def taken(site: Site) -> list[dict[str, Any]]:
    found = site.ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": [TAG_APPLIANCE]}])
    return list(found["Snapshots"])


def appliance_instance(site: Site) -> str:
    [instance] = instances_of(NAME)
    return str(instance["InstanceId"])


def let(site: Site, state: str) -> None:
    """Let all snapshots of the appliance be in a state."""
    for snapshot in ec2_backends[ACCOUNT_ID][REGION].snapshots.values():
        if any(tag["key"] == TAG_APPLIANCE for tag in snapshot.get_tags()):
            snapshot.status = state


def retired(site: Site, incident: str) -> None:
    """Retire the appliance: that waits for the snapshots, which become complete."""
    assert appliance_steps.retire(incident) == {"status": "wait"}
    let(site, "completed")
    assert appliance_steps.retire(incident) == {"status": "gone"}


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(snapshots, "utc_now", lambda: moment)
    monkeypatch.setattr(kept_snapshots, "utc_now", lambda: moment)


def test_when_it_is_retired_then_it_is_stopped_and_its_volumes_are_kept_before_the_stack_goes(keeping: Site) -> None:
    incident = captured(keeping)
    instance = appliance_instance(keeping)
    [volume] = keeping.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])[
        "Volumes"
    ]
    retired(keeping, incident)
    [snapshot] = taken(keeping)
    assert snapshot["VolumeId"] == volume["VolumeId"]
    named = tags(snapshot)
    assert named["tapstack:incidents"] == incident
    assert (named["tapstack:deployment"], named["tapstack:site"]) == ("tap", "frankfurt")
    order = [record.call.action for record in keeping.account.recorder.records()]
    assert order.index("StopInstances") < order.index("CreateSnapshots") < order.index("DeleteStack")
    packets = incidents.shown(incidents.get(incident))["stored_packets"]
    assert packets["state"] == "snapshots"
    assert packets["snapshots"] == [
        {
            "snapshot_id": snapshot["SnapshotId"],
            "volume_id": volume["VolumeId"],
            "size_gib": volume["Size"],
            "encrypted": False,
        }
    ]
    left = as_time(packets["until"]) - utc_now()
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)


def test_when_snapshots_are_pending_then_the_stack_stays_until_they_are_complete(keeping: Site) -> None:
    incident = captured(keeping)
    for _ in range(3):
        assert appliance_steps.retire(incident) == {"status": "wait"}
    assert len(taken(keeping)) == 1
    assert "DeleteStack" not in keeping.calls("cloudformation")
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "appliance"
    let(keeping, "completed")
    assert appliance_steps.retire(incident) == {"status": "gone"}
    assert len(taken(keeping)) == 1


def test_when_the_account_completes_them_then_each_is_complete_when_the_deletion_is_called(keeping: Site) -> None:
    incident = captured(keeping)
    # A second: as AWS's are, they are pending until then.
    with pytest.MonkeyPatch.context() as meanwhile:
        meanwhile.setattr(account_snapshots, "PENDING_SECONDS", 1.0)
        assert appliance_steps.retire(incident) == {"status": "wait"}
    states: list[str] = []

    def look(record: Record) -> None:
        if record.call.action == "DeleteStack":
            states.extend(one["State"] for one in taken(keeping))

    deadline = time.monotonic() + 20
    with keeping.account.recorder.heard_by(look):
        while appliance_steps.retire(incident) != {"status": "gone"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert states == ["completed"]


def test_when_the_answer_is_lost_then_the_next_call_finds_the_snapshots_and_takes_no_others(keeping: Site) -> None:
    incident = captured(keeping)
    keeping.account.faults.add(Fault("CreateSnapshots", "lost after"))
    with pytest.raises(ConnectionClosedError):
        appliance_steps.retire(incident)
    retired(keeping, incident)
    [kept] = kept_snapshots.listed()
    assert kept.snapshot_ids == {one["SnapshotId"] for one in taken(keeping)}
    assert len(kept.snapshot_ids) == 1


@pytest.mark.long
def test_when_two_functions_take_them_at_once_then_both_are_recorded_and_deleted_in_the_end(
    keeping: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = captured(keeping)
    # Both see that there are none, and are answered only then.
    keeping.account.faults.add(Fault("DescribeSnapshots", "slow", times=2, seconds=2.0))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: appliance_steps.retire_unneeded(), range(2)))
    assert answers == ["wait", "wait"]
    assert len(taken(keeping)) == 2
    let(keeping, "completed")
    assert appliance_steps.retire(incident) == {"status": "gone"}
    [kept] = kept_snapshots.listed()
    assert kept.snapshot_ids == {one["SnapshotId"] for one in taken(keeping)}
    assert len(kept.snapshots) == 1
    now = utc_now()
    at(monkeypatch, now + timedelta(days=100))
    sweep()
    at(monkeypatch, now + timedelta(days=102))
    sweep()
    assert taken(keeping) == []


def test_when_another_function_took_one_at_the_same_time_then_the_sweeper_records_it(keeping: Site) -> None:
    incident = captured(keeping)
    [volume] = snapshots._volumes(instances_of(NAME)[0])
    assert appliance_steps.retire(incident) == {"status": "wait"}
    [first] = taken(keeping)
    specification = [{"ResourceType": "snapshot", "Tags": first["Tags"]}]
    late = keeping.ec2.create_snapshot(VolumeId=volume, TagSpecifications=specification)["SnapshotId"]
    # Anybody may write the tag on a snapshot of another volume: that is not the appliance's.
    other = keeping.ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
    forged = keeping.ec2.create_snapshot(VolumeId=other, TagSpecifications=specification)["SnapshotId"]
    sweep()
    [kept] = kept_snapshots.listed()
    assert kept.snapshot_ids == {first["SnapshotId"], late}
    assert forged in [one["SnapshotId"] for one in taken(keeping)]


def test_when_a_snapshot_fails_then_the_appliance_stays_stopped_and_operators_are_notified_once(
    keeping: Site,
) -> None:
    incident = captured(keeping)
    instance = appliance_instance(keeping)
    keeping.ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": True})
    assert appliance_steps.retire(incident) == {"status": "kept"}
    for _ in range(2):
        sweep()
    said = [message for message in keeping.messages() if "NOT KEPT" in message["Subject"]]
    assert len(said) == 1
    assert "disableApiStop" in said[0]["Message"]
    assert "aws cloudformation delete-stack" in said[0]["Message"]
    assert incident in said[0]["Message"]
    assert stacks.describe(NAME) is not None
    # The cause is removed: the next round takes them, and deletes the stack.
    keeping.ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": False})
    sweep()
    assert stacks.describe(NAME) is not None
    let(keeping, "completed")
    sweep()
    assert stacks.describe(NAME) is None
    assert len(taken(keeping)) == 1
    assert [message["Subject"] for message in keeping.messages() if "kept in snapshots" in message["Subject"]]


def test_when_aws_gives_a_snapshot_up_then_another_is_taken_by_the_sweeper(keeping: Site) -> None:
    incident = captured(keeping)
    assert appliance_steps.retire(incident) == {"status": "wait"}
    let(keeping, "error")
    assert appliance_steps.retire(incident) == {"status": "kept"}
    assert appliance_steps.retire(incident) == {"status": "kept"}
    assert len(taken(keeping)) == 1
    sweep()
    assert len(taken(keeping)) == 2
    assert stacks.describe(NAME) is not None
    [bad] = [one for one in taken(keeping) if one["State"] == "error"]
    for snapshot in ec2_backends[ACCOUNT_ID][REGION].snapshots.values():
        if snapshot.status == "pending":
            snapshot.status = "completed"
    sweep()
    assert stacks.describe(NAME) is None
    [kept] = kept_snapshots.listed()
    assert bad["SnapshotId"] not in [one.snapshot_id for one in kept.snapshots]
    assert bad["SnapshotId"] in kept.snapshot_ids


def test_when_an_incident_opens_meanwhile_then_the_appliance_is_started_again(keeping: Site) -> None:
    first = captured(keeping)
    assert appliance_steps.retire(first) == {"status": "wait"}
    instance = appliance_instance(keeping)
    second = prepared(keeping.instance()[0])
    ready(second)
    [described] = keeping.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert described["State"]["Name"] == "running"
    assert stored.get().state == "ready"
    assert len(keeping.account.recorder.records(action="CreateStack")) == 1
    # The execution that retired it leaves it alone.
    let(keeping, "completed")
    assert appliance_steps.retire(first) == {"status": "kept"}
    assert stacks.describe(NAME) is not None
    # Its next retirement takes new snapshots, for both incidents: the old ones lack what came later.
    appliance_steps.release(second)
    assert appliance_steps.retire(second) == {"status": "wait"}
    let(keeping, "completed")
    assert appliance_steps.retire(second) == {"status": "gone"}
    shown = [incidents.shown(incidents.get(one))["stored_packets"]["snapshots"] for one in (first, second)]
    assert shown[0] == shown[1]
    assert len(taken(keeping)) == 2


def test_when_the_deletion_has_begun_then_an_incident_does_not_stop_it(keeping: Site) -> None:
    first = captured(keeping)
    assert stored.begin_retirement(stored.get()) is not None
    assert stored.begin_deletion(stored.get()) is not None
    second = prepared(keeping.instance()[0])
    assert appliance_steps.ensure(second) == {"status": "wait"}
    let(keeping, "completed")
    ready(second)
    assert len(keeping.account.recorder.records(action="CreateStack")) == 2
    assert incidents.shown(incidents.get(first))["stored_packets"]["state"] == "snapshots"


def test_when_the_stack_is_deleted_while_an_incident_uses_it_then_operators_learn_that_packets_are_lost(
    keeping: Site,
) -> None:
    incident = prepared(keeping.instance()[0])
    ready(incident)
    [session] = keeping.ours()
    keeping.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
    keeping.client("cloudformation").delete_stack(StackName=NAME)
    ready(incident)
    sweep()
    [said] = [message for message in keeping.messages() if "LOST" in message["Subject"]]
    assert incident in said["Message"]
    # The incident goes on with another appliance, whose packets are kept.
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "appliance"


def test_when_the_stack_is_deleted_by_hand_after_a_failure_then_its_end_is_recorded(keeping: Site) -> None:
    incident = captured(keeping)
    instance = appliance_instance(keeping)
    keeping.ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": True})
    assert appliance_steps.retire(incident) == {"status": "kept"}
    keeping.ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": False})
    keeping.client("cloudformation").delete_stack(StackName=NAME)
    sweep()
    assert stored.get().state == "absent"
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "lost"


def test_when_an_incident_is_closed_then_its_notification_says_where_the_packets_will_be(keeping: Site) -> None:
    captured(keeping)
    [closed] = [message["Message"] for message in keeping.messages() if message["Subject"].endswith(": closed")]
    assert "before that is deleted, its volumes are snapshotted, and the snapshots kept for 90 days" in closed
    assert "billed by the GB-month, at most the size of the volumes; to read them: docs/incidents.md" in closed


def test_when_their_time_is_over_then_operators_are_notified_before_and_they_are_deleted(
    keeping: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = captured(keeping)
    retired(keeping, incident)
    [snapshot] = taken(keeping)
    sweep()
    [kept] = [message for message in keeping.messages() if "kept in snapshots" in message["Subject"]]
    assert snapshot["SnapshotId"] in kept["Message"]
    assert "NOT encrypted" in kept["Message"]
    assert f"at most {snapshot['VolumeSize']} GB: docs/costs.md" in kept["Message"]
    assert f"--encrypted --source-snapshot-id {snapshot['SnapshotId']}" in kept["Message"]
    assert "How to read them again, and what AWS limits" in kept["Message"]
    now = utc_now()
    at(monkeypatch, now + timedelta(days=82))
    assert sweep().snapshots == []
    at(monkeypatch, now + timedelta(days=84))
    assert len(sweep().snapshots) == 1
    assert sweep().snapshots == []
    [warned] = [message for message in keeping.messages() if "will be DELETED" in message["Subject"]]
    assert f"--source-snapshot-id {snapshot['SnapshotId']}" in warned["Message"]
    assert len(taken(keeping)) == 1
    at(monkeypatch, now + timedelta(days=91))
    sweep()
    assert taken(keeping) == []
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "deleted"
    assert list(kept_snapshots.listed()) == []


def test_when_no_topic_takes_the_notification_then_they_are_not_deleted(
    keeping: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = captured(keeping)
    retired(keeping, incident)
    sweep()
    now, sns = utc_now(), keeping.client("sns")
    sns.delete_topic(TopicArn=TOPIC)
    for days in (84, 91):
        at(monkeypatch, now + timedelta(days=days))
        [problem] = sweep().problems
        assert problem.startswith("snapshots of ")
        assert "NotFound" in problem
    assert len(taken(keeping)) == 1
    # One that takes it is enough; the other one gets it when it is there again.
    monkeypatch.setenv("TAPSTACK_TOPIC_ARN", f"{TOPIC},{TOPIC.replace('tap-notices', 'tap-pager')}")
    environment.cache_clear()
    sns.create_topic(Name="tap-pager")
    [problem] = sweep().problems
    assert problem.startswith(f"{TOPIC}: NotFound")
    sns.create_topic(Name="tap-notices")
    assert len(sweep().delivered) == 1
    at(monkeypatch, now + timedelta(days=92, minutes=1))
    sweep()
    assert taken(keeping) == []


@pytest.mark.long
def test_when_the_sweeper_did_not_run_at_the_time_of_the_notification_then_it_waits_a_day(
    keeping: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = captured(keeping)
    retired(keeping, incident)
    now = utc_now()
    at(monkeypatch, now + timedelta(days=200))
    sweep()
    sweep()
    assert len(taken(keeping)) == 1
    at(monkeypatch, now + timedelta(days=201, minutes=1))
    sweep()
    assert taken(keeping) == []


@pytest.mark.long
def test_when_aws_refuses_to_delete_one_then_the_sweeper_reports_it_and_tries_again(
    keeping: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = captured(keeping)
    retired(keeping, incident)
    now = utc_now()
    at(monkeypatch, now + timedelta(days=200))
    sweep()
    at(monkeypatch, now + timedelta(days=202))
    backend: Any = type(ec2_backends[ACCOUNT_ID][REGION])

    def refused(_: Any, snapshot_id: str) -> None:
        raise EC2ClientError("InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is currently in use")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(backend, "delete_snapshot", refused)
        assert "InvalidSnapshot.InUse" in sweep().problems[0]
        assert len(taken(keeping)) == 1
    sweep()
    assert taken(keeping) == []


def test_when_an_earlier_version_wrote_the_item_then_the_incidents_that_it_names_have_their_packets(
    keeping: Site,
) -> None:
    incident = captured(keeping)
    assert stored.begin_retirement(stored.get()) is not None
    # Earlier versions did not record which incidents released it.
    keeping.client("dynamodb").update_item(TableName=TABLE, Key=appliance_key(), UpdateExpression="REMOVE served")
    retired(keeping, incident)
    assert tags(taken(keeping)[0])["tapstack:incidents"] == incident
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "snapshots"


def test_when_no_snapshots_are_taken_then_every_notification_says_that_packets_are_lost(launching: Site) -> None:
    incident = prepared(launching.instance()[0])
    ready(incident)
    capture_steps.start(incident)
    incident_steps.notify(incident)
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    appliance_steps.release(incident)
    said = [message["Message"] for message in launching.messages()]
    assert len(said) == 2
    assert all("Stored:   on the appliance, and LOST when that is deleted" in message for message in said)
    appliance_steps.retire(incident)
    assert "CreateSnapshots" not in launching.calls("ec2")
    assert item(incident)["stored_packets"]["state"] == "lost"


def test_when_others_take_tags_off_the_instance_then_its_packets_are_kept_all_the_same(keeping: Site) -> None:
    incident = captured(keeping)
    instance = appliance_instance(keeping)
    keeping.ec2.delete_tags(Resources=[instance], Tags=[{"Key": TAG_SITE}, {"Key": TAG_DEPLOYMENT}])
    retired(keeping, incident)
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "snapshots"


def test_when_another_stack_has_a_name_that_begins_the_same_then_its_instance_is_left_alone(keeping: Site) -> None:
    incident = captured(keeping)
    other = {"Resources": {"Own": {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": IMAGE}}}}
    keeping.client("cloudformation").create_stack(StackName=f"{NAME}-lab", TemplateBody=json.dumps(other))
    retired(keeping, incident)
    [theirs] = keeping.ec2.describe_instances(
        Filters=[{"Name": "tag:aws:cloudformation:stack-name", "Values": [f"{NAME}-lab"]}]
    )["Reservations"][0]["Instances"]
    assert theirs["State"]["Name"] == "running"
    assert len(taken(keeping)) == 1


def test_when_its_instance_lies_in_a_nested_stack_then_it_is_found(keeping: Site) -> None:
    s3, (bucket, key) = keeping.client("s3"), ("templates-of-a-nested-stack", "nested.template")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    own = {"Resources": {"Own": {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": IMAGE}}}}
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(own).encode())
    url = f"https://{bucket}.s3.{REGION}.amazonaws.com/{key}"
    parent = {"Resources": {"Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}}}
    keeping.client("cloudformation").create_stack(StackName=f"{NAME}-parent", TemplateBody=json.dumps(parent))
    [instance] = instances_of(f"{NAME}-parent")
    assert tags(dict(instance))["aws:cloudformation:logical-id"] == "Own"


@sampled("lost", ["terminated", "detached", "detached meanwhile"], every=3)
def test_when_an_instance_or_a_volume_is_not_found_then_the_stack_stays_and_operators_are_notified(
    keeping: Site, lost: str
) -> None:
    incident = captured(keeping)
    instance = appliance_instance(keeping)
    [volume] = snapshots._volumes(instances_of(NAME)[0])
    if lost == "terminated":
        keeping.ec2.terminate_instances(InstanceIds=[instance])
    elif lost == "detached":
        keeping.ec2.stop_instances(InstanceIds=[instance])
        keeping.ec2.detach_volume(VolumeId=volume)
    else:
        [described] = keeping.ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        more = keeping.ec2.create_volume(Size=1, AvailabilityZone=described["AvailabilityZone"])["VolumeId"]
        keeping.ec2.attach_volume(VolumeId=more, InstanceId=instance, Device="/dev/sdf")
        assert appliance_steps.retire(incident) == {"status": "wait"}
        keeping.ec2.detach_volume(VolumeId=more)
    assert appliance_steps.retire(incident) == {"status": "kept"}
    for _ in range(2):
        sweep()
    assert stacks.describe(NAME) is not None
    assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "appliance"
    [said] = [message["Message"] for message in keeping.messages() if "NOT KEPT" in message["Subject"]]
    assert ("terminated outside Tapstack" if lost == "terminated" else "attach") in said
    # What the notification offers: to give the packets up. What was taken before is kept.
    let(keeping, "completed")
    keeping.client("cloudformation").delete_stack(StackName=NAME)
    sweep()
    assert stored.get().state == "absent"


def test_when_others_took_a_snapshot_with_its_tag_before_then_that_is_not_taken_for_its_packets(keeping: Site) -> None:
    incident = captured(keeping)
    [volume] = snapshots._volumes(instances_of(NAME)[0])
    settings = environment().appliance
    assert isinstance(settings, DeployedLaunch)
    name = snapshots.retirement_of(settings, stored.get())
    forged = keeping.ec2.create_snapshot(
        VolumeId=volume,
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": TAG_APPLIANCE, "Value": name}]}],
    )["SnapshotId"]
    ec2_backends[ACCOUNT_ID][REGION].snapshots[forged].start_time = utc_now() - timedelta(minutes=1)
    let(keeping, "completed")
    retired(keeping, incident)
    sweep()
    [ours] = incidents.shown(incidents.get(incident))["stored_packets"]["snapshots"]
    [kept] = kept_snapshots.listed()
    assert kept.snapshot_ids == {ours["snapshot_id"]}
    assert ours["snapshot_id"] != forged


@pytest.mark.long
def test_when_others_take_the_tag_off_a_snapshot_then_no_other_is_taken(keeping: Site) -> None:
    incident = captured(keeping)
    assert appliance_steps.retire(incident) == {"status": "wait"}
    [snapshot] = taken(keeping)
    keeping.ec2.delete_tags(Resources=[snapshot["SnapshotId"]], Tags=[{"Key": TAG_APPLIANCE}])
    ec2_backends[ACCOUNT_ID][REGION].snapshots[snapshot["SnapshotId"]].status = "completed"
    assert appliance_steps.retire(incident) == {"status": "gone"}
    assert keeping.calls("ec2").count("CreateSnapshots") == 1
