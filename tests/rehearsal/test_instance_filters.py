"""Filters of DescribeInstances: wildcards, and the network interfaces of an instance."""

from __future__ import annotations

from typing import Any

import pytest

from tapstack.rehearsal.account import Account
from tapstack.rehearsal.company import IMAGE


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("instance-type", ["m5.*"], {"m5.large"}),
        ("instance-type", ["m5.xlarge", "t?.*micro"], {"t3.micro"}),
        ("instance-type", ["m5.*large", "t3.micro"], {"m5.large", "t3.micro"}),
        ("network-interface.network-interface-id", ["{t3.micro}"], {"t3.micro"}),
        ("network-interface.network-interface-id", ["{t3.micro}", "{m5.large}"], {"m5.large", "t3.micro"}),
        ("network-interface.network-interface-id", ["eni-0123456789abcdef0"], set()),
    ],
)
def test_when_instances_are_filtered_then_as_aws_does(
    rehearsal_account: Account, name: str, values: list[str], found: set[str]
) -> None:
    ec2 = rehearsal_account.client("ec2")
    interfaces = {}
    for kind in ("m5.large", "t3.micro"):
        made: Any = ec2.run_instances(ImageId=IMAGE, InstanceType=kind, MinCount=1, MaxCount=1)["Instances"][0]
        interfaces[f"{{{kind}}}"] = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    asked = [{"Name": name, "Values": [interfaces.get(value, value) for value in values]}]
    answer = ec2.describe_instances(Filters=asked)["Reservations"]
    assert {instance["InstanceType"] for part in answer for instance in part["Instances"]} == found
