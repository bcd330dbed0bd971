"""The report's page: what it says, and that it stands alone in a real browser."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.company import found_company
from tapstack.rehearsal.report.drawing import draw
from tapstack.rehearsal.report.loop import Loop
from tapstack.rehearsal.report.packets import Packets
from tapstack.rehearsal.report.page import (
    GroupsOf,
    Phase,
    Report,
    TimedStep,
    duration,
    render,
    short_principal,
    shortened,
)
from tapstack.rehearsal.report.topology import DrawnInterface, Instance, MirrorSession, Subnet, Topology, take_topology
from tapstack.rehearsal.wire.traffic import Flowed
from tests.chromium import needs_browser, open_page

SESSION = MirrorSession("tms-01", 2, 4711, ours=True)
SUSPECT = Instance(
    "i-01", "database", "r5.large", "subnet-01", (DrawnInterface("eni-01", "10.0.0.4", "subnet-01", (SESSION,)),), True
)
BYSTANDER = Instance(
    "i-02",
    "web",
    "m5.large",
    "subnet-01",
    (DrawnInterface("eni-02", "10.0.0.5", "subnet-01", (replace(SESSION, id="tms-09", ours=False),)),),
    False,
)
APPLIANCE = Instance(
    "i-03", "epb", "m5.xlarge", "subnet-01", (DrawnInterface("eni-03", "10.0.0.6", "subnet-01", ()),), False
)
TOPOLOGY = Topology(
    "vpc-01",
    "shop",
    "10.0.0.0/16",
    (Subnet("subnet-01", "private-1", "10.0.0.0/24", "eu-central-1a", (SUSPECT, BYSTANDER)),),
    APPLIANCE,
)
ROLE = "arn:aws:iam::123456789012:role/tapstack-capture"
LOOP = Loop(
    reader="hunters",
    role="tapstack-production-xdr-reader-hunters",
    account="777788889999",
    bucket="tapstack-production-xdr-123456789012",
    events=[
        {"what": "opened", "time": "2026-11-21T12:00:00.000Z", "message": "<b>opened</b>", "by": "policy:hunters"},
        {"what": "decided", "time": "2026-11-21T12:00:09.000Z", "message": "decided", "by": f"{ROLE}/ben"},
        {"what": "closed", "time": "2026-11-21T12:01:00.000Z", "message": "closed", "by": None},
    ],
    flows=[
        {
            **{"interface-id": "eni-01", "srcaddr": "10.0.0.4", "dstaddr": "203.0.113.7", "dstport": "443"},
            **{"bytes": "96", "action": "ACCEPT"},
        }
    ],
    refused=["listing unmatched/", "listing all of the bucket"],
    path="/webhooks/hunters",
    signed_by="openssl",
    rule="hunters",
)

FLOWED = [
    Flowed("before containment", "beacon", 2, 2, 0, [(0, True), (10**9, True)]),
    Flowed("contained", "beacon", 1, 0, 1, [(2 * 10**9, False)], "no rule"),
    Flowed("contained", "channel", 1, 1, 0, [(3 * 10**9, True)]),
    Flowed("released", "beacon", 1, 1, 0, [(4 * 10**9, True)]),
    Flowed("released", "web"),
]
PACKETS = Packets("eni-01", FLOWED, 4, b"packets", "rehearsal.pcapng")


def call(action: str, status: int = 200) -> dict[str, Any]:
    return {"service": "ec2", "action": action, "principal": ROLE, "resources": ["eni-01"], "status": status}


def report(**changes: Any) -> Report:
    whole = Report(
        title="Rehearsal of an incident",
        started=datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC),
        finished=datetime(2026, 11, 21, 12, 2, 5, tzinfo=UTC),
        steps=[TimedStep("Post the alert", 0.25), TimedStep("Destroy", 61.0, note="14 resources")],
        incident={
            "id": "inc-20261121T120000-abcdefgh",
            "state": "closed",
            "reason": "Beaconing <script>alert(1)</script>",
            "severity": "high",
            "technique": "T1071.001",
            "instance_id": "i-01",
            "opened_by": ROLE,
            "appliance": {"portal_url": "https://10.0.0.6"},
            "timeline": [{"at": "2026-11-21T12:00:00Z", "what": "opened", "detail": "by a tool"}],
        },
        topology=TOPOLOGY,
        phases=[Phase("Incident", [call("CreateTrafficMirrorSession"), call("DescribeInstances", 503)])],
        differences=[],
        seconds_to_capture=4.2,
        note="Waits were shortened.",
    )
    return replace(whole, **changes)


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<main>")[2]).split())


def test_when_nothing_is_left_then_the_page_says_so() -> None:
    text = text_of(render(report()))
    assert "The account is back to where it was." in text
    assert "4.2 s from the alert to mirroring" in text
    assert "1 interface mirrored" in text
    assert "in an AWS account on this machine. Waits were shortened." in text
    assert "2 AWS API calls" in text
    assert "2 min 5 s in all" in text


def test_when_something_is_left_then_the_page_names_it() -> None:
    page = report(differences=["left over: ec2 TrafficMirrorSessions tms-01"])
    assert not page.good
    text = text_of(render(page))
    assert "The account is not as it was. left over: ec2 TrafficMirrorSessions tms-01" in text
    assert "back to where it was" not in text


def test_when_a_step_went_wrong_then_the_verdict_is_bad() -> None:
    page = report(steps=[TimedStep("Close", 1.0, good=False)])
    assert not page.good
    assert "Not every step went right." in text_of(render(page))


def test_when_the_alert_holds_markup_then_it_is_shown_and_not_run() -> None:
    page = render(report())
    assert "<script" not in page
    assert "Beaconing &lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_when_only_a_session_of_others_mirrors_an_interface_then_no_curve_is_drawn_for_it() -> None:
    (box,) = draw(TOPOLOGY).boxes
    suspect, bystander = box.cards
    assert [line.label for line in suspect.lines] == ["session 2"]
    assert suspect.lines[0].curve
    assert [(line.label, line.curve) for line in bystander.lines] == [("", "")]


def test_when_the_drawing_is_made_then_nothing_lies_outside_of_it() -> None:
    drawing = draw(TOPOLOGY)
    for box in drawing.boxes:
        assert box.y + box.height < drawing.height
        for card in box.cards:
            assert box.y < card.y
            assert card.y + card.height <= box.y + box.height
    assert 0 < drawing.appliance_y < drawing.height - 104


def test_when_the_vpc_has_no_instance_then_the_page_is_made_all_the_same() -> None:
    empty = replace(TOPOLOGY, subnets=(), appliance=None)
    assert "No interface is mirrored." in text_of(render(report(topology=empty)))


def test_when_an_instance_was_contained_then_its_groups_are_shown_before_and_after() -> None:
    assert "security groups" not in text_of(render(report()))
    groups = [GroupsOf("eni-01", ("database", "backup"), ("quarantine",), ("database", "backup"))]
    text = text_of(render(report(groups=groups)))
    assert "eni-01 database, backup quarantine database, backup ✓" in text


def test_when_packets_were_seen_and_another_person_approved_then_the_page_says_so_and_who_did_what() -> None:
    assert "Containment" not in text_of(render(report()))
    second = "arn:aws:iam::123456789012:user/second-responder"
    incident = {
        **report().incident,
        "packets": {"state": "packets seen"},
        "containment": {"state": "released", "decision": "approved", "decided_by": second},
        "timeline": [{"at": "2026-11-21T12:00:09Z", "what": "containment approved", "detail": "", "by": second}],
    }
    text = text_of(render(report(incident=incident)))
    assert "Packets packets seen" in text
    assert f"Containment approved by {second}" in text
    assert f"containment approved by {second}" in text


def test_when_an_xdr_sent_the_alert_and_read_what_landed_then_the_loop_is_drawn_with_all_that_it_read() -> None:
    assert "XDR" not in text_of(render(report()))
    page = render(report(loop=LOOP))
    text = text_of(page)
    for said in (
        "XDR: hunters account 777788889999",
        "POST /webhooks/hunters signed by openssl captures",
        "3 events, each once",
        "reads as tapstack-production-xdr-reader-hunters: events: 3; records of flow logs: 1 VPC Flow Logs",
        "opened 2026-11-21T12:00:00.000Z &lt;b&gt;opened&lt;/b&gt; policy:hunters",
        "decided 2026-11-21T12:00:09.000Z decided tapstack-capture/ben",
        "eni-01 10.0.0.4 203.0.113.7 443 96 ACCEPT",
        "Refused to this role: listing unmatched/, listing all of the bucket.",
    ):
        assert said in text, (said, text)
    assert "The XDR hunters posts /webhooks/hunters, signed by openssl; rule hunters captures; the incident" in page


def test_when_another_tool_reported_the_instance_then_no_alert_of_the_xdr_is_drawn() -> None:
    text = text_of(render(report(loop=replace(LOOP, path=None, signed_by="", rule="", flows=[], refused=[]))))
    assert "POST" not in text
    assert "reported by another tool" in text
    assert "Flow Logs" not in text
    assert "Refused to this role" not in text


@pytest.mark.parametrize(
    ("text", "shown"), [("short", "short"), ("0123456789", "0123456789"), ("01234567890", "012345678…")]
)
def test_when_a_text_is_longer_than_its_place_then_it_ends_in_an_ellipsis(text: str, shown: str) -> None:
    assert shortened(text, 10) == shown


def test_when_calls_are_listed_then_each_principal_has_its_own_count() -> None:
    (phase,) = report().phases
    assert phase.by_principal() == [
        ("tapstack-capture", [("ec2:CreateTrafficMirrorSession", 1, 0), ("ec2:DescribeInstances", 1, 1)])
    ]


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ROLE, "tapstack-capture"),
        ("arn:aws:iam::123456789012:root", "account root"),
        ("arn:aws:iam::123456789012:role/service/deploy", "service/deploy"),
        ("", "unknown"),
    ],
)
def test_when_a_principal_is_shown_then_it_is_short(arn: str, name: str) -> None:
    assert short_principal(arn) == name


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (125, "2 min 5 s")])
def test_when_a_time_is_shown_then_it_is_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_when_the_topology_is_read_then_the_deployments_sessions_and_the_appliance_are_found(
    aws_account: Account,
) -> None:
    company = found_company(aws_account)
    ec2 = aws_account.client("ec2")
    appliance = company.interfaces["web-1"][0]
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=appliance)["TrafficMirrorTarget"]
    chosen = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
    for number, (interface, tags) in enumerate(
        zip(company.interfaces["database"], ([{"Key": "tapstack:incident", "Value": "inc-1"}], []), strict=True), 1
    ):
        tagged = [{"ResourceType": "traffic-mirror-session", "Tags": tags}] if tags else []
        ec2.create_traffic_mirror_session(
            NetworkInterfaceId=interface,
            TrafficMirrorTargetId=target["TrafficMirrorTargetId"],
            TrafficMirrorFilterId=chosen,
            SessionNumber=number,
            **({"TagSpecifications": tagged} if tagged else {}),
        )
    topology = take_topology(
        aws_account, company.shop.id, region="eu-central-1", suspects=[company.instances["database"]]
    )
    assert topology.appliance is not None
    assert topology.appliance.id == company.instances["web-1"]
    ((instance, mirrored, session),) = topology.mirrored()
    assert (instance.name, instance.suspect, session.number) == ("database", True, 1)
    assert mirrored.id == company.interfaces["database"][0]
    names = {found.name for subnet in topology.subnets for found in subnet.instances}
    assert {"database", "legacy"} <= names
    assert "desktop" not in names  # of the other VPC


@needs_browser
class TestInABrowser:
    @pytest.fixture
    def page(self, tmp_path: Path) -> Path:
        file = tmp_path / "report.html"
        file.write_text(render(report(loop=LOOP, packets=PACKETS)), encoding="utf-8")
        return file

    def watched(self, page: Path, tmp_path: Path) -> tuple[str, list[str], list[str]]:
        """Return the page as it stands, what the console says, and what the page asked of the network."""
        log = tmp_path / "net.json"
        opened = open_page(page.as_uri(), tmp_path / "profile", "--dump-dom", f"--log-net-log={log}")
        console = [line for line in opened.stderr.splitlines() if "CONSOLE" in line]
        asked = [
            event["params"]["url"]
            for event in json.loads(log.read_text(encoding="utf-8"))["events"]
            # The browser asks for things of its own; what a page asks for has an origin.
            if event.get("params", {}).get("initiator", "not an origin") != "not an origin"
        ]
        return opened.stdout, console, [url for url in asked if not url.startswith(("file:", "data:"))]

    def test_when_it_is_opened_then_the_console_is_silent_and_nothing_is_asked_of_the_network(
        self, page: Path, tmp_path: Path
    ) -> None:
        shown, console, asked = self.watched(page, tmp_path)
        assert "The account is back to where it was." in shown
        assert console == []
        assert asked == []

    def test_when_another_page_logs_and_loads_then_that_is_seen(self, tmp_path: Path) -> None:
        page = tmp_path / "other.html"
        page.write_text('<script>console.error("no")</script><img src="https://example.invalid/x.png">')
        _, console, asked = self.watched(page, tmp_path)
        assert len(console) == 1
        assert asked == ["https://example.invalid/x.png"]

    @pytest.mark.parametrize("dark", [False, True])
    def test_when_the_screen_is_narrow_then_the_page_is_no_wider(self, page: Path, tmp_path: Path, dark: bool) -> None:
        probe = page.with_name("probe.html")
        # The page's own policy allows no script, so the probe frames it and measures from outside.
        frame = '<iframe id="f" style="width:360px;height:800px" srcdoc="{}"></iframe>'
        source = page.read_text(encoding="utf-8").replace("&", "&amp;").replace('"', "&quot;")
        measure = (
            "<script>onload=()=>{const d=document.getElementById('f').contentDocument;"
            "const b=d.defaultView.getComputedStyle(d.body).backgroundColor;"
            "document.title=d.documentElement.scrollWidth+'|'+b}</script>"
        )
        probe.write_text(frame.format(source) + measure, encoding="utf-8")
        opened = open_page(probe.as_uri(), tmp_path / "profile", "--dump-dom", *(["--force-dark-mode"] if dark else []))
        found = re.search(r"<title>(\d+)\|([^<]*)</title>", opened.stdout)
        assert found is not None, opened.stderr
        assert int(found[1]) <= 360
        brightness = sum(int(part) for part in re.findall(r"\d+", found[2])[:3])
        assert (brightness < 200) is dark
