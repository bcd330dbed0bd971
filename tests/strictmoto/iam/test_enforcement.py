"""Calls that IAM does not allow are refused, with the error of their service, and change nothing."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from strictmoto.identity.principals import Credentials
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal

REGION: Final = "eu-central-1"
WORKER: Final = f"arn:aws:sts::{HERE}:assumed-role/worker-0/strictmoto"
NO: Final = "because no identity-based policy allows the"


@pytest.mark.parametrize(
    ("service", "method", "arguments", "code", "status", "message"),
    [
        (
            "ec2",
            "describe_vpcs",
            {},
            "UnauthorizedOperation",
            403,
            f"You are not authorized to perform this operation. User: {WORKER} is not authorized to perform: "
            f"ec2:DescribeVpcs {NO} ec2:DescribeVpcs action",
        ),
        (
            "dynamodb",
            "get_item",
            {"TableName": "t", "Key": {"pk": {"S": "1"}}},
            "AccessDeniedException",
            400,
            f"User: {WORKER} is not authorized to perform: dynamodb:GetItem on resource: "
            f"arn:aws:dynamodb:{REGION}:{HERE}:table/t {NO} dynamodb:GetItem action",
        ),
        (
            "lambda",
            "invoke",
            {"FunctionName": "f"},
            "AccessDeniedException",
            403,
            f"User: {WORKER} is not authorized to perform: lambda:InvokeFunction on resource: "
            f"arn:aws:lambda:{REGION}:{HERE}:function:f {NO} lambda:InvokeFunction action",
        ),
        (
            "iam",
            "get_role",
            {"RoleName": "worker-0"},
            "AccessDenied",
            403,
            f"User: {WORKER} is not authorized to perform: iam:GetRole on resource: "
            f"arn:aws:iam::{HERE}:role/worker-0 {NO} iam:GetRole action",
        ),
        (
            "s3",
            "get_object",
            {"Bucket": "b", "Key": "k"},
            "AccessDenied",
            403,
            f"User: {WORKER} is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k "
            f"{NO} s3:GetObject action",
        ),
        (
            "sns",
            "publish",
            {"TopicArn": f"arn:aws:sns:{REGION}:{HERE}:t", "Message": "m"},
            "AuthorizationError",
            403,
            f"User: {WORKER} is not authorized to perform: sns:Publish on resource: "
            f"arn:aws:sns:{REGION}:{HERE}:t {NO} sns:Publish action",
        ),
        (
            "sqs",
            "send_message",
            {"QueueUrl": f"https://sqs.{REGION}.amazonaws.com/{HERE}/q", "MessageBody": "m"},
            "AccessDenied",
            403,
            f"User: {WORKER} is not authorized to perform: sqs:SendMessage on resource: "
            f"arn:aws:sqs:{REGION}:{HERE}:q {NO} sqs:SendMessage action",
        ),
        (
            "scheduler",
            "get_schedule",
            {"Name": "s"},
            "AccessDeniedException",
            403,
            f"User: {WORKER} is not authorized to perform: scheduler:GetSchedule on resource: "
            f"arn:aws:scheduler:{REGION}:{HERE}:schedule/default/s {NO} scheduler:GetSchedule action",
        ),
        (
            "cloudformation",
            "describe_stacks",
            {"StackName": "s"},
            "AccessDenied",
            403,
            f"User: {WORKER} is not authorized to perform: cloudformation:DescribeStacks on resource: "
            f"arn:aws:cloudformation:{REGION}:{HERE}:stack/s/* {NO} cloudformation:DescribeStacks action",
        ),
    ],
)
def test_fails_when_no_policy_allows_a_call(
    enforcing: Enforcing,
    service: str,
    method: str,
    arguments: dict[str, Any],
    code: str,
    status: int,
    message: str,
) -> None:
    client = enforcing.worker(service)
    assert refusal(getattr(client, method), **arguments) == (code, message)
    record = enforcing.account.recorder.records()[-1]
    assert (record.status, record.error) == (status, code)


def test_when_a_policy_allows_a_call_then_it_is_answered(enforcing: Enforcing) -> None:
    ec2 = enforcing.worker("ec2", {"Action": "ec2:DescribeVpcs"})
    assert ec2.describe_vpcs()["Vpcs"]
    assert refusal(ec2.describe_subnets)[0] == "UnauthorizedOperation"


def test_when_iam_is_not_enforced_then_every_caller_may_do_anything(enforcing: Enforcing) -> None:
    ec2 = enforcing.worker("ec2")
    enforcing.account.enforces_iam = False
    assert ec2.describe_vpcs()["Vpcs"]


def test_when_a_call_is_refused_then_nothing_is_changed(enforcing: Enforcing) -> None:
    ec2 = enforcing.worker("ec2", {"Action": "ec2:Describe*"})
    before = ec2.describe_vpcs()["Vpcs"]
    assert refusal(ec2.create_vpc, CidrBlock="10.9.0.0/16")[0] == "UnauthorizedOperation"
    assert ec2.describe_vpcs()["Vpcs"] == before


def test_when_it_is_a_dry_run_then_permissions_are_what_is_tried(enforcing: Enforcing) -> None:
    allowed = enforcing.worker("ec2", {"Action": "ec2:CreateTrafficMirrorFilter"})
    assert refusal(allowed.create_traffic_mirror_filter, DryRun=True)[0] == "DryRunOperation"
    assert refusal(enforcing.worker("ec2").create_traffic_mirror_filter, DryRun=True)[0] == "UnauthorizedOperation"


def test_when_a_policy_changes_then_the_next_call_is_held_against_it(enforcing: Enforcing) -> None:
    ec2 = enforcing.worker("ec2")
    assert refusal(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
    name = {"RoleName": "worker-0", "PolicyName": "work"}
    enforcing.client("iam").put_role_policy(**name, PolicyDocument=policy({"Action": "ec2:DescribeVpcs"}))
    assert ec2.describe_vpcs()
    enforcing.client("iam").delete_role_policy(**name)
    assert refusal(ec2.describe_vpcs)[0] == "UnauthorizedOperation"


def test_when_a_policy_is_attached_then_it_counts_as_well_as_inline_ones(enforcing: Enforcing) -> None:
    """AWS's own policies are there, and so are the account's."""
    ec2 = enforcing.worker("ec2")
    iam = enforcing.client("iam")
    reading = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    iam.attach_role_policy(RoleName="worker-0", PolicyArn=reading)
    assert ec2.describe_vpcs()
    assert refusal(ec2.create_vpc, CidrBlock="10.9.0.0/16")[0] == "UnauthorizedOperation"
    iam.detach_role_policy(RoleName="worker-0", PolicyArn=reading)
    own = iam.create_policy(PolicyName="own", PolicyDocument=policy({"Action": "ec2:CreateVpc"}))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="worker-0", PolicyArn=own)
    assert ec2.create_vpc(CidrBlock="10.9.0.0/16")
    assert refusal(ec2.describe_vpcs)[0] == "UnauthorizedOperation"


def test_when_a_role_has_a_boundary_then_nothing_beyond_it_is_allowed(enforcing: Enforcing) -> None:
    document = policy({"Action": "ec2:DescribeVpcs"})
    boundary = enforcing.client("iam").create_policy(PolicyName="bound", PolicyDocument=document)["Policy"]["Arn"]
    ec2 = enforcing.worker("ec2", {"Action": "ec2:*"}, PermissionsBoundary=boundary)
    assert ec2.describe_vpcs()
    code, message = refusal(ec2.describe_subnets)
    assert code == "UnauthorizedOperation"
    assert message.endswith("because no permissions boundary allows the ec2:DescribeSubnets action")


def test_when_a_user_calls_then_its_policies_and_those_of_its_groups_count(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    iam.create_user(UserName="ann")
    iam.create_group(GroupName="network")
    iam.add_user_to_group(UserName="ann", GroupName="network")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    ec2 = enforcing.account._make_client("ec2", REGION, 0, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    _, message = refusal(ec2.describe_vpcs)
    assert f"User: arn:aws:iam::{HERE}:user/ann is not authorized" in message
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy({"Action": "ec2:DescribeVpcs"}))
    assert ec2.describe_vpcs()
    iam.put_group_policy(GroupName="network", PolicyName="p", PolicyDocument=policy({"Action": "ec2:DescribeSubnets"}))
    assert ec2.describe_subnets()


class TestConditions:
    def test_when_a_tag_of_what_exists_is_compared_then_it_is_its_tag_now(self, enforcing: Enforcing) -> None:
        statement = {"Action": "ec2:DeleteVpc", "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}
        worker, ec2 = enforcing.worker("ec2", statement), enforcing.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        assert refusal(worker.delete_vpc, VpcId=vpc)[0] == "UnauthorizedOperation"
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": "team", "Value": "blue"}])
        worker.delete_vpc(VpcId=vpc)

    def test_when_a_tag_of_the_request_is_compared_then_creating_and_tagging_are_asked(
        self, enforcing: Enforcing
    ) -> None:
        tagged = {"StringEquals": {"aws:RequestTag/team": "blue"}}
        tagging = {"Action": "ec2:CreateTags", "Condition": {"StringEquals": {"ec2:CreateAction": "CreateVpc"}}}
        worker = enforcing.worker("ec2", {"Action": "ec2:CreateVpc", "Condition": tagged}, tagging)
        given = [{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "blue"}]}]
        assert refusal(worker.create_vpc, CidrBlock="10.9.0.0/16")[0] == "UnauthorizedOperation"
        assert worker.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=given)
        untagging = enforcing.worker("ec2", {"Action": "ec2:CreateVpc", "Condition": tagged})
        _, message = refusal(untagging.create_vpc, CidrBlock="10.9.0.0/16", TagSpecifications=given)
        assert "is not authorized to perform: ec2:CreateTags" in message

    def test_when_the_vpc_of_a_resource_is_compared_then_it_is_where_it_lies(self, enforcing: Enforcing) -> None:
        ec2 = enforcing.client("ec2")
        mine, other = (ec2.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in (8, 9))
        scope = {"ArnEquals": {"ec2:Vpc": f"arn:aws:ec2:{REGION}:{HERE}:vpc/{mine}"}}
        worker = enforcing.worker("ec2", {"Action": "ec2:DeleteSecurityGroup", "Condition": scope})
        groups = [
            ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"] for vpc in (mine, other)
        ]
        worker.delete_security_group(GroupId=groups[0])
        assert refusal(worker.delete_security_group, GroupId=groups[1])[0] == "UnauthorizedOperation"

    def test_when_partitions_of_a_table_are_named_then_only_those_are_reached(self, enforcing: Enforcing) -> None:
        enforcing.client("dynamodb").create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "owner", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "owner", "KeyType": "HASH"}],
        )
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:PrincipalTag/team}"]}}
        worker = enforcing.worker(
            "dynamodb", {"Action": "dynamodb:*", "Condition": own}, Tags=[{"Key": "team", "Value": "blue"}]
        )
        blue, red = ({"owner": {"S": team}} for team in ("blue", "red"))
        worker.put_item(TableName="t", Item=blue)
        assert worker.get_item(TableName="t", Key=blue)["Item"] == blue
        asked = {"TableName": "t", "KeyConditionExpression": "#o = :o", "ExpressionAttributeNames": {"#o": "owner"}}
        assert worker.query(**asked, ExpressionAttributeValues={":o": blue["owner"]})["Items"] == [blue]
        refused = [
            refusal(worker.get_item, TableName="t", Key=red),
            refusal(worker.query, **asked, ExpressionAttributeValues={":o": red["owner"]}),
            refusal(worker.batch_get_item, RequestItems={"t": {"Keys": [blue, red]}}),
            refusal(worker.batch_write_item, RequestItems={"t": [{"PutRequest": {"Item": red}}]}),
            refusal(worker.transact_write_items, TransactItems=[{"Put": {"TableName": "t", "Item": red}}]),
        ]
        assert {code for code, _ in refused} == {"AccessDeniedException"}

    @pytest.mark.parametrize(
        ("condition", "allowed"),
        [
            ({"Bool": {"aws:SecureTransport": "true"}}, True),
            ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
            ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, False),
            ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
            ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
            ({"NumericGreaterThan": {"aws:EpochTime": "1577836800"}}, True),
            ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
            ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, False),
            ({"StringEquals": {"aws:PrincipalAccount": HERE}}, True),
            ({"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{HERE}:role/worker-0"}}, True),
            ({"StringLike": {"aws:userid": "*:strictmoto"}}, True),
            ({"StringEquals": {"aws:PrincipalType": "AssumedRole"}}, True),
            ({"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, False),
            ({"Bool": {"aws:ViaAWSService": "false"}}, True),
            ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
            ({"StringLike": {"aws:UserAgent": "*Boto3*"}}, True),
        ],
    )
    def test_when_a_global_key_is_compared_then_it_has_its_value(
        self, enforcing: Enforcing, condition: Any, allowed: bool
    ) -> None:
        worker = enforcing.worker("ec2", {"Action": "ec2:DescribeVpcs", "Condition": condition})
        if allowed:
            assert worker.describe_vpcs()
        else:
            assert refusal(worker.describe_vpcs)[0] == "UnauthorizedOperation"

    def test_when_a_key_has_no_value_here_then_the_refusal_says_so(self, enforcing: Enforcing) -> None:
        worker = enforcing.worker("ec2", {"Action": "*", "Condition": {"StringEquals": {"aws:Referer": "blue"}}})
        _, message = refusal(worker.describe_vpcs)
        assert message.endswith("(strictmoto gives no value to aws:Referer, which a policy compares)")


def test_when_a_role_is_passed_to_a_service_then_passing_it_is_asked_too(enforcing: Enforcing) -> None:
    passed = enforcing.role("machine", trust={"Service": "states.amazonaws.com"})
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    asked = {"name": "m", "definition": definition, "roleArn": passed}
    worker = enforcing.worker("stepfunctions", {"Action": "states:CreateStateMachine"})
    _, message = refusal(worker.create_state_machine, **asked)
    assert f"is not authorized to perform: iam:PassRole on resource: {passed}" in message
    passing = {
        "Action": "iam:PassRole",
        "Resource": passed,
        "Condition": {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}},
    }
    worker = enforcing.worker("stepfunctions", {"Action": "states:CreateStateMachine"}, passing)
    assert worker.create_state_machine(**asked)


def test_when_an_organization_limits_an_account_then_that_holds_for_all_in_it(enforcing: Enforcing) -> None:
    organizations = enforcing.client("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    member = organizations.create_account(Email="a@example.com", AccountName="a")["CreateAccountStatus"]["AccountId"]
    admin = enforcing.client("iam", role_arn=f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole")
    assert admin.list_roles()
    document = policy({"Effect": "Deny", "Action": "iam:ListRoles"})
    named = {"Name": "none", "Description": "none", "Type": "SERVICE_CONTROL_POLICY"}
    made = organizations.create_policy(**named, Content=document)["Policy"]["PolicySummary"]["Id"]
    organizations.attach_policy(PolicyId=made, TargetId=member)
    code, message = refusal(admin.list_roles)
    assert (code, message.rpartition("iam:ListRoles ")[2]) == (
        "AccessDenied",
        "with an explicit deny in a service control policy",
    )
    assert enforcing.client("iam").list_roles()
