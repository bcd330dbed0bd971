"""The stack of a launched appliance that others change while incidents use it: what has packets is not deleted."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace

import pytest
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE
from tapstack.domain.own_names import STACK_NAME_TAG
from tapstack.responder import sweeper
from tapstack.responder.appliance import stacks
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.containment.inspect import ReceivedMirroring, received_mirroring
from tapstack.responder.errors import ApplianceFailed, NothingToCapture
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import incidents
from tapstack.responder.store.keys import appliance_key
from tests.responder.conftest import TABLE, Site, prepared
from tests.responder.test_appliance_instance import let, uses
from tests.responder.test_appliances import NAME, ready
from tests.responder.test_snapshots import appliance_instance, captured, retired, taken
from tests.responder.test_snapshots import keeping as keeping
from tests.sampling import sampled


def stacks_created_and_deleted(site: Site) -> tuple[int, int]:
    created, deleted = (site.calls("cloudformation").count(action) for action in ("CreateStack", "DeleteStack"))
    return created, deleted


@sampled("status", ["UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED", "IMPORT_COMPLETE"], every=3)
def test_when_others_changed_it_then_the_appliance_is_used_and_its_packets_are_kept(keeping: Site, status: str) -> None:
    first, before = uses(keeping), stored.get()
    let(status)
    second = uses(keeping)
    assert (stored.get().stack_id, stored.get().target_id) == (before.stack_id, before.target_id)
    assert incidents.get(first).stored_packets is None
    for incident in (first, second):
        capture_steps.stop(incident)
        incident_steps.close(incident, "closed")
        appliance_steps.release(incident)
    retired(keeping, second)
    assert len(taken(keeping)) == 1
    for incident in (first, second):
        shown = incidents.shown(incidents.get(incident))
        assert shown["stored_packets"]["state"] == "snapshots"
        # Of the incident that did not retire it, too.
        assert (shown["appliance"]["state"], shown["appliance"]["portal_url"]) == ("gone", None)


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_when_others_are_changing_it_then_incidents_wait_and_nothing_is_lost(keeping: Site, status: str) -> None:
    first = uses(keeping)
    let(status)
    assert appliance_steps.ensure(prepared(keeping.instance()[0])) == {"status": "wait"}
    assert stored.get().state == "ready"
    assert incidents.get(first).stored_packets is None
    assert stacks_created_and_deleted(keeping) == (1, 0)


def test_fails_when_others_could_not_delete_it_and_its_instance_exists(keeping: Site) -> None:
    first = uses(keeping)
    let("DELETE_FAILED")
    with pytest.raises(ApplianceFailed) as failed:
        appliance_steps.ensure(prepared(keeping.instance()[0]))
    instance = appliance_instance(keeping)
    assert str(failed.value) == (
        f"stack {NAME} is DELETE_FAILED, and {instance} of it exists, which may have packets: keep them, then delete "
        f"the stack: aws ec2 create-snapshots --region {REGION} --instance-specification InstanceId={instance}; aws "
        f"cloudformation delete-stack --region {REGION} --stack-name {NAME}"
    )
    assert incidents.get(first).stored_packets is None
    assert stacks_created_and_deleted(keeping) == (1, 0)


def test_when_others_could_not_delete_it_and_its_instance_is_gone_then_another_is_launched(keeping: Site) -> None:
    capture_steps.stop(uses(keeping))
    keeping.ec2.terminate_instances(InstanceIds=[appliance_instance(keeping)])
    let("DELETE_FAILED")
    ready(prepared(keeping.instance()[0]))
    assert stacks_created_and_deleted(keeping) == (2, 1)


@pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "DELETE_FAILED"])
def test_fails_when_the_table_does_not_know_a_failed_one_that_has_an_instance(keeping: Site, status: str) -> None:
    captured(keeping)
    keeping.client("dynamodb").delete_item(TableName=TABLE, Key=appliance_key())
    let(status)
    with pytest.raises(ApplianceFailed, match=f"stack {NAME} is {status}, and i-.* which may have packets"):
        appliance_steps.ensure(prepared(keeping.instance()[0]))
    assert stacks_created_and_deleted(keeping) == (1, 0)


NESTED = f"{NAME}-Epb-1A2B3C4D5E6F"


@pytest.fixture
def nested(launching: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose stack has another one nested in it, as CloudFormation says."""
    described = {"StackResources": [{"ResourceType": stacks.STACK, "PhysicalResourceId": f"arn:stack/{NESTED}/1a2b"}]}
    asked = SimpleNamespace(describe_stack_resources=lambda **_: described)
    monkeypatch.setattr(stacks, "client", lambda _: asked)
    return launching


OURS = {TAG_INCIDENT: "inc-20260102T030405-k3v9x0ab", TAG_DEPLOYMENT: "tap", TAG_SITE: "frankfurt"}
CASES = [
    (NAME, {}, True, True),
    # Which are nested, only CloudFormation can say.
    (NESTED, OURS, False, True),
    # Nested deeper, or of others.
    (f"{NESTED}-Deep-9Z8Y", OURS, False, False),
    # Of others, who choose the name and the tags of their stack.
    (f"{NAME}-lab", OURS, False, False),
    (f"{NAME}2", OURS, False, False),
    ("", OURS, False, False),
]


@pytest.mark.parametrize(("stack", "tags", "by_tags", "by_cloudformation"), CASES)
def test_when_a_stack_has_a_name_that_begins_as_the_appliance_s_then_only_nested_ones_are_its(
    nested: Site, stack: str, tags: dict[str, str], by_tags: bool, by_cloudformation: bool
) -> None:
    of_resource = {**tags, **({STACK_NAME_TAG: stack} if stack else {})}
    assert stacks.creates(NAME, of_resource) is by_tags
    assert stacks.parts_of(NAME, [stack]) == ({stack} if by_cloudformation else set())


def test_when_others_have_a_target_that_is_called_as_that_of_a_nested_stack_then_ours_is_taken(nested: Site) -> None:
    ours, others = nested.target(), nested.target()
    for target, stack in ((ours, NESTED), (others, f"{NAME}-lab")):
        ec2_backends[ACCOUNT_ID][REGION].tags[target] |= {**OURS, "Name": f"{NAME}.target", STACK_NAME_TAG: stack}
    assert appliance_steps._by_name("target", NAME) == ours


@pytest.mark.parametrize(("stack", "is_appliance"), [(NAME, True), (f"{NAME}-lab", False)])
def test_when_a_stack_of_others_has_our_tags_then_its_instance_is_captured_and_contained(
    launching: Site, stack: str, is_appliance: bool
) -> None:
    instance, interface = launching.instance()
    ec2_backends[ACCOUNT_ID][REGION].tags[instance] |= {**OURS, STACK_NAME_TAG: stack}
    refused = pytest.raises(NothingToCapture, match=f"{interface}: it belongs to the appliance that receives")
    outcome: AbstractContextManager[object] = refused if is_appliance else nullcontext()
    with outcome:
        prepared(instance)
    [reservation] = launching.ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    assert received_mirroring(reservation["Instances"][0]) == ReceivedMirroring(is_appliance)


@pytest.mark.parametrize(("stack", "verdict"), [(NAME, "stack"), (NESTED, "stack"), (f"{NAME}-lab", "unknown")])
def test_when_a_session_has_our_tags_then_only_one_of_the_appliance_s_stacks_is_not_reported(
    nested: Site, stack: str, verdict: str
) -> None:
    tags = [{"Key": key, "Value": value} for key, value in {**OURS, STACK_NAME_TAG: stack}.items()]
    session = {"TrafficMirrorSessionId": "tms-1", "NetworkInterfaceId": "eni-1", "Tags": tags}
    assert sweeper._verdict(session, None, {}) == verdict
