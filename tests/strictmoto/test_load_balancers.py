"""ARNs of load balancers, as AWS writes them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account


def create(account: Account, kind: str) -> Any:
    subnets = [subnet["SubnetId"] for subnet in account.client("ec2").describe_subnets()["Subnets"][:2]]
    made = account.client("elbv2").create_load_balancer(Name="sensors", Type=kind, Subnets=subnets)
    return made["LoadBalancers"][0]["LoadBalancerArn"]


@pytest.mark.parametrize(("kind", "prefix"), [("network", "net"), ("gateway", "gwy"), ("application", "app")])
def test_when_a_load_balancer_is_made_then_its_arn_names_its_type(aws_account: Account, kind: str, prefix: str) -> None:
    arn = create(aws_account, kind)
    assert arn.startswith(f"arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/{prefix}/sensors/")
    found = aws_account.client("elbv2").describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    assert [balancer["Type"] for balancer in found] == [kind]


GONE = "subnet-0123456789abcdef0"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Subnets": [GONE]}, "InvalidSubnet"),
        ({"SubnetMappings": [{"SubnetId": GONE}]}, "InvalidSubnet"),
        ({"SecurityGroups": ["sg-0123456789abcdef0"]}, "InvalidSecurityGroup"),
    ],
)
def test_fails_when_its_network_is_not_there(aws_account: Account, given: dict[str, Any], code: str) -> None:
    [subnet, *_] = aws_account.client("ec2").describe_subnets()["Subnets"]
    network = {} if code == "InvalidSubnet" else {"Subnets": [subnet["SubnetId"]]}
    elbv2 = aws_account.client("elbv2")
    with pytest.raises(ClientError) as error:
        elbv2.create_load_balancer(Name="sensors", Type="network", **network, **given)
    assert error.value.response["Error"]["Code"] == code
    assert elbv2.describe_load_balancers()["LoadBalancers"] == []


def test_when_a_network_load_balancer_listens_then_its_listener_and_a_target_use_its_arn(
    aws_account: Account,
) -> None:
    elbv2, ec2 = aws_account.client("elbv2"), aws_account.client("ec2")
    arn = create(aws_account, "network")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    group = elbv2.create_target_group(Name="sensors", Protocol="UDP", Port=4789, VpcId=vpc)["TargetGroups"][0]
    listener = elbv2.create_listener(
        LoadBalancerArn=arn,
        Protocol="UDP",
        Port=4789,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}],
    )["Listeners"][0]
    assert listener["ListenerArn"].startswith(arn.replace(":loadbalancer/", ":listener/"))
    target = ec2.create_traffic_mirror_target(NetworkLoadBalancerArn=arn)["TrafficMirrorTarget"]
    assert target["NetworkLoadBalancerArn"] == arn


TEMPLATE = """
Parameters: {Subnet: {Type: String}}
Resources:
  Sensors: {Type: AWS::ElasticLoadBalancingV2::LoadBalancer, Properties: {Type: network, Subnets: [!Ref Subnet]}}
  Target: {Type: AWS::EC2::TrafficMirrorTarget, Properties: {NetworkLoadBalancerArn: !Ref Sensors}}
"""


def test_when_a_stack_has_a_network_load_balancer_then_it_is_one_and_can_be_a_target(
    aws_account: Account,
) -> None:
    """AWS::ElasticLoadBalancingV2::LoadBalancer, Type."""
    subnet = aws_account.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    aws_account.client("cloudformation").create_stack(
        StackName="sensors",
        TemplateBody=TEMPLATE,
        Parameters=[{"ParameterKey": "Subnet", "ParameterValue": subnet}],
    )
    [balancer] = aws_account.client("elbv2").describe_load_balancers()["LoadBalancers"]
    [target] = aws_account.client("ec2").describe_traffic_mirror_targets()["TrafficMirrorTargets"]
    assert balancer["Type"] == "network"
    assert target["NetworkLoadBalancerArn"] == balancer["LoadBalancerArn"]
    assert ":loadbalancer/net/" in balancer["LoadBalancerArn"]


def forward(account: Account, listener: str, targets: str, **forwarding: Any) -> list[Any]:
    """Let a network load balancer listen with one protocol and forward to a target group of another."""
    elbv2, ec2 = account.client("elbv2"), account.client("ec2")
    arn = create(account, "network")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    [group] = elbv2.create_target_group(Name="sensors", Protocol=targets, Port=4789, VpcId=vpc)["TargetGroups"]
    how = {"TargetGroupArn": group["TargetGroupArn"]}
    action = {"Type": "forward", **({"ForwardConfig": {"TargetGroups": [how]}} if forwarding else how)}
    elbv2.create_listener(LoadBalancerArn=arn, Protocol=listener, Port=4789, DefaultActions=[action])
    return list(elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"])


@pytest.mark.parametrize("forwarding", [{}, {"by": "ForwardConfig"}])
@pytest.mark.parametrize(
    ("listener", "targets"), [("TCP", "UDP"), ("UDP", "TCP"), ("TCP_UDP", "UDP"), ("TLS", "TCP_UDP"), ("TCP", "HTTP")]
)
def test_fails_when_a_listener_forwards_to_another_protocol(
    aws_account: Account, listener: str, targets: str, forwarding: dict[str, str]
) -> None:
    """Source: User Guide for Network Load Balancers, "Target groups for your Network Load Balancers"."""
    with pytest.raises(ClientError, match=f"'{listener}' is not supported .* '{targets}'") as error:
        forward(aws_account, listener, targets, **forwarding)
    assert error.value.response["Error"]["Code"] == "IncompatibleProtocols"


@pytest.mark.parametrize(
    ("listener", "targets"), [("TCP", "TCP_UDP"), ("UDP", "TCP_UDP"), ("TCP_UDP", "TCP_UDP"), ("TLS", "TCP")]
)
def test_when_protocols_go_together_then_a_listener_forwards(aws_account: Account, listener: str, targets: str) -> None:
    assert len(forward(aws_account, listener, targets)) == 1


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"Port": 70_000}, "'70000' is not valid"),
        ({"HealthCheckProtocol": "UDP"}, "'UDP' is not supported .* one of 'HTTP, HTTPS, TCP'"),
        ({"Protocol": "HTTP", "HealthCheckProtocol": "TCP"}, "'TCP' is not supported .* one of 'HTTP, HTTPS'"),
    ],
)
def test_fails_when_a_target_group_cannot_be(aws_account: Account, given: dict[str, Any], match: str) -> None:
    """Source: Elastic Load Balancing API Reference, CreateTargetGroup."""
    elbv2 = aws_account.client("elbv2")
    vpc = aws_account.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    with pytest.raises(ClientError, match=match) as error:
        elbv2.create_target_group(**{"Name": "sensors", "Protocol": "UDP", "Port": 4789, "VpcId": vpc, **given})
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert elbv2.describe_target_groups()["TargetGroups"] == []
