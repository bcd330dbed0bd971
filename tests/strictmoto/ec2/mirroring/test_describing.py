"""Describe actions: the filters of botocore's documentation, wildcards, pages."""

from __future__ import annotations

import re
from typing import Any

import pytest

from strictmoto.ec2.mirroring import filters, rules, sessions, targets
from tests.strictmoto.ec2.mirroring.network import Network, refused

DESCRIBES = {
    "filters": ("TrafficMirrorFilters", filters._FILTERS),
    "filter_rules": ("TrafficMirrorFilterRules", rules._FILTERS),
    "targets": ("TrafficMirrorTargets", targets._FILTERS),
    "sessions": ("TrafficMirrorSessions", sessions._FILTERS),
}


def describe(network: Network, what: str, *given: tuple[str, list[str]], **parameters: Any) -> list[dict[str, Any]]:
    if given:
        parameters["Filters"] = [{"Name": name, "Values": values} for name, values in given]
    found: list[dict[str, Any]] = getattr(network.ec2, f"describe_traffic_mirror_{what}")(**parameters)[
        DESCRIBES[what][0]
    ]
    return found


@pytest.fixture
def company(network: Network) -> Network:
    """Two of everything, different in every member that can be filtered by."""
    network.rule(
        network.filter(Description="first"),
        1,
        Protocol=6,
        SourceCidrBlock="10.0.0.0/8",
        DestinationCidrBlock="192.168.0.0/16",
        Description="web",
    )
    network.rule(network.filter(Description="second"), 2, Protocol=17, RuleAction="reject", TrafficDirection="egress")
    balancer = network.target(NetworkLoadBalancerArn=network.load_balancer(), Description="many sources")
    network.session(network.interface(), network.target(Description="few"), 1, PacketLength=100, Description="one")
    network.session(network.interface(), balancer, 2, Description="two", filter_id=network.filter())
    return network


@pytest.mark.parametrize("what", DESCRIBES)
def test_when_filtered_then_every_filter_of_the_documentation_works(company: Network, what: str) -> None:
    """The filter names of botocore's documentation, and no others but tags; each finds what has its value."""
    names = DESCRIBES[what][1]
    members = company.ec2.meta.service_model.operation_model(
        f"DescribeTraffic{''.join(part.capitalize() for part in f'mirror_{what}'.split('_'))}"
    ).input_shape.members
    assert set(names) == set(re.findall(r"<code>([a-z-]+)</code>:", members["Filters"].documentation))
    everything = describe(company, what)
    for name, member in names.items():
        for one in everything:
            if member in one:
                expected = [other for other in everything if other.get(member) == one[member]]
                assert describe(company, what, (name, [str(one[member])])) == expected
                assert describe(company, what, (name, ["*"])) == [other for other in everything if member in other]


def test_when_filters_are_combined_then_all_must_match_and_any_value_of_each(company: Network) -> None:
    """EC2's filters: values are alternatives, filters are conditions."""
    assert len(describe(company, "sessions", ("session-number", ["1", "2"]))) == 2
    assert len(describe(company, "sessions", ("session-number", ["1", "2"]), ("description", ["two"]))) == 1
    assert describe(company, "sessions", ("session-number", ["1"]), ("description", ["two"])) == []
    first, second = describe(company, "sessions")
    found = describe(
        company,
        "sessions",
        ("session-number", ["2"]),
        TrafficMirrorSessionIds=[first["TrafficMirrorSessionId"], second["TrafficMirrorSessionId"]],
    )
    assert found == [second]


def test_when_a_value_has_wildcards_then_they_stand_for_characters(network: Network) -> None:
    """EC2's filters: * is any characters, ? is one; a backslash makes them literal; case counts."""
    for description in ("tap-1", "tap-22", "Tap-3", "tap*1"):
        network.filter(Description=description)

    def found(value: str) -> list[str]:
        return [one["Description"] for one in describe(network, "filters", ("description", [value]))]

    assert found("tap-*") == ["tap-1", "tap-22"]
    assert found("tap-?") == ["tap-1"]
    assert found("tap?1") == ["tap-1", "tap*1"]
    assert found(r"tap\*1") == ["tap*1"]
    assert found("tap") == []


@pytest.mark.parametrize("what", DESCRIBES)
def test_fails_when_a_filter_is_unknown(network: Network, what: str) -> None:
    """InvalidParameterValue, as other EC2 actions answer."""
    with refused("InvalidParameterValue", "colour"):
        describe(network, what, ("colour", ["red"]))


def test_when_there_is_more_than_a_page_then_the_rest_follows(network: Network) -> None:
    """MaxResults and NextToken; a deletion between two pages hides nothing."""
    ids = [network.filter() for _ in range(12)]
    first = network.ec2.describe_traffic_mirror_filters(MaxResults=5)
    assert [one["TrafficMirrorFilterId"] for one in first["TrafficMirrorFilters"]] == ids[:5]
    for gone in (ids[4], ids[5]):
        network.ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=gone)
    second = network.ec2.describe_traffic_mirror_filters(MaxResults=6, NextToken=first["NextToken"])
    assert [one["TrafficMirrorFilterId"] for one in second["TrafficMirrorFilters"]] == ids[6:]
    assert "NextToken" not in second


@pytest.mark.parametrize("what", ["filters", "targets", "sessions"])
def test_when_paginated_then_boto3_finds_all(company: Network, what: str) -> None:
    """The paginators of botocore."""
    for number in range(3, 8):
        company.session(company.interface(), company.target(), number, filter_id=company.filter())
    pages = list(
        company.ec2.get_paginator(f"describe_traffic_mirror_{what}").paginate(PaginationConfig={"PageSize": 5})
    )
    assert len(pages) > 1
    assert [one for page in pages for one in page[DESCRIBES[what][0]]] == describe(company, what)


def test_when_the_rules_of_a_filter_are_many_then_they_come_in_pages(network: Network) -> None:
    """DescribeTrafficMirrorFilterRules has MaxResults and NextToken, though botocore has no paginator for it."""
    for number in range(1, 8):
        network.rule(network.any_filter, number)
        network.rule(network.filter(), number)
    page = {"TrafficMirrorFilterId": network.any_filter, "MaxResults": 5}
    first = network.ec2.describe_traffic_mirror_filter_rules(**page)
    second = network.ec2.describe_traffic_mirror_filter_rules(**page, NextToken=first["NextToken"])
    numbers = [[rule["RuleNumber"] for rule in answer["TrafficMirrorFilterRules"]] for answer in (first, second)]
    assert numbers == [[1, 2, 3, 4, 5], [6, 7]]


def test_fails_when_the_page_is_too_large_or_the_token_foreign(network: Network) -> None:
    """MaxResults 5 to 1000; a token comes from the answer before (its error code is inferred)."""
    with refused("InvalidParameterValue", "1001"):
        network.ec2.describe_traffic_mirror_targets(MaxResults=1001)
    for token in ("bm90IG91cnM=", "%%%"):
        with refused("InvalidNextToken"):
            network.ec2.describe_traffic_mirror_targets(NextToken=token)
