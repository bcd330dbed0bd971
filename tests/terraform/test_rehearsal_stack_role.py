"""The role of an appliance's stack whose template may make roles, with real Terraform in the rehearsal account."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strictmoto.account import ACCOUNT_ID
from strictmoto.recorder import Record
from strictmoto.testing.least_privilege import policies_of, prove
from strictmoto.testing.resource_conditions import attributes_now, tags_now
from tapstack.rehearsal.deployment import DeploymentFailedError
from tapstack.rehearsal.packet_basics import publish_template, template_body, vendor_client
from tests.end_to_end.appliance_templates import (
    NESTED,
    everything,
    nested_updated,
    nesting,
    updated,
    with_role,
)
from tests.terraform.small_site import REGION, SmallSite
from tests.terraform.small_site import ward as ward

STACK = "tapstack-ward-packet-basics"
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/{STACK}-role"
BOUNDARY = f"arn:aws:iam::{ACCOUNT_ID}:policy/{STACK}-boundary"
WITH_BOUNDARY = f"PermissionsBoundary: {BOUNDARY}"
BUCKET = "awsmp-fulfillment-cf-templates-prod"


class Stack:
    """The appliance of a site, whose template the tests choose."""

    def __init__(self, ward: SmallSite) -> None:
        self.ward = ward
        publish_template(ward.account.client("s3"))
        self.basics: dict[str, Any] = {
            "subnet_id": ward.company.shop.private[0],
            "remote_access_cidr": "10.1.0.0/16",
        }
        ward.site["packet_basics"] = self.basics

    def publish(self, name: str, body: str) -> str:
        vendor_client(REGION).put_object(Bucket=BUCKET, Key=f"{name}.template", Body=body.encode())
        return f"https://s3.amazonaws.com/{BUCKET}/{name}.template"

    def template(self, name: str, body: str) -> None:
        """Let the next deploy be with this template."""
        self.basics["template_url"] = self.publish(name, body)

    def described(self, name: str = STACK) -> dict[str, Any]:
        client = self.ward.account.client("cloudformation")
        return dict(client.describe_stacks(StackName=name)["Stacks"][0])

    def instances(self) -> list[str]:
        found = self.ward.account.client("ec2").describe_instances(
            Filters=[
                {"Name": "tag-key", "Values": ["tapstack:deletion-protection"]},
                {"Name": "instance-state-name", "Values": ["running"]},
            ]
        )
        return [one["InstanceId"] for group in found["Reservations"] for one in group["Instances"]]

    def roles(self) -> dict[str, str | None]:
        """Return the boundaries of what stands in IAM for the stack, by the role's name."""
        iam = self.ward.account.client("iam")
        names = [
            role["RoleName"] for role in iam.list_roles()["Roles"] if role["RoleName"].startswith("tapstack-ward-")
        ]
        given = {name: iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary") for name in names}
        return {name: boundary and boundary["PermissionsBoundaryArn"] for name, boundary in given.items()}


@pytest.fixture
def stack(ward: SmallSite) -> Stack:
    return Stack(ward)


@pytest.mark.long
def test_when_a_template_may_make_roles_then_only_with_the_boundary_and_by_a_role_that_stays_with_the_stack(
    stack: Stack,
) -> None:
    ward, basics = stack.ward, stack.basics
    stack.template("plain", template_body())
    ward.apply()
    existing = stack.instances()
    assert "RoleARN" not in stack.described()

    # An update in place, of a stack that stands.
    basics["capabilities"] = ["CAPABILITY_IAM"]
    stack.template("unbounded", _another_role("Description: no boundary"))
    with pytest.raises(DeploymentFailedError) as refused:
        ward.apply()
    said = re.sub(r"\s+", " ", str(refused.value).replace("│", ""))
    assert f"assumed-role/{STACK}-role/AWSCloudFormation is not authorized to perform: iam:CreateRole" in said
    assert "with an explicit deny in an identity-based policy" in said
    assert stack.described()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stack.roles() == {f"{STACK}-role": None}

    stack.template("bounded", _another_role(WITH_BOUNDARY))
    assert set(ward.apply()) == {"UpdateStack"}
    assert stack.described()["RoleARN"] == ROLE
    [role] = set(stack.roles()) - {f"{STACK}-role"}
    assert stack.roles()[role] == BOUNDARY
    ward.site["tags"] = {"team": "soc"}
    assert "UpdateStack" in ward.apply()
    assert stack.instances() == existing

    # CloudFormation takes no role off a stack, and what the roles are bounded by stays, too.
    mine = f"arn:aws:iam::{ACCOUNT_ID}:policy/mine"
    for change in (lambda: basics.pop("capabilities"), lambda: basics.update(permissions_boundary=mine)):
        before = dict(basics)
        change()
        with pytest.raises(DeploymentFailedError, match="Instance cannot be destroyed"):
            ward.apply()
        basics.clear()
        basics.update(before)
    assert ward.apply() == []

    # On request: another stack, and then the old one by its role, which goes last.
    basics["deletion_protection"] = False
    ward.apply()
    del basics["capabilities"]
    basics["stack_name"] = "another"
    stack.template("plain", template_body())
    made = ward.apply()
    order = [made.index(action) for action in ("CreateStack", "DeleteStack", "DeleteRolePolicy", "DeleteRole")]
    assert order == sorted(order)
    assert made.index("DeleteStack") < made.index("DeletePolicy")
    assert "RoleARN" not in stack.described("another")
    assert stack.roles() == {}
    ward.deployed.destroy()


@pytest.mark.long
def test_when_a_stack_with_a_role_is_made_updated_and_destroyed_then_whatever_the_role_allows_was_needed(
    stack: Stack,
) -> None:
    ward, account = stack.ward, stack.ward.account
    ec2, s3 = account.client("ec2"), account.client("s3")
    ec2.create_key_pair(KeyName="operators")
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]
    scale, account.waits.scale = account.waits.scale, 1e-6
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]  # complete before the next call
    account.waits.scale = scale
    full = everything(template_body(), "operators", snapshot)
    s3.create_bucket(Bucket="nested", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="nested", Key="nested.template", Body=NESTED.encode())
    nested = nesting(template_body(), "https://s3.amazonaws.com/nested/nested.template")
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::nested/*"}
    s3.delete_public_access_block(Bucket="nested")
    s3.put_bucket_policy(Bucket="nested", Policy=json.dumps({"Version": "2012-10-17", "Statement": [read]}))
    tags: dict[str, dict[str, str]] = {}
    attributes: dict[str, dict[str, str]] = {}

    def note_created(record: Record) -> None:
        if record.call.action in ("CreateStack", "CreateNetworkInterface"):
            note()

    def note() -> None:
        attributes.update(attributes_now(account, region=REGION))
        for name, found in tags_now(account, region=REGION).items():
            tags.setdefault(name, found)

    tagged = f"Tags: [{{Key: purpose, Value: packets}}]\n      {WITH_BOUNDARY}"
    basics = stack.basics
    basics |= {"capabilities": ["CAPABILITY_IAM"], "deletion_protection": False}
    note()
    with account.recorder.heard_by(note_created):
        basics["mirror_source"] = ward.company.interfaces["web-1"][0]
        stack.template("full", with_role(full, tagged))
        ward.apply()
        note()
        ward.site["tags"] = {"team": "soc"}
        stack.template("updated", with_role(updated(full), WITH_BOUNDARY))
        ward.apply()
        note()
        policies = policies_of(account, [ROLE])
        ward.deployed.destroy()

        del basics["mirror_source"]
        stack.template("nested", nested)
        ward.apply()
        note()
        del ward.site["tags"]
        stack.template("nested-updated", nested_updated(nested))
        ward.write()
        _another_release(ward.deployed._directory / "cdk.tf.json")
        ward.deployed.apply()
        note()
        ward.deployed.destroy()
    proof = prove(account.recorder.records(), policies, tags, attributes=attributes)
    assert proof.judged > 100
    # The bucket of the nested template lets every principal in the account read it.
    assert [str(one) for one in proof.refusals if one.action != "s3:GetObject"] == []
    assert [str(one) for one in proof.redundant] == []
    assert [str(one) for one in proof.surplus if not _is_wildcard(one.action, one.resource)] == []
    assert stack.roles() == {}

    # What Terraform itself asked of IAM is what the docs say to add to the policies of the roles that deploy.
    assert {
        (authorization.action, authorization.resources)
        for record in account.recorder.records()
        if record.principal.endswith(":root") and not record.invoked_by
        for authorization in record.authorizations
        if authorization.action.startswith("iam:") and STACK in str(authorization.resources)
    } == {
        (f"iam:{action}", (f"arn:aws:iam::{ACCOUNT_ID}:{kind}/{STACK}-{name}",))
        for kind, name, actions in _documented()
        for action in actions
    }


def _documented() -> Iterator[tuple[str, str, list[str]]]:
    """Yield what the page on the deploying roles says of this setting: kind and name of a resource, and actions."""
    page = (Path(__file__).parents[2] / "docs/iam/README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `packet_basics.capabilities`.*\| (.*) \| `.*:(\w+)/PROJECT-\*-packet-basics-(\w+)` \|$", page, re.M
    )
    for actions, kind, name in rows:
        yield kind, name, re.findall(r"`(?:iam:)?([A-Z]\w+)`", actions)


def _another_release(file: Path) -> None:
    """Change synthesized Terraform as another release of Tapstack would."""
    terraform = json.loads(file.read_text(encoding="utf-8"))
    for kind, argument, old in (("aws_iam_role", "description", "Tapstack"), ("aws_iam_policy", "policy", "Metering")):
        (resource,) = terraform["resource"][kind].values()
        resource[argument] = resource[argument].replace(old, f"{old}Anew")
    file.write_text(json.dumps(terraform), encoding="utf-8")


def _another_role(more: str) -> str:
    """Return a template with a role, and an instance that stays as it is."""
    return with_role(template_body(), more).replace("      IamInstanceProfile: !Ref ApplianceProfile\n", "")


def _is_wildcard(action: str, resource: str) -> bool:
    """Whether it is a reading, or one of the capital letters that names of roles may begin with: two are used."""
    letters = set(string.ascii_uppercase) - {"A"}
    return action.startswith("ec2:Describe") or (resource[-1:] == "*" and resource[-2:-1] in letters)
