"""Whether packets are mirrored is said when CloudWatch says so, and never before."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from strictmoto.cloudwatch.metrics import Measurement
from strictmoto.faults import Fault
from tapstack.domain.incidents import as_text, as_time, utc_now
from tapstack.domain.packet_watch import PERIOD, period_of
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.capture import watch
from tapstack.responder.environment import environment
from tapstack.responder.handlers import sweeper
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import containments, incidents
from tapstack.responder.store.containments import Containment
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import NOT_DELIVERED, Site, change, item, opened, prepared, unpublished
from tests.responder.test_api import ask

pytestmark = pytest.mark.usefixtures("running")


def capturing(site: Site) -> tuple[str, str, str]:
    """An incident that captures; its instance and interface."""
    instance, interface = site.instance()
    incident = prepared(instance)
    capture_steps.start(incident)
    return incident, instance, interface


def mirrors(site: Site, instance: str, value: float = 1500, *, metric: str = "NetworkMirrorOut", ago: int = 0) -> None:
    """Let CloudWatch count packets of an instance, some minutes ago."""
    at = (utc_now() - timedelta(minutes=ago)).timestamp()
    site.account.metrics.add(Measurement(instance, metric, value, at=at))


def waited(incident: str, minutes: int) -> None:
    """Let mirroring have begun some minutes ago."""
    then = utc_now() - timedelta(minutes=minutes)
    change(
        incident,
        "SET packets.since = :then, packets.counted_from = :period",
        then=as_text(then),
        period=as_text(period_of(then)),
    )


def entries(incident: str, what: str) -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def mails(site: Site, what: str) -> list[str]:
    return [
        record.call.parameters["Message"]
        for record in site.account.recorder.records(service="sns", action="Publish")
        if record.status == 200 and record.call.parameters["Subject"].endswith(f": {what}")
    ]


def packets_of(incident: str) -> dict[str, object]:
    found = ask("GET", f"/incidents/{incident}")[1]["packets"]
    assert isinstance(found, dict)
    return found


def test_when_sessions_exist_then_only_that_is_said(site: Site) -> None:
    instance, _ = site.instance()
    incident = prepared(instance)
    assert ask("GET", f"/incidents/{incident}")[1]["packets"] is None
    capture_steps.start(incident)
    incident_steps.notify(incident)
    assert sweep().packets == []
    since = str(packets_of(incident)["since"])
    assert packets_of(incident) == {
        "state": "mirroring",
        "since": since,
        "seen_at": None,
        "missing": [],
        "counted_from": as_text(period_of(as_time(since))),
    }
    assert abs(as_time(since) - utc_now()) < timedelta(minutes=1)
    [mail] = mails(site, "mirroring started")
    assert "A warning follows where CloudWatch counts none for 10 minutes." in mail
    assert "packets flow" not in mail


@pytest.mark.parametrize("metric", ["NetworkMirrorIn", "NetworkMirrorOut"])
def test_when_cloudwatch_counts_packets_then_they_are_seen_and_that_is_the_end_of_the_watch(
    site: Site, metric: str
) -> None:
    incident, instance, _ = capturing(site)
    mirrors(site, instance, metric=metric)
    [line] = sweep().packets
    found = packets_of(incident)
    assert found["state"] == "packets seen"
    assert line == f"{incident}: CloudWatch counts mirrored packets in the five minutes from {found['seen_at']}"
    assert entries(incident, "packets seen") == [line.partition(": ")[2]]
    # Nobody was warned, so nobody is written to.
    assert site.messages() == []
    site.account.recorder.clear()
    assert sweep().packets == []
    assert site.calls("monitoring") == []


def test_when_cloudwatch_counts_nothing_but_noughts_or_what_was_before_then_nothing_is_seen(site: Site) -> None:
    incident, instance, _ = capturing(site)
    mirrors(site, instance, 0)
    mirrors(site, instance, ago=30)
    other, _ = site.instance()
    mirrors(site, other)
    assert sweep().packets == []
    assert packets_of(incident)["state"] == "mirroring"


def mirrored_before(site: Site) -> tuple[str, str]:
    """An incident on an interface whose capture has just ended."""
    first, instance, _ = capturing(site)
    capture_steps.stop(first)
    incident_steps.close(first, "closed")
    return prepared(instance), instance


def named_alone(site: Site) -> tuple[str, str]:
    """An incident of an interface, of an instance that may have others."""
    instance, interface = site.instance()
    return prepared(None, interface), instance


@pytest.mark.parametrize("others", [True, False])
def test_when_sessions_of_others_go_on_then_no_period_is_waited_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    began = period_of(utc_now()) + timedelta(minutes=2)
    instance, interface = site.instance()
    if others:
        site.session_of_others(interface, 5)
    incident = prepared(instance)
    monkeypatch.setattr(capture_steps, "utc_now", lambda: began)
    capture_steps.start(incident)
    assert packets_of(incident)["counted_from"] == as_text(period_of(began))


@pytest.mark.parametrize("begun", [mirrored_before, named_alone])
def test_when_an_ended_session_may_have_mirrored_before_then_the_period_in_which_it_began_does_not_count(
    site: Site, monkeypatch: pytest.MonkeyPatch, begun: Callable[[Site], tuple[str, str]]
) -> None:
    began = period_of(utc_now()) + timedelta(minutes=2)
    incident, instance = begun(site)
    monkeypatch.setattr(capture_steps, "utc_now", lambda: began)
    capture_steps.start(incident)
    first = period_of(began) + PERIOD
    assert packets_of(incident)["counted_from"] == as_text(first)

    def judged(counted: datetime, minutes: int) -> list[str]:
        now = first + timedelta(minutes=minutes)
        return watch._judge(incidents.get(incident), [instance], {instance: [counted]}, now)

    assert judged(period_of(began), 9) == []
    # Ten minutes count from the first period that counts.
    [warned] = judged(period_of(began), 10)
    assert "counts none" in warned
    [seen] = judged(first, 11)
    assert "counts mirrored packets" in seen
    assert packets_of(incident)["state"] == "packets seen"


def test_when_there_are_none_for_ten_minutes_then_responders_are_warned_once(site: Site) -> None:
    incident, instance, _ = capturing(site)
    waited(incident, 9)
    assert sweep().packets == []
    waited(incident, 11)
    assert len(sweep().packets) == 1
    found = packets_of(incident)
    assert (found["state"], found["missing"], found["seen_at"]) == ("no packets seen", [instance], None)
    [mail] = mails(site, "NO PACKETS SEEN")
    filter_id = site.ours()[0]["TrafficMirrorFilterId"]
    for cause in (
        f"no traffic, or none that the filter {filter_id} accepts",
        "must admit UDP 4789 from the source",
        "no route from the subnet of the source",
        "a network ACL of either subnet",
    ):
        assert cause in mail
    assert "is stopped" not in mail
    assert "of others" not in mail
    [said] = entries(incident, "no packets seen")
    assert said.startswith(f"CloudWatch counts none of {instance} since {found['since']}. Likely causes: no traffic")
    for _ in range(2):
        assert sweep().packets == []
    assert len(mails(site, "NO PACKETS SEEN")) == 1
    assert len(entries(incident, "no packets seen")) == 1


@pytest.mark.parametrize("failing", [0, 1])
def test_when_a_warning_cannot_be_published_then_those_of_other_incidents_are(
    site: Site, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    both = [capturing(site)[0] for _ in range(2)]
    for incident in both:
        waited(incident, 11)
    with monkeypatch.context() as patched:
        unpublished(patched, both[failing])
        for _ in range(2):
            assert sweep().problems == [NOT_DELIVERED]
    assert [both[1 - failing] in mail for mail in mails(site, "NO PACKETS SEEN")] == [True]
    assert sweep().problems == []
    assert len(mails(site, "NO PACKETS SEEN")) == 2


def test_when_they_are_seen_after_the_warning_then_responders_are_notified(site: Site) -> None:
    incident, instance, _ = capturing(site)
    waited(incident, 30)
    sweep()
    mirrors(site, instance)
    assert len(sweep().packets) == 1
    assert packets_of(incident)["state"] == "packets seen"
    [mail] = mails(site, "packets seen")
    assert "CloudWatch counts mirrored packets in the five minutes from" in mail
    sweep()
    assert len(mails(site, "packets seen")) == 1


def test_when_the_instance_is_stopped_or_others_mirror_first_then_the_warning_says_so(site: Site) -> None:
    instance, interface = site.instance()
    theirs = site.session_of_others(interface, 1)
    incident = prepared(instance)
    capture_steps.start(incident)
    site.ec2.stop_instances(InstanceIds=[instance])
    waited(incident, 11)
    sweep()
    [mail] = mails(site, "NO PACKETS SEEN")
    causes = mail.partition("Likely causes:\n")[2].splitlines()
    assert causes[:2] == [
        f"  {instance} is stopped",
        f"  another mirror session, {theirs} (number 1), takes the packets that its filter accepts first",
    ]


def test_when_the_instance_is_contained_then_the_warning_says_that_aws_does_not_mirror_what_is_dropped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, instance, _ = capturing(site)
    site.settings["containment"] = {"modes": ["now"], "groups": {site.vpc: {"quarantine": site.group, "untrack": None}}}
    monkeypatch.setenv("TAPSTACK_SETTINGS", json.dumps(site.settings))
    environment.cache_clear()
    there = Containment(instance, incidents.get(incident).where, "contained", 1, 1)
    monkeypatch.setattr(containments, "get", lambda *_: there)
    waited(incident, 11)
    watch.watch()
    [mail] = mails(site, "NO PACKETS SEEN")
    assert mail.partition("Likely causes:\n")[2].splitlines()[0] == (
        f"  {instance} is contained: AWS does not mirror packets that its security groups drop"
    )


def test_when_others_mirror_the_same_interface_then_the_timeline_says_that_theirs_are_counted_too(site: Site) -> None:
    incident, instance, interface = capturing(site)
    theirs = site.session_of_others(interface, 5)
    mirrors(site, instance)
    sweep()
    [said] = entries(incident, "packets seen")
    assert said.endswith(f"those of {theirs}, other mirror sessions on the same interfaces, are counted too")


def test_when_interfaces_of_several_instances_are_named_then_packets_of_each_are_wanted(site: Site) -> None:
    (first, one), (second, two) = site.instance(), site.instance()
    incident = prepared(None, one, two, site.interface())
    capture_steps.start(incident)
    waited(incident, 11)
    mirrors(site, first)
    sweep()
    assert packets_of(incident)["missing"] == [second]
    mirrors(site, second)
    sweep()
    assert packets_of(incident)["state"] == "packets seen"


def test_when_no_interface_is_attached_then_nothing_is_said(site: Site) -> None:
    incident = prepared(None, site.interface())
    capture_steps.start(incident)
    waited(incident, 60)
    assert sweep().packets == []
    assert packets_of(incident)["state"] == "mirroring"
    assert mails(site, "NO PACKETS SEEN") == []


def test_when_an_earlier_version_began_it_then_it_is_watched_from_its_opening(site: Site) -> None:
    incident, instance, _ = capturing(site)
    change(incident, "SET opened_at = :then REMOVE packets", then=as_text(utc_now() - timedelta(minutes=20)))
    sweep()
    assert packets_of(incident)["state"] == "no packets seen"
    assert packets_of(incident)["since"] == item(incident)["opened_at"]
    mirrors(site, instance)
    sweep()
    assert packets_of(incident)["state"] == "packets seen"


def test_when_the_topic_does_not_answer_then_the_next_sweep_delivers(site: Site) -> None:
    incident, instance, _ = capturing(site)
    incident_steps.notify(incident)
    waited(incident, 11)
    # As often as a client tries; then it is not called again in this sweep.
    site.account.faults.add(Fault("Publish", "lost before", times=2))
    assert sweeper.handler({}, None)["problems"] == 1
    assert packets_of(incident)["state"] == "no packets seen"
    assert mails(site, "NO PACKETS SEEN") == []
    sweeper.handler({}, None)
    assert len(mails(site, "NO PACKETS SEEN")) == 1
    # As with what resolves the warning.
    mirrors(site, instance)
    site.account.faults.add(Fault("Publish", "lost before", times=2))
    for _ in range(2):
        sweeper.handler({}, None)
    assert len(mails(site, "packets seen")) == 1
    assert len(entries(incident, "packets seen")) == 1


def test_when_it_does_not_capture_then_it_is_not_watched(site: Site) -> None:
    waiting = prepared(site.instance()[0])
    assert opened(site.instance()[0]) != waiting
    closed, _, _ = capturing(site)
    waited(closed, 60)
    capture_steps.stop(closed)
    incident_steps.close(closed, "closed")
    assert sweep().packets == []
    assert site.calls("monitoring") == []


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (None, "NO PACKETS were seen of i-"),
        (1500, "Packets were seen from "),
        (0, "Whether packets were mirrored is not"),
    ],
)
def test_when_it_closes_then_the_mail_says_what_was_seen(site: Site, metric: float | None, said: str) -> None:
    incident, instance, _ = capturing(site)
    if metric is None:
        waited(incident, 11)
    else:
        mirrors(site, instance, metric)
    sweep()
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")
    [mail] = mails(site, "closed")
    assert said in mail


def test_when_it_is_closed_at_the_same_moment_then_nothing_is_recorded(site: Site) -> None:
    incident, _, _ = capturing(site)
    waited(incident, 11)
    before = incidents.get(incident)
    capture_steps.stop(incident)
    assert watch._judge(before, [str(before.instance_id)], {}, datetime.now(UTC)) == []
    assert entries(incident, "no packets seen") == []


def test_when_nothing_is_mirrored_for_whatever_reason_then_nothing_is_warned_of(site: Site) -> None:
    instance, interface = site.instance()
    other = site.attach(instance)
    incident = prepared(instance)
    capture_steps.start(incident)
    waited(incident, 30)
    written = [
        {**entry, "state": "refused" if entry["network_interface_id"] == interface else "waiting", "session_id": None}
        for entry in item(incident)["interfaces"]
    ]
    assert {entry["network_interface_id"] for entry in written} == {interface, other}
    change(incident, "SET interfaces = :interfaces", interfaces=written)
    assert watch.watch() == ([], [])
    assert mails(site, "NO PACKETS SEEN") == []
