"""A Gateway Load Balancer, its endpoint service, an endpoint and a mirror target of it, with real Terraform."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from strictmoto.account import Account
from tapstack.workspace.provider_mirror import link_mirror
from tests.terraform.conftest import Terraform, clean_environment

pytestmark = [pytest.mark.terraform, pytest.mark.rehearsal]

CONFIGURATION = """
provider "aws" {
  skip_region_validation = true
}

resource "aws_vpc" "shop" {
  cidr_block = "10.0.0.0/16"
}

resource "aws_subnet" "sensors" {
  vpc_id     = aws_vpc.shop.id
  cidr_block = "10.0.1.0/24"
}

resource "aws_lb" "inspection" {
  name               = "inspection"
  load_balancer_type = "gateway"
  subnets            = [aws_subnet.sensors.id]
}

resource "aws_lb_target_group" "sensors" {
  name     = "sensors"
  port     = 6081
  protocol = "GENEVE"
  vpc_id   = aws_vpc.shop.id

  health_check {
    port     = 80
    protocol = "HTTP"
  }
}

resource "aws_lb_listener" "inspection" {
  load_balancer_arn = aws_lb.inspection.arn

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.sensors.arn
  }
}

resource "aws_vpc_endpoint_service" "inspection" {
  acceptance_required        = false
  gateway_load_balancer_arns = [aws_lb.inspection.arn]
}

resource "aws_vpc_endpoint" "inspection" {
  service_name      = aws_vpc_endpoint_service.inspection.service_name
  vpc_endpoint_type = aws_vpc_endpoint_service.inspection.service_type
  vpc_id            = aws_vpc.shop.id
  subnet_ids        = [aws_subnet.sensors.id]
}

resource "aws_ec2_traffic_mirror_target" "inspection" {
  gateway_load_balancer_endpoint_id = aws_vpc_endpoint.inspection.id
}
"""


@pytest.mark.long
def test_when_mirroring_goes_through_a_gateway_load_balancer_then_terraform_makes_and_destroys_it(
    terraform: Terraform, aws_account: Account, tmp_path: Path
) -> None:
    (tmp_path / "main.tf").write_text(CONFIGURATION)
    link_mirror(terraform.mirror, tmp_path)

    def run(*arguments: str) -> int:
        done = subprocess.run(
            [terraform.binary, *arguments, "-no-color", "-input=false"],
            cwd=tmp_path,
            env={**clean_environment(), **aws_account.environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode in (0, 2), f"{done.stdout}\n{done.stderr}"
        return done.returncode

    ec2 = aws_account.client("ec2")
    run("init")
    run("apply", "-auto-approve")
    assert run("plan", "-detailed-exitcode") == 0
    [target] = ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
    [endpoint] = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert target["Type"] == "gateway-load-balancer-endpoint"
    assert target["GatewayLoadBalancerEndpointId"] == endpoint["VpcEndpointId"]
    assert endpoint["VpcEndpointType"] == "GatewayLoadBalancer"
    assert json.loads((tmp_path / "terraform.tfstate").read_text())["resources"]
    run("destroy", "-auto-approve")
    assert ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"] == []
    left = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-endpoint-state", "Values": ["available"]}])
    assert left["VpcEndpoints"] == []
