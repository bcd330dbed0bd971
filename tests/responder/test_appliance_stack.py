"""The stack of a launched appliance that others change while incidents use it: what has packets is not deleted."""

from __future__ import annotations

import pytest

from strictmoto.account import REGION
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.errors import ApplianceFailed
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import incidents
from tapstack.responder.store.keys import appliance_key
from tests.responder.conftest import TABLE, Site, prepared
from tests.responder.test_appliance_instance import let, uses
from tests.responder.test_appliances import NAME, ready
from tests.responder.test_snapshots import appliance_instance, captured, retired, taken
from tests.responder.test_snapshots import keeping as keeping


def stacks_created_and_deleted(site: Site) -> tuple[int, int]:
    created, deleted = (site.calls("cloudformation").count(action) for action in ("CreateStack", "DeleteStack"))
    return created, deleted


@pytest.mark.parametrize("status", ["UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED", "IMPORT_COMPLETE"])
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
        assert incidents.shown(incidents.get(incident))["stored_packets"]["state"] == "snapshots"


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
