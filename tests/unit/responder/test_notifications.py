"""What operators are notified of, in words."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tapstack.domain.appliance_settings import DeployedLaunch
from tapstack.domain.capture_settings import CaptureSettings
from tapstack.domain.containment import Kind, PriorState
from tapstack.domain.containment_release import refusal
from tapstack.domain.containment_settings import (
    AutoScaling,
    DeployedContainment,
    LoadBalancers,
    TwoStep,
    WaitForPackets,
)
from tapstack.domain.evidence_settings import ApplianceSnapshots
from tapstack.domain.incidents import Because, as_time
from tapstack.domain.names import workflow_name
from tapstack.domain.regions import AccountRegion
from tapstack.responder.capture import packet_notices
from tapstack.responder.containment import notifications as of_containment
from tapstack.responder.containment.other_requests import OtherRequest
from tapstack.responder.outbound import notifications, snapshot_notices
from tapstack.responder.store import incidents, keys, retention
from tapstack.responder.store.incidents import Incident, IncidentContainment, IncidentInterface
from tapstack.responder.store.records import IncidentAppliance, IncidentPackets, incident_of
from tapstack.responder.store.snapshots import Kept
from tests.unit.cli.incidents import incident as shown_incident

URL = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
PAGE = (Path(__file__).parents[3] / "docs" / "incidents.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _site(monkeypatch: pytest.MonkeyPatch) -> None:
    site = SimpleNamespace(site="production", api_url=URL)
    monkeypatch.setattr(notifications, "environment", lambda: site)
    both = DeployedContainment(modes=("approval", "now"))
    for module in (of_containment, incidents):
        monkeypatch.setattr(module, "environment", lambda: SimpleNamespace(containment=both, capture=CaptureSettings()))


def incident(**containment: Any) -> Incident:
    """Return an incident whose containment is as given."""
    given = {"state": "contained", "asked_by": "ana", **containment}
    return Incident(
        id="inc-1",
        where=AccountRegion("111122223333", "eu-central-1"),
        state="capturing",
        reason="Beaconing",
        minutes=60,
        source="api",
        opened_by="ana",
        opened_at="2026-01-02T03:04:05Z",
        expires_at="2026-01-02T04:04:05Z",
        severity="high",
        instance_id="i-1",
        containment=IncidentContainment(mode="now", asked_at="2026-01-02T03:04:05Z", **given),
    )


@pytest.mark.parametrize(
    ("containment", "failure", "subject", "first"),
    [
        (
            {"state": "failed", "released_at": None},
            "TryAgain: x",
            "containment FAILED",
            "The containment of i-1 failed: x",
        ),
        (
            {"state": "failed", "released_at": None},
            "ContainmentRefused: protected",
            "containment REFUSED",
            "The containment of i-1 was refused: protected",
        ),
        (
            {"state": "failed", "released_at": "2026-01-02T03:05:05Z"},
            "TryAgain: x",
            "release FAILED",
            "The release of i-1 failed: x",
        ),
        (
            {"state": "contained", "released_at": None},
            "TryAgain: x",
            "containment FAILED",
            "A step after the containment of i-1 failed: x",
        ),
        (
            # Also where nothing was attached: snapshots are taken again too.
            {"state": "contained", "released_at": None, "failure": "TryAgain: snapshots of i-1: x"},
            "TryAgain: snapshots of i-1: x",
            "containment FAILED",
            "What was to be done after the containment of i-1 failed: snapshots of i-1: x",
        ),
    ],
)
def test_when_a_containment_or_a_release_fails_then_the_notification_says_which(
    containment: dict[str, Any], failure: str, subject: str, first: str
) -> None:
    said, text = of_containment.failed(incident(**containment), failure)
    assert said == f"[tapstack production] high inc-1: {subject}"
    assert text.splitlines()[0] == first


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("contained", "The instance stays contained."),
        ("containing", "Its containment goes on, and is not completed."),
        ("pending", ""),
        ("released", ""),
    ],
)
def test_when_its_place_goes_to_another_incident_then_the_notification_says_whether_it_is_contained(
    state: str, said: str
) -> None:
    _, text = packet_notices.displaced(incident(state=state), ["eni-1 is not mirrored any more"])
    assert [line for line in text.splitlines() if "contain" in line.lower()] == ([said] if said else [])


@pytest.mark.parametrize(
    ("decision", "by", "said"),
    [
        (None, None, "i-1 is contained, as ana requested."),
        ("approved", "another", "i-1 is contained, as ana requested, approved by another."),
        (
            "default",
            "the deployment's default",
            "i-1 is contained, as ana requested, by the deployment's default.",
        ),
    ],
)
def test_when_an_instance_is_contained_then_the_notification_says_who_decided(
    decision: str | None, by: str | None, said: str
) -> None:
    found = incident(state="contained", asked_by="ana", decision=decision, decided_by=by)
    _, text = of_containment.contained(found)
    assert text.splitlines()[0] == said


@pytest.mark.parametrize(
    ("kinds", "restored"),
    [(["standby"], True), (["target-group", "classic-balancer"], True), (["groups"], False), (["profile"], False)],
)
def test_when_aws_refuses_a_release_then_the_notification_says_whether_the_network_is_restored(
    kinds: list[Kind], restored: bool
) -> None:
    prior = [PriorState(kind, "web", "InService", "Standby") for kind in kinds]
    found = incident(
        state="blocked", differences=tuple(refusal(one, "Standby", "Denied: no").as_dict() for one in prior)
    )
    said, text = of_containment.blocked(found)
    assert said == "[tapstack production] high inc-1: release NOT COMPLETED"
    assert ("Its network is restored." in text) is restored
    assert ("Its network may still be isolated, at least in part." in text) is not restored
    assert "outside Tapstack" not in text
    lines = text.splitlines()
    assert lines[lines.index("Change what AWS names first.") + 1 :][:2] == [
        "Commands possible now (choose one):",
        "  tapstack incident release inc-1  # RECONNECTS it as before, unless another incident contains it",
    ]


def test_when_a_failed_incident_left_nothing_then_no_deletion_is_proposed() -> None:
    _, text = notifications.failed(incident(), "NothingToCapture: there is no instance i-1", [])
    assert "No mirror session and no appliance of this incident remains." in text
    assert "delete" not in text
    assert text.splitlines()[-2:] == ["What to run next:", "  tapstack incident show inc-1"]


@pytest.mark.parametrize(
    ("because", "said"),
    [("expired", "was closed: it expired."), ("closed", "was closed by a command."), ("failed", "was closed.")],
)
def test_when_an_incident_is_closed_then_the_notification_says_why(because: Because, said: str) -> None:
    _, text = notifications.closed(replace(incident(), closed_because=because), [])
    assert text.startswith(f"The incident {said} It captures nothing any more;")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "5 days (350 s on Nitro v6)"),
        (60, "60 s where this was changed, otherwise 5 days (350 s on Nitro v6)"),
    ],
)
def test_when_an_instance_is_contained_then_the_notification_says_how_long_idle_flows_go_on_and_how_to_check_it(
    seconds: int | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DeployedContainment(tcp_established_seconds=seconds)
    monkeypatch.setattr(of_containment, "environment", lambda: SimpleNamespace(containment=settings))
    _, text = of_containment.contained(incident())
    assert f"\n  TCP, UDP and ICMP flows that EC2 tracks: while they are used, and idle TCP up to {said};\n" in text
    assert (
        "\nCheck it: each network interface must have the quarantine group alone.\n"
        "  aws ec2 describe-network-interfaces --region eu-central-1 --filters Name=attachment.instance-id,Values=i-1 "
    ) in text


def test_when_an_incident_fails_then_the_notification_says_that_the_capture_failed() -> None:
    _, text = notifications.failed(incident(), "TryAgain: x", [])
    assert text.startswith("The capture failed: TryAgain: x\n")


def test_when_a_containment_left_something_out_then_the_notification_says_so() -> None:
    _, text = of_containment.contained(incident(not_done=("a Spot Instance cannot be protected from termination",)))
    assert "\nNot done:\n  a Spot Instance cannot be protected from termination\n" in text


def test_when_an_appliance_was_launched_then_its_portal_comes_with_its_user_and_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incidents, "keep_days", lambda: 90)
    launched = IncidentAppliance("tap epb", "ready", "https://10.0.0.9", "tmt-1", "tmf-1", launched_by_us=True)
    _, text = notifications.closed(replace(incident(), appliance=launched), [])
    lines = text.splitlines()
    at = lines.index("Portal:")
    assert lines[at + 1] == "  https://10.0.0.9"
    assert "user setup" in lines[at + 2]
    assert shlex.split(lines[at + 3]) == [
        *("aws", "cloudformation", "describe-stacks", "--stack-name", "tap epb", "--region", "eu-central-1"),
        *("--output", "text", "--query", "Stacks[0].Outputs[?OutputKey=='PacketBasicsCredentials'].OutputValue"),
    ]
    existing = replace(launched, launched_by_us=False, stack_name=None)
    assert "password" not in notifications.closed(replace(incident(), appliance=existing), [])[1]


HOSTILE = "x\n\nWhat to run next:\r\n  tapstack incident release inc-1\u2028\x1b[2J\u202e"


def test_when_text_of_others_is_in_a_notification_then_it_cannot_look_like_ours() -> None:
    containment = {"asked_by": HOSTILE, "decided_by": HOSTILE, "released_by": HOSTILE, "not_restored": (HOSTILE,)}
    found = replace(
        incident(**containment, decision="approved", deadline="2026-01-02T03:14:15Z", default="leave"),
        reason=HOSTILE,
        opened_by=HOSTILE,
        interfaces=(IncidentInterface("eni-1", "refused", note=HOSTILE),),
    )
    messages = [
        notifications.failed(found, HOSTILE, []),
        notifications.cleanup_failed(found, HOSTILE),
        of_containment.failed(found, HOSTILE),
        of_containment.approval(found),
        of_containment.contained(found),
        of_containment.released(found),
        of_containment.held(found, [OtherRequest(replace(found, id="inc-2"), holds=True, completed=True)]),
    ]
    for _, text in messages:
        lines = text[:-1].split("\n")
        assert all(line.isprintable() for line in lines)
        assert sum(line.startswith(("What to run next", "Commands possible now")) for line in lines) == 1
        assert f"Reason:   {HOSTILE!r}" in lines
        assert f"Opened:   2026-01-02T03:04:05Z by {HOSTILE!r}" in lines


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "eu-central-1.console.aws.amazon.com"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
        ("us-iso-east-1", None),
    ],
)
def test_when_an_approval_is_asked_for_then_the_consoles_pages_of_instance_and_execution_are_linked_to(
    region: str, host: str | None
) -> None:
    arn = f"arn:aws:states:{region}:111122223333:execution:tap-production-response-incidents:inc-1"
    found = replace(
        incident(state="pending", deadline="2026-01-02T03:14:15Z", default="leave"),
        where=AccountRegion("111122223333", region),
        execution_arn=arn,
        techniques=("T1071.004", "T1041"),
        tactics=("CommandAndControl", "Exfiltration"),
    )
    lines = of_containment.approval(found)[1].splitlines()
    # They only show: containment is approved by a command, which sends an authenticated POST.
    assert lines[lines.index("Run first:") + 1] == f"  export TAPSTACK_URL={URL}"
    assert [line for line in lines if "https://" in line and URL not in line] == (
        []
        if host is None
        else [
            f"Console:  https://{host}/ec2/home?region={region}#InstanceDetails:instanceId=i-1",
            f"Workflow: https://{host}/states/home?region={region}#/v2/executions/details/{arn}",
        ]
    )
    assert "Tactics:  CommandAndControl and Exfiltration" in lines
    assert "ATT&CK:   T1071.004, T1041" in lines
    assert "  tapstack incident approve inc-1  # isolates the instance" in lines


def test_when_an_approval_is_asked_for_then_evidence_and_plan_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pending = incident(state="pending", deadline="2026-01-02T03:14:15Z", default="leave")
    seen = IncidentPackets("packets seen", "2026-01-02T03:04:10Z", seen_at="2026-01-02T03:05:00Z")
    mirrored = IncidentInterface("eni-1", "mirrored", session_id="tms-1", session_number=1)
    found = replace(
        pending,
        packets=seen,
        interfaces=(mirrored,),
        appliance=IncidentAppliance(None, "ready", "https://10.0.0.10", None, None, False),
    )
    text = of_containment.approval(found)[1]
    assert "Evidence:\n  Packets were seen from 2026-01-02T03:05:00Z.\nPortal:\n  https://10.0.0.10\n" in text
    assert (
        "  1. to preserve evidence: stop on shutdown, keep volumes on termination, protect from termination, standby "
        "in its Auto Scaling group\n"
        "  2. to isolate it: each network interface in scope gets the quarantine security group alone\n"
        "  3. after that: deregister from load balancers\n"
    ) in text
    assert "Evidence:\n  Nothing is captured yet" in of_containment.approval(pending)[1]
    began = replace(found, packets=IncidentPackets("mirroring", "2026-01-02T03:04:10Z"))
    assert (
        "Evidence:\n  It is mirrored. Whether packets arrive is not known yet.\n" in of_containment.approval(began)[1]
    )
    for state in ("waiting", "ended"):
        lost = replace(began, interfaces=(IncidentInterface("eni-1", state, note="MIRRORING LOST"),))
        text = of_containment.approval(lost)[1]
        assert "Evidence:\n  NOTHING is mirrored now.\n  Whether packets were mirrored is not known" in text

    settings = DeployedContainment(
        two_step=TwoStep(enabled=True, seconds=90),
        stop_on_shutdown=False,
        keep_volumes=False,
        termination_protection=False,
        auto_scaling=AutoScaling(standby=False),
        load_balancers=LoadBalancers(deregister=False),
        instance_profile="restrict",
        snapshots=True,
        tcp_established_seconds=60,
    )
    monkeypatch.setattr(of_containment, "environment", lambda: SimpleNamespace(containment=settings))
    text = of_containment.approval(pending)[1]
    assert (
        "  1. to isolate it: each network interface in scope gets first an all-open one for 90 s, then the quarantine "
        "security group alone\n"
        "  2. after that: deny calls with credentials of its role, shorten the tracking of idle connections, take "
        "snapshots of its volumes\n"
    ) in text


@pytest.mark.parametrize(
    ("not_done", "subject"),
    [
        (("a Spot Instance cannot be protected from termination",), "CONTAINED"),
        (("eni-1 STAYS CONNECTED: it is managed by an AWS service",), "CONTAINED, BUT STILL CONNECTED"),
        (
            ("eni-1 is a trunk: pods with security groups of their own STAY CONNECTED",),
            "CONTAINED, BUT STILL CONNECTED",
        ),
        (("the quarantine group sg-1 HAS RULES: outbound",), "CONTAINED, BUT STILL CONNECTED"),
        (("whether sg-1 has rules is not known: throttled",), "CONTAINED, BUT PERHAPS CONNECTED"),
    ],
)
def test_when_a_contained_instance_is_still_connected_then_subject_and_first_line_say_so(
    not_done: tuple[str, ...], subject: str
) -> None:
    said, text = of_containment.contained(incident(not_done=not_done))
    assert said.endswith(f": {subject}")
    assert text.startswith(f"i-1 is {subject.replace('CONTAINED', 'contained', 1)}, as ana requested.")


def test_when_a_containment_failed_then_its_changes_are_only_started_and_all_ways_out_are_proposed() -> None:
    failed = incident(state="failed", changed=("security groups of eni-1: sg-a -> sg-q",))
    lines = of_containment.failed(failed, "ContainmentFailed: eni-1 is NOT isolated: no")[1].splitlines()
    at = lines.index("Changes that were started (some may not have taken effect):")
    assert lines[at + 1 :] == [
        "  security groups of eni-1: sg-a -> sg-q",
        "The security groups that it has now:",
        "  aws ec2 describe-network-interfaces --region eu-central-1 --filters Name=attachment.instance-id,Values=i-1 "
        "--query 'NetworkInterfaces[].[NetworkInterfaceId, Groups[].[GroupId, GroupName]]' --output json",
        "",
        "Commands possible now (choose one):",
        "  tapstack incident show inc-1  # shows its state and changes nothing",
        "  tapstack incident contain inc-1 --mode approval  # isolates the instance and needs no new approval",
        "  tapstack incident release inc-1  # RECONNECTS it as before, unless another incident contains it",
    ]


def test_when_a_release_failed_then_what_may_not_be_restored_is_listed_and_only_the_release_is_proposed() -> None:
    failed = incident(state="failed", released_at="2026-01-02T03:05:05Z", changed=("security groups of eni-1: x",))
    text = of_containment.failed(failed, "TryAgain: x")[1]
    assert "Changes that may not be restored yet:\n  security groups of eni-1: x\n" in text
    assert "tapstack incident contain" not in text
    assert "  tapstack incident release inc-1  # RECONNECTS it as before, unless another incident contains it\n" in text


def test_when_an_incident_expires_then_the_notification_says_that_its_containment_is_pending_and_how_to_answer() -> (
    None
):
    pending = incident(state="pending", deadline="2026-01-02T03:14:15Z", default="contain")
    for subject, text in (
        notifications.closed(replace(pending, closed_because="expired"), []),
        notifications.failed(pending, "NothingToCapture: x", []),
    ):
        assert subject.endswith((": closed, containment PENDING", ": FAILED"))
        assert (
            "A containment of i-1 is still PENDING until 2026-01-02T03:14:15Z; then it is contained.\n"
            "Commands possible now (choose one):\n"
            "  tapstack incident approve inc-1 --dry-run  # shows what would change\n"
            "  tapstack incident approve inc-1  # isolates the instance\n"
            "  tapstack incident reject inc-1  # leaves the instance connected\n"
        ) in text


def test_when_mirroring_starts_of_a_contained_instance_then_no_containment_is_proposed() -> None:
    assert "tapstack incident contain" not in notifications.capturing(incident())[1]
    assert "  tapstack incident contain inc-1 --mode now  #" in notifications.capturing(incident(state="released"))[1]


@pytest.mark.parametrize(
    ("containment", "said"),
    [
        ({"state": "released"}, "ends the capture and does NOT release the instance"),
        ({"state": "contained"}, "ends the capture and does NOT release the instance"),
        (
            {"state": "pending", "deadline": "2026-01-02T03:14:15Z", "default": "leave"},
            "ends the capture and rejects the containment",
        ),
        (
            {"state": "containing", "packets_until": "2026-01-02T03:19:15Z"},
            "ends the capture and isolates the instance at once",
        ),
    ],
)
def test_when_mirroring_starts_then_close_has_the_effect_that_it_has_on_the_containment(
    containment: dict[str, Any], said: str
) -> None:
    lines = notifications.capturing(incident(**containment))[1].splitlines()
    assert [line for line in lines if " close " in line] == [f"  tapstack incident close inc-1  # {said}"]
    assert lines.count("Commands possible now (choose one):") == 1


def test_when_mirroring_starts_while_a_containment_is_pending_then_the_question_is_in_the_notification() -> None:
    pending = incident(state="pending", deadline="2026-01-02T03:14:15Z", default="leave")
    lines = notifications.capturing(pending)[1].splitlines()
    assert "A containment of i-1 is still PENDING until 2026-01-02T03:14:15Z; then it is not contained." in lines
    assert lines[-4:-1] == [
        "  tapstack incident approve inc-1 --dry-run  # shows what would change",
        "  tapstack incident approve inc-1  # isolates the instance",
        "  tapstack incident reject inc-1  # leaves the instance connected",
    ]


def test_when_mirroring_starts_while_a_containment_waits_for_packets_then_the_notification_says_how_to_end_that() -> (
    None
):
    waits = incident(state="containing", packets_until="2026-01-02T03:19:15Z")
    lines = notifications.capturing(waits)[1].splitlines()
    assert (
        "i-1 is NOT contained yet: that waits for packets until 2026-01-02T03:19:15Z, at most. The attacker is still "
        "connected."
    ) in lines
    assert lines[-2:] == [
        "  tapstack incident contain inc-1 --mode now --skip-wait  # isolates the instance within 15 seconds",
        "  tapstack incident reject inc-1  # leaves the instance connected",
    ]


def test_when_a_failed_incident_has_a_pending_containment_then_closing_it_says_that_it_rejects_that() -> None:
    pending = incident(state="pending", deadline="2026-01-02T03:14:15Z", default="leave")
    failed = replace(pending, state="failed", in_place=("tms-1",))
    assert (
        "What to run next, to delete what remains:\n"
        "  tapstack incident close inc-1  # deletes what remains and rejects the containment\n"
    ) in notifications.failed(failed, "TryAgain: x", [])[1]


@pytest.mark.parametrize("seen", [True, False])
def test_when_a_containment_would_wait_for_packets_then_each_notification_that_proposes_it_says_for_how_long(
    seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = DeployedContainment(modes=("approval", "now"), wait_for_packets=WaitForPackets(900))
    site = SimpleNamespace(containment=waiting, capture=CaptureSettings())
    for module in (of_containment, incidents):
        monkeypatch.setattr(module, "environment", lambda: site)
    packets = IncidentPackets("packets seen" if seen else "mirroring", "2026-01-02T03:04:10Z", "2026-01-02T03:05:00Z")
    known: dict[str, Any] = {"packets": packets, "interfaces": (IncidentInterface("eni-1", "mirrored"),)}
    pending = replace(incident(state="pending", deadline="2026-01-02T03:14:15Z", default="leave"), **known)
    after = "" if seen else ", after at most 900 seconds of waiting for packets"
    asked = of_containment.approval(pending)[1]
    assert ("it waits for packets first, at most 900 seconds. The attacker stays connected." in asked) is not seen
    for text in (asked, notifications.capturing(pending)[1]):
        assert f"  tapstack incident approve inc-1  # isolates the instance{after}\n" in text
        assert f"  # isolates the instance without another person{after}\n" in text
    released = replace(incident(state="released"), **known)
    rejected = replace(incident(state="rejected", decision="rejected", decided_by="ben"), **known)
    now = "isolates the instance at once without an approval" if seen else "isolates the instance without an approval"
    for text in (notifications.capturing(released)[1], of_containment.left(rejected, [])[1]):
        assert f"  tapstack incident contain inc-1 --mode now  # {now}{after}\n" in text
        assert ("contain inc-1 --mode now --skip-wait  # isolates the instance within 15 seconds" in text) is not seen


@pytest.mark.parametrize("site", ["prod", "prod-eu", "production-1", "the-laboratory-of-new-york", "x" * 40])
def test_when_the_name_of_a_site_is_long_then_it_is_shortened_and_never_what_the_subject_says(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = SimpleNamespace(site=site, api_url=URL)
    monkeypatch.setattr(notifications, "environment", lambda: named)
    found = replace(
        incident(not_done=("eni-1 STAYS CONNECTED: it is managed by an AWS service",)),
        id="inc-20260102T030405-k3v9x0ab",
        severity="critical",
    )
    kept = Kept("tapstack-production-epb 1", found.where, "2026-01-02T03:04:05Z", "2026-04-02T03:04:05Z")
    mails = {
        "CONTAINED, BUT STILL CONNECTED": of_containment.contained(found),
        "closed, containment NOT RELEASED": notifications.closed(found, ["x"]),
        "interface attached while contained": of_containment.isolating(found, "eni-1", connected=True),
        "attached interface STAYS CONNECTED": of_containment.staying_connected(found, "eni-1", "x"),
        "PACKETS GO TO ANOTHER MIRROR SESSION": packet_notices.preceded(found, [], []),
        "place given to a more severe incident": packet_notices.displaced(found, []),
        "packets LOST with the appliance": snapshot_notices.kept(kept),
    }
    for what, (subject, _) in mails.items():
        assert len(subject) <= 100
        # The names of most sites are shorter, and begin alike: none of these is shortened.
        assert subject.startswith(f"[tapstack {site[:9]}" if len(site) > 12 else f"[tapstack {site}] ")
        assert subject.endswith(what)
        assert found.id in subject or what.startswith("packets")


@pytest.mark.parametrize("site", ["prod", "prod-eu", "prod-us", "production"])
def test_when_the_type_of_a_finding_is_long_then_the_subject_has_all_of_the_site(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "environment", lambda: SimpleNamespace(site=site))
    what = "GuardDuty critical: UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS"
    assert notifications.headed(what) == f"[tapstack {site}] {what}"


def test_when_nothing_is_mirrored_then_no_notification_says_that_a_containment_waits_for_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = DeployedContainment(modes=("approval", "now"), wait_for_packets=WaitForPackets(900))
    for module in (of_containment, incidents):
        monkeypatch.setattr(
            module, "environment", lambda: SimpleNamespace(containment=waiting, capture=CaptureSettings())
        )
    pending = incident(state="pending", deadline="2026-01-02T03:14:15Z", default="leave")
    refused = replace(pending, interfaces=(IncidentInterface("eni-1", "refused"),))
    for text in (of_containment.approval(refused)[1], notifications.capturing(refused)[1]):
        assert "  tapstack incident approve inc-1  # isolates the instance\n" in text
        assert "packets first" not in text
    # Before its capture begins, some are waited for.
    assert incidents.containment_wait(replace(refused, state="launching")) == 900


@pytest.mark.parametrize("wait", [True, False])
def test_when_mirroring_starts_after_a_containment_failed_in_part_then_the_notification_says_so_and_how_to_go_on(
    wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = DeployedContainment(modes=("approval", "now"), wait_for_packets=WaitForPackets(900) if wait else None)
    monkeypatch.setattr(
        incidents, "environment", lambda: SimpleNamespace(containment=waiting, capture=CaptureSettings())
    )
    failed = replace(
        incident(state="failed", failure="AccessDenied: no", changed=("security groups of eni-1: sg-a -> sg-q",)),
        interfaces=(IncidentInterface("eni-1", "mirrored"),),
    )
    lines = notifications.capturing(failed)[1].splitlines()
    assert "The containment of i-1 FAILED in part: AccessDenied: no" in lines
    assert [line for line in lines if "incident contain" in line] == [
        "  tapstack incident contain inc-1 --mode approval  # isolates the instance and needs no new approval"
    ]
    refused = incident(state="failed", failure="ContainmentRefused: protected")
    assert "The containment of i-1 was REFUSED: protected" in notifications.capturing(refused)[1].splitlines()


def _mail(subject_and_text: tuple[str, str]) -> str:
    subject, text = subject_and_text
    return f"Subject: {subject}\n\n{text}"


def test_when_the_page_shows_the_notifications_of_an_incident_then_they_are_the_program_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    launch = DeployedLaunch("tapstack-production-epb", "", None, {}, (), 60, 30, ApplianceSnapshots())
    where = AccountRegion("111122223333", "eu-central-1")
    settings = SimpleNamespace(
        site="production",
        api_url=URL,
        home=where,
        appliance=launch,
        containment=DeployedContainment(modes=("approval", "now")),
        capture=CaptureSettings(),
    )
    for module in (notifications, incidents, keys, retention):
        monkeypatch.setattr(module, "environment", lambda: settings, raising=False)
    monkeypatch.setattr(notifications, "utc_now", lambda: as_time("2026-01-02T03:05:00Z"))
    opened = shown_incident()
    opened["appliance"] |= {"target_id": "tmt-0a000000000000001", "filter_id": "tmf-0a000000000000001"}
    opened["appliance"] |= {"launched_by_us": True}
    opened |= where.as_dict()
    workflow = workflow_name("tapstack", "production")
    opened["execution_arn"] = f"arn:aws:states:eu-central-1:111122223333:execution:{workflow}:{opened['id']}"
    packets = {"state": "packets seen", "since": "2026-01-02T03:05:00Z", "seen_at": "2026-01-02T03:05:00Z"}
    closed = incident_of({**opened, "state": "closed", "closed_because": "closed", "packets": packets})
    mails = [
        notifications.capturing(incident_of(opened)),
        notifications.closed(closed, retention.still_contained(closed)),
    ]
    assert re.findall(r"```text\n(Subject: .*?)```", PAGE, re.DOTALL) == [_mail(mail) for mail in mails]
