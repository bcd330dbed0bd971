"""Giving a role to a service needs iam:PassRole, by whatever parameter of whatever service it is given."""

from __future__ import annotations

import contextlib
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.iam.conftest import HERE, Enforcing, refusal

ROLE: Final = f"arn:aws:iam::{HERE}:role/given"
LOGS: Final = f"arn:aws:logs:eu-central-1:{HERE}:log-group:g:*"
_OTHER_CODES: Final = ("AuthorizationError", "UnauthorizedOperation")
GIVING: Final[list[tuple[str, str, dict[str, Any], str]]] = [
    (
        "ec2",
        "create_flow_logs",
        {
            "ResourceIds": ["vpc-0123456789abcdef0"],
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogGroupName": "g",
            "DeliverLogsPermissionArn": ROLE,
        },
        "vpc-flow-logs",
    ),
    ("ecs", "register_task_definition", {"family": "f", "containerDefinitions": [], "taskRoleArn": ROLE}, "ecs-tasks"),
    (
        "ecs",
        "register_task_definition",
        {"family": "f", "containerDefinitions": [], "taskRoleArn": "given"},
        "ecs-tasks",
    ),
    (
        "cloudtrail",
        "create_trail",
        {"Name": "trail", "S3BucketName": "b", "CloudWatchLogsLogGroupArn": LOGS, "CloudWatchLogsRoleArn": ROLE},
        "cloudtrail",
    ),
    (
        "apigatewayv2",
        "create_integration",
        {"ApiId": "a", "IntegrationType": "AWS_PROXY", "CredentialsArn": ROLE},
        "apigateway",
    ),
    (
        "apigateway",
        "put_integration",
        {"restApiId": "a", "resourceId": "r", "httpMethod": "GET", "type": "AWS", "credentials": ROLE},
        "apigateway",
    ),
    ("sagemaker", "create_model", {"ModelName": "m", "ExecutionRoleArn": ROLE}, "sagemaker"),
    (
        "sns",
        "set_topic_attributes",
        {
            "TopicArn": f"arn:aws:sns:eu-central-1:{HERE}:t",
            "AttributeName": "LambdaSuccessFeedbackRoleArn",
            "AttributeValue": ROLE,
        },
        "sns",
    ),
    ("sns", "create_topic", {"Name": "t", "Attributes": {"LambdaSuccessFeedbackRoleArn": ROLE}}, "sns"),
    (
        "rds",
        "modify_db_instance",
        {"DBInstanceIdentifier": "d", "MonitoringInterval": 60, "MonitoringRoleArn": ROLE},
        "monitoring.rds",
    ),
    ("iam", "add_role_to_instance_profile", {"InstanceProfileName": "p", "RoleName": "given"}, "ec2"),
]


@pytest.mark.parametrize(("service", "method", "arguments", "to"), GIVING, ids=[f"{row[0]} {row[1]}" for row in GIVING])
def test_fails_when_a_role_may_not_be_passed(
    enforcing: Enforcing, service: str, method: str, arguments: dict[str, Any], to: str
) -> None:
    enforcing.role("given", trust={"Service": f"{to}.amazonaws.com"})
    worker = enforcing.worker(service, {"NotAction": "iam:PassRole"})
    message = refusal(getattr(worker, method), **arguments)[1]
    assert f"is not authorized to perform: iam:PassRole on resource: {ROLE}" in message


@pytest.mark.parametrize(("service", "method", "arguments", "to"), GIVING, ids=[f"{row[0]} {row[1]}" for row in GIVING])
def test_when_a_role_is_passed_then_the_service_is_a_key(
    enforcing: Enforcing, service: str, method: str, arguments: dict[str, Any], to: str
) -> None:
    enforcing.role("given", trust={"Service": f"{to}.amazonaws.com"})
    passing = {
        "Action": "iam:PassRole",
        "Resource": ROLE,
        "Condition": {"StringEquals": {"iam:PassedToService": f"{to}.amazonaws.com"}},
    }
    worker = enforcing.worker(service, {"NotAction": "iam:PassRole"}, passing)
    # What the service itself says does not matter here.
    with contextlib.suppress(ClientError):
        getattr(worker, method)(**arguments)
    assert enforcing.account.recorder.records()[-1].error not in (
        "AccessDenied",
        "AccessDeniedException",
        *_OTHER_CODES,
    )


class TestInstanceProfiles:
    @pytest.fixture
    def launched(self, enforcing: Enforcing) -> dict[str, Any]:
        """What an instance is launched with; its profile holds a role."""
        enforcing.role("given", trust={"Service": "ec2.amazonaws.com"})
        iam, ec2 = enforcing.client("iam"), enforcing.client("ec2")
        iam.create_instance_profile(InstanceProfileName="p")
        iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="given")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        return {"ImageId": image, "InstanceType": "t3.micro", "IamInstanceProfile": {"Name": "p"}}

    def test_fails_when_the_role_of_a_profile_may_not_be_passed(
        self, enforcing: Enforcing, launched: dict[str, Any]
    ) -> None:
        worker = enforcing.worker("ec2", {"NotAction": "iam:PassRole"})
        assert "iam:PassRole" in refusal(worker.run_instances, MinCount=1, MaxCount=1, **launched)[1]
        passing = {
            "Action": "iam:PassRole",
            "Condition": {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        }
        allowed = enforcing.worker("ec2", {"Action": "ec2:*"}, passing)
        assert allowed.run_instances(MinCount=1, MaxCount=1, **launched)["Instances"]

    def test_fails_when_a_launch_template_holds_it(self, enforcing: Enforcing, launched: dict[str, Any]) -> None:
        enforcing.client("ec2").create_launch_template(LaunchTemplateName="lt", LaunchTemplateData=launched)
        worker = enforcing.worker("ec2", {"NotAction": "iam:PassRole"})
        message = refusal(
            worker.run_instances, MinCount=1, MaxCount=1, LaunchTemplate={"LaunchTemplateName": "lt", "Version": "1"}
        )[1]
        assert "iam:PassRole" in message

    def test_fails_when_it_is_associated_later(self, enforcing: Enforcing, launched: dict[str, Any]) -> None:
        profile = launched.pop("IamInstanceProfile")
        made = enforcing.client("ec2").run_instances(MinCount=1, MaxCount=1, **launched)["Instances"][0]["InstanceId"]
        worker = enforcing.worker("ec2", {"NotAction": "iam:PassRole"})
        arguments = {"IamInstanceProfile": profile, "InstanceId": made}
        assert "iam:PassRole" in refusal(worker.associate_iam_instance_profile, **arguments)[1]


def test_when_a_call_only_names_a_role_then_it_is_not_passed(enforcing: Enforcing) -> None:
    worker = enforcing.worker("resourcegroupstaggingapi", {"NotAction": "iam:PassRole"})
    assert worker.tag_resources(ResourceARNList=[enforcing.role("given")], Tags={"a": "b"})


def test_when_a_variable_of_a_function_holds_a_role_then_it_is_not_passed(enforcing: Enforcing) -> None:
    own, other = (enforcing.role(name, trust={"Service": "lambda.amazonaws.com"}) for name in ("own", "other"))
    worker = enforcing.worker("lambda", {"Action": "lambda:*"}, {"Action": "iam:PassRole", "Resource": own})
    arguments = {"Runtime": "python3.12", "Handler": "h.h", "Code": {"ZipFile": b"x"}, "FunctionName": "f", "Role": own}
    with contextlib.suppress(ClientError):
        worker.create_function(Environment={"Variables": {"ROLE_ARN": other}}, **arguments)
    record = enforcing.account.recorder.records(service="lambda")[-1]
    assert [one.resources for one in record.authorizations if one.action == "iam:PassRole"] == [(own,)]
