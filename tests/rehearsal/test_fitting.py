"""A deployment file is made to fit the account."""

from __future__ import annotations

from pathlib import Path

import pytest

from strictmoto.account import ACCOUNT_ID, Account
from tapstack.rehearsal.fitting import fit
from tapstack.settings.load import parse_deployment
from tapstack.settings.problems import DeploymentError

EXAMPLE = (Path(__file__).parents[2] / "deployment.yaml").read_text()
TEMPLATE = "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/stand-in.template"
DEPLOYER = "arn:aws:iam::444455556666:role/tapstack-deploy"


def test_when_the_example_is_fitted_then_every_id_is_in_the_account_of_its_site(aws_account: Account) -> None:
    fitted = parse_deployment(fit(EXAMPLE, aws_account, publish=lambda region: TEMPLATE))

    production = fitted.sites["production"]
    ec2 = aws_account.client("ec2", region="eu-central-1")
    assert ec2.describe_vpcs(VpcIds=[production.vpc_id])["Vpcs"][0]["CidrBlock"] == "10.0.0.0/16"
    assert production.allowed_account_ids == [ACCOUNT_ID]
    assert production.packet_basics is not None
    assert production.packet_basics.template_url == TEMPLATE
    assert ec2.describe_subnets(SubnetIds=[production.packet_basics.subnet_id])["Subnets"]
    sources = [str(source.network_interface_id) for source in production.sessions["web-servers"].sources]
    assert len(set(sources)) == 3
    assert len(ec2.describe_network_interfaces(NetworkInterfaceIds=sources)["NetworkInterfaces"]) == 3

    shared = fitted.sites["shared-services"]
    other = aws_account.client("ec2", region="us-east-1", role_arn=DEPLOYER)
    assert other.describe_vpcs(VpcIds=[shared.vpc_id])["Vpcs"]
    assert shared.allowed_account_ids == ["444455556666"]
    balancer = shared.targets["sensors"].load_balancer
    assert balancer is not None
    assert len(other.describe_subnets(SubnetIds=balancer.subnet_ids)["Subnets"]) == 2
    assert other.describe_instances(InstanceIds=balancer.instance_ids)["Reservations"]
    assert shared.targets["sensors"].share_with == [ACCOUNT_ID]


def test_when_fitted_then_comments_and_all_else_stay_as_written(aws_account: Account) -> None:
    before, after = EXAMPLE.splitlines(), fit(EXAMPLE, aws_account).splitlines()
    assert len(before) == len(after)
    changed = [line.split(":")[0].strip(" -") for line, other in zip(before, after, strict=True) if line != other]
    assert set(changed) <= {
        "allowed_account_ids",
        "vpc_id",
        "subnet_id",
        "subnet_ids",
        "instance_ids",
        "share_with",
        "eni-0a000000000000001",
        "eni-0a000000000000002",
        "{network_interface_id",
    }


def test_when_there_are_more_interfaces_than_the_company_has_then_further_ones_are_made(
    aws_account: Account,
) -> None:
    text = (
        "sites: {a: {region: eu-central-1, vpc_id: vpc-00000001, sessions: {s: {target: tmt-00000001,"
        f" filter: tmf-00000001, sources: [{', '.join(f'eni-{n:08x}' for n in range(8))}]}}}}}}}}"
    )
    sources = parse_deployment(fit(text, aws_account)).sites["a"].sessions["s"].sources
    ids = {str(source.network_interface_id) for source in sources}
    ec2 = aws_account.client("ec2")
    assert len(ec2.describe_network_interfaces(NetworkInterfaceIds=list(ids))["NetworkInterfaces"]) == 8


def test_when_telemetry_uses_buckets_and_a_detector_then_they_are_there(aws_account: Account) -> None:
    text = """
sites:
  ward:
    region: eu-central-1
    vpc_id: vpc-00000001
    xdr:
      landing: {bucket: lake, bucket_key_arn: "arn:aws:kms:eu-central-1:111122223333:key/a"}
      flow_logs: {}
      guardduty: {detector_id: 12abc34d567e8fa901bc2d34e56789f0}
"""
    xdr = parse_deployment(fit(text, aws_account)).sites["ward"].xdr

    assert xdr is not None
    assert xdr.guardduty is not None
    assert aws_account.client("guardduty", region="eu-central-1").list_detectors()["DetectorIds"] == [
        xdr.guardduty.detector_id
    ]
    assert [bucket["Name"] for bucket in aws_account.client("s3").list_buckets()["Buckets"]] == ["lake"]


def test_fails_when_the_file_is_wrong(aws_account: Account) -> None:
    with pytest.raises(DeploymentError, match="mine.yaml:1: sites: is missing"):
        fit("project: x\n", aws_account, file="mine.yaml")


def test_when_sites_share_an_account_and_a_region_then_each_vpc_is_one_of_its_own(aws_account: Account) -> None:
    # given
    text = """
sites:
  shop:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    targets: {sensor: {network_interface_id: eni-0a000000000000001}}
  office:
    region: eu-central-1
    vpc_id: vpc-0b1b2c3d4e5f60718
    targets: {sensor: {network_interface_id: eni-0b000000000000001}}
  branch:
    region: eu-central-1
    vpc_id: vpc-0b1b2c3d4e5f60718
    quarantine_security_group: false
    targets: {sensor: {network_interface_id: eni-0b000000000000002}}
"""
    # when
    sites = parse_deployment(fit(text, aws_account)).sites
    # then
    assert sites["shop"].vpc_id != sites["office"].vpc_id == sites["branch"].vpc_id
    ids = [str(site.targets["sensor"].network_interface_id) for site in sites.values()]
    assert len(set(ids)) == 3
    ec2 = aws_account.client("ec2", region="eu-central-1")
    for site, interface in zip(sites.values(), ids, strict=True):
        (found,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"]
        assert found["VpcId"] == site.vpc_id
