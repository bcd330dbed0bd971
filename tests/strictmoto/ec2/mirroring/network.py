"""What the conformance tests need around mirroring: interfaces, instances, balancers, and short creators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pytest
from botocore.exceptions import ClientError

REGION = "eu-central-1"
AMI = "ami-12c6146b"


@contextmanager
def refused(code: str, message: str = "") -> Iterator[None]:
    """The call inside answers with AWS's error `code`."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert message in error["Message"]


class Network:
    def __init__(self, ec2: Any, elbv2: Any, account: str) -> None:
        self.account = account
        self.ec2 = ec2
        self.elbv2 = elbv2

    @cached_property
    def vpc(self) -> str:
        return str(self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])

    @cached_property
    def subnet(self) -> str:
        return str(self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"])

    def interface(self) -> str:
        made = self.ec2.create_network_interface(SubnetId=self.subnet)
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def instance(self, instance_type: str) -> tuple[str, str]:
        """An instance and its primary interface."""
        made = self.ec2.run_instances(
            ImageId=AMI, MinCount=1, MaxCount=1, InstanceType=instance_type, SubnetId=self.subnet
        )["Instances"][0]
        return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def load_balancer(self, kind: str = "network") -> str:
        made = self.elbv2.create_load_balancer(Name=f"capture-{kind}", Type=kind, Subnets=[self.subnet])
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    @cached_property
    def inspection(self) -> str:
        """The name of an endpoint service of a Gateway Load Balancer."""
        made = self.ec2.create_vpc_endpoint_service_configuration(
            GatewayLoadBalancerArns=[self.load_balancer("gateway")], AcceptanceRequired=False
        )
        return str(made["ServiceConfiguration"]["ServiceName"])

    def endpoint(self, kind: str = "GatewayLoadBalancer") -> str:
        service = self.inspection if kind == "GatewayLoadBalancer" else "com.amazonaws.eu-central-1.s3"
        subnets = [self.subnet] if kind == "GatewayLoadBalancer" else []
        made = self.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=service, VpcEndpointType=kind, SubnetIds=subnets
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def filter(self, **parameters: Any) -> str:
        made = self.ec2.create_traffic_mirror_filter(**parameters)
        return str(made["TrafficMirrorFilter"]["TrafficMirrorFilterId"])

    def rule(self, filter_id: str, number: int = 100, **parameters: Any) -> dict[str, Any]:
        wanted = {
            "TrafficMirrorFilterId": filter_id,
            "TrafficDirection": "ingress",
            "RuleNumber": number,
            "RuleAction": "accept",
            "SourceCidrBlock": "0.0.0.0/0",
            "DestinationCidrBlock": "0.0.0.0/0",
            **parameters,
        }
        made: dict[str, Any] = self.ec2.create_traffic_mirror_filter_rule(**wanted)["TrafficMirrorFilterRule"]
        return made

    def target(self, interface: str | None = None, **parameters: Any) -> str:
        if not {"NetworkLoadBalancerArn", "GatewayLoadBalancerEndpointId"} & set(parameters):
            parameters["NetworkInterfaceId"] = interface or self.interface()
        made = self.ec2.create_traffic_mirror_target(**parameters)
        return str(made["TrafficMirrorTarget"]["TrafficMirrorTargetId"])

    def session(self, source: str, target: str, number: int = 1, **parameters: Any) -> dict[str, Any]:
        wanted = {
            "NetworkInterfaceId": source,
            "TrafficMirrorTargetId": target,
            "TrafficMirrorFilterId": parameters.pop("filter_id", None) or self.any_filter,
            "SessionNumber": number,
            **parameters,
        }
        made: dict[str, Any] = self.ec2.create_traffic_mirror_session(**wanted)["TrafficMirrorSession"]
        return made

    @cached_property
    def any_filter(self) -> str:
        return self.filter()

    def session_ids(self) -> list[str]:
        found = self.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
        return [session["TrafficMirrorSessionId"] for session in found]
