from pathlib import Path

import pytest
import yaml

from tapstack.domain.sources import SourceLookup
from tapstack.settings.load import parse_deployment
from tests.unit.settings.reading import APPLIANCE, SITE, USABLE, report

ENI = "eni-0a000000000000001"
SENSOR = "    targets: {sensor: {network_interface_id: eni-0b000000000000001}}\n"
NLB = """\
    targets:
      sensors:
        load_balancer: {subnet_ids: [subnet-0123abc1, subnet-0123abc2], instance_ids: [i-0123abcd]}
"""
EXISTING = "target: tmt-0123abcd, filter: tmf-0123abcd"
SECOND_SITE = "  second:\n    region: eu-central-1\n    vpc_id: vpc-0123abcd\n"


def interfaces(count: int) -> str:
    return ", ".join(f"eni-{n:017x}" for n in range(1, count + 1))


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        pytest.param(
            f"    filters: {{web: {{preset: web}}}}\n    sessions: {{web: {{sources: [{ENI}], filter: wep}}}}\n",
            "10: sites.production.sessions.web.filter",
            "no filter of this name: did you mean web? expected web, packet_basics, or the id of a filter that "
            "exists (tmf-...); or add it under filters, got 'wep'",
            id="unknown filter",
        ),
        pytest.param(
            SENSOR + f"    sessions: {{web: {{sources: [{ENI}], target: sensors}}}}\n",
            "10: sites.production.sessions.web.target",
            "no target of this name: did you mean sensor? expected sensor, packet_basics, or the id of a target that "
            "exists (tmt-...); or add it under targets, got 'sensors'",
            id="unknown target",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{ENI}], target: tmt-1}}}}\n",
            "9: sites.production.sessions.web.target",
            "'tmt-1' is not the id of a traffic mirror target: expected the form tmt-0123456789abcdef0; "
            "it has 1 digit after tmt-, expected 8 or 17",
            id="wrong target id",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{ENI}], filter: tmf-1}}}}\n",
            "9: sites.production.sessions.web.filter",
            "'tmf-1' is not the id of a traffic mirror filter: expected the form tmf-0123456789abcdef0; "
            "it has 1 digit after tmf-, expected 8 or 17",
            id="wrong filter id",
        ),
        pytest.param(
            f"    sessions:\n      web: {{sources: [{ENI}], session_number: 7}}\n"
            f"      dns:\n        sources:\n          - {{network_interface_id: {ENI}, session_number: 7}}\n",
            "13: sites.production.sessions.dns.sources[0]",
            f"session number 7 on network interface {ENI} is taken by sessions web: give one of the two another number",
            id="number taken",
        ),
        pytest.param(
            f"      mirror_source: {ENI}\n      mirror_session_number: 7\n"
            f"    sessions: {{web: {{sources: [{ENI}], session_number: 7}}}}\n",
            "11: sites.production.sessions.web.sources[0]",
            f"session number 7 on network interface {ENI} is taken by packet_basics: give one of the two another "
            "number",
            id="number taken by the appliance's own stack",
        ),
        pytest.param(
            "    sessions:\n" + "".join(f"      {name}: {{sources: [{ENI}]}}\n" for name in "abcd"),
            "13: sites.production.sessions.d.sources[0]",
            f"network interface {ENI} would be in more than 3 sessions: it is in sessions a, sessions b, "
            "sessions c already",
            id="fourth session",
        ),
        pytest.param(
            f"    targets: {{sensor: {{network_interface_id: {ENI}}}}}\n"
            f"    sessions: {{web: {{sources: [{ENI}], target: sensor}}}}\n",
            "10: sites.production.sessions.web.sources[0]",
            f"network interface {ENI} cannot be a source: it receives mirrored traffic as target sensor, and "
            "no interface can be both source and target",
            id="source is target",
        ),
        pytest.param(
            "    targets:\n"
            "      many:\n"
            "        load_balancer:\n"
            "          subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1]\n"
            "          instance_ids: [i-0123456789abcdef0]\n"
            "          mirrored_from: [10.0.0.0/16]\n"
            "    sessions: {web: {sources: [{instance_id: i-0123456789abcdef0}], target: many}}\n",
            "15: sites.production.sessions.web.sources[0].instance_id",
            "instance i-0123456789abcdef0 cannot be a source: it receives mirrored traffic behind the load balancer of "
            "target many, and no instance can be both source and target",
            id="source is behind the load balancer",
        ),
        pytest.param(
            f"      network_interface_id: {ENI}\n    sessions: {{web: {{sources: [{ENI}], {EXISTING}}}}}\n",
            "10: sites.production.sessions.web.sources[0]",
            f"network interface {ENI} cannot be a source: it receives mirrored traffic as packet_basics, and "
            "no interface can be both source and target",
            id="source is the appliance",
        ),
        pytest.param(
            f"      network_interface_id: {ENI}\n      mirror_source: {ENI}\n",
            "10: sites.production.packet_basics.mirror_source",
            f"network interface {ENI} cannot be a source: it receives mirrored traffic as packet_basics, and "
            "no interface can be both source and target",
            id="the appliance mirrors itself",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{interfaces(11)}]}}}}\n",
            "9: sites.production.sessions.web.sources",
            "target packet_basics takes at most 10 distinct sources, got 11: use a Network Load Balancer, which has "
            "no such limit",
            id="eleven sources",
        ),
        pytest.param(
            "    targets: {sensor: {network_interface_id: eni-0123abcd, instance_type: m9.24xlarge}}\n"
            f"    sessions: {{web: {{target: sensor, sources: [{interfaces(11)}]}}}}\n",
            "10: sites.production.sessions.web.sources",
            "target sensor takes at most 10 distinct sources, got 11: use a Network Load Balancer, which has "
            "no such limit, or name the appliance's instance_type where it takes 100, with accept_instance_type "
            "where the list of 2026-11-26 lacks it",
            id="eleven sources for a type that is not on the list",
        ),
        pytest.param(
            "    targets: {sensor: {network_interface_id: eni-0123abcd, instance_type: m5.24xlarge}}\n"
            f"    sessions: {{web: {{target: sensor, sources: [{interfaces(105)}]}}}}\n",
            "10: sites.production.sessions.web.sources",
            "target sensor takes at most 100 distinct sources, got 101: use a Network Load Balancer, which has "
            "no such limit",
            id="a hundred and five sources, said once",
        ),
        pytest.param(
            NLB + f"    sessions: {{web: {{sources: [{ENI}], target: sensors, packet_length: 8501}}}}\n",
            "12: sites.production.sessions.web.packet_length",
            "packet length must be a whole number from 1 to 8500 bytes for a Network Load Balancer target, got 8501",
            id="packet length behind a load balancer",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{ENI}, eni-0123abcd, {ENI}]}}}}\n",
            "9: sites.production.sessions.web.sources[2]",
            f"given twice, first as sources[0]: keep one, got '{ENI}'",
            id="source given twice",
        ),
        pytest.param(
            "    sessions:\n"
            "      a: {sources: [{vpc_id: vpc-0123abcd}], first_session_number: 32766}\n"
            "      b: {sources: [{vpc_id: vpc-0123abcd}], first_session_number: 32766}\n",
            "11: sites.production.sessions.b.first_session_number",
            "session number must be a whole number from 1 to 32766, got 32767",
            id="no number left for a lookup",
        ),
        pytest.param(
            "      mirror_session_number: 5\n",
            "9: sites.production.packet_basics.mirror_session_number",
            "goes with mirror_source: without it the stack has no session, got 5",
            id="session number without source",
        ),
        pytest.param(
            "      public_ip: true\n",
            "9: sites.production.packet_basics.public_ip",
            "an Elastic IP puts the appliance's portal on the internet: leave public_ip off and reach it over VPN or "
            "Session Manager, or accept it with accept_public_ip, got true",
            id="public ip",
        ),
        pytest.param(
            "      parameters: {VPCID: vpc-0123abcd, Other: x}\n",
            "9: sites.production.packet_basics.parameters.VPCID",
            "VPCID cannot be given as an extra parameter: it has a setting of its own",
            id="parameter with a setting of its own",
        ),
        pytest.param(
            "      parameters: {key-name: x}\n",
            "9: sites.production.packet_basics.parameters.key-name",
            "'key-name' is not the name of a template's parameter: expected 1 to 255 letters and digits",
            id="parameter of a wrong name",
        ),
        pytest.param(
            f"      parameters: {{Key: {'é' * 2049}}}\n",
            "9: sites.production.packet_basics.parameters.Key",
            "the value of parameter Key is too long: expected at most 4096 bytes, got 4098",
            id="parameter of too long a value",
        ),
        pytest.param(
            "    capture_security_group: {mirrored_from: [10.0.0.0/8, '::/0']}\n",
            "9: sites.production.capture_security_group.mirrored_from[1]",
            "mirrored traffic from ::/0 lets the whole internet feed the appliance: give the sources' security groups "
            "or CIDR blocks, or accept it with accept_open_mirrored_from",
            id="the whole internet may send",
        ),
        pytest.param(
            "    capture_security_group: {mirrored_from: [0.0.0.0/1, 128.0.0.0/1]}\n",
            "9: sites.production.capture_security_group.mirrored_from",
            "mirrored traffic from 0.0.0.0/1 and 128.0.0.0/1 lets the whole internet feed the appliance: give the "
            "sources' security groups or CIDR blocks, or accept it with accept_open_mirrored_from",
            id="the whole internet may send in two halves",
        ),
        pytest.param(
            NLB.replace("}\n", ", mirrored_from: [0.0.0.0/0]}\n"),
            "11: sites.production.targets.sensors.load_balancer.mirrored_from[0]",
            "mirrored traffic from 0.0.0.0/0 lets the whole internet feed the appliance: give the sources' security "
            "groups or CIDR blocks, or accept it with accept_open_mirrored_from",
            id="the whole internet may send to the load balancer",
        ),
        pytest.param(
            "    filters: {tmf-mine: {preset: web}}\n",
            "9: sites.production.filters.tmf-mine",
            "a name must not look like an id, got 'tmf-mine'",
            id="filter named like an id",
        ),
        pytest.param(
            "    targets: {tmt-mine: {network_interface_id: eni-0123abcd}}\n",
            "9: sites.production.targets.tmt-mine",
            "a name must not look like an id, got 'tmt-mine'",
            id="target named like an id",
        ),
        pytest.param(
            "    filters:\n      f:\n        rules:\n          - {direction: egress, number: 5}\n"
            "          - {direction: egress, action: reject, number: 5}\n",
            "13: sites.production.filters.f.rules[1].number",
            "rules[0] has this number in direction egress already: give one of the two another, got 5",
            id="rule number used twice",
        ),
        pytest.param(
            "    filters:\n      f:\n        rules:\n          - {direction: egress, destination: 10.0.0.0/8}\n"
            "          - {direction: ingress}\n          - {direction: egress, destination: 10.0.0.0/8}\n",
            "14: sites.production.filters.f.rules[2]",
            "given twice, first as rules[0]: keep one",
            id="rule given twice",
        ),
        pytest.param(
            "    filters: {f: {preset: everything_but_intra_vpc, vpc_cidrs: ['2001:db8::/32', '2001:0DB8::/32']}}\n",
            "9: sites.production.filters.f.vpc_cidrs[1]",
            "given twice, first as vpc_cidrs[0]: keep one, got '2001:db8::/32'",
            id="block of the VPC given twice, in two spellings",
        ),
        pytest.param(
            "    allowed_account_ids: ['111122223333', '111122223333']\n",
            "9: sites.production.allowed_account_ids[1]",
            "given twice, first as allowed_account_ids[0]: keep one, got '111122223333'",
            id="account given twice",
        ),
        pytest.param(
            "    capture_security_group: {mirrored_from: ['2001:DB8::/32', 10.0.0.0/8, '2001:db8:0::/32']}\n",
            "9: sites.production.capture_security_group.mirrored_from[2]",
            "given twice, first as mirrored_from[0]: keep one, got '2001:db8::/32'",
            id="sender given twice, in two spellings",
        ),
        pytest.param(
            "      capabilities: [CAPABILITY_IAM, CAPABILITY_IAM]\n",
            "9: sites.production.packet_basics.capabilities[1]",
            "given twice, first as capabilities[0]: keep one, got 'CAPABILITY_IAM'",
            id="capability given twice",
        ),
        pytest.param(
            "    response: {policy: [{name: a, action: notify, types: ['Trojan:EC2/*', 'Trojan:EC2/*']}]}\n",
            "9: sites.production.response.policy[0].types[1]",
            "given twice, first as types[0]: keep one, got 'Trojan:EC2/*'",
            id="finding type given twice",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{ENI}, {{subnet_id: subnet-0123abcd}}], exclude: [{ENI}]}}}}\n",
            "9: sites.production.sessions.web.exclude[0]",
            f"is sources[0] as well: take it out of one of them, got '{ENI}'",
            id="source that is excluded",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{ENI}], exclude: [eni-0123abcd]}}}}\n",
            "9: sites.production.sessions.web.exclude",
            "goes with a lookup, and no source of the group is one",
            id="excluded without a lookup",
        ),
        pytest.param(
            f"    sessions: {{web: {{sources: [{ENI}], session_number: 3, first_session_number: 5}}}}\n",
            "9: sites.production.sessions.web.first_session_number",
            "does not go with session_number, which is the number of every session of the group, got 5",
            id="first number with a number",
        ),
        pytest.param(
            "    filters:\n      f:\n        rules:\n"
            + "".join(f"          - {{direction: egress, protocol: tcp, destination_ports: {n}}}\n" for n in range(11)),
            "10: sites.production.filters.f",
            "a traffic mirror filter holds at most 10 rules, both directions together, got 11",
            id="eleven rules",
        ),
        pytest.param(
            "    targets: {t: {network_interface_id: eni-0123abcd, instance_type: large}}\n",
            "9: sites.production.targets.t.instance_type",
            "'large' is not an instance type: expected the form m5.xlarge",
            id="wrong instance type",
        ),
        pytest.param(
            "    targets: {t: {network_interface_id: eni-0123abcd, allow_external_principals: true}}\n",
            "9: sites.production.targets.t.allow_external_principals",
            "needs share_with, got true",
            id="external principals without a share",
        ),
        pytest.param(
            NLB.replace("subnet-0123abc2", "subnet-0123abc1"),
            "11: sites.production.targets.sensors.load_balancer.subnet_ids[1]",
            "given twice, first as subnet_ids[0]: keep one, got 'subnet-0123abc1'",
            id="load balancer with one subnet twice",
        ),
        pytest.param(
            NLB.replace("instance_ids: [i-0123abcd]", "ip_addresses: [10.0.0.5, 10.0.0.05]"),
            "11: sites.production.targets.sensors.load_balancer.ip_addresses[1]",
            "'10.0.0.05' is not an IPv4 address: expected the form 10.0.1.20",
            id="load balancer with a wrong address",
        ),
        pytest.param(
            NLB.replace("}\n", ", ip_addresses: [10.0.0.5]}\n"),
            "11: sites.production.targets.sensors.load_balancer",
            "give the appliances either as instance_ids or as ip_addresses, at least one",
            id="load balancer with instances and addresses",
        ),
        pytest.param(
            "    remove_packet_basics: true\n",
            "9: sites.production.remove_packet_basics",
            "does not go with packet_basics: keep packet_basics for the appliance to stay, or take it out for the "
            "appliance and its packets to be deleted, got true",
            id="an appliance kept and deleted",
        ),
    ],
)
def test_fails_when_parts_of_a_site_do_not_fit_together(written: str, field: str, message: str) -> None:
    assert report(USABLE + written) == [f"deployment.yaml:{field}: {message}"]


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        pytest.param(
            "",
            "2: sites.production",
            "the site captures nothing: expected packet_basics, targets, sessions, response or xdr",
            id="nothing captured",
        ),
        pytest.param(
            SENSOR + f"    sessions: {{web: {{sources: [{ENI}], target: sensor}}}}\n",
            "6: sites.production.sessions.web.filter",
            "no filter is given, and the default, packet_basics, is not in this site: expected the id of a filter that "
            "exists (tmf-...)",
            id="no filter, and no appliance",
        ),
        pytest.param(
            SENSOR + f"    sessions: {{web: {{sources: [{ENI}], filter: tmf-0123abcd}}}}\n",
            "6: sites.production.sessions.web.target",
            "no target is given, and the default, packet_basics, is not in this site: expected sensor, or the id of a "
            "target that exists (tmt-...)",
            id="no target, and no appliance",
        ),
        pytest.param(
            SENSOR + f"    sessions: {{web: {{sources: [{ENI}], target: packet_basics, filter: tmf-0123abcd}}}}\n",
            "6: sites.production.sessions.web.target",
            "the site has no packet_basics, whose target this would be: expected sensor, or the id of a target that "
            "exists (tmt-...), got 'packet_basics'",
            id="target of an appliance that is not there",
        ),
        pytest.param(
            NLB.replace(", instance_ids: [i-0123abcd]", ""),
            "7: sites.production.targets.sensors.load_balancer",
            "expected instance_ids, ip_addresses, or packet_basics in the site: no appliance is behind it",
            id="load balancer in front of nothing",
        ),
    ],
)
def test_fails_when_a_site_without_an_appliance_lacks_something(written: str, field: str, message: str) -> None:
    assert report(SITE + written) == [f"deployment.yaml:{field}: {message}"]


def test_fails_when_remote_access_is_open() -> None:
    assert report(USABLE.replace("10.20.0.0/16", "0.0.0.0/0")) == [
        "deployment.yaml:8: sites.production.packet_basics.remote_access_cidr: remote access from 0.0.0.0/0 "
        "opens the appliance to the whole internet: give the range that responders come from, or accept it with "
        "accept_open_remote_access"
    ]


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("https://s3.amazonaws.com/mine/epb.template", "in bucket 'mine'"),
        ("https://mine.s3.eu-central-1.amazonaws.com/epb.template", "in bucket 'mine'"),
        ("https://s3.us-gov-west-1.amazonaws.com/awsmp-fulfillment-cf-templates-prod/x.template", "at an address"),
    ],
)
def test_fails_when_the_template_is_not_of_the_marketplace(url: str, where: str) -> None:
    text = USABLE.replace("https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template", url)
    assert (
        f"deployment.yaml:6: sites.production.packet_basics.template_url: template url {url!r} is {where}, not in AWS "
        "Marketplace's (awsmp-fulfillment-cf-templates-prod): whoever can write to it controls what CloudFormation "
        "creates; copy the address from the subscription, or accept it with accept_template_url"
    ) in report(text)
    if "mine" in url:
        assert parse_deployment(text + "      accept_template_url: true\n")


@pytest.mark.parametrize("block", ["::/0", "2001:db8:1::/48", "2001:DB8:1::/48"])
def test_fails_when_remote_access_is_ipv6(block: str) -> None:
    assert report(USABLE.replace("10.20.0.0/16", f"'{block}'\n      accept_open_remote_access: true")) == [
        f"deployment.yaml:8: sites.production.packet_basics.remote_access_cidr: remote access from {block.lower()} is "
        "IPv6, and the template takes an IPv4 block: give the IPv4 range that responders come from, such as "
        "10.20.0.0/16"
    ]


SECOND = SITE.partition("\n")[2].replace("production", "second") + (
    "    targets: {t: {network_interface_id: eni-0123aaaa}}\n"
)


def test_fails_when_two_sites_make_the_quarantine_group_of_one_vpc() -> None:
    assert report(USABLE + SECOND) == [
        "deployment.yaml:11: sites.second.vpc_id: site production already makes the quarantine group of this "
        "VPC: set quarantine_security_group: false here, or put both into one site, got 'vpc-0a1b2c3d4e5f60718'"
    ]


def warnings(text: str) -> list[str]:
    return parse_deployment(text).warnings()


def test_when_two_sites_share_a_vpc_then_a_warning_says_what_they_do_not_share() -> None:
    text = USABLE + SECOND + "    quarantine_security_group: false\n"
    assert warnings(text) == [
        "deployment.yaml:11: sites.second.vpc_id: site production has this VPC as well: session numbers are not shared "
        "between sites, and a lookup of one finds the sources of the other"
    ]
    assert warnings(text.replace("vpc-0a1b2c3d4e5f60718", "vpc-0b1b2c3d4e5f60718", 1)) == []
    assert parse_deployment(text).warnings(before_synthesis=True) == warnings(text)


def test_when_the_state_is_in_another_partition_then_a_warning_says_so() -> None:
    assert warnings("backend: {s3: {bucket: states, region: us-gov-west-1}}\n" + USABLE) == [
        "deployment.yaml:4: sites.production.region: eu-central-1 is of partition aws and the state's bucket of "
        "aws-us-gov: one set of credentials does not reach both"
    ]


def test_when_a_backends_prefix_has_dots_within_names_then_it_passes() -> None:
    assert warnings("backend: {s3: {bucket: states, region: eu-central-1, key_prefix: ..a/b.c/...}}\n" + USABLE) == []


def test_when_a_sought_key_is_written_as_a_pattern_then_a_warning_says_that_it_is_none() -> None:
    response = (
        "    response:\n"
        "      appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}\n"
        "      policy: [{name: all, action: notify, tags: {'env*': test}}]\n"
        "      containment: {protect: {tags: {'*': never}}}\n"
    )
    sessions = "    sessions: {one: {target: tmt-0123abcd, filter: tmf-0123abcd, sources: [{tags: {'a?': 'b*'}}]}}\n"
    sign = "in a key is the sign itself: only values may be patterns"
    assert [line.partition("production.")[2] for line in warnings(SITE + sessions + response) if sign in line] == [
        f"sessions.one.sources[0].tags.a?: ? {sign}",
        f"response.policy[0].tags.env*: * {sign}",
        f"response.containment.protect.tags.*: * {sign}",
    ]


def test_when_the_constructs_will_warn_then_the_check_says_the_same() -> None:
    text = (
        USABLE.replace("10.20.0.0/16", "99.0.0.0/8")
        + "    sessions:\n"
        + f"      one: {{packet_length: 54, session_number: 1, sources: [{ENI}]}}\n"
        + "      two: {session_number: 1, sources: [{vpc_id: vpc-0123abcd, include_requester_managed: true}]}\n"
    )
    assert warnings(SITE + NLB.replace("instance_ids: [i-0123abcd]", "ip_addresses: [52.0.0.1]"))[:1] == [
        "deployment.yaml:7: sites.production.targets.sensors.load_balancer.ip_addresses[0]: 52.0.0.1 is no private "
        "address: AWS registers it only where a CIDR block of the VPC includes it, and never the public address of an "
        "instance"
    ]
    assert warnings(text) == [
        "deployment.yaml:8: sites.production.packet_basics.remote_access_cidr: remote access from 99.0.0.0/8 reaches "
        "far: give the range that responders come from",
        "deployment.yaml:10: sites.production.sessions.one.packet_length: packet length 54 cuts headers: keep at least "
        "55 bytes of IPv6",
        "deployment.yaml:11: sites.production.sessions.two.sources[0]: of the interfaces that AWS services manage, AWS "
        "mirrors those of RDS and ElastiCache only",
        "deployment.yaml:11: sites.production.sessions.two.sources: session number 1 of sessions two collides with "
        "sessions one where both mirror the same network interface",
    ]
    assert parse_deployment(text).warnings(before_synthesis=True) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [("'2001:DB8::/32'", "2001:db8::/32"), ("'2001:db8:0::/32'", "2001:db8::/32"), ("10.0.0.0/08", "10.0.0.0/8")],
)
def test_when_a_block_is_written_in_another_way_then_it_is_kept_in_one(given: str, kept: str) -> None:
    site = parse_deployment(
        USABLE + f"    capture_security_group: {{mirrored_from: [{given}]}}\n"
        f"    filters: {{f: {{rules: [{{direction: egress, destination: {given}}}]}}}}\n"
    ).sites["production"]
    assert set(site.capture_security_group.mirrored_from or ()) == {kept}
    assert site.filters["f"].to_domain().rules[0].destination == kept


def test_fails_when_a_site_mirrors_what_another_sends_packets_to() -> None:
    text = (
        SITE
        + f"    targets: {{sensor: {{network_interface_id: {ENI}}}}}\n"
        + SECOND_SITE
        + f"    sessions: {{web: {{sources: [{ENI}], {EXISTING}}}}}\n"
    )
    assert report(text) == [
        f"deployment.yaml:9: sites.second.sessions.web.sources[0]: {ENI} receives mirrored traffic as a target of site "
        "production, and no interface can be both source and target"
    ]


def test_fails_when_the_interface_of_a_target_is_in_two_regions() -> None:
    target = f"    targets: {{sensor: {{network_interface_id: {ENI}}}}}\n"
    assert report(SITE + target + SECOND_SITE.replace("eu-central-1", "eu-west-1") + target) == [
        "deployment.yaml:9: sites.second.targets.sensor.network_interface_id: a network interface is in one "
        "Region, and "
        f"site production has this one in eu-central-1, not eu-west-1, got '{ENI}'"
    ]


def test_fails_when_ids_of_one_region_are_in_two() -> None:
    first = (
        SITE
        + APPLIANCE
        + "    targets:\n"
        + "      nlb: {load_balancer: {subnet_ids: [subnet-0123abc1, subnet-0123abc2], instance_ids: [i-0123abcd]}}\n"
        + "      gwlb: {gateway_load_balancer_endpoint_id: vpce-0123abcd}\n"
        + f"    sessions: {{a: {{target: tmt-0123abcd, filter: tmf-0123abcd, sources: [{ENI}]}}}}\n"
    )
    second = SECOND_SITE.replace("eu-central-1", "eu-west-1") + (
        "    targets:\n"
        "      nlb:\n"
        "        load_balancer:\n"
        "          subnet_ids: [subnet-0123abc3, subnet-0123abc2]\n"
        "          ip_addresses: [10.0.0.4]\n"
        "          mirrored_from: [vpc-0a1b2c3d4e5f60718]\n"
        "      gwlb: {gateway_load_balancer_endpoint_id: vpce-0123abcd}\n"
        "    sessions:\n"
        "      a:\n"
        "        target: tmt-0123abcd\n"
        "        filter: tmf-0123abcd\n"
        "        sources:\n"
        f"          - {ENI}\n"
        "          - {instance_id: i-0123abcd}\n"
        "          - {subnet_id: subnet-0123456789abcdef0}\n"
    )
    assert report(first + second) == [
        f"deployment.yaml:{line}: sites.second.{field}: {what} is in one Region, and site production has this one in "
        f"eu-central-1, not eu-west-1, got {value!r}"
        for line, field, what, value in (
            (19, "targets.nlb.load_balancer.subnet_ids[1]", "a subnet", "subnet-0123abc2"),
            (21, "targets.nlb.load_balancer.mirrored_from[0]", "a VPC", "vpc-0a1b2c3d4e5f60718"),
            (
                22,
                "targets.gwlb.gateway_load_balancer_endpoint_id",
                "a Gateway Load Balancer endpoint",
                "vpce-0123abcd",
            ),
            (25, "sessions.a.target", "a traffic mirror target", "tmt-0123abcd"),
            (26, "sessions.a.filter", "a traffic mirror filter", "tmf-0123abcd"),
            (28, "sessions.a.sources[0].network_interface_id", "a network interface", ENI),
            (29, "sessions.a.sources[1].instance_id", "an instance", "i-0123abcd"),
            (30, "sessions.a.sources[2].subnet_id", "a subnet", "subnet-0123456789abcdef0"),
        )
    ]


def test_when_targets_of_two_regions_are_named_like_an_id_then_they_pass() -> None:
    named = (
        "    targets: {i-0123abcd: {gateway_load_balancer_endpoint_id: vpce-0123abcd}}\n"
        f"    sessions: {{a: {{target: i-0123abcd, filter: tmf-0123abcd, sources: [{ENI}]}}}}\n"
    )
    there = named.replace("vpce-0", "vpce-1").replace("tmf-0", "tmf-1").replace("eni-0", "eni-1")
    assert parse_deployment(SITE + named + SECOND_SITE.replace("eu-central-1", "eu-west-1") + there)


def test_fails_when_a_capture_group_has_no_appliance() -> None:
    group = "    capture_security_group: {mirrored_from: [10.0.0.0/8]}\n"
    launch = "    response: {appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}}\n"
    assert report(SITE + launch + group) == [
        "deployment.yaml:6: sites.production.capture_security_group: goes with packet_basics, whose appliance would "
        "have it: take it out; a target's load_balancer has a mirrored_from of its own, and the security groups of "
        "other appliances are not changed"
    ]
    assert parse_deployment(SITE + APPLIANCE + group)


def test_when_the_appliance_is_to_be_removed_then_its_capture_group_may_stay_in_the_file() -> None:
    assert parse_deployment(
        SITE + "    remove_packet_basics: true\n    capture_security_group: {mirrored_from: [10.0.0.0/8]}\n"
    )


@pytest.mark.parametrize("second", [SECOND_SITE, ""])
def test_when_one_interface_has_two_targets_then_a_warning_says_so(second: str) -> None:
    one, other = (f"{{network_interface_id: {ENI}}}",) * 2
    text = (
        SITE + f"    targets: {{a: {one}}}\n" + second + f"    targets: {{b: {other}}}\n"
        if second
        else SITE + f"    targets:\n      a: {one}\n      b: {other}\n"
    )
    place, whose = ("9: sites.second", "site production") if second else ("7: sites.production", "another target")
    assert warnings(text) == [
        f"deployment.yaml:{place}.targets.b.network_interface_id: {ENI} is the interface of {whose} as well: the "
        "sources "
        "of both count towards the number that it takes"
    ]


def test_when_a_source_has_a_number_below_the_first_of_its_group_then_a_warning_says_so() -> None:
    source = f"{{network_interface_id: {ENI}, session_number: 3}}"
    assert warnings(USABLE + f"    sessions: {{web: {{first_session_number: 5, sources: [{source}]}}}}\n") == [
        "deployment.yaml:9: sites.production.sessions.web.sources[0].session_number: session number 3 is below the "
        "group's first_session_number, 5, which keeps lower numbers free for other sessions"
    ]


@pytest.mark.parametrize(
    ("lookup", "warned"),
    [
        ("{vpc_id: vpc-0a1b2c3d4e5f60718}", True),
        ("{vpc_id: vpc-0a1b2c3d4e5f60718, accept_instance_type: true}", True),
        ("{vpc_id: vpc-0a1b2c3d4e5f60718, tags: {a: b}}", False),
        ("{vpc_id: vpc-0b1b2c3d4e5f60718}", False),
        ("{subnet_id: subnet-0123456789abcdef0}", False),
    ],
)
def test_when_a_lookup_is_certain_to_find_what_another_group_names_then_a_warning_says_so(
    lookup: str, warned: bool
) -> None:
    text = USABLE + f"    sessions:\n      all: {{sources: [{lookup}]}}\n      web: {{sources: [{interfaces(5)}]}}\n"
    shown = ", ".join(interfaces(5).split(", ")[:3])
    assert (
        warnings(text)
        == [
            f"deployment.yaml:10: sites.production.sessions.all.sources[0]: finds {shown} and 2 more of sessions "
            "web as well: "
            "a packet is mirrored once, by the session with the lowest number whose filter accepts it; put them "
            "into exclude"
        ]
        * warned
    )
    assert warnings(text.replace("]}\n      web", f"], exclude: [{interfaces(5)}]}}\n      web")) == []


def test_when_rules_are_likely_wrong_then_the_check_warns_with_their_places() -> None:
    text = USABLE + (
        "    filters:\n      f:\n        rules:\n          - {direction: egress}\n"
        "          - {direction: egress, protocol: tcp}\n"
    )
    assert warnings(text) == [
        "deployment.yaml:10: sites.production.filters.f: no ingress rule accepts anything, so no ingress packet is "
        "mirrored",
        "deployment.yaml:13: sites.production.filters.f.rules[1]: egress rule 200 is never reached: rule 100 "
        "matches all "
        "of it",
    ]
    assert parse_deployment(text).warnings(before_synthesis=True) == []


def test_fails_when_several_sites_mirror_one_interface() -> None:
    sessions = f"    sessions: {{web: {{sources: [{ENI}], {EXISTING}}}}}\n"
    assert report(SITE + sessions + SECOND_SITE + sessions) == [
        f"deployment.yaml:9: sites.second.sessions.web.sources[0]: {ENI} is a source of site production as well: keep "
        "the sessions of one network interface in one site, so that their numbers differ"
    ]


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("tapstack-second-epb-Lab", False),
        ("Tapstack-SECOND-epb-Lab", False),
        ("tapstack-second-epb-lab", True),
        ("Tapstack-second-epb-lab", True),
    ],
)
def test_fails_when_a_stack_could_have_the_roles_of_one_that_is_launched(name: str, right: bool) -> None:
    text = (
        USABLE
        + f"      stack_name: {name}\n"
        + SECOND_SITE
        + f"    sessions: {{web: {{sources: [{ENI}], {EXISTING}}}}}\n"
    )
    if right:
        assert parse_deployment(text)
    else:
        assert report(text) == [
            "deployment.yaml:9: sites.production.packet_basics.stack_name: begins as the roles do that the "
            f"stack tapstack-second-epb of site second may make: expected another name, got {name!r}"
        ]


def test_fails_when_a_launched_stack_has_too_long_a_name_for_roles() -> None:
    launch = (
        "    response: {appliance: {launch: {template_url: "
        "'https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/"
        "epb.template', subnet_id: subnet-0123abcd, remote_access_cidr: 10.0.0.0/8, capabilities: [CAPABILITY_IAM]}}}\n"
    )
    text = SITE.replace("  production:", f"  {'p' * 28}:") + launch
    assert report(text) == [
        f"deployment.yaml:5: sites.{'p' * 28}.response.appliance.launch.capabilities: "
        f"the stack tapstack-{'p' * 28}-epb may make IAM roles, whose names of 64 characters begin with the stack's: "
        "expected a name of at most 40 characters, got 41; shorten the names of project and site, or give no "
        "capability for IAM"
    ]
    assert parse_deployment(text.replace("p" * 28, "p" * 27))


WITH_ROLES = "      capabilities: [CAPABILITY_IAM]\n"


def test_fails_when_the_appliances_stack_has_too_long_a_name_for_roles() -> None:
    text = SITE + APPLIANCE + f"      stack_name: {'s' * 41}\n" + WITH_ROLES
    [problem] = report(text)
    assert "sites.production.packet_basics.capabilities: the stack sssss" in problem
    assert "expected a name of at most 40 characters, got 41" in problem
    assert parse_deployment(text.replace(WITH_ROLES, ""))


@pytest.mark.parametrize("name", ["tapstack-second-packet-basics-Lab", "tapstack-second-packet-basics-lab"])
@pytest.mark.parametrize("capabilities", [WITH_ROLES, ""])
def test_fails_when_a_stack_could_have_the_roles_of_another_sites_appliance(name: str, capabilities: str) -> None:
    text = SITE + APPLIANCE + f"      stack_name: {name}\n" + SECOND_SITE + APPLIANCE + capabilities
    if capabilities and name.endswith("Lab"):
        assert report(text) == [
            "deployment.yaml:9: sites.production.packet_basics.stack_name: begins as the roles do that the stack "
            f"tapstack-second-packet-basics of site second may make: expected another name, got {name!r}"
        ]
    else:
        assert parse_deployment(text)


LAUNCHING = (
    "    response: {appliance: {launch: {template_url: "
    "'https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template', subnet_id: subnet-0123abcd, "
    "remote_access_cidr: 10.0.0.0/8, capabilities: [CAPABILITY_IAM]}}}\n"
)


@pytest.mark.parametrize("name", ["tapstack-second-response-epb", "Tapstack-second-response-epb"])
def test_fails_when_a_stack_and_a_response_would_make_one_boundary(name: str) -> None:
    named = SITE + APPLIANCE + f"      stack_name: {name}\n"
    assert report(named + WITH_ROLES + SECOND_SITE + LAUNCHING) == [
        "deployment.yaml:9: sites.production.packet_basics.stack_name: the response of site second makes an IAM policy "
        f"tapstack-second-response-epb-boundary, as this stack would: expected another name, got {name!r}"
    ]
    boundary = "      permissions_boundary: arn:aws:iam::111122223333:policy/b\n"
    elsewhere = SECOND_SITE + ACCOUNT.replace("1111", "4444") + LAUNCHING
    for text in (
        named + SECOND_SITE + LAUNCHING,
        named + WITH_ROLES + ACCOUNT + elsewhere,
        named + WITH_ROLES + boundary + ACCOUNT + SECOND_SITE + ACCOUNT + LAUNCHING,
        named + WITH_ROLES + SECOND_SITE + LAUNCHING.replace(", capabilities: [CAPABILITY_IAM]", ""),
    ):
        assert parse_deployment(text)


def test_fails_when_a_boundary_goes_with_no_capability_for_roles() -> None:
    boundary = "      permissions_boundary: arn:aws:iam::111122223333:policy/b\n"
    [problem] = report(SITE + APPLIANCE + boundary)
    assert "sites.production.packet_basics.permissions_boundary: permissions_boundary goes with capabilities" in problem
    [problem] = report(SITE + APPLIANCE + WITH_ROLES + boundary.replace("1111", "9999") + ACCOUNT)
    assert "sites.production.packet_basics.permissions_boundary" in problem
    assert parse_deployment(SITE + APPLIANCE + WITH_ROLES + boundary + ACCOUNT)


def test_fails_when_two_regions_have_stacks_of_one_name_that_may_make_roles() -> None:
    second = SECOND_SITE.replace("eu-central-1", "us-east-1") + THERE
    problems = report(SITE + NAMED + WITH_ROLES + second + WITH_ROLES)
    assert [problem.partition(": site ")[2] for problem in problems] == [
        f"{other} has a stack of this name in another Region, and both may make IAM roles, which are the account's: "
        "expected another name, got 'capture'"
        for other in ("second", "production")
    ]
    assert parse_deployment(SITE + NAMED + WITH_ROLES + second)
    elsewhere = second + WITH_ROLES + ACCOUNT.replace("1111", "4444")
    assert parse_deployment(SITE + NAMED + WITH_ROLES + ACCOUNT + elsewhere)


@pytest.mark.parametrize("region", ["eu-central-1", "us-east-1"])
def test_fails_when_stacks_that_may_make_roles_differ_in_case_only(region: str) -> None:
    second = SECOND_SITE.replace("eu-central-1", region) + THERE.replace("capture", "Capture")
    problems = report(SITE + NAMED + WITH_ROLES + second + WITH_ROLES)
    assert [problem.partition("stack_name: ")[2] for problem in problems] == [
        f"differs from the stack {theirs} of site {other} in case only, and both may make IAM roles: IAM ignores "
        f"the case of names: expected another name, got '{ours}'"
        for theirs, other, ours in (("Capture", "second", "capture"), ("capture", "production", "Capture"))
    ]
    assert parse_deployment(SITE + NAMED + WITH_ROLES + second)
    elsewhere = second + WITH_ROLES + ACCOUNT.replace("1111", "4444")
    assert parse_deployment(SITE + NAMED + WITH_ROLES + ACCOUNT + elsewhere)


def test_fails_when_a_stack_differs_in_case_only_from_one_that_an_incident_launches() -> None:
    named = SITE + APPLIANCE + WITH_ROLES + "      stack_name: Tapstack-production-epb\n"
    [problem] = report(named)
    assert "differs from the stack tapstack-production-epb of site production in case only" in problem


NAMED = APPLIANCE + "      stack_name: capture\n"
THERE = NAMED.replace("subnet-0123", "subnet-0f23")
ACCOUNT = "    allowed_account_ids: ['111122223333']\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [("", ""), (ACCOUNT, ""), (ACCOUNT, ACCOUNT)],
)
def test_fails_when_two_sites_name_their_stacks_alike(one: str, other: str) -> None:
    [problem] = report(SITE + NAMED + one + SECOND_SITE + NAMED + other)
    assert problem.endswith(
        ": sites.second.packet_basics.stack_name: site production has a CloudFormation stack of this name in the same "
        "Region, got 'capture'"
    )


@pytest.mark.parametrize(
    "second",
    [
        SECOND_SITE.replace("eu-central-1", "us-east-1") + THERE,
        SECOND_SITE + NAMED + ACCOUNT.replace("1111", "4444"),
        SECOND_SITE + NAMED.replace("stack_name: capture", "stack_name: other"),
    ],
)
def test_when_stacks_of_one_name_cannot_meet_then_they_pass(second: str) -> None:
    parse_deployment(SITE + NAMED + ACCOUNT + second)


@pytest.mark.parametrize(
    "text",
    [
        USABLE.replace("10.20.0.0/16", "0.0.0.0/0") + "      accept_open_remote_access: true\n",
        USABLE + "      public_ip: true\n      accept_public_ip: true\n",
        USABLE + "    capture_security_group: {mirrored_from: [0.0.0.0/0], accept_open_mirrored_from: true}\n",
        USABLE + f"      mirror_source: {ENI}\n      mirror_session_number: 5\n",
        USABLE + f"    sessions: {{web: {{sources: [{interfaces(10)}]}}}}\n",
        USABLE + f"    sessions: {{web: {{sources: [{interfaces(50)}], {EXISTING}}}}}\n",
        USABLE + "    sessions:\n" + "".join(f"      {name}: {{sources: [{ENI}]}}\n" for name in "abc"),
        USABLE + f"    sessions: {{web: {{sources: [{ENI}, {{vpc_id: vpc-0123abcd}}], packet_length: 8501}}}}\n",
        USABLE
        + "    targets: {sensor: {network_interface_id: eni-0123abcd, instance_type: m5.24xlarge}}\n"
        + f"    sessions: {{web: {{target: sensor, sources: [{interfaces(100)}]}}}}\n",
        SITE + NLB + f"    sessions: {{w: {{target: sensors, filter: tmf-0123abcd, sources: [{interfaces(101)}]}}}}\n",
        SITE
        + NLB
        + f"    sessions: {{w: {{target: sensors, filter: tmf-0123abcd, packet_length: 8500, sources: [{ENI}]}}}}\n",
        USABLE + NLB.replace(", instance_ids: [i-0123abcd]", ""),
        SITE + "    targets: {t: {gateway_load_balancer_endpoint_id: vpce-0123abcd, share_with: ['111122223333']}}\n",
        SITE
        + "    targets: {t: {network_load_balancer_arn: "
        + "'arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/a/0123456789abcdef'}}\n",
    ],
)
def test_when_everything_fits_together_or_was_accepted_then_it_passes(text: str) -> None:
    assert parse_deployment(text).sites


def test_fails_when_several_sites_are_wrong_and_names_all_by_line() -> None:
    text = USABLE + "      public_ip: true\n" + SECOND_SITE + f"    sessions: {{a: {{sources: [{ENI}]}}}}\n"
    lines = [problem.partition(": ")[0] for problem in report(text)]
    assert lines == ["deployment.yaml:9", "deployment.yaml:13", "deployment.yaml:13"]


BALANCER = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/sensors/0123456789abcdef"


def test_fails_when_two_targets_are_on_one_load_balancer() -> None:
    text = USABLE + f"    targets:\n      one: {{network_load_balancer_arn: {BALANCER}}}\n"
    assert report(text + f"      two: {{network_load_balancer_arn: {BALANCER}}}\n") == [
        "deployment.yaml:11: sites.production.targets.two.network_load_balancer_arn: the load balancer of target two "
        "is behind target one already: AWS takes one mirror target for a Network Load Balancer; use target one for "
        "both, or share it"
    ]


def test_fails_when_targets_of_two_sites_are_on_one_load_balancer() -> None:
    targets = f"    targets: {{one: {{network_load_balancer_arn: {BALANCER}}}}}\n"
    (said,) = report(USABLE + targets + SECOND_SITE.replace("vpc-0123abcd", "vpc-0123abce") + targets)
    assert "sites.second.targets.one.network_load_balancer_arn: is behind a target of site production as well" in said


LOOKUPS = """\
    sessions:
      one: {sources: [{vpc_id: vpc-0a1b2c3d4e5f60718}], target: tmt-0123abcd}
      two: {sources: [{subnet_id: subnet-0a000000000000001}], target: tmt-0123abcd}
"""


def test_when_the_capture_group_is_turned_off_then_what_lets_packets_in_is_warned_of() -> None:
    text = USABLE + "    capture_security_group: {enabled: false}\n"
    (warning,) = parse_deployment(text).warnings()
    assert "sites.production.capture_security_group.enabled: only the appliance's other security groups let" in warning


def test_when_lookups_of_two_groups_overlap_then_the_second_is_warned_of() -> None:
    text = USABLE + LOOKUPS
    (warning,) = parse_deployment(text).warnings()
    assert warning.startswith("deployment.yaml:11: sites.production.sessions.two.sources: ")
    assert "sessions two and sessions one can find the same network interfaces: a packet is mirrored once" in warning


def test_when_four_groups_overlap_then_the_fourth_is_one_too_many() -> None:
    text = USABLE + LOOKUPS
    text += "      three: {sources: [{tags: {app: web}}], target: tmt-0123abcd}\n"
    text += "      four: {sources: [{instance_id: i-0a000000000000001}], target: tmt-0123abcd}\n"
    assert (
        "can find the same network interfaces, and AWS allows 3 sessions on one: narrow the lookups"
        in (parse_deployment(text).warnings()[-1])
    )


def test_when_lookups_exclude_each_other_then_nothing_is_warned_of() -> None:
    text = USABLE + "    sessions:\n"
    for name in ("web", "database"):
        text += f"      {name}: {{sources: [{{instance_tags: {{app: {name}}}}}], target: tmt-0123abcd}}\n"
    assert parse_deployment(text).warnings() == []


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ("web-*", "web-1", True),
        ("web-1", "web-?", True),
        ("web-*", "*-1", True),
        ("web\\*", "web*", True),
        ("web-*", "db-1", False),
        ("db-1", "web-?", False),
    ],
)
def test_when_tags_are_looked_up_by_wildcards_then_overlaps_are_known(first: str, second: str, overlap: bool) -> None:
    text = USABLE + "    sessions:\n"
    for name, value in (("one", first), ("two", second)):
        text += f"      {name}: {{sources: [{{instance_tags: {{app: '{value}'}}}}], target: tmt-0123abcd}}\n"
    assert len(parse_deployment(text).warnings()) == overlap


def test_when_instances_are_looked_up_then_tags_of_aws_and_types_off_the_list_are_taken() -> None:
    lookup = "{instance_tags: {'aws:autoscaling:groupName': web}, accept_instance_type: true}"
    text = USABLE + f"    sessions: {{web: {{sources: [{lookup}], target: tmt-0123abcd}}}}\n"
    source = parse_deployment(text).sites["production"].sessions["web"].sources[0].to_domain()
    assert source == SourceLookup(instance_tags={"aws:autoscaling:groupName": "web"}, accept_instance_type=True)


def test_when_the_appliance_of_the_example_is_removed_as_the_page_says_then_the_file_is_accepted() -> None:
    example = (Path(__file__).parents[3] / "deployment.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(example)
    site = document["sites"]["production"]
    del site["packet_basics"]
    site["remove_packet_basics"] = True
    refused = report(yaml.safe_dump(document))
    assert len(refused) == len(site["sessions"])
    assert all("the default, packet_basics, is not in this site" in line for line in refused)
    del site["sessions"]
    assert parse_deployment(yaml.safe_dump(document)).sites["production"].response


def test_fails_when_a_site_has_a_name_that_cdktf_can_give_no_stack() -> None:
    (refused,) = report(USABLE.replace("production:", "constructor:"))
    assert "sites.constructor: cdktf can give no stack this name: rename the site" in refused
