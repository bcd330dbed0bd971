"""The changes of a rehearsed deployment, and when they count as right; Terraform itself runs in tests/terraform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strictmoto.account import Account
from tapstack.rehearsal.changes import Change, Spares, rehearse_changes

CREATED = {'aws_ec2_traffic_mirror_session.web["eni-1"]': ["create"]}


@pytest.mark.parametrize(
    ("touched", "right"),
    [
        (CREATED, True),
        ({}, False),
        ({**CREATED, "aws_security_group.capture": ["update"]}, False),
        ({'aws_ec2_traffic_mirror_session.web["eni-1"]': ["delete", "create"]}, False),
        ({'aws_ec2_traffic_mirror_session.web["eni-2"]': ["create"]}, False),
    ],
)
def test_when_a_change_touches_more_or_less_than_it_should_then_it_is_not_right(
    touched: dict[str, list[str]], right: bool
) -> None:
    change = Change("", {}, r'aws_ec2_traffic_mirror_session\.web\["eni-1"\]', ["create"])
    assert change.is_right(touched) is right


class Site:
    """Stands in for a deployed site: it touches what it is given."""

    def __init__(self, touched: list[dict[str, list[str]]]) -> None:
        self.touched = touched
        self.applied = 0

    def addresses(self) -> list[str]:
        return ['aws_ec2_traffic_mirror_session.web["eni-1"]', "data.aws_region.here"]

    def changes(self) -> dict[str, list[str]]:
        return self.touched.pop(0)

    def apply_planned(self) -> None:
        self.applied += 1


def test_when_a_site_has_lookups_only_then_a_server_that_is_found_is_added(aws_account: Account) -> None:
    ec2 = aws_account.client("ec2")
    subnet, vpc = (ec2.describe_subnets()["Subnets"][0][name] for name in ("SubnetId", "VpcId"))
    sources = [{"tags": {"application": "shop"}, "subnet_id": subnet}]
    document = {"sites": {"one": {"vpc_id": vpc, "sessions": {"web": {"sources": sources}}}}}
    written: list[dict[str, Any]] = []
    spares = Spares(ec2)
    site: Any = Site([{}, {'aws_ec2_traffic_mirror_session.web["eni-1"]': ["update"]}])
    outcomes = list(rehearse_changes(site, "one", document, spares, lambda text: written.append(json.loads(text))))
    assert [(outcome.title, outcome.right) for outcome in outcomes] == [
        ("a source added to web", False),
        ("the target of web replaced", True),
    ]
    assert site.applied == 2
    assert written[0] == document, "the lookup finds the new server: the file stays as it is"
    assert written[1]["sites"]["one"]["sessions"]["web"]["target"].startswith("tmt-")
    found = ec2.describe_network_interfaces(Filters=[{"Name": "tag:application", "Values": ["shop"]}])
    assert [interface["Status"] for interface in found["NetworkInterfaces"]] == ["in-use"]
    spares.remove()
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"] == []
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1
