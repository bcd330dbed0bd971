"""The example's production site, with real Terraform, in the rehearsal account, from nothing to nothing."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stacks.synthesis import synthesize
from strictmoto.account import Account
from strictmoto.testing.snapshot import differences, take_snapshot
from tapstack.cli.rehearse_deploy import rehearse_deploy
from tapstack.rehearsal.changes import Spares, rehearse_changes
from tapstack.rehearsal.deployment import SiteDeployment
from tapstack.rehearsal.fitting import fit
from tapstack.rehearsal.packet_basics import publish_template
from tapstack.settings.load import parse_deployment
from tapstack.settings.yaml_source import YamlSource
from tapstack.workspace.provider_mirror import link_mirror
from tests.proxy import RecordingProxy
from tests.terraform.conftest import Terraform, as_the_role_that_applies

ROOT = Path(__file__).parents[2]
REGION = "eu-central-1"


class Rehearsal:
    """The production site of the example, fitted into the account."""

    def __init__(self, account: Account, directory: Path) -> None:
        production, _, _ = (ROOT / "deployment.yaml").read_text().partition("  # A Network Load Balancer")
        self.account = account
        self.ec2: Any = account.client("ec2")
        # To be destroyed in the end, which the example is not.
        production = production.replace(
            "    packet_basics:\n", "    packet_basics:\n      deletion_protection: false\n"
        )
        self.text = fit(
            production, account, publish=lambda region: publish_template(account.client("s3", region=region))
        )
        self._directory = directory
        # Everything that a deployment of the capture needs is in the policies of docs/iam.
        self.site = SiteDeployment(
            directory / "out" / "stacks" / "production",
            account,
            lambda _: None,
            credentials=as_the_role_that_applies(account),
        )

    def write(self, text: str) -> None:
        """Synthesize the site anew."""
        assert synthesize(parse_deployment(text), self._directory, self._directory / "out") == []

    def sessions(self) -> dict[str, dict[str, Any]]:
        """The sessions in the account by source and number."""
        found = self.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
        return {f"{s['NetworkInterfaceId']} {s['SessionNumber']}": s for s in found}


@pytest.fixture
def rehearsal(terraform: Terraform, aws_account: Account, tmp_path: Path) -> Rehearsal:
    assert terraform
    return Rehearsal(aws_account, tmp_path)


@pytest.mark.long
def test_when_the_example_is_deployed_then_plans_are_empty_updates_apply_and_destroy_deletes_all(
    rehearsal: Rehearsal, tmp_path: Path
) -> None:
    before = take_snapshot(rehearsal.account, region=REGION)
    rehearsal.write(rehearsal.text)

    # It stands.
    outputs = rehearsal.site.apply()
    assert outputs["portal_url"].startswith("https://10.0.")
    assert outputs["portal_password"] is None, "sensitive"
    web = parse_deployment(rehearsal.text).sites["production"].sessions["web-servers"].sources
    sources = [str(source.network_interface_id) for source in web]
    assert sorted(outputs["mirror_session_ids"]["web-servers"]) == sorted(sources)
    checkout = outputs["mirror_session_ids"]["checkout"]
    assert len(checkout) == 2, "both interfaces of the database carry the tag that is looked for"
    # Target and filter of the appliance are those that its stack made, found by their Name tags.
    (target,) = rehearsal.ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
    assert outputs["mirror_target_ids"] == {"packet_basics": target["TrafficMirrorTargetId"]}
    sessions = rehearsal.sessions()
    assert {session["TrafficMirrorTargetId"] for session in sessions.values()} == {target["TrafficMirrorTargetId"]}
    assert f"{sources[2]} 10" in sessions
    assert {f"{source} 2" for source in checkout} <= set(sessions)
    filters = rehearsal.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
    rules = {
        next(tag["Value"] for tag in found["Tags"] if tag["Key"] == "Name"): len(found["IngressFilterRules"])
        + len(found["EgressFilterRules"])
        for found in filters
    }
    assert (rules["web"], rules["outbound"]) == (8, 5)
    groups = rehearsal.ec2.describe_security_groups()["SecurityGroups"]
    quarantine = next(group for group in groups if group["GroupName"].endswith("-quarantine"))
    assert (quarantine["IpPermissions"], quarantine["IpPermissionsEgress"]) == ([], [])
    capture = next(group for group in groups if group["GroupName"].startswith("tapstack-capture-"))
    assert {(rule["IpProtocol"], rule["FromPort"]) for rule in capture["IpPermissions"]} == {
        ("udp", 4789),
        ("tcp", 443),
    }
    interface = rehearsal.ec2.describe_network_interfaces(NetworkInterfaceIds=[target["NetworkInterfaceId"]])
    attached = {group["GroupId"] for group in interface["NetworkInterfaces"][0]["Groups"]}
    assert capture["GroupId"] in attached
    assert len(attached) == 2, "the template's own group stays"

    # It stays: a second plan is empty, and the state lies where the file says.
    assert rehearsal.site.changes() == {}
    assert (tmp_path / "state" / "tapstack" / "production.tfstate").is_file()

    # Only what is changed changes: a source, a rule, the target.
    spares = Spares(rehearsal.ec2)
    document = YamlSource(rehearsal.text, "deployment.yaml").data
    outcomes = list(rehearse_changes(rehearsal.site, "production", document, spares, rehearsal.write))
    assert [(outcome.title, len(outcome.touched)) for outcome in outcomes] == [
        ("a source added to web-servers", 1),
        ("a rule of the filter outbound changed", 1),
        ("the target of web-servers replaced", 4),
    ]
    assert [outcome for outcome in outcomes if not outcome.right] == []
    assert rehearsal.site.changes() == {}

    # It goes, and nothing of ours is left.
    rehearsal.site.destroy()
    spares.remove()
    assert differences(before, take_snapshot(rehearsal.account, region=REGION)) == []


@pytest.mark.long
def test_when_a_user_rehearses_a_file_then_the_command_shows_it_and_ends_well(
    terraform: Terraform,
    aws_account_server: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert terraform
    file = tmp_path / "small.yaml"
    file.write_text(
        """
sites:
  ward:
    region: eu-central-1
    vpc_id: vpc-00000001
    targets: {sensor: {network_interface_id: eni-00000001}}
    filters: {dns: {preset: dns}}
    sessions: {suspects: {target: sensor, filter: dns, sources: [eni-00000002, eni-00000003]}}
    xdr: {flow_logs: {}, guardduty: {detector_id: 12abc34d567e8fa901bc2d34e56789f0}}
"""
    )
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("SYNTH_HCL_OUTPUT", raising=False)
    out, err = io.StringIO(), io.StringIO()

    # One account a process: the shared one makes room, and comes back.
    aws_account_server.stop()
    try:
        code = rehearse_deploy(file, scratch=tmp_path, out=out, err=err)
    finally:
        aws_account_server.start()

    assert (code, err.getvalue()) == (0, "")
    printed = out.getvalue()
    assert re.search(r"ward: deploying the capture\n(  .*\n)+ward: the second plan is empty\nward: changing\n", printed)
    assert len(re.findall(r"aws_ec2_traffic_mirror_session\.suspects\[.*Creation complete", printed)) == 3
    assert "ward: a source added to suspects: 1 touched, as it should\n" in printed
    assert "ward: the target of suspects replaced: 3 touched, as it should\nward: deploying the telemetry\n" in printed
    assert len(re.findall("ward: the second plan is empty\n", printed)) == 2
    assert printed.index("ward: destroying the telemetry\n") < printed.index("ward: destroying the capture\n")
    assert printed.endswith("ward: the account is as it was\n")


@pytest.mark.long
def test_when_a_proxy_is_set_then_terraform_deploys_without_it(
    terraform: Terraform, proxy: RecordingProxy, aws_account: Account, tmp_path: Path
) -> None:
    if terraform.mirror is None:
        pytest.skip("the provider comes from the registry, by the proxy that this test sets")
    configuration = {
        "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
        "resource": {"aws_ec2_traffic_mirror_filter": {"dns": {"network_services": ["amazon-dns"]}}},
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(configuration))
    link_mirror(terraform.mirror, tmp_path)
    stack = SiteDeployment(tmp_path, aws_account, lambda _: None)
    stack.apply()
    assert len(aws_account.client("ec2").describe_traffic_mirror_filters()["TrafficMirrorFilters"]) == 1
    stack.destroy()
    assert proxy.received == []


def test_fails_when_the_file_is_wrong_or_the_place_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.chdir(tmp_path)
    assert rehearse_deploy(None, scratch=tmp_path, out=out, err=err) == 2
    assert f"{tmp_path} has no main.py: run this in the directory of the Tapstack project" in err.getvalue()
    monkeypatch.chdir(ROOT)
    assert rehearse_deploy(tmp_path / "none.yaml", scratch=tmp_path, out=out, err=err) == 2
    assert "none.yaml: no such file" in err.getvalue()
    assert out.getvalue() == ""
