"""Filter rules: facts/traffic-mirroring.md, "Filters"."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.strictmoto.ec2.mirroring.network import Network, refused

PORTS = {"FromPort": 8000, "ToPort": 8999}


def test_when_a_rule_is_created_then_it_is_answered_and_described_in_full(network: Network) -> None:
    """The members of botocore's TrafficMirrorFilterRule."""
    filter_id = network.filter()
    wanted: dict[str, Any] = {
        "TrafficDirection": "egress",
        "RuleAction": "reject",
        "Protocol": 17,
        "SourcePortRange": PORTS,
        "DestinationPortRange": {"FromPort": 53, "ToPort": 53},
        "SourceCidrBlock": "2001:db8::/32",
        "DestinationCidrBlock": "::/0",
        "Description": "DNS",
    }
    made = network.rule(filter_id, 10, **wanted)
    assert network.ec2.describe_traffic_mirror_filter_rules()["TrafficMirrorFilterRules"] == [made]
    assert re.fullmatch("tmfr-[0-9a-f]{17}", made.pop("TrafficMirrorFilterRuleId"))
    assert made == {**wanted, "TrafficMirrorFilterId": filter_id, "RuleNumber": 10, "Tags": []}


def test_when_a_rule_names_no_protocol_then_it_has_none(network: Network) -> None:
    """Protocol and ports are optional: without them a rule matches every packet of its CIDR blocks."""
    assert not {"Protocol", "SourcePortRange", "DestinationPortRange", "Description"} & set(
        network.rule(network.filter())
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RuleNumber": 0}, "1 to 32766"),
        ({"RuleNumber": 32767}, "1 to 32766"),
        ({"TrafficDirection": "both"}, "ingress or egress"),
        ({"RuleAction": "drop"}, "accept or reject"),
        ({"Protocol": 256}, "0 to 255"),
        ({"SourceCidrBlock": "10.0.0.0/8", "DestinationCidrBlock": "::/0"}, "one IP family"),
        ({"SourceCidrBlock": "10.0.0.0"}, "not a CIDR block"),
        ({"DestinationPortRange": PORTS}, "TCP (6) and UDP (17) only"),
        ({"SourcePortRange": PORTS, "Protocol": 1}, "TCP (6) and UDP (17) only"),
        ({"SourcePortRange": {"FromPort": 2, "ToPort": 1}, "Protocol": 6}, "backwards"),
        ({"SourcePortRange": {"FromPort": 2, "ToPort": 65536}, "Protocol": 6}, "65535"),
    ],
)
def test_fails_when_a_rule_says_what_aws_does_not_match(network: Network, change: dict[str, Any], message: str) -> None:
    """Numbers 1 to 32766, one IP family, ports only for TCP and UDP; at creation and at modification."""
    filter_id = network.filter()
    number = change.pop("RuleNumber", 5)
    with refused("InvalidParameterValue", message):
        network.rule(filter_id, number, **change)
    kept = network.rule(filter_id)
    with refused("InvalidParameterValue", message):
        network.ec2.modify_traffic_mirror_filter_rule(
            TrafficMirrorFilterRuleId=kept["TrafficMirrorFilterRuleId"], RuleNumber=number, **change
        )
    assert network.ec2.describe_traffic_mirror_filter_rules()["TrafficMirrorFilterRules"] == [kept]


def test_fails_when_a_port_range_has_one_end(network: Network) -> None:
    """A port range has two ends (inferred)."""
    with refused("MissingParameter", "SourcePortRange.ToPort"):
        network.rule(network.filter(), Protocol=6, SourcePortRange={"FromPort": 1})


def test_fails_when_a_number_is_taken_in_that_direction(network: Network) -> None:
    """A rule number is unique in a direction of a filter, and in no wider place."""
    filter_id = network.filter()
    network.rule(filter_id, 100)
    egress = network.rule(filter_id, 100, TrafficDirection="egress")
    network.rule(network.filter(), 100)
    with refused("TrafficMirrorFilterRuleAlreadyExists", "100"):
        network.rule(filter_id, 100, RuleAction="reject")
    with refused("TrafficMirrorFilterRuleAlreadyExists", "100"):
        network.ec2.modify_traffic_mirror_filter_rule(
            TrafficMirrorFilterRuleId=egress["TrafficMirrorFilterRuleId"], TrafficDirection="ingress"
        )


def test_fails_when_a_filter_gets_its_eleventh_rule(network: Network) -> None:
    """At most 10 rules a filter, both directions together."""
    filter_id = network.filter()
    for number in range(1, 6):
        network.rule(filter_id, number)
        network.rule(filter_id, number, TrafficDirection="egress")
    with refused("TrafficMirrorFilterRuleLimitExceeded"):
        network.rule(filter_id, 6)


def test_when_a_rule_is_modified_then_the_rest_stays(network: Network) -> None:
    """ModifyTrafficMirrorFilterRule changes the fields it is given."""
    rule = network.rule(network.filter(), Protocol=6, DestinationPortRange=PORTS, Description="web")
    changed = network.ec2.modify_traffic_mirror_filter_rule(
        TrafficMirrorFilterRuleId=rule["TrafficMirrorFilterRuleId"],
        RuleNumber=7,
        TrafficDirection="egress",
        SourcePortRange=PORTS,
    )["TrafficMirrorFilterRule"]
    assert changed == {**rule, "RuleNumber": 7, "TrafficDirection": "egress", "SourcePortRange": PORTS}
    assert network.ec2.describe_traffic_mirror_filter_rules()["TrafficMirrorFilterRules"] == [changed]


def test_when_fields_are_removed_then_they_are_the_default(network: Network) -> None:
    """RemoveFields: destination-port-range, source-port-range, protocol, description."""
    plain = network.rule(network.filter())
    full = network.rule(
        plain["TrafficMirrorFilterId"],
        200,
        Protocol=6,
        SourcePortRange=PORTS,
        DestinationPortRange=PORTS,
        Description="web",
    )
    changed = network.ec2.modify_traffic_mirror_filter_rule(
        TrafficMirrorFilterRuleId=full["TrafficMirrorFilterRuleId"],
        RemoveFields=["destination-port-range", "source-port-range", "protocol", "description"],
    )["TrafficMirrorFilterRule"]
    assert set(changed) == set(plain)


def test_fails_when_the_protocol_is_removed_but_ports_stay(network: Network) -> None:
    """Ports only for TCP (6) and UDP (17)."""
    rule = network.rule(network.filter(), Protocol=6, SourcePortRange=PORTS)["TrafficMirrorFilterRuleId"]
    with refused("InvalidParameterValue", "TCP (6) and UDP (17) only"):
        network.ec2.modify_traffic_mirror_filter_rule(TrafficMirrorFilterRuleId=rule, RemoveFields=["protocol"])


def test_fails_when_a_field_cannot_be_removed_or_is_also_set(network: Network) -> None:
    """RemoveFields takes four names (the refusal of a contradiction is inferred)."""
    rule = network.rule(network.filter())["TrafficMirrorFilterRuleId"]
    with refused("InvalidParameterValue", "rule-number"):
        network.ec2.modify_traffic_mirror_filter_rule(TrafficMirrorFilterRuleId=rule, RemoveFields=["rule-number"])
    with refused("InvalidParameterCombination", "Protocol"):
        network.ec2.modify_traffic_mirror_filter_rule(
            TrafficMirrorFilterRuleId=rule, Protocol=6, RemoveFields=["protocol"]
        )


def test_when_a_rule_is_deleted_then_its_number_is_free(network: Network) -> None:
    """A rule can be deleted while sessions use its filter."""
    rule = network.rule(network.filter())
    network.session(network.interface(), network.target(), filter_id=rule["TrafficMirrorFilterId"])
    network.ec2.delete_traffic_mirror_filter_rule(TrafficMirrorFilterRuleId=rule["TrafficMirrorFilterRuleId"])
    network.rule(rule["TrafficMirrorFilterId"])


@pytest.mark.parametrize("action", ["describe", "modify", "delete"])
def test_fails_when_a_rule_does_not_exist(network: Network, action: str) -> None:
    """InvalidTrafficMirrorFilterRuleId.NotFound, which Terraform's provider waits for; also after a deletion."""
    gone = network.rule(network.filter())["TrafficMirrorFilterRuleId"]
    network.ec2.delete_traffic_mirror_filter_rule(TrafficMirrorFilterRuleId=gone)
    with refused("InvalidTrafficMirrorFilterRuleId.NotFound", gone):
        if action == "describe":
            network.ec2.describe_traffic_mirror_filter_rules(TrafficMirrorFilterRuleIds=[gone])
        else:
            getattr(network.ec2, f"{action}_traffic_mirror_filter_rule")(TrafficMirrorFilterRuleId=gone)


def test_when_rules_are_described_by_filter_then_only_its_own_are_found(network: Network) -> None:
    """DescribeTrafficMirrorFilterRules takes TrafficMirrorFilterId."""
    rule = network.rule(network.filter())
    network.rule(network.filter())
    found = network.ec2.describe_traffic_mirror_filter_rules(TrafficMirrorFilterId=rule["TrafficMirrorFilterId"])
    assert found["TrafficMirrorFilterRules"] == [rule]
