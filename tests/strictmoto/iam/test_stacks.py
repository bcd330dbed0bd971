"""What a stack does for its resources is recorded, and asked of IAM: as its service role, or as who called."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from strictmoto.recorder import Record
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal

STACKS: Final = {"Action": "cloudformation:*"}
BY: Final = "cloudformation.amazonaws.com"
CLOUDFORMATION: Final = {"Service": BY}
FILTER: Final = {"Filter": {"Type": "AWS::EC2::TrafficMirrorFilter", "Properties": {}}}
QUEUE: Final = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "q"}}}
MAKE: Final = {"Action": ["ec2:CreateTrafficMirrorFilter", "ec2:DescribeTrafficMirrorFilters"]}
DELETE: Final = {"Action": ["ec2:DeleteTrafficMirrorFilter", "ec2:DescribeTrafficMirrorFilters"]}
TAGGED: Final = [{"Key": "team", "Value": "soc"}]


def create(stacks: Any, resources: dict[str, Any], **more: Any) -> str:
    """Make a stack, and return its status."""
    body = json.dumps({"Resources": resources})
    stacks.create_stack(StackName="tap", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"], **more)
    return status(stacks)


def status(stacks: Any, name: str = "tap") -> str:
    return str(stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def reasons(stacks: Any, name: str = "tap") -> list[str]:
    """Return why resources failed, oldest first."""
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    return [
        event["ResourceStatusReason"]
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED") and event["LogicalResourceId"] != "tap"
    ]


def recorded(enforcing: Enforcing) -> list[Record]:
    return [record for record in enforcing.account.recorder.records() if record.invoked_by]


def actions(enforcing: Enforcing) -> list[str]:
    return [f"{record.call.service}:{record.call.action}" for record in recorded(enforcing)]


def service_role(enforcing: Enforcing, *statements: dict[str, Any]) -> str:
    return enforcing.role("stacks", *statements, trust=CLOUDFORMATION)


class TestWhoseCallsTheyAre:
    """The service role's where the stack has one, or the caller's."""

    def test_when_a_stack_has_a_role_then_its_calls_are_the_roles(self, enforcing: Enforcing) -> None:
        role = service_role(enforcing, MAKE, DELETE)
        caller = enforcing.worker("cloudformation", STACKS, {"Action": "iam:PassRole"})
        assert create(caller, FILTER, RoleARN=role) == "CREATE_COMPLETE"
        caller.delete_stack(StackName="tap")
        assert actions(enforcing) == [
            "ec2:CreateTrafficMirrorFilter",
            "ec2:DescribeTrafficMirrorFilters",
            "ec2:DescribeTrafficMirrorFilters",
            "ec2:DeleteTrafficMirrorFilter",
        ]
        assert {(record.principal, record.invoked_by) for record in recorded(enforcing)} == {(role, BY)}
        assert recorded(enforcing)[0].as_dict()["invoked_by"] == BY
        assert recorded(enforcing)[0].created[0].startswith("tmf-")
        assert "aws:CalledVia" not in recorded(enforcing)[0].authorizations[0].context

    def test_when_it_has_none_then_they_are_the_callers(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, MAKE)
        assert create(caller, FILTER) == "CREATE_COMPLETE"
        assert {record.principal for record in recorded(enforcing)} == {f"arn:aws:iam::{HERE}:role/worker-0"}
        assert recorded(enforcing)[0].authorizations[0].context["aws:CalledVia"] == (BY,)
        # Another one deletes it: the rights of who made it do not count.
        other = enforcing.worker("cloudformation", STACKS, DELETE)
        other.delete_stack(StackName="tap")
        assert recorded(enforcing)[-1].principal == f"arn:aws:iam::{HERE}:role/worker-1"

    def test_when_a_change_set_is_executed_then_they_are_of_who_executes_it(self, enforcing: Enforcing) -> None:
        given = {"StackName": "tap", "ChangeSetName": "c", "TemplateBody": json.dumps({"Resources": FILTER})}
        enforcing.worker("cloudformation", STACKS).create_change_set(ChangeSetType="CREATE", **given)
        assert recorded(enforcing) == []
        may = enforcing.worker("cloudformation", STACKS, MAKE)
        may.execute_change_set(StackName="tap", ChangeSetName="c")
        assert status(may) == "CREATE_COMPLETE"
        assert {record.principal for record in recorded(enforcing)} == {f"arn:aws:iam::{HERE}:role/worker-1"}

    def test_when_a_role_is_given_to_delete_with_then_it_deletes(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, MAKE, {"Action": "iam:PassRole"})
        create(caller, FILTER)
        role = service_role(enforcing, DELETE)
        caller.delete_stack(StackName="tap", RoleARN=role)
        assert recorded(enforcing)[-1].principal == role
        assert not enforcing.client("ec2").describe_traffic_mirror_filters()["TrafficMirrorFilters"]

    def test_fails_when_the_role_is_gone(self, enforcing: Enforcing) -> None:
        role, stacks = service_role(enforcing, MAKE), enforcing.client("cloudformation")
        create(stacks, FILTER, RoleARN=role)
        iam = enforcing.client("iam")
        iam.delete_role_policy(RoleName="stacks", PolicyName="work")
        iam.delete_role(RoleName="stacks")
        said = f"Role {role} is invalid or cannot be assumed"
        assert refusal(stacks.delete_stack, StackName="tap") == ("ValidationError", said)
        assert status(stacks) == "CREATE_COMPLETE"

    def test_when_iam_is_not_enforced_then_they_are_recorded_all_the_same(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation")
        enforcing.account.enforces_iam = False
        assert create(caller, FILTER) == "CREATE_COMPLETE"
        assert {record.principal for record in recorded(enforcing)} == {f"arn:aws:iam::{HERE}:role/worker-0"}

    @pytest.mark.parametrize(
        ("condition", "forwarded", "with_a_role"),
        [
            ({"ForAnyValue:StringEquals": {"aws:CalledVia": BY}}, True, False),
            ({"StringEquals": {"aws:CalledViaFirst": BY, "aws:CalledViaLast": BY}}, True, False),
            ({"Bool": {"aws:ViaAWSService": "true"}}, True, False),
            ({"Bool": {"aws:ViaAWSService": "false"}}, False, True),
            ({"StringEquals": {"aws:UserAgent": BY}}, True, True),
            ({"Null": {"aws:SourceIp": "true"}}, True, True),
        ],
    )
    def test_when_conditions_compare_how_it_was_called_then_the_keys_have_values(
        self, enforcing: Enforcing, condition: dict[str, Any], forwarded: bool, with_a_role: bool
    ) -> None:
        statement = {**MAKE, "Condition": condition}
        caller = enforcing.worker("cloudformation", STACKS, {"Action": "iam:PassRole"}, statement)
        made = create(caller, FILTER, OnFailure="DO_NOTHING") == "CREATE_COMPLETE"
        assert made is forwarded
        role = service_role(enforcing, statement)
        body = json.dumps({"Resources": FILTER})
        caller.create_stack(StackName="other", TemplateBody=body, RoleARN=role, OnFailure="DO_NOTHING")
        assert (status(caller, "other") == "CREATE_COMPLETE") is with_a_role


class TestRefusals:
    """They fail the resource, in AWS's words."""

    def test_fails_when_the_caller_may_not_make_it(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS)
        assert create(caller, FILTER) == "ROLLBACK_COMPLETE"
        arn = f"arn:aws:sts::{HERE}:assumed-role/worker-0/strictmoto"
        assert reasons(caller) == [
            "API: ec2:CreateTrafficMirrorFilter You are not authorized to perform this operation. "
            f"User: {arn} is not authorized to perform: ec2:CreateTrafficMirrorFilter on resource: "
            f"arn:aws:ec2:eu-central-1:{HERE}:traffic-mirror-filter/* because no identity-based policy allows the "
            "ec2:CreateTrafficMirrorFilter action"
        ]
        [record] = recorded(enforcing)
        assert (record.status, record.error) == (403, "UnauthorizedOperation")

    def test_fails_when_the_role_may_not_make_it(self, enforcing: Enforcing) -> None:
        role, stacks = service_role(enforcing), enforcing.client("cloudformation")
        table = {"AttributeName": "pk", "KeyType": "HASH"}
        properties = {
            "TableName": "t",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [table],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        }
        resources = {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}
        assert create(stacks, resources, RoleARN=role) == "ROLLBACK_COMPLETE"
        [reason] = reasons(stacks)
        assert reason.startswith(
            f'Resource handler returned message: "User: arn:aws:sts::{HERE}:assumed-role/stacks/AWSCloudFormation is '
            f"not authorized to perform: dynamodb:CreateTable on resource: "
            f"arn:aws:dynamodb:eu-central-1:{HERE}:table/t because no identity-based policy allows the "
            "dynamodb:CreateTable action (Service: Dynamo"
        )
        assert reason.endswith("HandlerErrorCode: AccessDenied)")

    @pytest.mark.parametrize(
        ("on_failure", "left"), [("ROLLBACK", "ROLLBACK_COMPLETE"), ("DO_NOTHING", "CREATE_FAILED"), ("DELETE", "")]
    )
    def test_fails_as_on_failure_says(self, enforcing: Enforcing, on_failure: str, left: str) -> None:
        caller = enforcing.worker("cloudformation", STACKS, MAKE, DELETE)
        resources = {**FILTER, "Other": {**QUEUE["Queue"], "DependsOn": "Filter"}}
        body = json.dumps({"Resources": resources})
        made = caller.create_stack(StackName="tap", TemplateBody=body, OnFailure=on_failure)["StackId"]
        assert status(caller, made) == (left or "DELETE_COMPLETE")
        filters = enforcing.client("ec2").describe_traffic_mirror_filters()["TrafficMirrorFilters"]
        assert bool(filters) is (on_failure == "DO_NOTHING")

    def test_fails_when_it_may_not_be_deleted(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, MAKE)
        create(caller, FILTER)
        caller.delete_stack(StackName="tap")
        assert status(caller) == "DELETE_FAILED"
        assert reasons(caller)[0].startswith("API: ec2:DeleteTrafficMirrorFilter You are not authorized")
        # The root user may: then it ends.
        stacks = enforcing.client("cloudformation")
        stacks.delete_stack(StackName="tap")
        assert not stacks.describe_stacks()["Stacks"]

    def test_fails_when_it_may_not_be_changed(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, MAKE)
        create(caller, FILTER)
        changed = {"Filter": {**FILTER["Filter"], "Properties": {"NetworkServices": ["amazon-dns"]}}}
        caller.update_stack(StackName="tap", TemplateBody=json.dumps({"Resources": changed}))
        assert status(caller) == "UPDATE_ROLLBACK_COMPLETE"
        assert reasons(caller)[0].startswith("API: ec2:ModifyTrafficMirrorFilterNetworkServices You are not authorized")

    def test_fails_when_what_is_made_may_not_be_read(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, {"Action": "ec2:CreateTrafficMirrorFilter"})
        assert create(caller, FILTER) == "ROLLBACK_FAILED"
        assert "ec2:DescribeTrafficMirrorFilters" in reasons(caller)[0]

    def test_when_it_is_gone_already_then_nothing_has_to_be_allowed_for_it(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, MAKE)
        create(caller, FILTER)
        ec2 = enforcing.client("ec2")
        [made] = ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
        ec2.delete_traffic_mirror_filter(TrafficMirrorFilterId=made["TrafficMirrorFilterId"])
        caller.delete_stack(StackName="tap")
        assert not caller.describe_stacks()["Stacks"]

    def test_fails_when_tags_may_not_be_given(self, enforcing: Enforcing) -> None:
        """The stack's own and the template's are given by the call that makes it."""
        caller = enforcing.worker("cloudformation", STACKS, MAKE)
        assert create(caller, FILTER, Tags=TAGGED) == "ROLLBACK_COMPLETE"
        assert "is not authorized to perform: ec2:CreateTags" in reasons(caller)[0]
        condition = {"StringEquals": {"ec2:CreateAction": "CreateTrafficMirrorFilter", "aws:RequestTag/team": "soc"}}
        tagging = {"Action": "ec2:CreateTags", "Condition": condition}
        caller = enforcing.worker("cloudformation", STACKS, MAKE, tagging)
        body = json.dumps({"Resources": FILTER})
        caller.create_stack(StackName="other", TemplateBody=body, Tags=TAGGED)
        assert status(caller, "other") == "CREATE_COMPLETE"
        # A stack that is tagged anew tags what it has.
        caller.update_stack(StackName="other", TemplateBody=body, Tags=[{"Key": "team", "Value": "ir"}])
        assert status(caller, "other") == "UPDATE_ROLLBACK_COMPLETE"
        assert reasons(caller, "other")[0].startswith("API: ec2:CreateTags You are not authorized")
        [made] = enforcing.client("ec2").describe_traffic_mirror_filters()["TrafficMirrorFilters"]
        assert {tag["Key"]: tag["Value"] for tag in made["Tags"]}["team"] == "soc"

    def test_fails_when_the_boundary_or_the_organization_denies(self, enforcing: Enforcing) -> None:
        iam = enforcing.client("iam")
        allowed = policy({"Action": ["cloudformation:*", "ec2:Describe*"]})
        boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=allowed)["Policy"]["Arn"]
        caller = enforcing.worker("cloudformation", STACKS, MAKE, PermissionsBoundary=boundary)
        assert create(caller, FILTER) == "ROLLBACK_COMPLETE"
        assert "because no permissions boundary allows" in reasons(caller)[0]


class TestTypesOfModels:
    """What is made without a call of the API is asked about by the actions that AWS's schemas name."""

    @pytest.mark.parametrize(
        ("kind", "properties", "action", "resource"),
        [
            ("AWS::SQS::Queue", {"QueueName": "q"}, "sqs:CreateQueue", f"arn:aws:sqs:eu-central-1:{HERE}:q"),
            ("AWS::SNS::Topic", {"TopicName": "t"}, "sns:CreateTopic", f"arn:aws:sns:eu-central-1:{HERE}:t"),
            ("AWS::S3::Bucket", {"BucketName": "bucket"}, "s3:CreateBucket", "arn:aws:s3:::bucket"),
            ("AWS::IAM::User", {"UserName": "u"}, "iam:CreateUser", f"arn:aws:iam::{HERE}:user/u"),
            (
                "AWS::SSM::Parameter",
                {"Name": "p", "Type": "String", "Value": "v"},
                "ssm:PutParameter",
                f"arn:aws:ssm:eu-central-1:{HERE}:parameter/p",
            ),
            ("AWS::Kinesis::Stream", {"Name": "s", "ShardCount": 1}, "kinesis:CreateStream", "*"),
            (
                "AWS::EC2::LaunchTemplate",
                {"LaunchTemplateData": {}},
                "ec2:CreateLaunchTemplate",
                f"arn:aws:ec2:eu-central-1:{HERE}:launch-template/*",
            ),
        ],
    )
    def test_fails_when_it_is_not_allowed(
        self, enforcing: Enforcing, kind: str, properties: dict[str, Any], action: str, resource: str
    ) -> None:
        resources = {"It": {"Type": kind, "Properties": properties}}
        caller = enforcing.worker("cloudformation", STACKS)
        assert create(caller, resources) == "ROLLBACK_COMPLETE"
        assert f"is not authorized to perform: {action}" in reasons(caller)[0]
        deleting = action.replace("Create", "Delete").replace("Put", "Delete")
        allow = {"Action": [action, deleting], "Resource": resource}
        caller = enforcing.worker("cloudformation", STACKS, allow)
        enforcing.client("cloudformation").delete_stack(StackName="tap")
        assert create(caller, resources) == "CREATE_COMPLETE"
        assert actions(enforcing)[-1].endswith(action.partition(":")[2])

    def test_fails_when_it_may_not_be_deleted(self, enforcing: Enforcing) -> None:
        caller = enforcing.worker("cloudformation", STACKS, {"Action": "sqs:CreateQueue"})
        create(caller, QUEUE)
        caller.delete_stack(StackName="tap")
        assert status(caller) == "DELETE_FAILED"
        arn = f"arn:aws:sqs:eu-central-1:{HERE}:q"
        assert f"is not authorized to perform: sqs:DeleteQueue on resource: {arn}" in reasons(caller)[0]


def invoke(enforcing: Enforcing) -> dict[str, Any]:
    arn = f"arn:aws:lambda:eu-central-1:{HERE}:function:f"
    return {"Custom": {"Type": "Custom::It", "Properties": {"ServiceToken": arn}}}


def nest(enforcing: Enforcing) -> dict[str, Any]:
    s3 = enforcing.client("s3")
    s3.create_bucket(Bucket="nested", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="nested", Key="t", Body=json.dumps({"Resources": FILTER}).encode())
    url = "https://s3.amazonaws.com/nested/t"
    return {"Inner": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}}


def profile(enforcing: Enforcing) -> dict[str, Any]:
    iam = enforcing.client("iam")
    enforcing.role("admin", trust={"Service": "ec2.amazonaws.com"})
    iam.create_instance_profile(InstanceProfileName="admin")
    iam.add_role_to_instance_profile(InstanceProfileName="admin", RoleName="admin")
    properties = {"ImageId": "ami-12345678", "InstanceType": "m5.large", "IamInstanceProfile": "admin"}
    return {"It": {"Type": "AWS::EC2::Instance", "Properties": properties}}


@pytest.mark.parametrize(
    ("resources", "actions", "refused"),
    [
        (invoke, [], "lambda:InvokeFunction"),
        (nest, ["ec2:*"], "cloudformation:CreateStack"),
        (nest, ["cloudformation:CreateStack"], "s3:GetObject"),
        (nest, ["cloudformation:CreateStack", "s3:GetObject"], "ec2:CreateTrafficMirrorFilter"),
        (profile, ["ec2:*"], "iam:PassRole"),
    ],
)
def test_fails_when_what_a_resource_brings_along_is_not_allowed(
    enforcing: Enforcing, resources: Callable[[Enforcing], dict[str, Any]], actions: list[str], refused: str
) -> None:
    role, stacks = service_role(enforcing, {"Action": [*actions, "sts:X"]}), enforcing.client("cloudformation")
    assert create(stacks, resources(enforcing), RoleARN=role, OnFailure="DO_NOTHING") == "CREATE_FAILED"
    found = [
        event.get("ResourceStatusReason", "")
        for stack in stacks.describe_stacks()["Stacks"]
        for event in stacks.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    ]
    wanted = "S3 error: Access Denied" if refused == "s3:GetObject" else refused
    assert any(wanted in reason for reason in found)


def test_fails_when_a_parameter_names_what_may_not_be_read(enforcing: Enforcing) -> None:
    enforcing.client("ssm").put_parameter(Name="/image", Type="String", Value="ami-12345678")
    image = {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/image"}
    body = json.dumps({"Parameters": {"Image": image}, "Resources": FILTER})
    stacks = enforcing.client("cloudformation")
    role = service_role(enforcing, MAKE)
    stacks.create_stack(StackName="tap", TemplateBody=body, RoleARN=role)
    assert status(stacks) == "ROLLBACK_COMPLETE"
    arn = f"arn:aws:ssm:eu-central-1:{HERE}:parameter/image"
    [stack] = stacks.describe_stacks()["Stacks"]
    assert f"is not authorized to perform: ssm:GetParameters on resource: {arn}" in stack["StackStatusReason"]


class TestWhatACallDoesNotName:
    """IAM is asked about it by its id, so that its tags count."""

    def test_when_a_filter_is_tagged_then_its_rules_may_be_deleted(self, enforcing: Enforcing) -> None:
        ec2 = enforcing.client("ec2")
        tags = [{"ResourceType": "traffic-mirror-filter", "Tags": TAGGED}]
        mine = ec2.create_traffic_mirror_filter(TagSpecifications=tags)["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
        other = ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]
        given = {"RuleNumber": 1, "TrafficDirection": "ingress", "RuleAction": "accept"}
        given |= {"SourceCidrBlock": "0.0.0.0/0", "DestinationCidrBlock": "0.0.0.0/0"}
        rules = [
            ec2.create_traffic_mirror_filter_rule(TrafficMirrorFilterId=one, **given)["TrafficMirrorFilterRule"]
            for one in (mine, other)
        ]
        by_tag = {"Condition": {"StringEquals": {"aws:ResourceTag/team": "soc"}}}
        where = f"arn:aws:ec2:eu-central-1:{HERE}"
        delete = {"Action": "ec2:DeleteTrafficMirrorFilterRule"}
        worker = enforcing.worker(
            "ec2",
            {**delete, "Resource": f"{where}:traffic-mirror-filter/*", **by_tag},
            {**delete, "Resource": f"{where}:traffic-mirror-filter-rule/*"},
        )
        ids = [rule["TrafficMirrorFilterRuleId"] for rule in rules]
        worker.delete_traffic_mirror_filter_rule(TrafficMirrorFilterRuleId=ids[0])
        refused = refusal(worker.delete_traffic_mirror_filter_rule, TrafficMirrorFilterRuleId=ids[1])
        assert f"on resource: {where}:traffic-mirror-filter/{other}" in refused[1]

    def test_when_an_instance_is_tagged_then_its_interface_may_be_detached(self, enforcing: Enforcing) -> None:
        ec2 = enforcing.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        run = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large", "SubnetId": subnet}
        attachments, kinds = [], ("instance", "network-interface")
        for tags in (TAGGED, [{"Key": "team", "Value": "web"}]):
            given = [{"ResourceType": "instance", "Tags": tags}]
            instance = ec2.run_instances(TagSpecifications=given, **run)["Instances"][0]["InstanceId"]
            given = [{"ResourceType": "network-interface", "Tags": tags}]
            made = ec2.create_network_interface(SubnetId=subnet, TagSpecifications=given)["NetworkInterface"]
            name = {"NetworkInterfaceId": made["NetworkInterfaceId"], "InstanceId": instance}
            attachments.append(ec2.attach_network_interface(DeviceIndex=1, **name)["AttachmentId"])
        resources = [f"arn:aws:ec2:eu-central-1:{HERE}:{kind}/*" for kind in kinds]
        condition = {"StringEquals": {"aws:ResourceTag/team": "soc"}}
        statement = {"Action": "ec2:DetachNetworkInterface", "Resource": resources, "Condition": condition}
        worker = enforcing.worker("ec2", statement)
        worker.detach_network_interface(AttachmentId=attachments[0])
        code, _ = refusal(worker.detach_network_interface, AttachmentId=attachments[1])
        assert code == "UnauthorizedOperation"


NO_STATEMENT: Final = {"Version": "2012-10-17"}
NO_EFFECT: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Principal": "*", "Action": "sqs:*", "Resource": "*", "Effect": "Perhaps"}],
}


class TestMalformedPolicies:
    """A policy in a template is one that the service itself would take."""

    @pytest.mark.parametrize(
        ("malformed", "why"),
        [(NO_STATEMENT, "Missing required field Statement"), (NO_EFFECT, "Invalid effect: Perhaps")],
    )
    @pytest.mark.parametrize(
        ("kind", "properties", "member"),
        [
            ("AWS::IAM::Role", {}, "AssumeRolePolicyDocument"),
            ("AWS::S3::BucketPolicy", {"Bucket": "evidence"}, "PolicyDocument"),
            ("AWS::SQS::QueuePolicy", {"Queues": ["QUEUE"]}, "PolicyDocument"),
            ("AWS::SNS::TopicPolicy", {"Topics": ["TOPIC"]}, "PolicyDocument"),
            ("AWS::KMS::Key", {}, "KeyPolicy"),
        ],
    )
    def test_fails_when_a_policy_of_a_template_is_malformed(
        self,
        enforcing: Enforcing,
        kind: str,
        properties: dict[str, Any],
        member: str,
        malformed: dict[str, Any],
        why: str,
    ) -> None:
        enforcing.client("s3").create_bucket(
            Bucket="evidence", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        there = {
            "QUEUE": enforcing.client("sqs").create_queue(QueueName="q")["QueueUrl"],
            "TOPIC": enforcing.client("sns").create_topic(Name="t")["TopicArn"],
        }
        given = {
            name: [there.get(one, one) for one in value] if isinstance(value, list) else value
            for name, value in properties.items()
        }
        stacks = enforcing.client("cloudformation")
        made = {"Made": {"Type": kind, "Properties": {**given, member: malformed}}}
        assert create(stacks, made) == "ROLLBACK_COMPLETE"
        [reason] = reasons(stacks)
        assert why in reason
        assert "Status Code: 400" in reason

    @pytest.mark.parametrize(
        ("kind", "properties"),
        [("AWS::IAM::ManagedPolicy", {}), ("AWS::IAM::Policy", {"PolicyName": "p", "Groups": ["g"]})],
    )
    def test_fails_when_a_policy_of_iam_is_malformed(
        self, enforcing: Enforcing, kind: str, properties: dict[str, Any]
    ) -> None:
        enforcing.client("iam").create_group(GroupName="g")
        stacks = enforcing.client("cloudformation")
        made = {"Made": {"Type": kind, "Properties": {**properties, "PolicyDocument": NO_EFFECT}}}
        assert create(stacks, made) == "ROLLBACK_COMPLETE"
        assert "Service: Iam, Status Code: 400" in reasons(stacks)[0]

    def test_fails_when_an_update_would_make_a_policy_malformed(self, enforcing: Enforcing) -> None:
        stacks = enforcing.client("cloudformation")
        right = json.loads(policy({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}))
        role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "made", "AssumeRolePolicyDocument": right}}
        assert create(stacks, {"Made": role}) == "CREATE_COMPLETE"
        role["Properties"] = {"RoleName": "made", "AssumeRolePolicyDocument": NO_STATEMENT}
        stacks.update_stack(
            StackName="tap",
            TemplateBody=json.dumps({"Resources": {"Made": role}}),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        assert status(stacks) == "UPDATE_ROLLBACK_COMPLETE"
        assert "Missing required field Statement" in reasons(stacks)[0]
        kept = enforcing.client("iam").get_role(RoleName="made")["Role"]["AssumeRolePolicyDocument"]
        assert kept == right


def test_fails_when_a_template_gives_what_a_service_does_not_take(enforcing: Enforcing) -> None:
    stacks = enforcing.client("cloudformation")
    queue = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 43_201}}}
    assert create(stacks, queue) == "ROLLBACK_COMPLETE"
    assert "Invalid value for the parameter VisibilityTimeout." in reasons(stacks)[0]


def test_when_the_new_role_of_a_profile_may_not_be_passed_then_the_update_is_rolled_back(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    trust = policy({"Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
    for name in ("one", "two"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.create_instance_profile(InstanceProfileName="empty")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.remove_role_from_instance_profile(InstanceProfileName="empty", RoleName="one")
    passed = {"Action": "iam:PassRole", "Resource": "arn:aws:iam::123456789012:role/one"}
    stacks = enforcing.worker("cloudformation", STACKS, {"Action": "iam:*InstanceProfile"}, passed)

    def profile(role: str) -> dict[str, Any]:
        properties = {"InstanceProfileName": "p", "Roles": [role]}
        return {"Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": properties}}

    assert create(stacks, profile("one")) == "CREATE_COMPLETE"
    stacks.update_stack(
        StackName="tap", TemplateBody=json.dumps({"Resources": profile("two")}), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    assert status(stacks) == "UPDATE_ROLLBACK_COMPLETE"
    [role] = iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Roles"]
    assert role["RoleName"] == "one"
