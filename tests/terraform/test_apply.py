"""The capture is planned, applied, planned again, changed and taken down against stock moto.

Stock moto has no traffic mirror filter rules, does not find mirror targets by tag, and
deletes neither targets nor filters. So target and filter stand before, their ids are
given, and everything else of a capture is made by Terraform. The rehearsal account
fills these gaps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from stacks.synthesis import synthesize
from tapstack.settings.load import parse_deployment
from tests.terraform.conftest import Terraform

BUCKET = "awsmp-fulfillment-cf-templates-prod"
REGION = "eu-central-1"
STAND_IN = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {
        name: {"Type": "String", "Default": ""}
        for name in (
            "VPCID",
            "MgmtTrafficMirrorSubnetID",
            "RemoteAccessCIDR",
            "PublicEIP",
            "ENITrafficMirrorSource",
            "ENITrafficMirrorSessionNumber",
        )
    },
    "Resources": {
        "Appliance": {
            "Type": "AWS::EC2::Instance",
            "Properties": {
                "ImageId": "ami-12345678",
                "InstanceType": "m5.xlarge",
                "SubnetId": {"Ref": "MgmtTrafficMirrorSubnetID"},
            },
        }
    },
    "Outputs": {
        "PacketBasicsUserAccess": {
            "Value": {"Fn::Join": ["", ["https://", {"Fn::GetAtt": ["Appliance", "PrivateIp"]}]]}
        },
        "PacketBasicsCredentials": {"Value": {"Ref": "Appliance"}},
    },
}


@dataclass(frozen=True)
class Company:
    """What stands in the account before the capture comes."""

    ec2: Any
    vpc: str
    subnet: str
    interfaces: list[str]
    server_interface: str


@pytest.fixture
def company(account: str) -> Company:
    access = {"endpoint_url": account, "region_name": REGION}
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    ec2: Any = boto3.client("ec2", **access, **keys)
    s3: Any = boto3.client("s3", **access, **keys)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="stand-in.template", Body=json.dumps(STAND_IN))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    interfaces = [
        ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"] for _ in range(3)
    ]
    server = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"][0]
    return Company(ec2, vpc, subnet, interfaces, server["NetworkInterfaces"][0]["NetworkInterfaceId"])


def _deployment(company: Company, sources: list[str]) -> str:
    return f"""
provider: {{max_retries: 1}}
sites:
  ward:
    region: {REGION}
    vpc_id: {company.vpc}
    packet_basics:
      template_url: https://s3.amazonaws.com/{BUCKET}/stand-in.template
      subnet_id: {company.subnet}
      remote_access_cidr: 10.0.0.0/8
      target_id: tmt-0123456789abcdef0
      filter_id: tmf-0123456789abcdef0
    sessions:
      written: {{sources: {json.dumps(sources)}}}
      found: {{sources: [{{subnet_id: {company.subnet}}}]}}
"""


def _synthesize(text: str, directory: Path) -> Path:
    assert synthesize(parse_deployment(text), directory, directory / "out") == []
    return directory / "out" / "stacks" / "ward"


def _sessions(company: Company) -> dict[str, tuple[str, int]]:
    """The sessions in the account: their id and number by source."""
    found = company.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    return {s["NetworkInterfaceId"]: (s["TrafficMirrorSessionId"], s["SessionNumber"]) for s in found}


def _changes(terraform: Terraform, stack: Path) -> dict[str, list[str]]:
    """What a plan would change, by address."""
    terraform(stack, "plan", "-input=false", "-out=plan")
    plan = json.loads(terraform(stack, "show", "-json", "plan"))
    actions = {change["address"]: change["change"]["actions"] for change in plan["resource_changes"]}
    return {address: action for address, action in actions.items() if action not in (["no-op"], ["read"])}


def test_when_a_capture_is_deployed_then_it_stands_stays_and_goes(
    terraform: Terraform, account: str, company: Company, tmp_path: Path
) -> None:
    terraform = replace(
        terraform,
        environment={
            "AWS_ENDPOINT_URL": account,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        },
    )
    first, second, third = company.interfaces
    stack = _synthesize(_deployment(company, [first, second]), tmp_path)
    terraform(stack, "init", "-input=false")

    # It stands: every part is there, and the password is marked.
    terraform(stack, "apply", "-auto-approve", "-input=false")
    outputs = json.loads(terraform(stack, "output", "-json"))
    assert outputs["portal_url"]["value"].startswith("https://10.0.1.")
    assert outputs["portal_password"]["sensitive"]
    # The lookup finds the server; the appliance, in the same subnet by now, is never a source.
    sessions = _sessions(company)
    assert set(sessions) == {first, second, company.server_interface}
    assert {sessions[first][1], sessions[second][1]} == {1}
    assert sessions[company.server_interface][1] == 2
    groups = company.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [company.vpc]}])
    quarantine = next(g for g in groups["SecurityGroups"] if g["GroupName"] == "tapstack-quarantine")
    assert (quarantine["IpPermissions"], quarantine["IpPermissionsEgress"]) == ([], [])
    capture = next(g for g in groups["SecurityGroups"] if g["GroupName"].startswith("tapstack-capture-"))
    assert {(p["IpProtocol"], p["FromPort"]) for p in capture["IpPermissions"]} == {("udp", 4789), ("tcp", 443)}
    appliance = outputs["portal_password"]["value"]  # the stand-in's password is its instance id
    instance = company.ec2.describe_instances(InstanceIds=[appliance])["Reservations"][0]["Instances"][0]
    attached = [group["GroupId"] for interface in instance["NetworkInterfaces"] for group in interface["Groups"]]
    assert capture["GroupId"] in attached

    # It stays: a second plan is empty, and state lies where the file says.
    assert _changes(terraform, stack) == {}
    assert (tmp_path / "state" / "tapstack" / "ward.tfstate").is_file()

    # A source is added and one removed: nothing else is touched.
    _synthesize(_deployment(company, [third, second]), tmp_path)
    written = "aws_ec2_traffic_mirror_session.written"
    assert _changes(terraform, stack) == {f'{written}["{first}"]': ["delete"], f'{written}["{third}"]': ["create"]}

    # It goes: nothing of ours is left.
    terraform(stack, "destroy", "-auto-approve", "-input=false")
    assert _sessions(company) == {}
    groups = company.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [company.vpc]}])
    assert [group["GroupName"] for group in groups["SecurityGroups"]] == ["default"]
