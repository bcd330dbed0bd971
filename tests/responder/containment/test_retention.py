"""A closed incident is deleted in its time; never while what is needed to release its instance is in it.

What belongs to it goes after it, and stays as long as it does.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import pytest

from tapstack.domain.incidents import as_time, utc_now
from tapstack.domain.table_names import EVENT, INCIDENT, PARTITION_KEY, REQUEST, SORT_KEY
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.containment import isolation
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.containment import steps as containment_steps
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain, UnknownIncident
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import incidents, lifetimes, retention, table
from tapstack.responder.store.items import pack, unpack_item
from tapstack.responder.sweeper import sweep
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


def items(shop: Shop) -> list[dict[str, Any]]:
    """All items of the table."""
    pages = shop.client("dynamodb").get_paginator("scan").paginate(TableName=environment().table)
    return [unpack_item(one) for page in pages for one in page["Items"]]


def belongings(shop: Shop, incident: str) -> list[dict[str, Any]]:
    """The items of an incident besides its own."""
    partition = item(incident)[PARTITION_KEY]
    return [one for one in items(shop) if one[PARTITION_KEY] == partition and one[SORT_KEY] != INCIDENT]


def test_when_nothing_is_open_or_contained_then_every_item_goes_in_time(shop: Shop) -> None:
    incident = asked(shop.database, alert_id="siem-1")
    assert isolation.contain(incident) == {"status": "contained"}
    sweep()
    close(incident)
    assert release(incident) == "released"
    containment_steps.notify(incident)
    assert {one[SORT_KEY] for one in items(shop) if "ttl" not in one} == set()
    kept_for = {one["ttl"] - item(incident)["ttl"] for one in belongings(shop, incident)}
    # Each goes after its incident, and not long after.
    assert min(kept_for) >= 0
    assert max(kept_for) <= timedelta(days=9).total_seconds()


def test_when_an_incident_is_extended_then_its_alert_opens_no_other_while_it_is_kept(shop: Shop) -> None:
    incident = opened(shop.database, alert_id="siem-1", minutes=1)
    now = incidents.get(incident)
    extended = incidents.extend(now, incidents.latest_end(now))
    assert extended is not None
    [key] = [one for one in items(shop) if one[SORT_KEY] == REQUEST and one["incident_id"] == incident]
    assert key["ttl"] > lifetimes.of_closed_incident(as_time(extended.expires_at))


def test_when_the_retention_is_raised_while_it_is_open_then_its_timeline_stays_as_long_as_it_does(shop: Shop) -> None:
    incident = opened(shop.database)
    shop.site.settings["retention_days"] = 730
    shop.set()
    close(incident)
    retention.keep_belongings()
    found = item(incident)
    assert found["ttl"] == (as_time(found["closed_at"]) + timedelta(days=730)).timestamp()
    assert min(one["ttl"] for one in belongings(shop, incident)) == found["ttl"] == found["kept_until"]
    assert list(incidents.closed_and_kept_longer()) == []


def test_when_a_sweep_was_killed_then_the_next_one_writes_only_what_is_left(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = opened(shop.database)
    incidents.add_event(incident, "ann", "a note")
    soon = int((utc_now() + timedelta(days=2)).timestamp())
    for one in belongings(shop, incident):
        key = {name: pack(one[name]) for name in (PARTITION_KEY, SORT_KEY)}
        table.change(key, "SET #ttl = :soon", values={"soon": soon}, names={"ttl": "ttl"})
    change(incident, "SET kept_until = :soon", soon=soon)
    written: list[str] = []

    def killed(key: dict[str, Any], *args: Any, **more: Any) -> Any:
        if written:
            raise TryAgain("killed")
        written.append(key[SORT_KEY]["S"])
        return real(key, *args, **more)

    real = table.change
    monkeypatch.setattr(table, "change", killed)
    with pytest.raises(TryAgain):
        retention.keep_belongings()
    assert item(incident)["kept_until"] == soon
    first, *_ = written
    written.clear()

    def counted(key: dict[str, Any], *args: Any, **more: Any) -> Any:
        written.append(key[SORT_KEY]["S"])
        return real(key, *args, **more)

    monkeypatch.setattr(table, "change", counted)
    retention.keep_belongings()
    others = {one[SORT_KEY] for one in belongings(shop, incident)} - {first}
    assert others
    assert sorted(written) == sorted([*others, INCIDENT])
    assert item(incident)["kept_until"] == min(one["ttl"] for one in belongings(shop, incident))


@pytest.mark.parametrize("is_closed", [False, True])
def test_when_an_incident_is_kept_longer_than_most_then_so_is_its_timeline(shop: Shop, is_closed: bool) -> None:
    incident = contained(shop.database)
    if is_closed:
        close(incident)
    sweep()
    before = {one[SORT_KEY]: one["ttl"] for one in belongings(shop, incident)}
    sweep()
    assert {one[SORT_KEY]: one["ttl"] for one in belongings(shop, incident)} == before
    soon = int((utc_now() + timedelta(days=2)).timestamp())
    for one in belongings(shop, incident):
        key = {name: pack(one[name]) for name in (PARTITION_KEY, SORT_KEY)}
        table.change(key, "SET #ttl = :soon", values={"soon": soon}, names={"ttl": "ttl"})
    change(incident, "SET kept_until = :soon", soon=soon)
    sweep()
    later = [one["ttl"] for one in belongings(shop, incident)]
    assert len(later) >= len(before)
    assert min(later) > (utc_now() + timedelta(days=365)).timestamp()


def test_when_an_earlier_version_wrote_the_timeline_of_an_open_incident_then_it_goes_in_time(shop: Shop) -> None:
    incident = contained(shop.database)
    for one in belongings(shop, incident):
        key = {name: pack(one[name]) for name in (PARTITION_KEY, SORT_KEY)}
        table.change(key, "REMOVE #ttl", names={"ttl": "ttl"})
    change(incident, "REMOVE kept_until")
    sweep()
    assert all("ttl" in one for one in belongings(shop, incident))


def test_when_an_entry_goes_meanwhile_then_it_does_not_come_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = contained(shop.database)
    change(incident, "SET kept_until = :now", now=0)
    before = len(belongings(shop, incident))
    real = table.beginning_with

    def gone(*args: Any) -> Any:
        for one in list(real(*args)):
            if one[SORT_KEY].startswith(EVENT):
                key = {name: pack(one[name]) for name in (PARTITION_KEY, SORT_KEY)}
                shop.client("dynamodb").delete_item(TableName=environment().table, Key=key)
            yield one

    monkeypatch.setattr(table, "beginning_with", gone)
    retention.keep_belongings()
    monkeypatch.setattr(table, "beginning_with", real)
    assert len(belongings(shop, incident)) < before
    assert incidents.timeline(incident) == []


def test_fails_when_there_is_no_such_incident(shop: Shop) -> None:
    with pytest.raises(UnknownIncident, match="there is no incident inc-20260101T000000-aaaaaaaa"):
        retention.keep("inc-20260101T000000-aaaaaaaa")
