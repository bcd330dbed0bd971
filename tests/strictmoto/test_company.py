"""The company that the account is seeded with."""

from __future__ import annotations

import pytest

from strictmoto.account import Account
from strictmoto.company import Company, found_company
from strictmoto.ec2.mirroring.instance_types import can_be_source


@pytest.fixture
def company(aws_account: Account) -> Company:
    return found_company(aws_account)


def test_when_founded_then_its_instances_and_groups_are_there(aws_account: Account, company: Company) -> None:
    ec2 = aws_account.client("ec2")
    assert sorted(company.instances) == ["database", "desktop", "legacy", "web-1", "web-2"]
    assert {name: len(interfaces) for name, interfaces in company.interfaces.items()} == {
        "database": 2,
        "desktop": 1,
        "legacy": 1,
        "web-1": 1,
        "web-2": 1,
    }
    for vpc in (company.shop, company.office):
        subnets = ec2.describe_subnets(SubnetIds=[*vpc.public, *vpc.private])["Subnets"]
        assert {subnet["VpcId"] for subnet in subnets} == {vpc.id}
        assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert len(ec2.describe_nat_gateways()["NatGateways"]) == 1


def test_when_founded_then_some_instances_can_be_source_and_some_cannot(aws_account: Account, company: Company) -> None:
    found = aws_account.client("ec2").describe_instances(InstanceIds=list(company.instances.values()))
    types = {i["InstanceId"]: i["InstanceType"] for r in found["Reservations"] for i in r["Instances"]}
    verdicts = {name: can_be_source(types[id_]) for name, id_ in company.instances.items()}
    assert verdicts == {"web-1": True, "web-2": True, "database": True, "legacy": False, "desktop": True}


def test_when_founded_then_the_web_servers_are_scaled_and_balanced(aws_account: Account, company: Company) -> None:
    scaling, balancing = aws_account.client("autoscaling"), aws_account.client("elbv2")
    (group,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[company.web_group])["AutoScalingGroups"]
    web = {company.instances["web-1"], company.instances["web-2"]}
    assert {member["InstanceId"] for member in group["Instances"]} == web
    health = balancing.describe_target_health(TargetGroupArn=group["TargetGroupARNs"][0])
    assert {target["Target"]["Id"] for target in health["TargetHealthDescriptions"]} == web
    (balancer,) = balancing.describe_load_balancers(LoadBalancerArns=[company.load_balancer])["LoadBalancers"]
    assert balancer["Type"] == "application"


def test_when_founded_in_another_region_then_it_exists_there_alone(aws_account: Account) -> None:
    company = found_company(aws_account, region="us-east-1")
    here = aws_account.client("ec2").describe_vpcs()["Vpcs"]
    there = aws_account.client("ec2", region="us-east-1").describe_vpcs()["Vpcs"]
    assert company.shop.id in {vpc["VpcId"] for vpc in there}
    assert len(here) == 1


@pytest.mark.parametrize("region", ["us-gov-east-1", "cn-northwest-1", "eusc-de-east-1", "us-iso-west-1"])
def test_when_it_is_founded_in_another_partition_then_it_has_all_its_instances_in_two_zones(
    aws_account: Account, region: str
) -> None:
    company = found_company(aws_account, region=region)
    assert sorted(company.instances) == ["database", "desktop", "legacy", "web-1", "web-2"]
    subnets = aws_account.client("ec2", region=region).describe_subnets(SubnetIds=list(company.shop.private))
    assert len({subnet["AvailabilityZone"] for subnet in subnets["Subnets"]}) == 2
