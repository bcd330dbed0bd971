"""Auto Scaling's standby, registrations and instance attributes behave as AWS's."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account
from strictmoto.company import Company, found_company
from strictmoto.testing.checkpoint import made_once

pytestmark = pytest.mark.rehearsal


@pytest.fixture
def company(aws_account: Account) -> Company:
    return made_once(aws_account, found_company)


def health(account: Account, **group: Any) -> list[tuple[str, int]]:
    elbv2 = account.client("elbv2")
    [found] = elbv2.describe_target_groups(**group)["TargetGroups"]
    described = elbv2.describe_target_health(TargetGroupArn=found["TargetGroupArn"])["TargetHealthDescriptions"]
    return sorted((item["Target"]["Id"], item["Target"]["Port"]) for item in described)


def move(account: Account, way: str, instance: str, group: str = "web", **more: Any) -> None:
    getattr(account.client("autoscaling"), way)(AutoScalingGroupName=group, InstanceIds=[instance], **more)


def test_when_an_instance_is_in_standby_then_it_is_deregistered_until_it_leaves(
    aws_account: Account, company: Company
) -> None:
    web = company.instances["web-1"]
    before = health(aws_account)
    move(aws_account, "enter_standby", web, ShouldDecrementDesiredCapacity=False)
    assert web not in [instance for instance, _ in health(aws_account)]
    move(aws_account, "exit_standby", web)
    # The one that was launched in its place stays.
    assert set(before) < set(health(aws_account))
    [group] = aws_account.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    assert group["DesiredCapacity"] == 3


@pytest.mark.parametrize(
    ("way", "instance", "group", "more", "match"),
    [
        ("exit_standby", "web-1", "web", {}, "is not in Standby"),
        ("enter_standby", "web-1", "none", {"ShouldDecrementDesiredCapacity": False}, "name not found - none"),
        ("enter_standby", "legacy", "web", {"ShouldDecrementDesiredCapacity": False}, "is not part of Auto Scaling"),
        ("enter_standby", "web-1", "web", {"ShouldDecrementDesiredCapacity": True}, "has min-size=2"),
    ],
)
def test_fails_when_an_instance_cannot_be_moved(
    aws_account: Account, company: Company, way: str, instance: str, group: str, more: Any, match: str
) -> None:
    with pytest.raises(ClientError, match=match):
        move(aws_account, way, company.instances[instance], group, **more)


def test_fails_when_the_group_would_be_above_its_maximum(aws_account: Account, company: Company) -> None:
    web = company.instances["web-1"]
    move(aws_account, "enter_standby", web, ShouldDecrementDesiredCapacity=False)
    with pytest.raises(ClientError, match="is not in InService"):
        move(aws_account, "enter_standby", web, ShouldDecrementDesiredCapacity=False)
    aws_account.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName="web", MaxSize=2)
    with pytest.raises(ClientError, match="To remove from standby"):
        move(aws_account, "exit_standby", web)


def test_when_an_instance_has_two_ports_then_each_is_a_target(aws_account: Account, company: Company) -> None:
    elbv2, legacy = aws_account.client("elbv2"), company.instances["legacy"]
    made = elbv2.create_target_group(Name="ports", Protocol="TCP", Port=80, VpcId=company.shop.id)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": legacy, "Port": 80}, {"Id": legacy, "Port": 81}])
    for _ in range(2):
        elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": legacy, "Port": 80}])
        assert health(aws_account, Names=["ports"]) == [(legacy, 81)]
    elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": legacy}])
    assert health(aws_account, Names=["ports"]) == []


def test_when_an_instance_is_registered_twice_then_a_classic_load_balancer_has_it_once(
    aws_account: Account, company: Company
) -> None:
    elb, legacy = aws_account.client("elb"), company.instances["legacy"]
    listener = {"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}
    elb.create_load_balancer(LoadBalancerName="old", Listeners=[listener], Subnets=[company.shop.private[0]])
    for _ in range(2):
        elb.register_instances_with_load_balancer(LoadBalancerName="old", Instances=[{"InstanceId": legacy}])
    [balancer] = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    assert balancer["Instances"] == [{"InstanceId": legacy}]


@pytest.mark.parametrize(
    "operation", ["register_instances_with_load_balancer", "deregister_instances_from_load_balancer"]
)
def test_fails_when_a_classic_load_balancer_is_not_there(aws_account: Account, operation: str) -> None:
    elb = aws_account.client("elb")
    with pytest.raises(ClientError, match="LoadBalancerNotFound"):
        getattr(elb, operation)(LoadBalancerName="old", Instances=[{"InstanceId": "i-0123456789abcdef0"}])


def test_when_the_shutdown_behavior_is_changed_then_it_is_shown(aws_account: Account, company: Company) -> None:
    ec2, legacy = aws_account.client("ec2"), company.instances["legacy"]
    ec2.modify_instance_attribute(InstanceId=legacy, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    found = ec2.describe_instance_attribute(InstanceId=legacy, Attribute="instanceInitiatedShutdownBehavior")
    assert found["InstanceInitiatedShutdownBehavior"] == {"Value": "terminate"}
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.modify_instance_attribute(InstanceId=legacy, InstanceInitiatedShutdownBehavior={"Value": "hibernate"})


def test_fails_when_a_device_is_not_there(aws_account: Account, company: Company) -> None:
    mapping = {"DeviceName": "/dev/none", "Ebs": {"DeleteOnTermination": True}}
    with pytest.raises(ClientError, match="InvalidInstanceAttributeValue"):
        aws_account.client("ec2").modify_instance_attribute(
            InstanceId=company.instances["legacy"], BlockDeviceMappings=[mapping]
        )


class TestTargets:
    """RegisterTargets: targets in the VPC, or in reach of it with an Availability Zone."""

    def group(self, account: Account, company: Company, kind: str, protocol: str = "TCP") -> str:
        made = account.client("elbv2").create_target_group(
            Name="targets", Protocol=protocol, Port=80, VpcId=company.shop.id, TargetType=kind
        )
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def register(self, account: Account, group: str, target: str, zone: str | None = None) -> list[dict[str, Any]]:
        elbv2 = account.client("elbv2")
        more = {"AvailabilityZone": zone} if zone else {}
        elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": target, **more}])
        shown = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [description["Target"] for description in shown]

    def test_when_an_address_is_in_the_vpc_then_its_zone_is_found(self, aws_account: Account, company: Company) -> None:
        group = self.group(aws_account, company, "ip")
        [target] = self.register(aws_account, group, "10.0.10.9")
        assert target == {"Id": "10.0.10.9", "Port": 80, "AvailabilityZone": "eu-central-1a"}

    @pytest.mark.parametrize("protocol", ["TCP", "HTTP"])
    def test_when_an_address_is_outside_of_the_vpc_then_it_needs_all_zones(
        self, aws_account: Account, company: Company, protocol: str
    ) -> None:
        group = self.group(aws_account, company, "ip", protocol)
        with pytest.raises(ClientError, match=r"\(InvalidTarget\).*an Availability Zone is required"):
            self.register(aws_account, group, "192.168.7.9")
        if protocol == "HTTP":
            with pytest.raises(ClientError, match=r"\(InvalidTarget\).*must be 'all'"):
                self.register(aws_account, group, "192.168.7.9", "eu-central-1a")
        [target] = self.register(aws_account, group, "192.168.7.9", "all")
        assert target["AvailabilityZone"] == "all"

    def test_fails_when_an_address_is_public_or_none(self, aws_account: Account, company: Company) -> None:
        group = self.group(aws_account, company, "ip")
        for target, match in (("8.8.8.8", "private range"), ("sensor", "is not valid")):
            with pytest.raises(ClientError, match=rf"\(InvalidTarget\).*{match}"):
                self.register(aws_account, group, target, "all")

    def test_fails_when_an_instance_is_of_another_vpc_or_comes_with_a_zone(
        self, aws_account: Account, company: Company
    ) -> None:
        group = self.group(aws_account, company, "instance")
        for target in (company.instances["desktop"], "i-0123456789abcdef0"):
            with pytest.raises(ClientError, match=rf"\(InvalidTarget\).*VPC '{company.shop.id}'"):
                self.register(aws_account, group, target)
        with pytest.raises(ClientError, match=r"\(InvalidTarget\).*Availability Zone"):
            self.register(aws_account, group, company.instances["legacy"], "all")
