from typing import Any

import pytest
from pydantic import ValidationError

from tapstack.domain import filter_presets
from tapstack.domain.filter_rules import MirrorRule, PortRange, Traffic
from tapstack.domain.sources import KnownSource, SourceLookup
from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Filter, Rule, SourceSettings
from tests.unit.settings.reading import APPLIANCE, SITE, USABLE, report


def test_when_only_what_is_needed_is_given_then_the_rest_has_safe_defaults() -> None:
    deployment = parse_deployment(USABLE)
    site = deployment.sites["production"]
    basics = site.packet_basics
    assert deployment.project == "tapstack"
    assert deployment.backend.local is not None
    assert deployment.backend.local.directory == "state"
    assert deployment.provider.version == ">= 5.100.0, < 7.0.0"
    assert site.quarantine_security_group
    assert site.capture_security_group.enabled
    assert site.allowed_account_ids == []
    assert basics is not None
    assert not basics.public_ip
    assert basics.capabilities == []
    assert (basics.on_failure, basics.timeout_minutes) == ("ROLLBACK", 30)


def test_when_a_source_is_an_id_only_then_it_stands_for_the_mapping() -> None:
    short = parse_deployment(USABLE + "    sessions: {web: {sources: [eni-0123abcd]}}\n")
    long = parse_deployment(USABLE + "    sessions: {web: {sources: [{network_interface_id: eni-0123abcd}]}}\n")
    assert short == long
    assert short.sites["production"].sessions["web"].target == "packet_basics"
    assert short.sites["production"].sessions["web"].filter == "packet_basics"


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"direction": "ingress"}, MirrorRule("ingress")),
        (
            {"direction": "egress", "protocol": "tcp", "destination_ports": "80-90", "source_ports": 1024},
            MirrorRule("egress", traffic=Traffic(6, PortRange(1024, 1024), PortRange(80, 90))),
        ),
        ({"direction": "egress", "protocol": "udp"}, MirrorRule("egress", traffic=Traffic.udp())),
        ({"direction": "egress", "protocol": "icmp"}, MirrorRule("egress", traffic=Traffic.icmp())),
        ({"direction": "egress", "protocol": "icmpv6"}, MirrorRule("egress", traffic=Traffic.icmpv6())),
        ({"direction": "egress", "protocol": 0}, MirrorRule("egress", traffic=Traffic.of_protocol(0))),
        ({"direction": "egress", "protocol": 50}, MirrorRule("egress", traffic=Traffic.of_protocol(50))),
        (
            {
                "direction": "ingress",
                "action": "reject",
                "source": "10.0.0.0/8",
                "destination": "10.1.0.0/16",
                "number": 7,
                "description": "inside",
            },
            MirrorRule("ingress", "reject", Traffic(), "10.0.0.0/8", "10.1.0.0/16", 7, "inside"),
        ),
    ],
)
def test_when_a_rule_is_written_then_the_domain_gets_it(settings: dict[str, Any], rule: MirrorRule) -> None:
    assert Rule.model_validate(settings).to_domain() == rule


@pytest.mark.parametrize(
    ("settings", "preset"),
    [
        ({"preset": "everything"}, filter_presets.everything()),
        ({"preset": "web"}, filter_presets.web()),
        ({"preset": "dns"}, filter_presets.dns()),
        (
            {"preset": "everything_but_intra_vpc", "vpc_cidrs": ["10.0.0.0/16"]},
            filter_presets.everything_but_intra_vpc(["10.0.0.0/16"]),
        ),
        ({"preset": "web", "amazon_dns": True}, filter_presets.FilterPreset(filter_presets.web().rules, True)),
        ({"amazon_dns": True}, filter_presets.FilterPreset((), True)),
        (
            {"rules": [{"direction": "egress"}, {"direction": "ingress"}]},
            filter_presets.FilterPreset((MirrorRule("egress"), MirrorRule("ingress")), False),
        ),
    ],
)
def test_when_a_filter_is_written_then_the_domain_gets_it(
    settings: dict[str, Any], preset: filter_presets.FilterPreset
) -> None:
    assert Filter.model_validate(settings).to_domain() == preset


@pytest.mark.parametrize(
    ("settings", "source"),
    [
        (
            {"network_interface_id": "eni-0123abcd", "session_number": 5, "instance_type": "m5.large"},
            KnownSource("eni-0123abcd", "eni-0123abcd", 5),
        ),
        (
            {"network_interface_id": "eni-0123abcd", "instance_type": "t2.large", "accept_instance_type": True},
            KnownSource("eni-0123abcd", "eni-0123abcd"),
        ),
        (
            {"tags": {"a": "b"}, "vpc_id": "vpc-0123abcd", "include_requester_managed": True},
            SourceLookup({"a": "b"}, vpc_id="vpc-0123abcd", include_requester_managed=True),
        ),
        (
            {"subnet_id": "subnet-0123abcd", "instance_id": "i-0123abcd"},
            SourceLookup(instance_id="i-0123abcd", subnet_id="subnet-0123abcd"),
        ),
    ],
)
def test_when_a_source_is_written_then_the_domain_gets_it(
    settings: dict[str, Any], source: KnownSource | SourceLookup
) -> None:
    assert SourceSettings.model_validate(settings).to_domain() == source


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        (
            "filters: {f: {}}",
            "filters.f",
            "expected preset, rules or amazon_dns: a filter without a rule mirrors nothing",
        ),
        (
            "filters: {f: {preset: web, rules: [{direction: egress}]}}",
            "filters.f",
            "expected either preset or rules, not both",
        ),
        (
            "filters: {f: {preset: web, vpc_cidrs: [10.0.0.0/16]}}",
            "filters.f",
            "preset web takes no vpc_cidrs: expected preset everything_but_intra_vpc with it",
        ),
        (
            "filters: {f: {rules: [{direction: egress}], vpc_cidrs: [10.0.0.0/16]}}",
            "filters.f",
            "rules take no vpc_cidrs: expected preset everything_but_intra_vpc with it",
        ),
        (
            "filters: {f: {preset: everything_but_intra_vpc}}",
            "filters.f",
            "preset everything_but_intra_vpc needs vpc_cidrs",
        ),
        (
            "filters: {f: {rules: [{direction: egress, source_ports: 80}]}}",
            "filters.f.rules[0]",
            "ports go with TCP (6) and UDP (17) only, got ports with every protocol",
        ),
        (
            "filters: {f: {rules: [{direction: egress, protocol: icmp, source_ports: 80}]}}",
            "filters.f.rules[0]",
            "ports go with TCP (6) and UDP (17) only, got ports with protocol icmp (1)",
        ),
        (
            "targets: {t: {load_balancer: {subnet_ids: [subnet-0123abcd], instance_ids: [i-0123abcd]}}}",
            "targets.t.load_balancer.subnet_ids",
            "a load balancer for mirrored traffic needs subnets in two Availability Zones or more, got 1",
        ),
        (
            "assume_role: {role_arn: 'arn:aws:iam::111122223333:role/r', session_name: 'a b'}",
            "assume_role.session_name",
            "'a b' is not the name of a role's session: expected 2 to 64 letters, digits and signs of _+=,.@-",
        ),
        (
            "assume_role: {role_arn: 'arn:aws:iam::111122223333:role/r', external_id: 'a b'}",
            "assume_role.external_id",
            "'a b' is not an external id: expected 2 to 1224 letters, digits and signs of _+=,.@:/-",
        ),
        (
            "assume_role: {role_arn: 'arn:aws:iam::111122223333:role/r', external_id: a}",
            "assume_role.external_id",
            "'a' is not an external id: expected 2 to 1224 letters, digits and signs of _+=,.@:/-",
        ),
        (
            "sessions: {a: {sources: [{network_interface_id: eni-0123abcd, accept_instance_type: true}]}}",
            "sessions.a.sources[0]",
            "accept_instance_type goes with instance_type, or with a lookup",
        ),
        (
            "filters: {f: {rules: [{direction: egress, protocol: tcp, source_ports: 70000}]}}",
            "filters.f.rules[0].source_ports",
            "a port must be a whole number from 0 to 65535, got 70000",
        ),
        (
            "filters: {f: {rules: [{direction: egress, number: 32767}]}}",
            "filters.f.rules[0].number",
            "rule number must be a whole number from 1 to 32766, got 32767",
        ),
        (
            "filters: {f: {rules: [{direction: egress, source: 10.0.0.1/8}]}}",
            "filters.f.rules[0].source",
            "'10.0.0.1/8' is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32; "
            "did you mean 10.0.0.0/8?",
        ),
        (
            "targets: {t: {}}",
            "targets.t",
            "expected exactly one of network_interface_id, network_load_balancer_arn, "
            "gateway_load_balancer_endpoint_id, load_balancer; found none",
        ),
        (
            "targets: {t: {network_interface_id: eni-0123abcd, gateway_load_balancer_endpoint_id: vpce-0123abcd}}",
            "targets.t",
            "expected exactly one of network_interface_id, network_load_balancer_arn, "
            "gateway_load_balancer_endpoint_id, load_balancer; found network_interface_id, "
            "gateway_load_balancer_endpoint_id",
        ),
        (
            "targets: {t: {gateway_load_balancer_endpoint_id: vpce-0123abcd, instance_type: m5.large}}",
            "targets.t",
            "instance_type goes with network_interface_id",
        ),
        (
            "targets: {t: {network_interface_id: eni-0123abcd, accept_instance_type: true}}",
            "targets.t",
            "accept_instance_type goes with instance_type",
        ),
        (
            "targets: {t: {network_interface_id: eni-0123abcd, instance_type: m5.lrge}}",
            "targets.t.instance_type",
            "instance type m5.lrge has the size lrge, which no type has: did you mean large? accept it with "
            "accept_instance_type if it is newer than this version",
        ),
        (
            "sessions: {s: {sources: [{network_interface_id: eni-0123abcd, instance_type: m5.5large}]}}",
            "sessions.s.sources[0]",
            "instance type m5.5large has the size 5large, which no type has: did you mean large? accept it with "
            "accept_instance_type if it is newer than this version",
        ),
        ("filters: {f: {preset: web, rules: []}}", "filters.f", "expected either preset or rules, not both"),
        ("allowed_account_ids: []", "allowed_account_ids", "expected at least 1 entry"),
        *(
            (
                f"sessions: {{s: {{sources: [{{subnet_id: subnet-0123abcd, {key}: {{}}}}]}}}}",
                f"sessions.s.sources[0].{key}",
                "expected at least 1 entry",
            )
            for key in ("tags", "instance_tags")
        ),
        ("sessions: {s: {sources: []}}", "sessions.s.sources", "expected at least 1 entry"),
        (
            "sessions: {s: {sources: [{}]}}",
            "sessions.s.sources[0]",
            "a lookup of sources needs tags, instance tags, an instance, a subnet or a VPC",
        ),
        (
            "sessions: {s: {sources: [{network_interface_id: eni-0123abcd, vpc_id: vpc-0123abcd, tags: {a: b}}]}}",
            "sessions.s.sources[0]",
            "network_interface_id does not go with tags, vpc_id",
        ),
        (
            "sessions: {s: {sources: [{vpc_id: vpc-0123abcd, session_number: 1}]}}",
            "sessions.s.sources[0]",
            "session_number goes with network_interface_id only",
        ),
        (
            "sessions: {s: {sources: [{network_interface_id: eni-0123abcd, instance_type: t2.micro}]}}",
            "sessions.s.sources[0]",
            "instance type t2.micro cannot be a mirror source: it is not on AWS's allow-list as of 2026-11-26; "
            "accept it with accept_instance_type if the list has changed",
        ),
        (
            "sessions: {s: {sources: [eni-0123abcd], packet_length: 0}}",
            "sessions.s.packet_length",
            "packet length must be a whole number from 1 to 65535 bytes, got 0",
        ),
        (
            "sessions: {s: {sources: [eni-0123abcd], virtual_network_id: 16777216}}",
            "sessions.s.virtual_network_id",
            "virtual network id must be a whole number from 1 to 16777215, got 16777216",
        ),
        (
            "sessions: {s: {sources: [eni-0123abcd], session_number: 0}}",
            "sessions.s.session_number",
            "session number must be a whole number from 1 to 32766, got 0",
        ),
        (
            "filters: {f: {rules: [{direction: ingress, protocol: TCP}]}}",
            "filters.f.rules[0].protocol",
            "did you mean tcp? expected all, tcp, udp, icmp, icmpv6 or an IANA protocol number from 0 to 255 as "
            "protocol, got 'TCP'",
        ),
        (
            "capture_security_group: {mirrored_from: [web]}",
            "capture_security_group.mirrored_from[0]",
            "'web' is not a CIDR block: expected the form 10.0.0.0/16 or 2001:db8::/32",
        ),
    ],
)
def test_fails_when_fields_of_one_part_do_not_fit_together(written: str, field: str, message: str) -> None:
    assert report(f"{USABLE}    {written}\n") == [f"deployment.yaml:9: sites.production.{field}: {message}"]


@pytest.mark.parametrize("backend", ["{}", "{local: {}, s3: {bucket: state, region: eu-central-1}}"])
def test_fails_when_there_is_not_exactly_one_backend(backend: str) -> None:
    assert report(f"backend: {backend}\n{USABLE}") == ["deployment.yaml:1: backend: expected exactly one of local, s3"]


def test_fails_when_a_setting_is_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        parse_deployment(USABLE).project = "other"


LAUNCH = (
    "{template_url: 'https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/<uuid>.<uuid>.template', "
    "subnet_id: subnet-0123456789abcdef0, remote_access_cidr: 10.20.0.0/16}"
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "assume_role:",
            "assume_role: expected a mapping such as {role_arn: 'arn:aws:iam::111122223333:role/tapstack-deploy'}",
        ),
        ("response:", "response: expected a mapping such as {authorization: {iam: {}}}"),
        ("response: {containment: }", "response.containment: expected a mapping such as {modes: [approval]}"),
        ("response: {authorization: {iam: }}", "response.authorization.iam: expected a mapping such as {}"),
        ("response: {appliance: {launch: }}", f"response.appliance.launch: expected a mapping such as {LAUNCH}"),
        (
            "response: {policy: [{name: a, action: capture, severity: }]}",
            "response.policy[0].severity: expected a mapping such as {at_least: 7.0}",
        ),
        (
            "response: {capture: {packet_length: }}",
            "response.capture.packet_length: expected a whole number, 1 to 65535",
        ),
        (
            "filters: {f: {preset: }}",
            "filters.f.preset: expected 'everything', 'everything_but_intra_vpc', 'web' or 'dns'",
        ),
        (
            "filters: {f: {rules: [{direction: ingress, protocol: }]}}",
            "filters.f.rules[0].protocol: expected all, tcp, udp, icmp, icmpv6 or an IANA protocol number from 0 to "
            "255 as protocol",
        ),
        (
            "sessions: {s: {sources: [{subnet_id: subnet-0123456789abcdef0, vpc_id: }]}}",
            "sessions.s.sources[0].vpc_id: expected text",
        ),
    ],
)
def test_fails_when_a_key_has_no_value(text: str, problem: str) -> None:
    assert report(USABLE + f"    {text}\n") == [f"deployment.yaml:9: sites.production.{problem}, got nothing"]


def test_fails_when_the_appliance_or_the_backend_has_no_value() -> None:
    assert report("backend: {s3: }\n" + SITE + "    packet_basics:\n") == [
        "deployment.yaml:1: backend.s3: expected a mapping such as {bucket: text, region: eu-central-1}, got nothing",
        f"deployment.yaml:6: sites.production.packet_basics: expected a mapping such as {LAUNCH}, got nothing",
    ]


def test_when_null_means_something_then_it_is_accepted() -> None:
    launch = (
        APPLIANCE.replace("packet_basics", "launch").replace("    ", "        ")
        + "          retire_after_minutes: null\n"
    )
    site = parse_deployment(SITE + "    response:\n      appliance:\n" + launch).sites["production"]
    assert site.response is not None
    assert site.response.appliance.launch is not None
    assert site.response.appliance.launch.retire_after_minutes is None


def test_when_the_file_allows_other_providers_then_only_supported_ones_are_used() -> None:
    deployment = parse_deployment('provider: {version: ">= 5.0"}\n' + USABLE)
    assert deployment.provider.constraint == ">= 5.0, >= 5.100.0, < 7.0.0"
    assert parse_deployment(USABLE).provider.constraint == ">= 5.100.0, < 7.0.0"


def test_fails_when_the_range_of_responders_is_no_block_and_shows_the_ipv4_form_alone() -> None:
    assert report(USABLE.replace("10.20.0.0/16", "x")) == [
        "deployment.yaml:8: sites.production.packet_basics.remote_access_cidr: 'x' is not a CIDR block: expected the "
        "form 10.20.0.0/16"
    ]


def test_when_a_part_of_the_file_is_left_out_then_its_default_is_of_the_files_own_types() -> None:
    """Otherwise what takes a file apart again fails at it, as the rehearsal does."""
    deployment = parse_deployment(USABLE + "    response: {containment: {}}\n")
    response = deployment.model_dump(warnings="error")["sites"]["production"]["response"]
    assert response["evidence"] == {"appliance_snapshots": {"keep_days": 90}}
