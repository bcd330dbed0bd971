"""What others do to the sessions of incidents is undone or reported, and tags alone prove of no session whose it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.faults import Fault
from tapstack.domain.incidents import TAG_EXPIRES, TAG_INCIDENT, TAG_SITE, as_text, utc_now
from tapstack.domain.policy import Rule
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import repair, sessions
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.store import captures, incidents, table
from tapstack.responder.store.keys import capture_key
from tapstack.responder.sweeper import sweep
from tests.responder.conftest import (
    NOT_DELIVERED,
    Site,
    change,
    configure,
    interfaces_of,
    our_tags,
    prepared,
    swept_until_it_ends,
    tags,
    unpublished,
)
from tests.responder.test_findings import decided, decides
from tests.responder.test_joining import found

UNKNOWN = "inc-20260101T000000-aaaaaaaa"


pytestmark = pytest.mark.usefixtures("running")


def capturing(site: Site) -> tuple[str, str, str]:
    """An incident that has captured for long; its interface and its session."""
    instance, interface = site.instance()
    incident = prepared(instance)
    capture_steps.start(incident)
    long_ago(interface)
    [session] = site.ours(interface)
    return incident, interface, session["TrafficMirrorSessionId"]


def long_ago(interface: str) -> None:
    """Let the session of a capture have been recorded long ago: EC2 may show a new one late."""
    table.change(capture_key(interface), "SET session_since = :then", values={"then": 1})


def ends(incident: str) -> None:
    capture_steps.stop(incident)
    incident_steps.close(incident, "closed")


def mails(site: Site, what: str) -> list[str]:
    return [mail["Message"] for mail in site.messages() if mail["Subject"].endswith(f": {what}")]


def deletions(site: Site, mail: str) -> list[str]:
    """The sessions that the commands of a mail delete, in the site's Region."""
    command = (
        f"  aws ec2 delete-traffic-mirror-session --region {site.ec2.meta.region_name} --traffic-mirror-session-id "
    )
    return [line.removeprefix(command) for line in mail.splitlines() if line.startswith(command)]


def entries(incident: str, what: str) -> list[str]:
    return [entry["detail"] for entry in incidents.timeline(incident) if entry["what"] == what]


def delete(site: Site, session: str) -> None:
    site.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session)


def detach(site: Site, interface: str) -> None:
    [found] = site.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
    site.ec2.detach_network_interface(AttachmentId=found["Attachment"]["AttachmentId"])


def untag(site: Site, session: str) -> None:
    site.ec2.delete_tags(Resources=[session], Tags=[{"Key": TAG_SITE}])


def test_when_another_incident_makes_a_deleted_session_again_then_each_incident_names_the_new_one(site: Site) -> None:
    first, interface, before = capturing(site)
    delete(site, before)
    second = prepared(incidents.get(first).named_instance_id)
    capture_steps.start(second)
    [session] = site.ours(interface)
    after = session["TrafficMirrorSessionId"]
    assert interfaces_of(second)[interface]["session_id"] == after
    [line] = sweep().repaired
    assert line == f"{first}: {interface} is mirrored by {after}: {before} was deleted outside Tapstack"
    assert interfaces_of(first)[interface]["session_id"] == after
    assert len(mails(site, "mirroring repaired")) == 1
    assert not any(sweep().as_dict().values())
    ends(first)
    assert len(site.ours(interface)) == 1


def test_when_others_delete_a_session_then_it_is_made_again_and_responders_are_notified(site: Site) -> None:
    incident, interface, before = capturing(site)
    delete(site, before)
    [line] = sweep().repaired
    [session] = site.ours(interface)
    after = session["TrafficMirrorSessionId"]
    assert after != before
    assert line == f"{incident}: {interface} is mirrored by {after}: {before} was deleted outside Tapstack"
    assert interfaces_of(incident)[interface]["session_id"] == after
    held = captures.get(interface)
    assert held is not None
    assert (held.session_id, held.holders) == (after, frozenset({incident}))
    assert entries(incident, "mirroring repaired") == [line.partition(": ")[2]]
    [mail] = mails(site, "mirroring repaired")
    assert before in mail
    assert not any(sweep().as_dict().values())
    ends(incident)
    assert site.sessions() == []


def test_when_its_interface_is_deleted_then_its_capture_ends_and_nothing_is_lost_or_tried_again(site: Site) -> None:
    instance, primary = site.instance()
    interface = site.attach(instance)
    incident = prepared(instance)
    capture_steps.start(incident)
    long_ago(interface)
    [session] = site.ours(interface)
    # AWS deletes it with the interface.
    delete(site, session["TrafficMirrorSessionId"])
    detach(site, interface)
    site.ec2.delete_network_interface(NetworkInterfaceId=interface)
    report = sweep()
    said = f"{interface} is not mirrored any more: it does not exist any more"
    assert (report.repaired, report.places, report.problems) == ([f"{incident}: {said}"], [], [])
    found = interfaces_of(incident)[interface]
    assert (found["state"], found["note"]) == ("ended", "it does not exist any more")
    assert entries(incident, "interface deleted") == [said]
    [mail] = mails(site, "network interface deleted")
    assert said in mail
    assert "NOTHING of this incident is mirrored now." not in mail
    assert mails(site, "MIRRORING LOST") == []
    assert not any(sweep().as_dict().values())
    assert len(site.ours(primary)) == 1
    ends(incident)
    assert site.sessions() == []


def test_when_it_was_made_a_moment_ago_then_it_may_only_be_shown_late(site: Site) -> None:
    incident, interface, before = capturing(site)
    delete(site, before)
    table.change(capture_key(interface), "SET session_since = :now", values={"now": 2**33})
    assert sweep().repaired == []
    assert site.ours() == []
    ends(incident)


def test_when_two_incidents_share_a_deleted_session_then_they_share_the_new_one(site: Site) -> None:
    first, interface, before = capturing(site)
    instance = incidents.get(first).named_instance_id
    second = prepared(instance)
    capture_steps.start(second)
    long_ago(interface)
    delete(site, before)
    assert len(sweep().repaired) == 2
    [session] = site.ours(interface)
    for incident in (first, second):
        assert interfaces_of(incident)[interface]["session_id"] == session["TrafficMirrorSessionId"]
    ends(first)
    assert len(site.ours(interface)) == 1
    ends(second)
    assert site.sessions() == []


def test_when_others_take_a_tag_off_then_another_is_made_beside_it_and_the_command_is_said(site: Site) -> None:
    incident, interface, before = capturing(site)
    untag(site, before)
    [line] = sweep().repaired
    region = site.ec2.meta.region_name
    assert f"aws ec2 delete-traffic-mirror-session --region {region} --traffic-mirror-session-id {before}" in line
    [ours] = [one for one in site.ours(interface) if TAG_SITE in tags(one)]
    assert ours["SessionNumber"] == 2
    assert interfaces_of(incident)[interface]["session_id"] == ours["TrafficMirrorSessionId"]
    assert sweep().repaired == []
    # The functions may not delete it.
    ends(incident)
    assert [one["TrafficMirrorSessionId"] for one in site.sessions()] == [before]


def test_when_it_is_closed_before_then_what_stays_is_said_and_the_incident_closes(site: Site) -> None:
    incident, interface, before = capturing(site)
    untag(site, before)
    ends(incident)
    assert incidents.get(incident).state == "closed"
    [said] = entries(incident, "session left")
    assert f"{before} has lost the tags of this deployment, and stays until it is deleted" in said
    [mail] = mails(site, "closed")
    assert mail.startswith("The incident was closed by a command. Some of its sessions REMAIN, and are billed;")
    assert f"\n  {interface}: {said}\n" in mail
    held = captures.get(interface)
    assert held is not None
    assert not held.ending


def test_when_a_stop_is_killed_before_it_records_what_stays_then_the_next_one_does(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, interface, before = capturing(site)
    untag(site, before)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(incidents, "add_event", killed)
        with pytest.raises(KeyboardInterrupt):
            capture_steps.stop(incident)
    ends(incident)
    [said] = entries(incident, "session left")
    assert before in said
    [mail] = mails(site, "closed")
    assert mail.startswith("The incident was closed by a command. Some of its sessions REMAIN, and are billed;")
    assert f"\n  {interface}: {said}\n" in mail


def test_when_a_stop_is_killed_before_it_hands_a_session_over_then_nobody_is_said_to_have_changed_its_tags(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, session = capturing(site)
    second = prepared(incidents.get(first).named_instance_id)
    capture_steps.start(second)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(capture_steps, "_hand_over", killed)
        with pytest.raises(KeyboardInterrupt):
            capture_steps.stop(first)
    assert tags(site.ours()[0])[TAG_INCIDENT] == first
    sweep()
    [now] = site.ours()
    assert (now["TrafficMirrorSessionId"], tags(now)[TAG_INCIDENT]) == (session, second)
    assert tags(now)[TAG_EXPIRES] == incidents.get(second).expires_at
    assert mails(site, "mirroring repaired") == []
    assert entries(second, "mirroring repaired") == []


def test_when_it_cannot_be_made_again_then_that_is_said_once_and_each_sweep_tries_it_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decides(monkeypatch, Rule("worst", "capture"))
    incident, interface, before = capturing(site)
    delete(site, before)
    for number in (5, 6, 7):
        site.session_of_others(interface, number)
    [line] = sweep().repaired
    assert f"{incident}: {interface} is not mirrored: it is in 3 other mirror sessions already" in line
    assert interfaces_of(incident)[interface]["state"] == "waiting"
    [mail] = mails(site, "MIRRORING LOST")
    assert "could not be mirrored again. The sweeper tries every 15 minutes." in mail
    assert not any(sweep().as_dict().values())
    assert len(site.sessions()) == 3
    # Another finding joins, and does not say that it is captured.
    decided(found(str(incidents.get(incident).instance_id), 2, 9.0, seen=utc_now()))
    [joined] = mails(site, "joined by another alert")
    assert "NOTHING is captured now: none of its network interfaces is mirrored. Each sweep tries again." in joined
    assert "Captured until" not in joined
    for session in site.sessions():
        delete(site, session["TrafficMirrorSessionId"])
    [line] = sweep().places
    [session] = site.ours(interface)
    assert line == f"{incident}: {interface} is mirrored by {session['TrafficMirrorSessionId']}"
    assert interfaces_of(incident)[interface]["session_id"] == session["TrafficMirrorSessionId"]
    assert len(mails(site, "mirrored after waiting")) == 1
    ends(incident)
    assert site.sessions() == []


def test_when_it_is_lost_once_more_then_that_is_notified_of_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    incident, interface, _ = capturing(site)
    for turn in (1, 2):
        monkeypatch.setattr(repair, "_moment", lambda turn=turn: str(turn))
        delete(site, site.ours(interface)[0]["TrafficMirrorSessionId"])
        theirs = [site.session_of_others(interface, number) for number in (5, 6, 7)]
        sweep()
        assert (len(mails(site, "MIRRORING LOST")), len(entries(incident, "mirroring lost"))) == (turn, turn)
        for session in theirs:
            delete(site, session)
        sweep()
        long_ago(interface)
        assert interfaces_of(incident)[interface]["state"] == "mirrored"


def test_when_another_interface_is_throttled_then_the_one_that_is_lost_is_notified_of(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, lost = site.instance()
    throttled = site.attach(instance)
    incident = prepared(instance)
    capture_steps.start(incident)
    for interface in (lost, throttled):
        long_ago(interface)
        delete(site, site.ours(interface)[0]["TrafficMirrorSessionId"])
    for number in (5, 6, 7):
        site.session_of_others(lost, number)

    def throttle(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "no"}}, "CreateTrafficMirrorSession")

    with monkeypatch.context() as patched:
        patched.setattr(sessions, "create", throttle)
        [problem] = sweep().problems
    assert throttled in problem
    [mail] = mails(site, "MIRRORING LOST")
    assert f"{lost} is not mirrored" in mail
    [said] = entries(incident, "mirroring lost")
    assert lost in said
    [line] = sweep().repaired
    assert f"{incident}: {throttled} is mirrored by " in line


def test_when_it_is_closed_while_it_cannot_be_made_again_then_sessions_of_others_stay(site: Site) -> None:
    incident, interface, before = capturing(site)
    delete(site, before)
    for number in (5, 6, 7):
        site.session_of_others(interface, number)
    sweep()
    ends(incident)
    assert len(site.sessions()) == 3


def test_when_the_sweeper_ends_it_then_it_does_not_say_that_the_session_is_deleted(site: Site) -> None:
    incident, _, before = capturing(site)
    untag(site, before)
    # The function that closes it was killed before it released its captures.
    incident_steps.close(incident, "closed")
    report = sweep()
    assert report.deleted == []
    assert len(report.problems) == 1
    assert f"{before} has lost the tags of this deployment, and stays until it is deleted" in report.problems[0]
    assert not any(sweep().as_dict().values())


@pytest.mark.parametrize(("wanted", "cut"), [(None, 64), (1400, 64), (1400, 8000)])
def test_when_others_cut_packets_short_then_it_is_undone(
    site: Site, monkeypatch: pytest.MonkeyPatch, wanted: int | None, cut: int
) -> None:
    configure(monkeypatch, site, site.settings["appliance"], **({} if wanted is None else {"packet_length": wanted}))
    incident, _, session = capturing(site)
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, PacketLength=cut)
    [line] = sweep().repaired
    assert f"it mirrored {cut} bytes of each packet" in line
    assert site.ours()[0].get("PacketLength") in ((None, 8500) if wanted is None else (wanted,))
    assert len(mails(site, "mirroring repaired")) == 1
    assert len(entries(incident, "mirroring repaired")) == 1
    assert sweep().repaired == []


@pytest.mark.parametrize("what", ["target", "filter"])
def test_when_others_redirect_it_then_it_mirrors_to_the_appliance_again_and_responders_are_notified(
    site: Site, what: str
) -> None:
    incident, interface, session = capturing(site)
    appliance_steps.ensure(incident)
    before = site.ours(interface)
    theirs = (
        {"TrafficMirrorTargetId": site.others_target}
        if what == "target"
        else {"TrafficMirrorFilterId": site.others_filter}
    )
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, **theirs)
    assert sweep().retargeted == [f"{session} on {interface}"]
    assert site.ours(interface) == before
    [line] = entries(incident, "mirroring repaired")
    assert line.startswith(f"{session} on {interface}: it mirrored to ")
    assert next(iter(theirs.values())) in line
    assert len(mails(site, "mirroring repaired")) == 1
    assert not any(sweep().as_dict().values())


def test_when_others_change_the_tags_of_incident_and_expiry_then_they_are_as_before(site: Site) -> None:
    incident, _, session = capturing(site)
    site.ec2.create_tags(Resources=[session], Tags=[{"Key": TAG_INCIDENT, "Value": UNKNOWN}])
    site.ec2.delete_tags(Resources=[session], Tags=[{"Key": TAG_EXPIRES}])
    [line] = sweep().repaired
    assert line.endswith(f"its tags were changed ({TAG_INCIDENT}, {TAG_EXPIRES})")
    assert tags(site.ours()[0])[TAG_INCIDENT] == incident
    assert tags(site.ours()[0])[TAG_EXPIRES] == incidents.get(incident).expires_at
    assert sweep().repaired == []


@pytest.mark.parametrize("tag", [{TAG_EXPIRES: "2020-01-01T00:00:00Z"}, {TAG_EXPIRES: "never"}, {"Name": "web"}])
def test_when_others_give_a_tag_another_value_then_it_is_as_before(site: Site, tag: dict[str, str]) -> None:
    incident, interface, session = capturing(site)
    [(key, value)] = tag.items()
    before = tags(site.ours()[0])
    site.ec2.create_tags(Resources=[session], Tags=[{"Key": key, "Value": value}])
    [line] = sweep().repaired
    assert line == f"{incident}: {session} on {interface}: its tags were changed ({key})"
    assert tags(site.ours()[0]) == before
    assert len(mails(site, "mirroring repaired")) == 1
    assert not any(sweep().as_dict().values())


def test_when_an_extension_has_not_reached_the_session_then_it_is_tagged_and_nobody_is_notified(site: Site) -> None:
    incident, interface, session = capturing(site)
    until = as_text(utc_now() + timedelta(hours=5))
    change(incident, "SET expires_at = :until", until=until)
    assert sweep().repaired == [f"{session} on {interface}: {TAG_EXPIRES} is {until}"]
    assert tags(site.ours()[0])[TAG_EXPIRES] == until
    assert mails(site, "mirroring repaired") == []
    assert not any(sweep().as_dict().values())


def test_when_a_session_goes_on_for_another_incident_then_nothing_is_repaired(site: Site) -> None:
    first, interface, _ = capturing(site)
    second = prepared(incidents.get(first).named_instance_id, minutes=5)
    capture_steps.start(second)
    ends(first)
    assert sweep().repaired == []
    [session] = site.ours(interface)
    assert tags(session)[TAG_EXPIRES] == incidents.get(second).expires_at


@pytest.mark.parametrize("own", [None, 7])
def test_when_others_change_its_numbers_then_they_are_as_before(
    site: Site, monkeypatch: pytest.MonkeyPatch, own: int | None
) -> None:
    settings = {} if own is None else {"virtual_network_id": own}
    configure(monkeypatch, site, site.settings["appliance"], **settings)
    incident, interface, session = capturing(site)
    before = site.ours(interface)
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, SessionNumber=32766, VirtualNetworkId=4242)
    [line] = sweep().repaired
    assert line.endswith("its session number was changed from 1 to 32766, and its virtual network id was 4242")
    assert site.ours(interface) == before
    assert interfaces_of(incident)[interface]["session_number"] == 1
    assert len(mails(site, "mirroring repaired")) == 1
    assert not any(sweep().as_dict().values())


def test_when_others_take_its_number_then_it_has_the_lowest_one_and_responders_are_notified(site: Site) -> None:
    incident, interface, session = capturing(site)
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, SessionNumber=32766)
    theirs = site.session_of_others(interface, 1)
    [number, first] = sweep().repaired
    assert number.endswith("its session number was changed from 1 to 32766, it is 2")
    said = f"packets that the filter of {theirs} (number 1) accepts go to its target only"
    assert said in first
    assert site.ours(interface)[0]["SessionNumber"] == 2
    entry = interfaces_of(incident)[interface]
    assert (entry["session_number"], said in entry["note"]) == (2, True)
    [mail] = mails(site, "PACKETS GO TO ANOTHER MIRROR SESSION")
    assert said in mail
    assert deletions(site, mail) == [theirs]
    assert not any(sweep().as_dict().values())
    # Once there is a lower one than theirs, it is used again.
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=theirs, SessionNumber=9)
    sweep()
    assert site.ours(interface)[0]["SessionNumber"] == 2
    assert interfaces_of(incident)[interface]["note"].startswith("while this is captured")
    assert len(mails(site, "PACKETS GO TO ANOTHER MIRROR SESSION")) == 1


def test_when_others_cut_packets_on_their_way_to_the_appliance_then_responders_are_notified(site: Site) -> None:
    incident, interface, session = capturing(site)
    [ours] = site.ours(interface)
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, SessionNumber=2)
    theirs = site.ec2.create_traffic_mirror_session(
        NetworkInterfaceId=interface,
        TrafficMirrorTargetId=ours["TrafficMirrorTargetId"],
        TrafficMirrorFilterId=ours["TrafficMirrorFilterId"],
        SessionNumber=1,
        PacketLength=1,
    )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
    sweep()
    said = f"packets that the filter of {theirs} (number 1) accepts are captured as it cuts them"
    assert interfaces_of(incident)[interface]["note"] == said
    [mail] = mails(site, "PACKETS GO TO ANOTHER MIRROR SESSION")
    assert said in mail
    assert deletions(site, mail) == [theirs]
    assert not any(sweep().as_dict().values())


def test_when_others_take_packets_and_a_lower_number_is_free_then_it_is_used(site: Site) -> None:
    instance, interface = site.instance()
    theirs = [site.session_of_others(interface, number) for number in (1, 2)]
    incident = prepared(instance)
    capture_steps.start(incident)
    long_ago(interface)
    assert interfaces_of(incident)[interface]["session_number"] == 3
    delete(site, theirs[0])
    [line] = sweep().repaired
    assert line.endswith("other mirror sessions took its packets, its session number is 1 instead of 3")
    assert site.ours(interface)[0]["SessionNumber"] == 1
    assert not any(sweep().as_dict().values())


def test_when_others_come_first_again_then_responders_are_notified_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, interface = site.instance()
    site.session_of_others(interface, 1)
    incident = prepared(instance)
    capture_steps.start(incident)
    long_ago(interface)
    site.ec2.modify_traffic_mirror_session(
        TrafficMirrorSessionId=site.ours(interface)[0]["TrafficMirrorSessionId"], SessionNumber=5
    )
    for turn in (1, 2):
        monkeypatch.setattr(repair, "_moment", lambda turn=turn: str(turn))
        site.session_of_others(interface, 2)
        sweep()
        assert len(mails(site, "PACKETS GO TO ANOTHER MIRROR SESSION")) == turn
        delete(
            site, next(one["TrafficMirrorSessionId"] for one in site.sessions(interface) if one["SessionNumber"] == 2)
        )
        sweep()
        table.change(capture_key(interface), "SET session_number = :number", values={"number": 5})
        site.ec2.modify_traffic_mirror_session(
            TrafficMirrorSessionId=site.ours(interface)[0]["TrafficMirrorSessionId"], SessionNumber=5
        )


class TestKilledBeforeItNotifies:
    """A sweep is killed after it repaired, at each step of the notification: the next one notifies, with one entry."""

    def is_said(self, site: Site, incident: str, what: str, subject: str, line: str) -> None:
        [said] = entries(incident, what)
        assert line in said
        [mail, *repeated] = mails(site, subject)
        assert line in mail
        # What is killed after it published, and before it recorded that, publishes again.
        assert len(repeated) <= 1
        assert incidents.get(incident).unnotified == ()
        assert not any(sweep().as_dict().values())

    def test_when_it_made_a_session_again_then_that_is_notified_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident, _, before = capturing(site)
        delete(site, before)
        swept_until_it_ends(monkeypatch)
        self.is_said(site, incident, "mirroring repaired", "mirroring repaired", f"{before} was deleted outside")

    def test_when_it_could_not_make_it_again_then_that_is_notified_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident, interface, before = capturing(site)
        delete(site, before)
        for number in (5, 6, 7):
            site.session_of_others(interface, number)
        swept_until_it_ends(monkeypatch)
        self.is_said(site, incident, "mirroring lost", "MIRRORING LOST", f"{interface} is not mirrored")

    def test_when_what_waited_is_mirrored_then_that_is_notified_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, full = site.instance()
        site.attach(instance)
        theirs = [site.session_of_others(full, number) for number in (1, 2, 3)]
        incident = prepared(instance)
        capture_steps.start(incident)
        for session in theirs:
            delete(site, session)
        swept_until_it_ends(monkeypatch)
        self.is_said(site, incident, "mirrored after waiting", "mirrored after waiting", f"{full} is mirrored by ")

    @pytest.mark.parametrize("redirected", [True, False])
    def test_when_it_undid_what_others_changed_then_that_is_notified_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, redirected: bool
    ) -> None:
        incident, _, session = capturing(site)
        appliance_steps.ensure(incident)
        changes: dict[str, Any] = {"TrafficMirrorTargetId": site.others_target} if redirected else {"PacketLength": 64}
        site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, **changes)
        swept_until_it_ends(monkeypatch)
        line = f"it mirrored {f'to {site.others_target}' if redirected else '64 bytes'}"
        self.is_said(site, incident, "mirroring repaired", "mirroring repaired", line)

    def test_when_others_take_the_packets_then_that_is_notified_of(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident, interface, _ = capturing(site)
        [ours] = site.ours(interface)
        change = {"TrafficMirrorSessionId": ours["TrafficMirrorSessionId"], "SessionNumber": 2}
        site.ec2.modify_traffic_mirror_session(**change)
        captures.record_numbers(known(interface), 2, ours["VirtualNetworkId"])
        theirs = site.session_of_others(interface, 1)
        swept_until_it_ends(monkeypatch)
        self.is_said(site, incident, "packets go to others", "PACKETS GO TO ANOTHER MIRROR SESSION", theirs)

    def test_when_aws_refuses_to_undo_it_then_nothing_says_that_it_was_undone(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident, _, session = capturing(site)
        site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, PacketLength=64)

        def refuse(*_: object) -> None:
            raise ClientError(
                {"Error": {"Code": "OperationNotPermitted", "Message": "no"}}, "ModifyTrafficMirrorSession"
            )

        with monkeypatch.context() as patched:
            patched.setattr(sessions, "change", refuse)
            assert len(sweep().problems) == 1
        assert (entries(incident, "mirroring repaired"), incidents.get(incident).unnotified) == ([], ())
        assert len(sweep().repaired) == 1


@pytest.mark.parametrize("redirected", [True, False])
class TestUnknownOutcome:
    """EC2 does not answer whether it undid a change: operators are notified once it is seen to be undone, and once."""

    def changed(self, site: Site, redirected: bool) -> tuple[str, str, sessions.Described]:
        incident, interface, session = capturing(site)
        appliance_steps.ensure(incident)
        [before] = site.ours(interface)
        changes: dict[str, Any] = {"TrafficMirrorTargetId": site.others_target} if redirected else {"PacketLength": 64}
        site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, **changes)
        return incident, interface, before

    def test_when_it_is_not_undone_then_it_is_notified_of_by_the_sweep_that_undoes_it(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, redirected: bool
    ) -> None:
        incident, interface, before = self.changed(site, redirected)
        for turn in (1, 2):
            monkeypatch.setattr(repair, "_moment", lambda turn=turn: str(turn))
            site.account.faults.add(Fault("ModifyTrafficMirrorSession", "lost before", times=4))
            report = sweep()
            assert (len(report.problems), report.repaired, report.retargeted) == (1, [], [])
            assert before["TrafficMirrorSessionId"] in report.problems[0]
            assert (mails(site, "mirroring repaired"), entries(incident, "mirroring repaired")) == ([], [])
            assert len(incidents.get(incident).unnotified) == 1
        sweep()
        assert site.ours(interface) == [before]
        assert len(mails(site, "mirroring repaired")) == len(entries(incident, "mirroring repaired")) == 1
        assert not any(sweep().as_dict().values())

    def test_when_it_is_undone_then_the_next_sweep_notifies_of_it(self, site: Site, redirected: bool) -> None:
        incident, interface, before = self.changed(site, redirected)
        site.account.faults.add(Fault("ModifyTrafficMirrorSession", "lost after", times=4))
        sweep()
        assert site.ours(interface) == [before]
        sweep()
        assert len(mails(site, "mirroring repaired")) == len(entries(incident, "mirroring repaired")) == 1
        assert not any(sweep().as_dict().values())

    @pytest.mark.parametrize("refused", [True, False])
    def test_when_the_sweep_is_killed_before_it_undoes_it_then_the_next_one_notifies_only_where_it_does(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, redirected: bool, refused: bool
    ) -> None:
        incident, _, _ = self.changed(site, redirected)

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(sessions, "modify" if redirected else "change", killed)
            with pytest.raises(KeyboardInterrupt):
                sweep()
        assert len(incidents.get(incident).unnotified) == 1
        monkeypatch.setattr(repair, "_moment", lambda: "later")
        if refused:
            site.account.faults.add(Fault("ModifyTrafficMirrorSession", "throttled", times=4))
        sweep()
        assert (
            len(mails(site, "mirroring repaired")) == len(entries(incident, "mirroring repaired")) == int(not refused)
        )
        assert incidents.get(incident).unnotified == ()


class TestManyNotifications:
    def test_when_many_sessions_are_redirected_then_each_is_notified_of_once(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        instance, _ = site.instance()
        for index in (1, 2):
            site.attach(instance, index)
        incident = prepared(instance)
        capture_steps.start(incident)
        appliance_steps.ensure(incident)
        theirs = site.ours()
        for session in theirs:
            site.ec2.modify_traffic_mirror_session(
                TrafficMirrorSessionId=session["TrafficMirrorSessionId"], TrafficMirrorTargetId=site.others_target
            )
        all_modified, real = threading.Barrier(len(theirs)), sessions.modify

        def modify(*args: Any, **more: Any) -> None:
            real(*args, **more)
            all_modified.wait(timeout=60)

        monkeypatch.setattr(sessions, "modify", modify)
        assert len(sweep().retargeted) == 3
        assert len(mails(site, "mirroring repaired")) == len(entries(incident, "mirroring repaired")) == 3

    def test_when_one_fails_then_sweeps_go_on_to_repair_and_notify_of_it_later(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = sorted((capturing(site), capturing(site)))
        with monkeypatch.context() as patched:
            unpublished(patched, first[0])
            for _ in range(2):
                for _, interface, _ in (first, second):
                    long_ago(interface)
                    delete(site, site.ours(interface)[0]["TrafficMirrorSessionId"])
                report = sweep()
                assert report.problems == [NOT_DELIVERED]
                assert len(site.ours(first[1])) == len(site.ours(second[1])) == 1
        assert [second[0] in mail for mail in mails(site, "mirroring repaired")] == [True, True]
        sweep()
        assert len(mails(site, "mirroring repaired")) == 4
        assert len(entries(first[0], "mirroring repaired")) == 2

    def test_when_one_of_what_waited_fails_then_what_waits_of_others_is_mirrored(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting, theirs = [], []
        for _ in range(2):
            instance, full = site.instance()
            site.attach(instance)
            theirs += [site.session_of_others(full, number) for number in (1, 2, 3)]
            incident = prepared(instance)
            capture_steps.start(incident)
            waiting.append((incident, full))
        for session in theirs:
            delete(site, session)
        with monkeypatch.context() as patched:
            unpublished(patched, waiting[0][0])
            report = sweep()
            assert report.problems == [NOT_DELIVERED]
        for incident, full in waiting:
            assert interfaces_of(incident)[full]["state"] == "mirrored"
        assert len(mails(site, "mirrored after waiting")) == 1
        sweep()
        assert len(mails(site, "mirrored after waiting")) == 2


def known(interface: str) -> captures.Capture:
    held = captures.get(interface)
    assert held is not None
    return held


def test_when_an_earlier_version_made_the_session_then_the_incident_has_its_number(site: Site) -> None:
    _, interface, session = capturing(site)
    table.change(capture_key(interface), "REMOVE session_number, virtual_network_id")
    site.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, SessionNumber=3)
    [line] = sweep().repaired
    assert line.endswith("its session number was changed from 1 to 3")
    held = captures.get(interface)
    assert held is not None
    assert (held.session_number, held.virtual_network_id) == (1, site.ours()[0]["VirtualNetworkId"])


class TestUnknownSessions:
    def test_when_a_session_has_our_tags_alone_then_it_is_neither_used_nor_deleted(self, site: Site) -> None:
        instance, interface = site.instance()
        incident = prepared(instance)
        theirs = site.session_of_others(interface, 1, TagSpecifications=our_tags(incident))
        capture_steps.start(incident)
        ours = interfaces_of(incident)[interface]
        assert (ours["session_number"], ours["session_id"] != theirs) == (2, True)
        assert f"packets that the filter of {theirs} (number 1) accepts go to its target only" in ours["note"]
        report = sweep()
        assert report.unknown_sessions == [f"{theirs} on {interface}"]
        assert (report.deleted, report.retargeted, report.repaired) == ([], [], [])
        [mail] = mails(site, "unknown mirror session")
        assert deletions(site, mail) == [theirs]
        sweep()
        assert len(mails(site, "unknown mirror session")) == 1
        ends(incident)
        sweep()
        assert [one["TrafficMirrorSessionId"] for one in site.sessions()] == [theirs]
        assert site.sessions()[0]["TrafficMirrorTargetId"] == site.others_target

    @pytest.mark.parametrize("expires", ["2099-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "never"])
    def test_when_its_incident_is_unknown_then_it_stays_whatever_its_tags_say(self, site: Site, expires: str) -> None:
        _, interface = site.instance()
        [specification] = our_tags(UNKNOWN)
        specification["Tags"].append({"Key": TAG_EXPIRES, "Value": expires})
        theirs = site.session_of_others(interface, 1, TagSpecifications=[specification])
        report = sweep()
        assert (report.unknown_sessions, report.deleted) == ([f"{theirs} on {interface}"], [])
        assert len(site.sessions()) == 1
        assert site.messages() == []

    def test_when_it_was_made_after_the_incident_was_closed_then_it_stays(self, site: Site) -> None:
        incident, interface, _ = capturing(site)
        ends(incident)
        theirs = site.session_of_others(interface, 1, TagSpecifications=our_tags(incident))
        assert sweep().deleted == []
        assert [one["TrafficMirrorSessionId"] for one in site.sessions()] == [theirs]

    def forged(self, site: Site, session: str) -> str:
        """Another session in place of one of an incident, with all that can be written of it."""
        [ours] = [one for one in site.sessions() if one["TrafficMirrorSessionId"] == session]
        delete(site, session)
        return str(
            site.ec2.create_traffic_mirror_session(
                NetworkInterfaceId=ours["NetworkInterfaceId"],
                TrafficMirrorTargetId=ours["TrafficMirrorTargetId"],
                TrafficMirrorFilterId=ours["TrafficMirrorFilterId"],
                SessionNumber=ours["SessionNumber"],
                PacketLength=1,
                TagSpecifications=[{"ResourceType": "traffic-mirror-session", "Tags": ours["Tags"]}],
            )["TrafficMirrorSession"]["TrafficMirrorSessionId"]
        )

    def test_when_it_is_just_like_the_one_that_was_deleted_then_it_is_neither_used_nor_deleted(
        self, site: Site
    ) -> None:
        incident, interface, session = capturing(site)
        theirs = self.forged(site, session)
        report = sweep()
        assert (report.unknown_sessions, report.deleted) == ([f"{theirs} on {interface}"], [])
        ours = interfaces_of(incident)[interface]["session_id"]
        assert ours not in (theirs, session)
        assert {one["TrafficMirrorSessionId"] for one in site.sessions(interface)} == {theirs, ours}
        ends(incident)
        sweep()
        assert [one["TrafficMirrorSessionId"] for one in site.sessions()] == [theirs]

    def test_when_another_incident_meets_it_first_then_that_does_not_use_it(self, site: Site) -> None:
        first, interface, session = capturing(site)
        theirs = self.forged(site, session)
        second = prepared(incidents.get(first).named_instance_id)
        capture_steps.start(second)
        ours = interfaces_of(second)[interface]["session_id"]
        assert ours not in (theirs, session)
        sweep()
        assert interfaces_of(first)[interface]["session_id"] == ours
        for incident in (first, second):
            ends(incident)
        assert [one["TrafficMirrorSessionId"] for one in site.sessions()] == [theirs]

    def test_when_ec2_shows_it_only_to_the_creation_then_it_is_not_used_either(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, interface, session = capturing(site)
        theirs = self.forged(site, session)
        listed, late = sessions.on_interfaces, [True]

        def shown(interface_ids: Sequence[str]) -> list[sessions.Described]:
            return [] if late and late.pop() else listed(interface_ids)

        monkeypatch.setattr(sessions, "on_interfaces", shown)
        second = prepared(incidents.get(first).named_instance_id)
        capture_steps.start(second)
        entry = interfaces_of(second)[interface]
        assert (entry["session_id"] != theirs, entry["session_number"]) == (True, 2)


class TestKilled:
    """The table has what was begun, so that a session that nobody recorded is still known."""

    def killed(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
        """An incident whose function was killed before it recorded its session."""
        instance, interface = site.instance()
        incident = prepared(instance)

        class Killed(BaseException):
            pass

        def dies(*_: object) -> bool:
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(captures, "record", dies)
            with pytest.raises(Killed):
                capture_steps.start(incident)
        assert len(site.ours(interface)) == 1
        return incident, interface

    def test_when_it_starts_again_then_it_uses_that(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        incident, interface = self.killed(site, monkeypatch)
        [before] = site.ours(interface)
        assert not any(sweep().as_dict().values())
        capture_steps.start(incident)
        assert [one["TrafficMirrorSessionId"] for one in site.ours(interface)] == [before["TrafficMirrorSessionId"]]
        ends(incident)
        assert site.sessions() == []

    def test_when_another_incident_starts_then_it_uses_that(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        first, interface = self.killed(site, monkeypatch)
        second = prepared(incidents.get(first).named_instance_id)
        capture_steps.start(second)
        assert len(site.ours(interface)) == 1
        for incident in (first, second):
            ends(incident)
        assert site.sessions() == []

    def test_when_it_is_closed_then_that_ends(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        incident, _ = self.killed(site, monkeypatch)
        ends(incident)
        assert site.sessions() == []

    def test_when_ec2_shows_it_only_after_the_end_then_the_sweeper_deletes_it(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        incident, interface = self.killed(site, monkeypatch)
        with monkeypatch.context() as patched:
            patched.setattr(sessions, "on_interfaces", lambda _: [])
            ends(incident)
        assert len(site.ours(interface)) == 1
        assert len(sweep().deleted) == 1
        assert site.sessions() == []


@pytest.mark.parametrize("made", [False, True], ids=["before", "after"])
def test_when_a_sweep_was_killed_while_it_made_a_session_again_then_the_next_one_goes_on(
    site: Site, made: bool
) -> None:
    incident, interface, before = capturing(site)
    long_ago(interface)
    delete(site, before)
    site.account.faults.add(Fault("CreateTrafficMirrorSession", "lost after" if made else "lost before", times=4))
    sweep()
    [entry] = incidents.get(incident).interfaces
    assert entry.session_id == before
    sweep()
    [entry] = incidents.get(incident).interfaces
    [session] = site.ours(interface)
    assert (entry.state, entry.session_id) == ("mirrored", session["TrafficMirrorSessionId"])
    assert len(entries(incident, "mirroring repaired")) == 1
