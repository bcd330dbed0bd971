"""Traffic mirror filters: facts/traffic-mirroring.md, "Filters"."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.strictmoto.ec2.mirroring.network import Network, refused


def test_when_a_filter_is_created_then_it_mirrors_nothing(network: Network) -> None:
    """No rule, nothing mirrored; amazon-dns is off by default."""
    made = network.ec2.create_traffic_mirror_filter(Description="capture")["TrafficMirrorFilter"]
    assert re.fullmatch("tmf-[0-9a-f]{17}", made.pop("TrafficMirrorFilterId"))
    assert made == {
        "Description": "capture",
        "IngressFilterRules": [],
        "EgressFilterRules": [],
        "NetworkServices": [],
        "Tags": [],
    }


def test_when_rules_are_added_then_the_filter_lists_them_by_direction_and_number(network: Network) -> None:
    """Rules are evaluated low to high, each direction for itself."""
    filter_id = network.filter()
    for direction, number in (("egress", 7), ("ingress", 200), ("ingress", 100)):
        network.rule(filter_id, number, TrafficDirection=direction)
    (found,) = network.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
    assert [rule["RuleNumber"] for rule in found["IngressFilterRules"]] == [100, 200]
    assert [rule["RuleNumber"] for rule in found["EgressFilterRules"]] == [7]


def test_when_a_network_service_is_added_and_removed_then_the_filter_says_so(network: Network) -> None:
    """Adding the amazon-dns network service mirrors DNS both ways; it can be taken away again."""
    filter_id = network.filter()

    def services(**change: list[str]) -> Any:
        changed = network.ec2.modify_traffic_mirror_filter_network_services(TrafficMirrorFilterId=filter_id, **change)
        (found,) = network.ec2.describe_traffic_mirror_filters(TrafficMirrorFilterIds=[filter_id])[
            "TrafficMirrorFilters"
        ]
        assert found == changed["TrafficMirrorFilter"]
        return found["NetworkServices"]

    assert services(AddNetworkServices=["amazon-dns"]) == ["amazon-dns"]
    assert services(AddNetworkServices=["amazon-dns"]) == ["amazon-dns"]
    assert services(RemoveNetworkServices=["amazon-dns"]) == []


def test_fails_when_a_network_service_is_unknown(network: Network) -> None:
    """amazon-dns is the only network service of botocore's model."""
    with refused("InvalidParameterValue", "amazon-ntp"):
        network.ec2.modify_traffic_mirror_filter_network_services(
            TrafficMirrorFilterId=network.filter(), AddNetworkServices=["amazon-ntp"]
        )


def test_fails_when_a_filter_is_deleted_that_a_session_uses(network: Network) -> None:
    """A filter must leave every session before it can be deleted."""
    session = network.session(network.interface(), network.target(), filter_id=(filter_id := network.filter()))
    with refused("TrafficMirrorFilterInUse", session["TrafficMirrorSessionId"]):
        network.ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=filter_id)

    network.ec2.modify_traffic_mirror_session(
        TrafficMirrorSessionId=session["TrafficMirrorSessionId"], TrafficMirrorFilterId=network.filter()
    )
    network.ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=filter_id)


def test_when_a_filter_is_deleted_then_its_rules_are_too(network: Network) -> None:
    """A rule belongs to one filter (inferred)."""
    rule = network.rule(network.filter())
    kept = network.rule(network.filter())
    network.ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=rule["TrafficMirrorFilterId"])
    assert network.ec2.describe_traffic_mirror_filter_rules()["TrafficMirrorFilterRules"] == [kept]


@pytest.mark.parametrize("action", ["describe", "modify", "delete", "rule", "rules", "session"])
def test_fails_when_a_filter_does_not_exist(network: Network, action: str) -> None:
    """InvalidTrafficMirrorFilterId.NotFound, which Terraform's provider waits for."""
    gone = network.filter()
    network.ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=gone)
    ec2 = network.ec2
    with refused("InvalidTrafficMirrorFilterId.NotFound", gone):
        match action:
            case "describe":
                ec2.describe_traffic_mirror_filters(TrafficMirrorFilterIds=[gone])
            case "modify":
                ec2.modify_traffic_mirror_filter_network_services(TrafficMirrorFilterId=gone)
            case "delete":
                ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=gone)
            case "rule":
                network.rule(gone)
            case "rules":
                ec2.describe_traffic_mirror_filter_rules(TrafficMirrorFilterId=gone)
            case _:
                network.session(network.interface(), network.target(), filter_id=gone)
