"""The default VPC: what it consists of, and by which filters it is found."""

from __future__ import annotations

import pytest

from strictmoto.account import Account


def test_when_an_account_is_new_then_its_default_vpc_leads_to_the_internet(aws_account: Account) -> None:
    """An internet gateway is attached, and the main route table has a route to it beside the local one."""
    ec2 = aws_account.client("ec2")
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    [table] = ec2.describe_route_tables()["RouteTables"]
    assert [one["VpcId"] for one in gateway["Attachments"]] == [vpc["VpcId"]]
    assert [(one["DestinationCidrBlock"], one["GatewayId"]) for one in table["Routes"]] == [
        (vpc["CidrBlock"], "local"),
        ("0.0.0.0/0", gateway["InternetGatewayId"]),
    ]


@pytest.mark.parametrize("name", ["is-default", "isDefault"])
def test_when_default_vpcs_are_filtered_for_then_others_are_not_found(aws_account: Account, name: str) -> None:
    """AWS takes both names of the filter; Terraform's AWS provider sends the second."""
    ec2 = aws_account.client("ec2")
    made = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    for value, expected in (("true", False), ("false", True)):
        found = ec2.describe_vpcs(Filters=[{"Name": name, "Values": [value]}])["Vpcs"]
        assert [vpc["VpcId"] == made for vpc in found] == [expected]
