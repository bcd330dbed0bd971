"""stacks/capture.py: what the deployment file becomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import main
from stacks.capture import CaptureStack
from stacks.synthesis import synthesize as synthesize_deployment
from tapstack.bindings import cdk
from tapstack.settings.load import load_deployment, parse_deployment
from tapstack.workspace.protections import RECORDS_OF_PLACE, RECORDS_OF_PLACE_WITH_ROLE
from tests.synth.ids import NLB, SUBNET, TEMPLATE_URL, VPC, eni
from tests.synth.template import Template, assert_equal, rendering_hcl

EXAMPLE = Path(__file__).parents[2] / "deployment.yaml"


def stack(text: str, site: str = "a") -> Template:
    deployment = parse_deployment(text)
    with rendering_hcl():
        made = CaptureStack(
            cdk.Testing.app(),
            site,
            deployment=deployment,
            base=Path("/srv/project"),
            outdir=Path("/srv/project/cdktf.out"),
        )
    return Template(made)


def site(body: str, before: str = "") -> str:
    indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return f"{before}\nsites:\n  a:\n    region: eu-central-1\n    vpc_id: {VPC}\n{indented}"


@pytest.fixture(scope="module")
def production() -> Template:
    with rendering_hcl():
        made = CaptureStack(
            cdk.Testing.app(),
            "production",
            deployment=load_deployment(EXAMPLE),
            base=EXAMPLE.parent,
            outdir=EXAMPLE.parent / "cdktf.out",
        )
    return Template(made)


def test_when_two_projects_are_in_one_vpc_then_their_groups_have_names_of_their_own() -> None:
    body = "targets: {t: {network_interface_id: eni-0123abcd}}"
    groups = [stack(site(body, f"project: {name}")).resource("aws_security_group", "quarantine") for name in "pq"]
    assert [group["name"] for group in groups] == ["p-a-quarantine", "q-a-quarantine"]


def test_when_the_example_is_built_then_it_has_what_a_capture_needs(production: Template) -> None:
    found = {kind: sorted(bodies) for kind, bodies in production.resources.items()}
    rules = found.pop("aws_ec2_traffic_mirror_filter_rule")
    assert len(rules) == 8 + 5
    assert len(found.pop("aws_vpc_security_group_ingress_rule")) == 2
    assert len(found.pop("aws_network_interface_sg_attachment")) == 1
    assert_equal(
        found,
        {
            "aws_cloudformation_stack": ["packet-basics"],
            "aws_ec2_traffic_mirror_filter": ["outbound", "web"],
            "aws_ec2_traffic_mirror_session": ["checkout", "web-servers"],
            "aws_security_group": ["capture", "quarantine"],
            "terraform_data": [
                "capture_Rules_A3B4A749",
                "filter-outbound_Rules_7CC9B44C",
                "filter-web_Rules_29B87B3F",
                "packet-basics_Place_F57E90B9",
                "packet-basics_TargetId_1CFEB3FD",
                "place",
            ],
        },
    )


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("more", "records"),
    [("", RECORDS_OF_PLACE), (", capabilities: [CAPABILITY_IAM]", RECORDS_OF_PLACE_WITH_ROLE)],
)
def test_when_a_failed_creation_is_cleared_then_what_is_to_be_forgotten_is_what_was_recorded(
    more: str, records: tuple[str, ...]
) -> None:
    basics = f"packet_basics: {{template_url: '{TEMPLATE_URL}', subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8"
    names = stack(site(f"{basics}{more}}}")).names("terraform_data")
    assert {f"terraform_data.{name}" for name in names if "_Place" in name} == set(records)


def test_when_the_example_is_built_then_sessions_come_after_all_that_lets_packets_through(production: Template) -> None:
    (attachment,) = production.names("aws_network_interface_sg_attachment")
    outbound = "${aws_ec2_traffic_mirror_filter.outbound.id}"
    rules = production.resources["aws_ec2_traffic_mirror_filter_rule"]
    needed = [name for name, rule in rules.items() if rule["traffic_mirror_filter_id"] == outbound]
    mirrored = [
        f"${{aws_vpc_security_group_ingress_rule.{name}}}"
        for name, rule in production.resources["aws_vpc_security_group_ingress_rule"].items()
        if rule["from_port"] == 4789
    ]
    assert_equal(
        sorted(production.resource("aws_ec2_traffic_mirror_session", "checkout")["depends_on"]),
        sorted(
            [
                *(f"${{aws_ec2_traffic_mirror_filter_rule.{name}}}" for name in needed),
                *mirrored,
                f"${{aws_network_interface_sg_attachment.{attachment}}}",
            ]
        ),
    )


def test_when_the_example_is_built_then_its_outputs_are_what_an_operator_needs_next(production: Template) -> None:
    outputs = {name: set(body) for name, body in production.outputs.items()}
    plain = {"value", "description"}
    assert_equal(
        {name: sorted(keys) for name, keys in outputs.items()},
        {
            "portal_url": sorted(plain),
            "portal_password": sorted({*plain, "sensitive"}),
            "quarantine_security_group_id": sorted(plain),
            "mirror_target_ids": sorted(plain),
            "mirror_filter_ids": sorted(plain),
            "mirror_session_ids": sorted(plain),
        },
    )
    assert production.outputs["portal_password"]["sensitive"] is True
    assert set(production.outputs["mirror_filter_ids"]["value"]) == {"outbound", "web"}
    assert set(production.outputs["mirror_session_ids"]["value"]) == {"checkout", "web-servers"}


def test_when_the_example_is_built_then_provider_and_state_are_as_written(production: Template) -> None:
    assert_equal(
        production.terraform,
        {
            "required_providers": [{"aws": {"source": "aws", "version": ">= 5.100.0, < 7.0.0"}}],
            "backend": [{"local": {"path": "../../../state/tapstack/production.tfstate"}}],
        },
    )
    assert_equal(
        production.providers["aws"][""],
        {
            "region": "eu-central-1",
            "allowed_account_ids": ["111122223333"],
            "default_tags": [
                {
                    "tags": {
                        "tapstack:deployment": "tapstack",
                        "tapstack:site": "production",
                        "owner": "security-operations",
                        "cost-center": "4711",
                    }
                }
            ],
        },
    )


def test_when_the_project_shares_settings_then_every_site_gets_them() -> None:
    before = """
project: ir
tags: {owner: soc, stage: prod}
backend:
  s3:
    bucket: company-state
    region: eu-west-1
    kms_key_id: arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012
    role_arn: arn:aws:iam::111122223333:role/state
provider: {version: "~> 5.100", max_retries: 3}
"""
    body = """
tags: {stage: test}
allowed_account_ids: ["111122223333"]
assume_role: {role_arn: "arn:aws:iam::111122223333:role/deploy", external_id: abc, session_name: ci}
sessions: {s: {target: tmt-0123456789abcdef0, filter: tmf-0123456789abcdef0, sources: [eni-00000000000000001]}}
"""
    template = stack(site(body, before))
    assert_equal(
        template.providers["aws"][""],
        {
            "region": "eu-central-1",
            "allowed_account_ids": ["111122223333"],
            "max_retries": 3,
            "assume_role": [
                {
                    "role_arn": "arn:aws:iam::111122223333:role/deploy",
                    "external_id": "abc",
                    "session_name": "ci",
                }
            ],
            "default_tags": [
                {
                    "tags": {
                        "tapstack:deployment": "ir",
                        "tapstack:site": "a",
                        "owner": "soc",
                        "stage": "test",
                    }
                }
            ],
        },
    )
    assert template.terraform["required_providers"][0]["aws"]["version"] == "~> 5.100, >= 5.100.0, < 7.0.0"
    assert_equal(
        template.terraform["backend"][0]["s3"],
        {
            "bucket": "company-state",
            "key": "tapstack/ir/a.tfstate",
            "region": "eu-west-1",
            "encrypt": True,
            "kms_key_id": "arn:aws:kms:eu-west-1:111122223333:key/12345678-1234-1234-1234-123456789012",
            "use_lockfile": True,
            "assume_role": {"role_arn": "arn:aws:iam::111122223333:role/state"},
        },
    )


@pytest.mark.parametrize(
    ("target", "argument", "value"),
    [
        (f"{{network_interface_id: {eni(1)}}}", "network_interface_id", eni(1)),
        (f'{{network_load_balancer_arn: "{NLB}"}}', "network_load_balancer_arn", NLB),
        (
            "{gateway_load_balancer_endpoint_id: vpce-0123456789abcdef0}",
            "gateway_load_balancer_endpoint_id",
            "vpce-0123456789abcdef0",
        ),
    ],
)
def test_when_a_target_is_written_then_sessions_reach_it_by_name(target: str, argument: str, value: str) -> None:
    body = f"""
quarantine_security_group: false
targets: {{sensors: {target}}}
filters: {{all: {{preset: everything}}}}
sessions: {{s: {{target: sensors, filter: all, sources: [{eni(2)}]}}}}
"""
    template = stack(site(body))
    assert template.resource("aws_ec2_traffic_mirror_target", "sensors")[argument] == value
    session = template.resource("aws_ec2_traffic_mirror_session", "s")
    assert session["traffic_mirror_target_id"] == "${aws_ec2_traffic_mirror_target.sensors.id}"
    assert session["traffic_mirror_filter_id"] == "${aws_ec2_traffic_mirror_filter.all.id}"
    assert template.count("aws_security_group") == 0


def test_when_a_load_balancer_has_no_instances_then_packet_basics_is_behind_it() -> None:
    body = f"""
packet_basics: {{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8}}
capture_security_group: {{enabled: false}}
targets: {{many: {{load_balancer: {{subnet_ids: [subnet-00000001, subnet-00000002]}}}}}}
"""
    template = stack(site(body))
    (instance,) = template.data["aws_instance"]
    attached = template.resource("aws_lb_target_group_attachment")
    assert attached["target_id"] == f"${{data.aws_instance.{instance}.id}}"
    assert template.resource("aws_ec2_traffic_mirror_target", "many")["network_load_balancer_arn"] == (
        "${aws_lb.many.arn}"
    )
    assert template.count("aws_network_interface_sg_attachment") == 0


def test_when_no_senders_are_given_then_the_vpc_may_send() -> None:
    body = f'packet_basics: {{template_url: "{TEMPLATE_URL}", subnet_id: {SUBNET}, remote_access_cidr: 10.0.0.0/8}}'
    template = stack(site(body))
    assert template.datum("aws_vpc") == {"id": VPC}
    assert template.resource("aws_cloudformation_stack")["name"] == "tapstack-a-packet-basics"


def test_when_sessions_name_nothing_then_the_appliances_own_target_and_filter_serve() -> None:
    body = f"""
packet_basics:
  template_url: {TEMPLATE_URL}
  subnet_id: {SUBNET}
  remote_access_cidr: 10.0.0.0/8
  target_id: tmt-0123456789abcdef0
  filter_id: tmf-0123456789abcdef0
sessions: {{s: {{sources: [{eni(1)}]}}}}
"""
    template = stack(site(body))
    session = template.resource("aws_ec2_traffic_mirror_session", "s")
    assert session["traffic_mirror_target_id"] == "tmt-0123456789abcdef0"
    assert session["traffic_mirror_filter_id"] == "tmf-0123456789abcdef0"
    assert template.outputs["mirror_target_ids"]["value"] == {"packet_basics": "tmt-0123456789abcdef0"}


def _run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str | None) -> dict[str, Any]:
    if language:
        monkeypatch.setenv("SYNTH_HCL_OUTPUT", language)
    deployment = load_deployment(EXAMPLE)
    synthesize_deployment(deployment, EXAMPLE.parent, tmp_path)
    return {path.name: path for path in (tmp_path / "stacks" / "production").iterdir()}


def test_when_synthesized_then_the_files_are_json_and_warnings_are_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _run(tmp_path / "deep" / "er", monkeypatch, None)
    terraform = json.loads(files["cdk.tf.json"].read_text())
    sessions = terraform["resource"]["aws_ec2_traffic_mirror_session"]["web-servers"]
    assert sessions["for_each"]["eni-0a000000000000003"] == 10


def test_when_main_synthesizes_then_it_says_what_it_wrote_and_nothing_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "out"))
    monkeypatch.setenv("TAPSTACK_DEPLOYMENT", str(tmp_path / "deployment.yaml"))
    monkeypatch.delenv("CDKTF_CONTINUE_SYNTH_ON_ERROR_ANNOTATIONS", raising=False)
    (tmp_path / "deployment.yaml").write_text(site("targets: {t: {network_interface_id: eni-00000001}}"))
    (tmp_path / "out" / "stacks" / "before").mkdir(parents=True)
    (tmp_path / "out" / "stacks" / "before" / "cdk.tf.json").touch()
    assert main._synthesize() == 0
    assert capsys.readouterr().out == f"Terraform:\n  {tmp_path}/out/stacks/a/cdk.tf.json\n"
    (tmp_path / "deployment.yaml").write_text(
        site(
            "targets: {t: {network_interface_id: eni-00000001}}\n"
            "filters: {f: {preset: everything}}\n"
            "sessions: {s: {target: t, filter: f, sources: [{subnet_id: subnet-00000001}]}}"
        )
    )
    with rendering_hcl():
        assert main._synthesize() == 0
    stack = f"{tmp_path}/out/stacks/a"
    assert capsys.readouterr().out == f"Terraform:\n  {stack}/cdk.tf\n  {stack}/checks.tf.json\n"
    monkeypatch.setenv("CDKTF_CONTINUE_SYNTH_ON_ERROR_ANNOTATIONS", "true")
    assert main._synthesize() == 0
    assert capsys.readouterr().out == ""


def test_when_a_filter_is_one_sided_then_a_warning_is_returned(tmp_path: Path) -> None:
    text = site("filters: {in: {rules: [{direction: ingress}]}}\ntargets: {t: {network_interface_id: eni-00000001}}")
    warnings = synthesize_deployment(parse_deployment(text), tmp_path, tmp_path / "out")
    assert warnings == ["a/filter-in: no egress rule accepts anything, so no egress packet is mirrored"]


@pytest.mark.thorough
def test_when_the_other_language_was_written_before_then_it_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / "stacks" / "production"
    directory.mkdir(parents=True)
    (directory / "cdk.tf").write_text("# the same in HCL")
    synthesize_deployment(load_deployment(EXAMPLE), EXAMPLE.parent, tmp_path)
    assert not (directory / "cdk.tf").exists()
    assert (directory / "cdk.tf.json").exists()
