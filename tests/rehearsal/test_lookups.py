"""What EC2 finds with the filters of lookups."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.account import Account
from strictmoto.company import found_company
from tapstack import Source

OWNERS = {"web-1": "CORP\\shop [1]", "web-2": "CORP\\shop [2]", "database": "CORPshop [1]"}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("CORP\\shop [1]", {"web-1"}),
        ("CORP\\shop*", {"web-1", "web-2"}),
        ("CORP?shop [1]", {"web-1"}),
        ("CORP*[1]", {"web-1", "database"}),
        ("CORPshop [1]", {"database"}),
    ],
)
def test_when_a_lookup_has_tags_then_stars_and_question_marks_are_wildcards_and_nothing_else(
    aws_account: Account, value: str, found: set[str]
) -> None:
    company, ec2 = found_company(aws_account), aws_account.client("ec2")
    for name, owner in OWNERS.items():
        ids = [company.instances[name], *company.interfaces[name]]
        ec2.create_tags(Resources=ids, Tags=[{"Key": "owner", "Value": owner}])

    by_interface: Any = [
        {"Name": name, "Values": list(values)} for name, values in Source.tagged({"owner": value}).filters()
    ]
    by_instance: Any = [
        {"Name": name, "Values": list(values)}
        for name, values in Source.tagged_instances({"owner": value}).instance_filters()
    ]

    interfaces = ec2.describe_network_interfaces(Filters=by_interface)["NetworkInterfaces"]
    assert {one["NetworkInterfaceId"] for one in interfaces} == {
        interface for name in found for interface in company.interfaces[name]
    }
    reservations = ec2.describe_instances(Filters=by_instance)["Reservations"]
    assert {one["InstanceId"] for part in reservations for one in part["Instances"]} == {
        company.instances[name] for name in found
    }
