"""A closed incident is deleted in its time; never while what is needed to release its instance is in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest

from tapstack.domain.incidents import as_time
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.errors import UnknownIncident
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import incidents, retention
from tests.responder.callers import OTHER
from tests.responder.conftest import change, item, opened
from tests.responder.containment.conftest import Shop, asked, contained, release


def close(incident: str) -> None:
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    assert item(incident)["state"] == "closed"


def is_kept(incident: str) -> bool:
    """Return whether it is kept for good; else its time must be right."""
    found = item(incident)
    if "ttl" not in found:
        return True
    assert found["ttl"] == (as_time(found["closed_at"]) + timedelta(days=365)).timestamp()
    return False


def test_when_its_instance_is_contained_then_it_is_kept_until_the_release(shop: Shop) -> None:
    incident = contained(shop.database)
    close(incident)
    assert is_kept(incident)
    assert release(incident) == "released"
    assert not is_kept(incident)


def test_when_one_releases_for_all_incidents_then_the_others_expire_too(shop: Shop) -> None:
    first, second = contained(shop.database), contained(shop.database)
    close(first)
    close(second)
    assert release(first, all_incidents=True) == "released"
    assert not is_kept(first)
    assert not is_kept(second)


def test_when_it_is_released_at_the_moment_it_is_closed_then_it_is_kept_no_longer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    capture_steps.stop(incident)
    real = incidents.transition

    def overtaken(*args: Any, **more: Any) -> bool:
        # The closing function has read that it is contained, and not written yet.
        release(incident)
        return real(*args, **more)

    monkeypatch.setattr(incidents, "transition", overtaken)
    incident_steps.close(incident, "closed")
    assert not is_kept(incident)


@pytest.mark.parametrize(("decision", "kept"), [("approved", True), ("rejected", False)])
def test_when_it_would_expire_before_a_decision_then_only_an_approval_keeps_it(
    shop: Shop, decision: Literal["approved", "rejected"], kept: bool
) -> None:
    incident = opened(shop.database, containment="approval")
    close(incident)
    assert not is_kept(incident)
    containment_requests.decide(incident, decision, by=OTHER)
    assert is_kept(incident) is kept


def test_when_a_containment_failed_and_changed_nothing_then_it_is_not_kept(shop: Shop) -> None:
    incident = asked(shop.database)
    close(incident)
    assert is_kept(incident)
    containment_steps.fail(incident, "ContainmentRefused", "protected")
    assert not is_kept(incident)


def test_when_the_instance_does_not_exist_any_more_then_the_notification_speaks_of_the_record_only(shop: Shop) -> None:
    incident = contained(shop.database)
    shop.ec2.modify_instance_attribute(InstanceId=shop.database, DisableApiTermination={"Value": False})
    shop.ec2.terminate_instances(InstanceIds=[shop.database])
    close(incident)
    message = shop.site.messages()[-1]
    assert message["Subject"].endswith(": closed, containment NOT RELEASED")
    assert f"The containment of {shop.database} is NOT RELEASED (contained)." in message["Message"]
    assert "STILL CONTAINED" not in message["Message"]


def test_when_others_change_its_containment_meanwhile_then_it_is_read_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = contained(shop.database)
    close(incident)
    real = incidents.changed
    change(incident, "SET #ttl = :ttl", ttl=1)

    def overtaken(*args: Any, **more: Any) -> Any:
        monkeypatch.setattr(incidents, "changed", real)
        release(incident)
        return real(*args, **more)

    monkeypatch.setattr(incidents, "changed", overtaken)
    assert retention.keep(incident).containment_state == "released"


def test_fails_when_there_is_no_such_incident(shop: Shop) -> None:
    with pytest.raises(UnknownIncident, match="there is no incident inc-20260101T000000-aaaaaaaa"):
        retention.keep("inc-20260101T000000-aaaaaaaa")
