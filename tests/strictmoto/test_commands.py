"""Commands of Systems Manager go to the instances that they name, and to no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strictmoto.account import Account
from tests.strictmoto.ec2.mirroring.network import refused
from tests.strictmoto.iam.conftest import Enforcing

RUN = "AWS-RunShellScript"


def launch(ec2: Any, tag: str) -> str:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "role", "Value": tag}]}]
    made = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, TagSpecifications=tags)["Instances"]
    return str(made[0]["InstanceId"])


def sent(ssm: Any, **given: Any) -> set[str]:
    return set(ssm.send_command(DocumentName=RUN, **given)["Command"]["InstanceIds"])


def test_when_a_command_names_instances_then_it_goes_to_those(aws_account: Account) -> None:
    """SendCommand, InstanceIds and Targets, all of which count."""
    ec2, ssm = aws_account.client("ec2"), aws_account.client("ssm")
    web, other, stopped = (launch(ec2, tag) for tag in ("web", "db", "web"))
    ec2.stop_instances(InstanceIds=[stopped])
    assert sent(ssm, InstanceIds=[web]) == {web}
    assert sent(ssm, Targets=[{"Key": "InstanceIds", "Values": [other]}]) == {other}
    by_tag = {"Key": "tag:role", "Values": ["web"]}
    assert sent(ssm, Targets=[by_tag]) == {web}
    assert sent(ssm, Targets=[{"Key": "tag-key", "Values": ["role"]}]) == {web, other}
    assert sent(ssm, Targets=[by_tag, {"Key": "InstanceIds", "Values": [other]}]) == set()


def test_fails_when_an_instance_or_a_document_is_not_there(aws_account: Account) -> None:
    ec2, ssm = aws_account.client("ec2"), aws_account.client("ssm")
    web = launch(ec2, "web")
    with refused("InvalidInstanceId", "not in a valid state"):
        sent(ssm, InstanceIds=[web, "i-0123456789abcdef0"])
    with refused("InvalidDocument", "absent"):
        ssm.send_command(DocumentName="absent", InstanceIds=[web])
    content = json.dumps({"schemaVersion": "2.2", "mainSteps": []})
    ssm.create_document(Name="own", Content=content, DocumentType="Command")
    assert ssm.send_command(DocumentName="own", InstanceIds=[web])


@pytest.fixture
def enforcing(aws_account: Account) -> Enforcing:
    aws_account.enforces_iam = True
    return Enforcing(aws_account)


def test_when_targets_are_tags_then_iam_is_asked_about_each_instance(enforcing: Enforcing) -> None:
    """Also by the tags of the instances, as Systems Manager and EC2 name them."""
    ec2 = enforcing.client("ec2")
    for tag in ("web", "db"):
        launch(ec2, tag)
    document = {"Action": "ssm:SendCommand", "Resource": f"arn:aws:ssm:*::document/{RUN}"}
    condition = {"StringEquals": {"ssm:resourceTag/role": "web"}}
    on_web = {"Action": "ssm:SendCommand", "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": condition}
    ssm = enforcing.worker("ssm", document, on_web)
    assert sent(ssm, Targets=[{"Key": "tag:role", "Values": ["web"]}])
    with refused("AccessDeniedException", "ssm:SendCommand"):
        sent(ssm, Targets=[{"Key": "tag-key", "Values": ["role"]}])
