"""What is recorded of a call: who made it, how it went, and what IAM would have to allow."""

from __future__ import annotations

import contextlib
import itertools
import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account
from strictmoto.front import front
from strictmoto.identity.principals import assume
from strictmoto.recorder import Record
from tests.strictmoto.signing import own_api

REGION = "eu-central-1"
MINE = f"{REGION}:123456789012"
ROLE = "arn:aws:iam::123456789012:role/northwind-capture"


def last(account: Account, action: str) -> Record:
    return account.recorder.records(action=action)[-1]


def questions(record: Record) -> dict[str, tuple[str, ...]]:
    return {question.action: question.resources for question in record.authorizations}


class TestWhoAndWhen:
    def test_when_a_role_calls_then_its_arn_is_kept_and_found_by(self, aws_account: Account) -> None:
        account = aws_account
        keys = assume(ROLE, "capture", REGION).as_arguments()
        boto3.client("ec2", endpoint_url=account.endpoint, region_name=REGION, **keys).describe_vpcs()
        account.client("ec2").describe_vpcs()
        assert [record.principal for record in account.recorder.records()] == [
            ROLE,
            "arn:aws:iam::123456789012:root",
        ]
        (record,) = account.recorder.records(principal=ROLE)
        assert (record.call.action, record.call.access_key) == ("DescribeVpcs", keys["aws_access_key_id"])

    def test_when_a_call_is_made_then_its_beginning_and_length_are_kept(
        self, aws_account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticks = itertools.count(step=0.25)
        clock = SimpleNamespace(time=lambda: 1_800_000_000.5, perf_counter=lambda: next(ticks))
        monkeypatch.setattr(front, "time", clock)
        aws_account.client("ec2").describe_vpcs()
        record = last(aws_account, "DescribeVpcs")
        assert (record.began, record.seconds) == (1_800_000_000.5, 0.25)

    def test_when_a_call_is_refused_then_the_code_is_kept(self, aws_account: Account) -> None:
        refusals: list[tuple[str, str, dict[str, str]]] = [
            ("ec2", "delete_vpc", {"VpcId": "vpc-0000000000000000f"}),
            ("s3", "get_object", {"Bucket": "none", "Key": "none"}),
            ("dynamodb", "describe_table", {"TableName": "none"}),
            ("lambda", "get_function", {"FunctionName": "none"}),
        ]
        for service, operation, arguments in refusals:
            with pytest.raises(ClientError):
                getattr(aws_account.client(service), operation)(**arguments)
        assert [record.error for record in aws_account.recorder.records()] == [
            "InvalidVpcID.NotFound",
            "NoSuchBucket",
            "ResourceNotFoundException",
            "ResourceNotFoundException",
        ]

    def test_when_something_is_created_then_its_ids_are_kept(self, aws_account: Account) -> None:
        ec2 = aws_account.client("ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        instance = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)["Instances"][0]
        queue = aws_account.client("sqs").create_queue(QueueName="findings")["QueueUrl"]
        assert last(aws_account, "CreateNetworkInterface").created == (interface,)
        assert instance["InstanceId"] in last(aws_account, "RunInstances").created
        assert last(aws_account, "CreateQueue").created == (queue,)
        assert last(aws_account, "DescribeSubnets").created == ()

    def test_when_another_process_asks_then_all_of_that_is_there(self, aws_account: Account) -> None:
        aws_account.client("sqs").create_queue(QueueName="findings", tags={"owner": "ir"})
        _, calls = own_api(aws_account, "GET", "/calls")
        assert isinstance(calls, list)
        (call,) = calls
        assert call["principal"] == "arn:aws:iam::123456789012:root"
        assert call["resources"] == [f"arn:aws:sqs:{MINE}:findings"]
        assert call["request_tags"] == {"owner": "ir"}
        assert [question["action"] for question in call["authorizations"]] == ["sqs:CreateQueue", "sqs:TagQueue"]
        assert call["created"] == [f"{aws_account.endpoint}/123456789012/findings"]


class TestSecrets:
    def test_when_secrets_are_handed_over_then_they_are_not_kept(self, aws_account: Account) -> None:
        secret = "hunter2-hunter2"
        aws_account.client("secretsmanager").create_secret(Name="portal", SecretString=secret)
        aws_account.client("ssm").put_parameter(Name="/portal", Value=secret, Type="SecureString")
        iam = aws_account.client("iam")
        iam.create_user(UserName="ann")
        iam.create_login_profile(UserName="ann", Password=secret)
        template = {
            "Parameters": {"AdminPassword": {"Type": "String"}, "Size": {"Type": "String"}},
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        }
        aws_account.client("cloudformation").create_stack(
            StackName="portal",
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": "AdminPassword", "ParameterValue": secret},
                {"ParameterKey": "Size", "ParameterValue": "small"},
            ],
        )
        for record in aws_account.recorder.records():
            assert secret not in repr(record) + repr(record.as_dict()) + str(record.body)
        stack = last(aws_account, "CreateStack").requested["Parameters"]
        assert [parameter["ParameterValue"] for parameter in stack] == ["(not recorded)", "small"]
        assert last(aws_account, "PutParameter").requested["Name"] == "/portal"

    def test_when_credentials_are_answered_then_they_are_not_kept(self, aws_account: Account) -> None:
        aws_account.client("ec2", role_arn=ROLE)
        record = last(aws_account, "AssumeRole")
        assert (record.body, record.created) == (b"", ())


class TestResources:
    def test_when_a_session_is_created_then_the_four_resources_are_asked_about(self, aws_account: Account) -> None:
        ec2 = aws_account.client("ec2")
        with pytest.raises(ClientError):
            ec2.create_traffic_mirror_session(
                NetworkInterfaceId="eni-0123456789abcdef0",
                TrafficMirrorTargetId="tmt-0123456789abcdef0",
                TrafficMirrorFilterId="tmf-0123456789abcdef0",
                SessionNumber=1,
                TagSpecifications=[
                    {
                        "ResourceType": "traffic-mirror-session",
                        "Tags": [{"Key": "northwind:incident", "Value": "i-1"}],
                    }
                ],
            )
        record = last(aws_account, "CreateTrafficMirrorSession")
        session = f"arn:aws:ec2:{MINE}:traffic-mirror-session/*"
        assert questions(record) == {
            "ec2:CreateTrafficMirrorSession": (
                f"arn:aws:ec2:{MINE}:network-interface/eni-0123456789abcdef0",
                f"arn:aws:ec2:{MINE}:traffic-mirror-target/tmt-0123456789abcdef0",
                f"arn:aws:ec2:{MINE}:traffic-mirror-filter/tmf-0123456789abcdef0",
                session,
            ),
            "ec2:CreateTags": (session,),
        }
        own, tagging = record.authorizations
        assert own.context["aws:RequestTag/northwind:incident"] == "i-1"
        assert own.context["aws:TagKeys"] == ("northwind:incident",)
        assert tagging.context["ec2:CreateAction"] == "CreateTrafficMirrorSession"
        assert record.request_tags == {"northwind:incident": "i-1"}

    def test_when_a_rule_is_made_with_tags_then_tagging_it_is_asked_about(self, aws_account: Account) -> None:
        with pytest.raises(ClientError):
            aws_account.client("ec2").authorize_security_group_ingress(
                GroupId="sg-0123456789abcdef0",
                IpPermissions=[{"IpProtocol": "udp", "FromPort": 4789, "ToPort": 4789}],
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}],
            )
        record = last(aws_account, "AuthorizeSecurityGroupIngress")
        assert questions(record)["ec2:CreateTags"] == (f"arn:aws:ec2:{MINE}:security-group-rule/*",)

    def test_when_a_key_is_made_with_tags_then_conditions_know_them(self, aws_account: Account) -> None:
        aws_account.client("kms").create_key(Tags=[{"TagKey": "northwind:deployment", "TagValue": "a"}])
        assert last(aws_account, "CreateKey").request_tags == {"northwind:deployment": "a"}

    def test_when_a_load_balancer_is_tagged_at_its_creation_then_conditions_know_that(
        self, aws_account: Account
    ) -> None:
        balancing = aws_account.client("elbv2")
        with pytest.raises(ClientError):
            balancing.create_load_balancer(Name="nlb", Type="network", Tags=[{"Key": "a", "Value": "b"}])
        tagging = last(aws_account, "CreateLoadBalancer").authorizations[1]
        assert tagging.action == "elasticloadbalancing:AddTags"
        assert tagging.context["elasticloadbalancing:CreateAction"] == "CreateLoadBalancer"

    @pytest.mark.parametrize(
        ("service", "operation", "arguments", "expected"),
        [
            ("ec2", "describe_network_interfaces", {"NetworkInterfaceIds": ["eni-0123456789abcdef0"]}, {"ec2": ["*"]}),
            (
                "ec2",
                "modify_network_interface_attribute",
                {"NetworkInterfaceId": "eni-0123456789abcdef0", "Groups": ["sg-0123456789abcdef0"]},
                {
                    "ec2": [
                        f"arn:aws:ec2:{MINE}:network-interface/eni-0123456789abcdef0",
                        f"arn:aws:ec2:{MINE}:security-group/sg-0123456789abcdef0",
                        f"arn:aws:ec2:{MINE}:instance/*",
                    ]
                },
            ),
            (
                "ec2",
                "modify_instance_attribute",
                {"InstanceId": "i-0123456789abcdef0", "DisableApiTermination": {"Value": True}},
                {"ec2": [f"arn:aws:ec2:{MINE}:instance/i-0123456789abcdef0"]},
            ),
            (
                "ec2",
                "modify_instance_attribute",
                {
                    "InstanceId": "i-0123456789abcdef0",
                    "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}],
                },
                {"ec2": [f"arn:aws:ec2:{MINE}:instance/i-0123456789abcdef0", f"arn:aws:ec2:{MINE}:volume/*"]},
            ),
            (
                "autoscaling",
                "enter_standby",
                {
                    "AutoScalingGroupName": "web",
                    "InstanceIds": ["i-0123456789abcdef0"],
                    "ShouldDecrementDesiredCapacity": True,
                },
                {
                    "autoscaling:EnterStandby": [
                        f"arn:aws:autoscaling:{MINE}:autoScalingGroup:*:autoScalingGroupName/web"
                    ]
                },
            ),
            (
                "elb",
                "deregister_instances_from_load_balancer",
                {"LoadBalancerName": "old", "Instances": [{"InstanceId": "i-0123456789abcdef0"}]},
                {
                    "elasticloadbalancing:DeregisterInstancesFromLoadBalancer": [
                        f"arn:aws:elasticloadbalancing:{MINE}:loadbalancer/old"
                    ]
                },
            ),
            (
                "ec2",
                "delete_traffic_mirror_filter_rule",
                {"TrafficMirrorFilterRuleId": "tmfr-0123456789abcdef0"},
                {
                    "ec2": [
                        f"arn:aws:ec2:{MINE}:traffic-mirror-filter-rule/tmfr-0123456789abcdef0",
                        f"arn:aws:ec2:{MINE}:traffic-mirror-filter/*",
                    ]
                },
            ),
            (
                "ec2",
                "create_snapshot",
                {"VolumeId": "vol-0123456789abcdef0"},
                {
                    "ec2": [
                        f"arn:aws:ec2:{MINE}:volume/vol-0123456789abcdef0",
                        f"arn:aws:ec2:{REGION}::snapshot/*",
                    ]
                },
            ),
            (
                "dynamodb",
                "put_item",
                {"TableName": "incidents", "Item": {"id": {"S": "1"}}},
                {"dynamodb:PutItem": [f"arn:aws:dynamodb:{MINE}:table/incidents"]},
            ),
            (
                "dynamodb",
                "query",
                {"TableName": "incidents", "IndexName": "by-state", "KeyConditionExpression": "a = :b"},
                {"dynamodb:Query": [f"arn:aws:dynamodb:{MINE}:table/incidents/index/by-state"]},
            ),
            (
                "dynamodb",
                "transact_write_items",
                {
                    "TransactItems": [
                        {"Put": {"TableName": "a", "Item": {"id": {"S": "1"}}}},
                        {"ConditionCheck": {"TableName": "b", "Key": {}, "ConditionExpression": "x"}},
                    ]
                },
                {
                    "dynamodb:PutItem": [f"arn:aws:dynamodb:{MINE}:table/a"],
                    "dynamodb:ConditionCheckItem": [f"arn:aws:dynamodb:{MINE}:table/b"],
                },
            ),
            (
                "states",
                "start_execution",
                {"stateMachineArn": f"arn:aws:states:{MINE}:stateMachine:incident"},
                {"states:StartExecution": [f"arn:aws:states:{MINE}:stateMachine:incident"]},
            ),
            (
                "states",
                "send_task_success",
                {"taskToken": "token", "output": "{}"},
                {"states:SendTaskSuccess": ["*"]},
            ),
            (
                "lambda",
                "invoke",
                {"FunctionName": "contain", "Qualifier": "live"},
                {"lambda:InvokeFunction": [f"arn:aws:lambda:{MINE}:function:contain:live"]},
            ),
            ("s3", "head_object", {"Bucket": "logs", "Key": "a/b c"}, {"s3:GetObject": ["arn:aws:s3:::logs/a/b c"]}),
            ("s3", "list_objects_v2", {"Bucket": "logs"}, {"s3:ListBucket": ["arn:aws:s3:::logs"]}),
            (
                "s3",
                "copy_object",
                {"Bucket": "logs", "Key": "new", "CopySource": "other/old"},
                {"s3:PutObject": ["arn:aws:s3:::logs/new"], "s3:GetObject": ["arn:aws:s3:::other/old"]},
            ),
            (
                "s3",
                "delete_objects",
                {"Bucket": "logs", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b"}]}},
                {"s3:DeleteObject": ["arn:aws:s3:::logs/a", "arn:aws:s3:::logs/b"]},
            ),
            (
                "sns",
                "publish",
                {"TopicArn": f"arn:aws:sns:{MINE}:pages", "Message": "m"},
                {"sns:Publish": [f"arn:aws:sns:{MINE}:pages"]},
            ),
            (
                "sqs",
                "send_message",
                {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/444455556666/findings", "MessageBody": "m"},
                {"sqs:SendMessage": [f"arn:aws:sqs:{REGION}:444455556666:findings"]},
            ),
            (
                "logs",
                "create_log_stream",
                {"logGroupName": "/northwind/api", "logStreamName": "one"},
                {"logs:CreateLogStream": [f"arn:aws:logs:{MINE}:log-group:/northwind/api:log-stream:one"]},
            ),
            (
                "kms",
                "describe_key",
                {"KeyId": "alias/northwind"},
                {"kms:DescribeKey": [f"arn:aws:kms:{MINE}:alias/northwind"]},
            ),
            (
                "events",
                "put_events",
                {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}"}]},
                {"events:PutEvents": [f"arn:aws:events:{MINE}:event-bus/default"]},
            ),
            (
                "scheduler",
                "get_schedule",
                {"Name": "release-1", "GroupName": "northwind"},
                {"scheduler:GetSchedule": [f"arn:aws:scheduler:{MINE}:schedule/northwind/release-1"]},
            ),
            (
                "cloudformation",
                "describe_stack_events",
                {"StackName": "northwind-production"},
                {"cloudformation:DescribeStackEvents": [f"arn:aws:cloudformation:{MINE}:stack/northwind-production/*"]},
            ),
            (
                "secretsmanager",
                "get_secret_value",
                {"SecretId": "portal"},
                {"secretsmanager:GetSecretValue": [f"arn:aws:secretsmanager:{MINE}:secret:portal-??????"]},
            ),
            (
                "ssm",
                "get_parameter",
                {"Name": "/northwind/a"},
                {"ssm:GetParameter": [f"arn:aws:ssm:{MINE}:parameter/northwind/a"]},
            ),
            ("sts", "get_caller_identity", {}, {}),
            ("resourcegroupstaggingapi", "get_resources", {}, {"tag:GetResources": ["*"]}),
            ("cloudwatch", "list_metrics", {}, {"cloudwatch:ListMetrics": ["*"]}),
            (
                "cloudwatch",
                "tag_resource",
                {"ResourceARN": f"arn:aws:cloudwatch:{MINE}:alarm:errors", "Tags": [{"Key": "a", "Value": "b"}]},
                {"cloudwatch:TagResource": [f"arn:aws:cloudwatch:{MINE}:alarm:errors"]},
            ),
            (
                "cloudwatch",
                "delete_dashboards",
                {"DashboardNames": ["board"]},
                {"cloudwatch:DeleteDashboards": ["arn:aws:cloudwatch::123456789012:dashboard/board"]},
            ),
            (
                "apigatewayv2",
                "tag_resource",
                {"ResourceArn": f"arn:aws:apigateway:{REGION}::/apis/a1b2/stages/live", "Tags": {"a": "b"}},
                {
                    "apigateway:POST": [
                        f"arn:aws:apigateway:{REGION}::/tags/"
                        f"arn%3Aaws%3Aapigateway%3A{REGION}%3A%3A%2Fapis%2Fa1b2%2Fstages%2Flive"
                    ]
                },
            ),
            (
                "apigatewayv2",
                "get_stage",
                {"ApiId": "a1b2", "StageName": "$default"},
                {"apigateway:GET": [f"arn:aws:apigateway:{REGION}::/apis/a1b2/stages/$default"]},
            ),
            (
                "apigatewayv2",
                "create_stage",
                {"ApiId": "a1b2", "StageName": "live", "Tags": {"a": "b"}},
                {
                    "apigateway:POST": [f"arn:aws:apigateway:{REGION}::/apis/a1b2/stages"],
                    "apigateway:TagResource": [f"arn:aws:apigateway:{REGION}::/apis/a1b2/stages"],
                },
            ),
            (
                "kms",
                "create_key",
                {"Policy": json.dumps({"Version": "2012-10-17", "Statement": []})},
                {"kms:CreateKey": ["*"], "kms:PutKeyPolicy": [f"arn:aws:kms:{MINE}:key/*"]},
            ),
            (
                "kms",
                "create_key",
                {"Policy": "{}", "BypassPolicyLockoutSafetyCheck": True},
                {"kms:CreateKey": ["*"]},
            ),
            (
                "elbv2",
                "create_listener",
                {
                    "LoadBalancerArn": f"arn:aws:elasticloadbalancing:{MINE}:loadbalancer/net/a/0123456789abcdef",
                    "Protocol": "UDP",
                    "Port": 4789,
                    "DefaultActions": [{"Type": "forward", "TargetGroupArn": "arn:aws:x:y:z:targetgroup/a/b"}],
                    "Tags": [{"Key": "a", "Value": "b"}],
                },
                {
                    "elasticloadbalancing:CreateListener": [
                        f"arn:aws:elasticloadbalancing:{MINE}:loadbalancer/net/a/0123456789abcdef"
                    ],
                    "elasticloadbalancing:AddTags": [
                        f"arn:aws:elasticloadbalancing:{MINE}:listener/net/a/0123456789abcdef/*"
                    ],
                },
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_when_a_call_is_made_then_iam_is_asked_as_on_aws(
        self, aws_account: Account, service: str, operation: str, arguments: Any, expected: Any
    ) -> None:
        client = aws_account.client("stepfunctions" if service == "states" else service)
        # What is asked does not depend on what is there.
        with contextlib.suppress(ClientError):
            getattr(client, operation)(**arguments)
        record = aws_account.recorder.records()[-1]
        if list(expected) == ["ec2"]:
            expected = {f"ec2:{record.call.action}": expected["ec2"]}
        assert {action: list(resources) for action, resources in questions(record).items()} == expected

    def test_when_an_api_is_made_with_tags_then_the_tags_are_asked_about_too(self, aws_account: Account) -> None:
        aws_account.client("apigatewayv2").create_api(Name="a", ProtocolType="HTTP", Tags={"a": "b"})
        own, tagging = last(aws_account, "CreateApi").authorizations
        assert (own.action, own.resources) == ("apigateway:POST", (f"arn:aws:apigateway:{REGION}::/apis",))
        every = f"arn%3Aaws%3Aapigateway%3A{REGION}%3A%3A%2Fv2%2Fapis%2F*"
        assert (tagging.action, tagging.resources) == (
            "apigateway:POST",
            (f"arn:aws:apigateway:{REGION}::/tags/{every}",),
        )
        assert tagging.context["aws:RequestTag/a"] == "b"

    def test_when_an_event_source_mapping_is_made_with_tags_then_tagging_mappings_is_asked_about_too(
        self, aws_account: Account
    ) -> None:
        with pytest.raises(ClientError):
            aws_account.client("lambda").create_event_source_mapping(
                FunctionName="none", EventSourceArn=f"arn:aws:sqs:{MINE}:none", Tags={"a": "b"}
            )
        own, tagging = last(aws_account, "CreateEventSourceMapping").authorizations
        assert (own.action, own.resources) == ("lambda:CreateEventSourceMapping", ("*",))
        assert tagging.action == "lambda:TagResource"
        assert tagging.resources == (f"arn:aws:lambda:{MINE}:event-source-mapping:*",)
        assert tagging.context["aws:RequestTag/a"] == "b"

    def test_when_a_role_is_given_to_a_service_then_passing_it_is_asked_about_too(self, aws_account: Account) -> None:
        role = "arn:aws:iam::123456789012:role/scheduler"
        aws_account.client("scheduler").create_schedule(
            Name="release",
            ScheduleExpression="at(2030-01-01T00:00:00)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": f"arn:aws:states:{MINE}:stateMachine:release", "RoleArn": role},
        )
        own, passing = last(aws_account, "CreateSchedule").authorizations
        assert own.resources == (f"arn:aws:scheduler:{MINE}:schedule/default/release",)
        assert (passing.action, passing.resources) == ("iam:PassRole", (role,))
        assert passing.context == {"iam:PassedToService": "scheduler.amazonaws.com"}

    def test_when_a_stack_is_created_then_conditions_on_it_can_be_compared(self, aws_account: Account) -> None:
        with pytest.raises(ClientError):
            aws_account.client("cloudformation").create_stack(
                StackName="epb",
                TemplateURL="https://s3.amazonaws.com/none/none.template",
                ResourceTypes=["AWS::EC2::*"],
            )
        (own,) = last(aws_account, "CreateStack").authorizations
        assert own.context["cloudformation:TemplateUrl"] == "https://s3.amazonaws.com/none/none.template"
        assert own.context["cloudformation:ResourceTypes"] == ("AWS::EC2::*",)
