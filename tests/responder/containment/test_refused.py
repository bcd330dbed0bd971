"""A refusal is not for ever: what refused a containment may have passed."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tapstack.domain.incidents import utc_now
from tapstack.domain.policy import Rule
from tapstack.responder.containment import isolation, steps
from tapstack.responder.errors import ContainmentRefused
from tapstack.responder.store import table
from tapstack.responder.store.keys import containments_key
from tests.responder.conftest import item
from tests.responder.containment.conftest import Shop
from tests.responder.test_api import ask
from tests.responder.test_findings import decided, decides
from tests.responder.test_joining import found

NOW = Rule("worst", "contain_now")


def refuse(incident: str) -> str:
    """Do what the workflow does: the containment is refused, and that is recorded."""
    with pytest.raises(ContainmentRefused) as refused:
        isolation.contain(incident)
    cause = {"errorMessage": str(refused.value), "errorType": "ContainmentRefused"}
    steps.fail(incident, "ContainmentRefused", json.dumps(cause))
    containment = item(incident)["containment"]
    assert containment["state"] == "failed"
    return str(containment["failure"])


@pytest.mark.parametrize("by", ["finding", "api"])
def test_when_an_attacker_had_the_containment_refused_for_some_seconds_then_the_next_alert_contains(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    decides(monkeypatch, NOW)
    tag = [{"Key": "tapstack-protected", "Value": "for some seconds"}]
    incident = str(decided(found(shop.database, 1, 9.0, seen=utc_now()))["incident_id"])
    shop.ec2.create_tags(Resources=[shop.database], Tags=tag)
    assert "is protected by its tag" in refuse(incident)
    shop.ec2.delete_tags(Resources=[shop.database], Tags=tag)
    if by == "finding":
        decided(found(shop.database, 2, 9.5, seen=utc_now() + timedelta(minutes=10)))
    else:
        body = {"instance_id": shop.database, "reason": "beacons", "alert_id": "siem-1"}
        assert ask("POST", "/incidents/contain-now", body)[1]["joined"] is True
    assert isolation.contain(incident) == {"status": "contained"}
    assert shop.is_isolated(shop.database)


def test_when_the_limit_of_an_hour_refused_it_then_the_next_finding_contains_in_another_hour(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.set(per_hour=1)
    decides(monkeypatch, NOW)
    other = str(decided(found(shop.company.instances["legacy"], 1, 9.0, seen=utc_now()))["incident_id"])
    assert isolation.contain(other) == {"status": "contained"}
    incident = str(decided(found(shop.database, 2, 9.0, seen=utc_now()))["incident_id"])
    assert "per_hour is 1" in refuse(incident)
    # In the same hour it is refused again, and says so.
    decided(found(shop.database, 3, 9.0, seen=utc_now()))
    assert "per_hour is 1" in refuse(incident)
    assert len([mail for mail in shop.site.messages() if mail["Subject"].endswith("containment REFUSED")]) == 2
    for hour in (utc_now(), utc_now() - timedelta(hours=1)):
        table.change(containments_key(f"{hour:%Y-%m-%dT%H}"), "REMOVE instances", values={}, names={})
    decided(found(shop.database, 4, 9.0, seen=utc_now() + timedelta(hours=2)))
    assert isolation.contain(incident) == {"status": "contained"}
