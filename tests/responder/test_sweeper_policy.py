"""What a sweep calls is allowed by its policy where nothing may be contained; sites that tests deploy may contain."""

from __future__ import annotations

import os

import pytest

from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.iam.policies import read_policy
from strictmoto.testing.least_privilege import prove
from strictmoto.testing.resource_conditions import attributes_now, tags_now
from tapstack.capture.place import Place
from tapstack.domain.table_names import BY_STATE
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.sweeper import sweep
from tapstack.response import policies
from tests.responder.conftest import TABLE, Site, change, opened, prepared
from tests.responder.test_packet_watch import mails, waited


def permissions(site: Site) -> policies.Permissions:
    place = Place("aws", REGION, ACCOUNT_ID, "amazonaws.com")
    table = place.arn("dynamodb", f"table/{TABLE}")
    existing = site.settings["appliance"]["existing"]
    return policies.Permissions(
        place=place,
        deployment="tap",
        site="frankfurt",
        table_arn=table,
        index_arn=f"{table}/index/{BY_STATE}",
        topic_arns=[os.environ["TAPSTACK_TOPIC_ARN"]],
        event_bus="default",
        state_machine="tap-incidents",
        target_id=existing["target_id"],
        filter_id=existing["filter_id"],
    )


@pytest.mark.usefixtures("running")
def test_when_a_timeline_is_due_and_no_packets_are_seen_then_the_policy_allows_every_call(site: Site) -> None:
    instance, _ = site.instance()
    incident = prepared(instance)
    capture_steps.start(incident)
    waited(incident, 11)
    # An earlier version opened it.
    earlier = opened(site.instance()[0])
    change(earlier, "REMOVE kept_until")
    tags, attributes = (found(site.account, region=REGION) for found in (tags_now, attributes_now))
    site.account.recorder.clear()
    assert sweep().problems == []
    records = site.account.recorder.records()
    assert len(mails(site, "NO PACKETS SEEN")) == 1
    document = {"Version": "2012-10-17", "Statement": policies.sweeper(permissions(site))}
    roles = {record.principal: read_policy(document) for record in records}
    proof = prove(records, roles, tags, attributes=attributes)
    assert list(map(str, proof.refusals)) == []
    assert any(record.call.action == "Query" and "IndexName" not in record.requested for record in records)
