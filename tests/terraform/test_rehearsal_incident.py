"""The main job, as `make rehearse` does it: deploy, alert, packets, close, destroy, nothing left, a report."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
import yaml

from strictmoto.account import Account
from tapstack.cli.rehearse_incident import rehearse_incident
from tapstack.cli.report_file import ReportFile
from tests.terraform.conftest import Terraform

ROOT = Path(__file__).parents[2]
SIGNED_BY = "openssl" if shutil.which("openssl") else "tapstack's own client"


class Run:
    """A run of the command: what it printed, what it returned, what it wrote."""

    def __init__(self, file: Path | None, report: Path, site: str | None = None) -> None:
        out, err = io.StringIO(), io.StringIO()
        scratch = report.parent / "scratch"
        scratch.mkdir()
        with ReportFile(report) as claimed:
            self.code = rehearse_incident(file, site=site, report=claimed, scratch=scratch, out=out, err=err)
        self.out, self.err, self.report = out.getvalue(), err.getvalue(), report

    def page(self) -> str:
        """The report's text without its markup."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.report.read_text(encoding="utf-8").partition("<main>")[2]).split())


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("SYNTH_HCL_OUTPUT", "TAPSTACK_DEPLOYMENT", "CDKTF_OUTDIR"):
        monkeypatch.delenv(name, raising=False)


def test_when_the_example_is_rehearsed_then_the_incident_is_shown_and_the_account_is_as_it_was(
    terraform: Terraform, aws_account_server: Account, tmp_path: Path
) -> None:
    assert terraform
    # One account a process: the shared one makes room, and comes back.
    aws_account_server.stop()
    try:
        run = Run(None, tmp_path / "report.html")
    finally:
        aws_account_server.start()
    assert (run.code, run.err) == (0, ""), run.out

    # Live in the terminal: every part of the incident, in its order.
    expected = [
        r"Deploy production, production-xdr and production-response with Terraform",
        r"account 777788889999 assumes tapstack-production-xdr-reader-hunters with the external id",
        r"refused: another external id",
        r"It makes the topic hunters-ingestion-rehearsal and the notifications of tapstack-production-xdr-\d+ itself",
        r"The secret tapstack-production-response/webhooks/hunters gets its first value",
        r"The XDR sends an alert",
        r"POST /webhooks/hunters \{\"uuid\": ",
        rf"signed by {SIGNED_BY}; 202: \{{\"kept\": true, \"mapped\": true, \"id\": \"msg_",
        r"rule hunters captures, and asks whether to contain the instance: inc-",
        r"opened  ",
        r"containment requested  on approval until ",
        r"The same about i-0{17}, which does not exist:",
        r"launching  stack tapstack-production-epb",
        r"capturing  2 network interfaces mirrored",
        r"Backdoor:EC2/C&CActivity\.B, severity 8\.0, in an event of GuardDuty",
        r"joined  finding \w{32}, Backdoor:\S+ '[^']+'; severity medium -> high",
        r"notified: \[tapstack production\] high inc-\S+: joined by another alert",
        r"web: 11 of 11 packets mirrored",
        r"scan: 0 of 16 packets mirrored: no ingress rule of the security groups allows it",
        r"channel: 7 of 7 packets mirrored",
        r"beacon: 27 of 27 packets mirrored",
        r"mirroring since \S+: sessions exist, and that is all that is known",
        r"packets seen  CloudWatch counts mirrored packets in the five minutes from",
        r"Flow logs do not follow packets here: the account is made to log 4 flows of the interfaces",
        r"Contain: another person approves, and every interface is isolated",
        r"policy:hunters asked, until ",
        r"second-responder approves",
        r"containment approved  \(arn:aws:iam::\d+:user/second-responder\)",
        r"beacon: 0 of 9 packets mirrored: the security groups have no egress rule, and it belongs to no tracked flow",
        r"channel: 8 of 8 packets mirrored",
        r"Release: the prior state is restored",
        r"beacon: 27 of 27 packets mirrored",
        r"recorded and handed over: \d+ packets, \d+ bytes of pcapng",
        r"close requested  'seen enough'",
        r"closed",
        r"The XDR reads what landed, with the role of its reader and nothing else",
        r"incidents/v1/: 9 events, those of its timeline and each once: "
        r"opened, (?:approval_asked, mirroring|mirroring, approval_asked), joined, packets_seen, decided, contained, "
        r"released, closed",
        r"flow/: 4 records of eni-\w+ and eni-",
        r"the topic hunters-ingestion-rehearsal announced each of the 10 objects",
        r"refused: reading unmatched/hunters/\S+\.json, listing unmatched/, listing all of the bucket, putting into",
        r"The topic hunters-ingestion-rehearsal and the notifications are the XDR's: it removes them",
        r"Destroy production-response, production-xdr and production with Terraform",
        r"The account is back to where it was\.",
    ]
    assert re.search(".*".join(expected), run.out, re.DOTALL), run.out

    # The response begins when the landing has its key; the rest of the telemetry ends later. And no colours, no cursor.
    assert run.out.index("aws_kms_alias.landing") < run.out.index("aws_iam_role.response")
    assert run.out.index("aws_iam_role.response") < run.out.index("aws_sqs_queue_policy.incidents_QueuePolicy")
    assert "\x1b" not in run.out
    assert "\r" not in run.out

    # In the report: the same, with the drawing and the calls of every function's role.
    page = run.page()
    assert "The account is back to where it was." in page
    assert "2 interfaces mirrored" in page
    assert len(re.findall(r"\bsession 1\b", page)) == 2
    assert re.search(r"eni-\w+ database, backup \S*quarantine\S* database, backup ✓", page), page
    assert re.search(r"joined .* severity medium -&gt; high", page), page
    assert "packets seen" in page
    assert "reads as tapstack-production-xdr-reader-hunters: events: 9; records of flow logs: 4" in page
    for role in (
        "api",
        "prepare",
        "appliance",
        "capture",
        "incident",
        "containment",
        "release",
        "alerts",
        "findings",
        "sweeper",
    ):
        assert re.search(rf"tapstack-production-response-{role}\b", page), role
    assert "ec2:CreateTrafficMirrorSession" in page


@pytest.mark.long
@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ],
)
def test_when_another_partition_is_rehearsed_then_the_incident_runs_to_its_end(
    terraform: Terraform, aws_account_server: Account, tmp_path: Path, region: str, partition: str, suffix: str
) -> None:
    assert terraform
    production, _, _ = (ROOT / "deployment.yaml").read_text(encoding="utf-8").partition("  # A Network Load Balancer")
    # Marketplace has no bucket there: the template comes from one of one's own.
    template = f"https://templates.s3.{region}.{suffix}/packet-basics.template"
    there = re.sub(
        r"( +)template_url: \S+", rf"\1template_url: {template}\n\1accept_template_url: true", production
    ).replace("region: eu-central-1", f"region: {region}")
    # A policy that contains for such a finding: another tool has to report the instance a second time.
    there = there.replace("action: capture", "action: contain_on_approval").replace('tags: {application: "*"}', "")
    file = tmp_path / "deployment.yaml"
    file.write_text(there, encoding="utf-8")
    aws_account_server.stop()
    try:
        run = Run(file, tmp_path / "report.html")
    finally:
        aws_account_server.start()
    assert (run.code, run.err) == (0, ""), run.out
    assert f"(arn:{partition}:iam::123456789012:root)" in run.out
    assert "2 network interfaces mirrored" in run.out
    assert "another tool reports it here instead" in run.out
    assert re.search(r"joined  alert 'edr-92': 'C2 beacon'; severity medium -> high", run.out), run.out
    assert "rule hunters captures, and asks whether to contain the instance" in run.out
    assert "incidents/v1/: 9 events, those of its timeline and each once" in run.out
    assert "The account is back to where it was." in run.out


@pytest.mark.long
def test_when_the_site_has_no_xdr_then_a_soar_tool_posts_the_alert_and_nothing_is_read(
    terraform: Terraform, aws_account_server: Account, tmp_path: Path
) -> None:
    assert terraform
    production, _, _ = (ROOT / "deployment.yaml").read_text(encoding="utf-8").partition("  # A Network Load Balancer")
    document = yaml.safe_load(production)
    site = document["sites"]["production"]
    del site["xdr"], site["response"]["alerts"], site["response"]["policy"][1]
    file = tmp_path / "deployment.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    aws_account_server.stop()
    try:
        run = Run(file, tmp_path / "report.html")
    finally:
        aws_account_server.start()
    assert (run.code, run.err) == (0, ""), run.out
    assert "Deploy production and production-response with Terraform" in run.out
    assert re.search(r"Post the alert, as a SOAR tool would\n *POST /incidents \{.*\n *202: inc-", run.out), run.out
    assert "XDR" not in run.out + run.page()
    assert "The account is back to where it was." in run.out


def test_fails_when_no_site_has_a_response(tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text(
        """
sites:
  ward:
    region: eu-central-1
    vpc_id: vpc-00000001
    targets: {sensor: {network_interface_id: eni-00000001}}
    filters: {dns: {preset: dns}}
    sessions: {suspects: {target: sensor, filter: dns, sources: [eni-00000002]}}
"""
    )
    run = Run(file, tmp_path / "report.html")
    assert run.code == 2
    assert "no site has a response: add one, or rehearse with tapstack rehearse deploy" in run.err
    assert not run.report.exists()


def test_fails_when_the_site_is_another(tmp_path: Path) -> None:
    run = Run(None, tmp_path / "report.html", site="shared-services")
    assert run.code == 2
    assert "no site 'shared-services' with a response: expected one of production" in run.err
