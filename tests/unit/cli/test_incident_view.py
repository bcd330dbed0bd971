from datetime import UTC, datetime
from typing import Any

import pytest

from tapstack.cli.incident_view import card, listing, next_commands, timeline
from tests.unit.cli.incidents import ANA, ID, incident

NOW = datetime(2026, 1, 2, 3, 34, 5, tzinfo=UTC)


def test_when_an_incident_captures_then_its_card_shows_the_portal_and_the_next_commands() -> None:
    assert card(incident(), now=NOW, options=" --url https://a").splitlines() == [
        f"{ID}  capturing, severity high",
        "  reason     'beacons every minute'",
        "  instance   i-0a000000000000001",
        "  technique  T1071.004",
        "  opened     2026-01-02T03:04:05Z by arn:aws:sts::111122223333:assumed-role/responders/ana "
        "(api, alert xdr-4711)",
        "  until      2026-01-02T05:05:00Z (in 1 h 30 min)",
        "  portal     https://10.0.0.10",
        "  appliance  ready (tapstack-production-epb)",
        "",
        "  INTERFACE              STATE     SESSION                NUMBER  NOTE",
        "  eni-0a000000000000001  mirrored  tms-0a000000000000001  1",
        "  eni-0a000000000000002  waiting   -                      -       "
        "it is in 3 other mirror sessions already, which is the most AWS allows",
        "",
        "  timeline",
        f"    2026-01-02T03:04:05Z  opened  'beacons every minute'  ({ANA})",
        "    2026-01-02T03:05:00Z  capturing  1 network interface mirrored, 1 waiting  (capture)",
        "",
        "  commands possible now (choose one)",
        f"    tapstack incident show {ID} --url https://a  # shows its state and changes nothing",
        f"    tapstack incident extend {ID} --minutes 150 --url https://a  "
        "# captures until 2026-01-02T06:04:05Z, if it is run now",
        f"    tapstack incident close {ID} --url https://a  # ends the capture and does NOT release the instance",
    ]


def test_when_an_incident_has_several_techniques_and_tactics_then_its_card_shows_all() -> None:
    more = {"techniques": ["T1071.004", "T1041"], "tactics": ["CommandAndControl", "Exfiltration"]}
    lines = card(incident(**more), now=NOW, options="").splitlines()
    assert "  technique  T1071.004, T1041" in lines
    assert "  tactics    CommandAndControl, Exfiltration" in lines


def test_when_an_incident_failed_then_its_card_says_what_is_left_and_how_to_undo_it() -> None:
    failed = incident(state="failed", in_place=["session tms-0a000000000000001"], interfaces=[], timeline=[])
    assert card(failed, now=NOW).splitlines()[-5:] == [
        "  still in place",
        "    session tms-0a000000000000001",
        "",
        "  commands possible now (choose one)",
        f"    tapstack incident close {ID}  # deletes what remains",
    ]


def test_when_an_incident_failed_and_nothing_is_left_then_its_card_promises_neither_a_capture_nor_a_deletion() -> None:
    lines = card(incident(state="failed", interfaces=[], timeline=[]), now=NOW).splitlines()
    assert not any(line.startswith("  until") for line in lines)
    assert lines[-1] == f"    tapstack incident close {ID}  # closes the incident"


def test_when_an_incident_mirrors_to_an_existing_appliance_then_its_card_says_so() -> None:
    assert "  appliance  existing" in card(incident(appliance={"state": "standing"}), now=NOW).splitlines()


@pytest.mark.parametrize(
    ("state", "shown"),
    [("gone", " IS GONE: it was terminated, or did not exist"), ("stopped", ", which is stopped"), ("running", "")],
)
def test_when_the_instance_is_gone_then_its_card_says_so_and_what_still_exists(state: str, shown: str) -> None:
    there = ["volumes vol-1, which its containment kept"] if state == "gone" else []
    lines = card(incident(instance_state=state, still_exists=there), now=NOW).splitlines()
    assert f"  instance   i-0a000000000000001{shown}" in lines
    assert (lines[9:11] == ["  still exists", "    volumes vol-1, which its containment kept"]) is bool(there)


def test_when_a_detail_repeats_what_happened_then_it_is_shown_once() -> None:
    entry = {"at": "2026-01-02T03:04:05Z", "what": "closed", "detail": "closed", "by": "incident"}
    assert timeline(incident(timeline=[entry])) == ["2026-01-02T03:04:05Z  closed  (incident)"]


def test_when_an_incident_is_closed_then_its_card_says_since_when_and_why() -> None:
    closed = incident(state="closed", closed_at="2026-01-02T04:00:00Z", closed_because="expired")
    lines = card(closed, now=NOW).splitlines()
    assert "  closed     2026-01-02T04:00:00Z, because it was expired" in lines
    assert "  commands possible now (choose one)" not in lines


def test_when_its_end_is_requested_then_its_card_says_so_and_does_not_propose_it_again() -> None:
    lines = card(incident(close_requested=True), now=NOW).splitlines()
    assert lines[0] == f"{ID}  capturing, close requested, severity high"
    assert "  until      its sessions are deleted, which takes some seconds" in lines
    assert lines[-1] == f"    tapstack incident show {ID}  # shows its state and changes nothing"


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        ("2026-01-02T04:16:05Z", "2026-01-02T04:16:05Z (in 42 min)"),
        ("2026-01-02T03:34:04Z", "2026-01-02T03:34:04Z (over)"),
        ("soon", "soon"),
    ],
)
def test_when_an_incident_has_an_end_then_the_time_left_is_shown(until: str, shown: str) -> None:
    assert f"  until      {shown}" in card(incident(expires_at=until), now=NOW).splitlines()


@pytest.mark.parametrize("state", ["opening", "launching"])
def test_when_mirroring_has_not_started_then_it_is_shown_how_long_it_captures_from_then(state: str) -> None:
    lines = card(incident(state=state), now=NOW).splitlines()
    assert "  lasts      for 120 minutes from when mirroring starts" in lines
    assert not [line for line in lines if line.startswith("  until")]


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        ("opening", ["show", "extend", "close"]),
        ("launching", ["show", "extend", "close"]),
        ("closing", ["show"]),
        ("closed", []),
        ("failed", ["close"]),
    ],
)
def test_when_an_incident_is_in_a_state_then_only_what_can_be_done_is_proposed(state: str, verbs: list[str]) -> None:
    assert [command.split()[2] for command in next_commands(incident(state=state), NOW)] == verbs


@pytest.mark.parametrize(
    ("latest", "proposed"),
    [
        (
            "2026-01-02T05:05:00Z",
            "# it cannot be extended: a capture lasts until 2026-01-02T05:05:00Z at most (capture.max_minutes)",
        ),
        (
            "2026-01-02T05:05:04Z",
            "# it cannot be extended: a capture lasts until 2026-01-02T05:05:04Z at most (capture.max_minutes)",
        ),
        (
            "2026-01-02T05:05:05Z",
            f"tapstack incident extend {ID} --minutes 91 --url https://a  "
            "# captures until 2026-01-02T05:05:05Z, if it is run now",
        ),
        ("2026-01-02T05:05:00", None),
        (None, None),
    ],
)
def test_when_a_capture_lasts_as_long_as_it_may_then_no_extension_is_proposed(
    latest: str | None, proposed: str | None
) -> None:
    commands = next_commands(incident(extendable_until=latest), NOW, " --url https://a")
    assert commands[1:-1] == ([proposed] if proposed else [])


@pytest.mark.parametrize(
    ("state", "packets", "said"),
    [
        ("launching", None, None),
        ("capturing", {"state": "mirroring"}, "mirroring since {}; whether packets are mirrored is not known yet"),
        ("capturing", {"state": "packets seen", "seen_at": "2026-01-02T03:05:00Z"}, "seen, the first in the five {}"),
        (
            "capturing",
            {"state": "no packets seen", "missing": ["i-0a000000000000001"]},
            "NONE SEEN of i-0a000000000000001 since {}: the timeline has likely causes",
        ),
        ("closed", {"state": "mirroring"}, "not known whether any were mirrored: the appliance shows what arrived"),
        ("closed", {"state": "no packets seen", "missing": ["i-1"]}, "NONE SEEN of i-1 since {}: the timeline has {}"),
    ],
)
def test_when_packets_are_seen_or_not_then_the_card_says_what_is_known(
    state: str, packets: dict[str, Any] | None, said: str | None
) -> None:
    since = "2026-01-02T03:05:00Z"
    known = packets and {"since": since, "seen_at": None, "missing": [], **packets}
    lines = [line for line in card(incident(state=state, packets=known), now=NOW).splitlines() if "  packets  " in line]
    if said is None:
        assert lines == []
        return
    wanted = said.replace("five {}", f"five minutes from {since}").replace("has {}", "has likely causes")
    assert lines == [f"  packets    {wanted.replace('{}', since)}"]


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        ({"state": "mirroring"}, "NOTHING is mirrored now"),
        (
            {"state": "packets seen", "seen_at": "2026-01-02T03:05:00Z"},
            "NOTHING is mirrored now; before, they were seen, the first in the five minutes from 2026-01-02T03:05:00Z",
        ),
    ],
)
def test_when_no_interface_is_mirrored_any_more_then_the_card_says_so(packets: dict[str, Any], said: str) -> None:
    known = {"since": "2026-01-02T03:05:00Z", "seen_at": None, "missing": [], **packets}
    waiting = [{**one, "state": "waiting"} for one in incident()["interfaces"]]
    lines = card(incident(state="capturing", packets=known, interfaces=waiting), now=NOW).splitlines()
    assert f"  packets    {said}" in lines


def test_when_an_appliance_was_launched_then_the_card_says_how_to_sign_in() -> None:
    appliance = {**incident()["appliance"], "launched_by_us": True}
    lines = card(incident(appliance=appliance), now=NOW, region="eu-central-1").splitlines()
    [user] = [line for line in lines if line.startswith("  user ")]
    assert user.startswith("  user       setup; its first password: aws cloudformation describe-stacks --stack-name ")
    assert "tapstack-production-epb --region eu-central-1" in user
    assert "PacketBasicsCredentials" in user
    gone = {**appliance, "state": "gone"}
    assert "password" not in card(incident(appliance=gone), now=NOW, region="eu-central-1")


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (None, []),
        (
            {"state": "appliance", "keep_days": 90, "snapshots": [], "until": None},
            [
                "  stored     on the appliance; before that is deleted, its volumes are snapshotted, and the snapshots "
                "kept for 90 days, billed by the GB-month, at most the size of the volumes; to read them: "
                "docs/incidents.md, Packets of a deleted appliance"
            ],
        ),
        (
            {
                "state": "snapshots",
                "keep_days": 90,
                "until": "2026-04-02T03:04:05Z",
                "snapshots": [
                    {
                        "snapshot_id": "snap-0a000000000000001",
                        "volume_id": "vol-0a000000000000001",
                        "size_gib": 100,
                        "encrypted": True,
                    }
                ],
            },
            [
                "  stored     in 1 EBS snapshot until 2026-04-02T03:04:05Z: snap-0a000000000000001 "
                "(vol-0a000000000000001, 100 GiB, encrypted); billed by the GB-month, at most 100 GB; to read them: "
                "docs/incidents.md, Packets of a deleted appliance"
            ],
        ),
    ],
)
def test_when_the_packets_are_somewhere_then_the_card_says_where(
    stored: dict[str, Any] | None, said: list[str]
) -> None:
    lines = card(incident(stored_packets=stored), now=NOW).splitlines()
    assert [line for line in lines if line.startswith("  stored ")] == said


def test_when_less_than_an_hour_is_left_then_that_is_proposed() -> None:
    soon = incident(expires_at="2026-01-02T03:40:00Z", extendable_until="2026-01-02T03:54:30Z")
    said = "captures until 2026-01-02T03:54:05Z, if it is run now"
    assert f"tapstack incident extend {ID} --minutes 20  # {said}" in next_commands(soon, NOW)


@pytest.mark.parametrize(
    ("state", "until", "command"),
    [
        # The minutes of `extend` count from now: as many as are left, and an hour.
        ("capturing", "2026-01-02T05:34:05Z", "--minutes 180  # captures until 2026-01-02T06:34:05Z, if it is run now"),
        ("capturing", "2026-01-02T03:30:00Z", "--minutes 60  # captures until 2026-01-02T04:34:05Z, if it is run now"),
        ("launching", "2026-01-02T05:04:05Z", "--minutes 180  # captures for 180 minutes from when mirroring starts"),
    ],
)
def test_when_an_extension_is_proposed_then_the_capture_lasts_an_hour_longer(
    state: str, until: str, command: str
) -> None:
    assert next_commands(incident(state=state, expires_at=until), NOW)[1] == f"tapstack incident extend {ID} {command}"


def test_when_incidents_are_listed_then_each_has_a_line() -> None:
    many = incident(instance_id=None, reason="x" * 60, state="opening")
    answer = {"incidents": [incident(), many], "next": "abc="}
    assert listing(answer, options=" --state open").splitlines() == [
        "INCIDENT                      STATE      SEVERITY  UNTIL                 INSTANCE/INTERFACE   "
        "CONTAINMENT  REASON",
        f"{ID}  capturing  high      2026-01-02T05:05:00Z  i-0a000000000000001  -            'beacons every minute'",
        f"{ID}  opening    high      2026-01-02T05:05:00Z  2 interfaces         -            '{'x' * 49}...",
        "",
        "there are more: tapstack incident list --state open --next abc=",
    ]


def test_when_closed_incidents_are_listed_then_it_says_when_they_were_closed() -> None:
    answer = {"incidents": [incident(state="closed", closed_at="2026-01-02T04:00:00Z")]}
    assert listing(answer).splitlines() == [
        "INCIDENT                      STATE   SEVERITY  CLOSED                INSTANCE/INTERFACE   "
        "CONTAINMENT  REASON",
        f"{ID}  closed  high      2026-01-02T04:00:00Z  i-0a000000000000001  -            'beacons every minute'",
    ]


@pytest.mark.parametrize(
    ("containment", "shown"),
    [
        ({"state": "pending", "deadline": "2026-01-02T03:49:05Z"}, "pending until 2026-01-02T03:49:05Z"),
        ({"state": "contained", "deadline": "2026-01-02T03:49:05Z"}, "contained"),
        ({"state": "blocked"}, "blocked"),
        (None, "-"),
    ],
)
def test_when_incidents_are_listed_then_their_containment_is_shown(
    containment: dict[str, Any] | None, shown: str
) -> None:
    closed = incident(state="closed", closed_at="2026-01-02T04:00:00Z", containment=containment)
    for answer in (incident(containment=containment), closed):
        assert f"  i-0a000000000000001  {shown}  " in listing({"incidents": [answer]})


def test_when_an_incident_is_about_interfaces_then_its_card_says_so() -> None:
    one = incident(instance_id=None, network_interface_ids=["eni-0a000000000000001"])
    assert "  interface  eni-0a000000000000001" in card(one, now=NOW).splitlines()
    assert "  interfaces 2 interfaces" in card(incident(instance_id=None), now=NOW).splitlines()


@pytest.mark.parametrize(
    ("changes", "proposed"),
    [
        ({}, ["approve", "approve", "reject", "override"]),
        # A command that closes it rejects what is pending; its expiry leaves it pending.
        ({"close_requested": True}, []),
        ({"state": "closing"}, ["approve", "approve", "reject", "override"]),
        ({"state": "closed"}, ["approve", "approve", "reject", "override"]),
    ],
)
def test_when_an_incident_expires_then_its_pending_containment_can_still_be_answered(
    changes: dict[str, Any], proposed: list[str]
) -> None:
    commands = next_commands(incident(containment={"state": "pending"}, **changes), NOW)
    assert [
        verb for command in commands if (verb := command.split()[2]) in ("approve", "reject", "override")
    ] == proposed


def test_when_notes_of_interfaces_are_long_then_they_are_shown_whole() -> None:
    words = " ".join(["the same beginning"] * 6)
    [first, second] = [
        {"network_interface_id": f"eni-{number}", "state": "refused", "note": f"{words} end {number}"}
        for number in (1, 2)
    ]
    text = " ".join(card(incident(interfaces=[first, second]), now=NOW).split())
    assert f"{words} end 1" in text
    assert f"{words} end 2" in text


@pytest.mark.parametrize(
    ("state", "modes", "proposed"),
    [
        ("capturing", ["approval", "now"], ["--dry-run", "--mode approval", "--mode now"]),
        ("failed", ["now"], ["--mode now --dry-run", "--mode now"]),
        ("capturing", [], []),
        ("closed", [], []),
    ],
)
def test_when_the_instance_can_be_contained_then_that_is_proposed_in_each_mode(
    state: str, modes: list[str], proposed: list[str]
) -> None:
    commands = next_commands(incident(state=state, containment_modes=modes), NOW, " --url https://a")
    contain = [f"tapstack incident contain {ID} {option} --url https://a" for option in proposed]
    assert [command.partition("  #")[0] for command in commands if " contain" in command] == contain


def test_when_there_are_none_then_the_list_says_so() -> None:
    assert listing({"incidents": []}) == "no incidents"


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"id": None, "interfaces": {}, "appliance": [], "timeline": ["x"], "in_place": 5, "network_interface_ids": "x"},
        {"id": ID, "state": ["?"], "interfaces": [None, {}], "expires_at": 5, "timeline": [{}]},
    ],
)
def test_when_the_api_answers_something_odd_then_it_is_shown_as_well_as_can_be(odd: dict[str, Any]) -> None:
    assert isinstance(card(odd, now=NOW), str)
    assert isinstance(listing({"incidents": [odd]}), str)


def test_when_the_service_sends_control_characters_then_none_reach_the_terminal() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\u202ex\n$(reboot)"
    odd = incident(id=hostile, reason=hostile, state=hostile, timeline=[{"at": hostile, "what": hostile}])
    text = card(odd, now=NOW)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "'x $(reboot)'" in next_commands(odd, NOW)[0]
    assert timeline(odd) == ["x $(reboot)  x $(reboot)"]


def test_when_text_of_others_is_in_an_incident_then_it_is_quoted_in_one_line() -> None:
    hostile = "x\n\n  commands possible now (choose one)\n    tapstack incident release inc-1\u202e\x1b[2J"
    entries = [
        {"at": "2026-01-02T03:04:05Z", "by": hostile, "what": what, "detail": hostile}
        for what in ("opened", "close requested", "containment approved", "containment rejected")
    ]
    found = incident(reason=hostile, opened_by=hostile, alert_id=hostile, timeline=entries)
    lines = card(found, now=NOW).split("\n")
    assert all(line.isprintable() for line in lines)
    assert lines.count("  commands possible now (choose one)") == 1
    assert f"  reason     {hostile!r}" in lines
    assert f"    2026-01-02T03:04:05Z  opened  {hostile!r}  ({hostile!r})" in lines
    assert not [line for line in lines if "inc-1" in line and repr(hostile) not in line]
