"""Custom resources and wait conditions: what functions are asked, what they answer, and what becomes of the stack."""

import io
import json
import time
import urllib.request
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from strictmoto.account import Account

# It answers as its properties say, and keeps what it was asked as objects of a bucket.
CODE = """
import json, urllib.request, boto3

def handler(event, context):
    properties = event["ResourceProperties"]
    boto3.client("s3").put_object(Bucket="asked", Key=event["RequestId"], Body=json.dumps(event).encode())
    if properties.get("Silent") == event["RequestType"]:
        return
    said = {
        "Status": "FAILED" if properties.get("Fails") == event["RequestType"] else "SUCCESS",
        "Reason": "on request",
        "PhysicalResourceId": properties.get("Id", "thing"),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Made": properties.get("Word", "") + "!"},
    }
    body = json.dumps(said).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"content-type": ""})
    urllib.request.urlopen(request)
"""


def until(find: Callable[[], Any]) -> Any:
    """What is found, at last."""
    over = time.monotonic() + 60
    while not (found := find()):
        assert time.monotonic() < over, "it never came"
        time.sleep(0.05)
    return found


class Stacks:
    """A stack with one custom resource, and what its function was asked."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = account.client("cloudformation")
        self.s3 = account.client("s3")
        account.waits.scale = 0.001
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        iam = account.client("iam")
        role = iam.create_role(
            RoleName="answerer",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]
        put = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [put]})
        iam.put_role_policy(RoleName="answerer", PolicyName="put", PolicyDocument=policy)
        self.s3.create_bucket(Bucket="asked", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("index.py", CODE)
        self.function = account.client("lambda").create_function(
            FunctionName="answerer",
            Runtime="python3.13",
            Role=role,
            Handler="index.handler",
            Code={"ZipFile": code.getvalue()},
        )["FunctionArn"]

    def template(self, kind: str = "Custom::Thing", token: str = "", **properties: Any) -> str:
        thing = {"Type": kind, "Properties": {"ServiceToken": token or self.function, **properties}}
        outputs = {"Id": {"Value": {"Ref": "Thing"}}, "Made": {"Value": {"Fn::GetAtt": ["Thing", "Made"]}}}
        return json.dumps({"Resources": {"Thing": thing}, "Outputs": outputs})

    def create(self, body: str) -> dict[str, Any]:
        self.client.create_stack(StackName="tap", TemplateBody=body)
        return self.settled()

    def update(self, body: str) -> dict[str, Any]:
        self.client.update_stack(StackName="tap", TemplateBody=body)
        return self.settled()

    def settled(self) -> dict[str, Any]:
        found: dict[str, Any] = until(lambda: None if self.status().endswith("IN_PROGRESS") else self.stack())
        return found

    def stack(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.describe_stacks(StackName="tap")["Stacks"][0]
        return found

    def status(self) -> str:
        return str(self.stack()["StackStatus"])

    def asked(self) -> list[dict[str, Any]]:
        listed = self.s3.list_objects_v2(Bucket="asked").get("Contents", [])
        ordered = sorted(listed, key=lambda found: found["LastModified"])
        events = [json.loads(self.s3.get_object(Bucket="asked", Key=one["Key"])["Body"].read()) for one in ordered]
        for one in ordered:
            self.s3.delete_object(Bucket="asked", Key=one["Key"])
        return events

    def reasons(self) -> list[str]:
        events = self.client.describe_stack_events(StackName="tap")["StackEvents"]
        return [
            event["ResourceStatusReason"]
            for event in events
            if event["LogicalResourceId"] == "Thing" and event["ResourceStatus"].endswith("FAILED")
        ]


@pytest.fixture
def stacks(aws_account: Account) -> Stacks:
    return Stacks(aws_account)


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


@pytest.mark.parametrize("kind", ["Custom::Thing", "AWS::CloudFormation::CustomResource"])
def test_when_the_function_answers_then_the_stack_goes_on_with_its_data(stacks: Stacks, kind: str) -> None:
    stack = stacks.create(stacks.template(kind, Word="first", Id="one", Flag=True, Numbers=[1, 2]))
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert outputs(stack) == {"Id": "one", "Made": "first!"}
    [event] = stacks.asked()
    assert (event["RequestType"], event["ResourceType"], event["LogicalResourceId"]) == ("Create", kind, "Thing")
    assert event["StackId"] == stack["StackId"]
    assert event["ResourceProperties"] == {
        "ServiceToken": stacks.function,
        "Word": "first",
        "Id": "one",
        "Flag": "true",
        "Numbers": ["1", "2"],
    }
    assert "PhysicalResourceId" not in event


def test_when_code_in_a_template_answers_by_the_module_beside_it_then_the_stack_goes_on(stacks: Stacks) -> None:
    code = """
import cfnresponse

def handler(event, context):
    cfnresponse.send(event, context, cfnresponse.SUCCESS, {"Made": "inline"}, "mine")
"""
    role = stacks.account.client("iam").get_role(RoleName="answerer")["Role"]["Arn"]
    function = {"Runtime": "python3.13", "Handler": "index.handler", "Role": role, "Code": {"ZipFile": code}}
    template = json.loads(stacks.template())
    template["Resources"]["Function"] = {"Type": "AWS::Lambda::Function", "Properties": function}
    template["Resources"]["Thing"]["Properties"] = {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}
    assert outputs(stacks.create(json.dumps(template))) == {"Id": "mine", "Made": "inline"}


def test_when_properties_change_then_the_function_is_asked_to_update_and_at_last_to_delete(stacks: Stacks) -> None:
    stacks.create(stacks.template(Word="first", Id="one"))
    stacks.asked()
    stack = stacks.update(stacks.template(Word="second", Id="one"))
    assert (stack["StackStatus"], outputs(stack)["Made"]) == ("UPDATE_COMPLETE", "second!")
    [event] = stacks.asked()
    assert (event["RequestType"], event["PhysicalResourceId"]) == ("Update", "one")
    assert event["OldResourceProperties"]["Word"] == "first"
    stacks.client.delete_stack(StackName="tap")
    [event] = until(stacks.asked)
    assert (event["RequestType"], event["PhysicalResourceId"]) == ("Delete", "one")
    assert event["ResourceProperties"]["Word"] == "second"


def test_when_an_update_answers_another_id_then_the_old_one_is_deleted(stacks: Stacks) -> None:
    stacks.create(stacks.template(Id="one"))
    stacks.asked()
    assert outputs(stacks.update(stacks.template(Id="two")))["Id"] == "two"
    asked = [(event["RequestType"], event["PhysicalResourceId"]) for event in stacks.asked()]
    assert sorted(asked) == [("Delete", "one"), ("Update", "one")]


def test_fails_when_the_function_says_so_and_it_is_asked_to_delete(stacks: Stacks) -> None:
    stack = stacks.create(stacks.template(Fails="Create"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = stacks.reasons()
    assert reason.startswith("Received response status [FAILED] from custom resource. Message returned: on request")
    assert sorted(event["RequestType"] for event in stacks.asked()) == ["Create", "Delete"]


def test_fails_when_an_update_fails_and_the_function_is_asked_to_go_back(stacks: Stacks) -> None:
    stacks.create(stacks.template(Word="first"))
    stacks.asked()
    stack = stacks.update(stacks.template(Word="second", Fails="Update"))
    assert (stack["StackStatus"], outputs(stack)["Made"]) == ("UPDATE_ROLLBACK_COMPLETE", "first!")
    words = {event["ResourceProperties"]["Word"]: event["OldResourceProperties"]["Word"] for event in stacks.asked()}
    assert words == {"second": "first", "first": "second"}


def test_fails_when_the_function_never_answers(stacks: Stacks) -> None:
    stack = stacks.create(stacks.template(Silent="Create", ServiceTimeout="5"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = stacks.reasons()
    assert reason.startswith("CloudFormation did not receive a response from your custom resource.")


def test_fails_when_there_is_no_such_function(stacks: Stacks) -> None:
    stack = stacks.create(stacks.template(token=f"{stacks.function}-not"))
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "Function not found" in stacks.reasons()[0]


def test_fails_when_an_attribute_is_not_answered(stacks: Stacks) -> None:
    template = json.loads(stacks.template())
    template["Resources"]["Filter"] = {
        "Type": "AWS::EC2::TrafficMirrorFilter",
        "Properties": {"Description": {"Fn::GetAtt": ["Thing", "Nope"]}},
    }
    assert stacks.create(json.dumps(template))["StackStatus"] == "ROLLBACK_COMPLETE"


def test_when_the_stack_is_deleted_meanwhile_then_nothing_is_waited_for(stacks: Stacks) -> None:
    stacks.account.waits.scale = 1
    stacks.client.create_stack(StackName="tap", TemplateBody=stacks.template(Silent="Create"))
    assert stacks.status() == "CREATE_IN_PROGRESS"
    # The function runs beside: its request is waited for, because it may come after the deletion.
    assert [event["RequestType"] for event in until(stacks.asked)] == ["Create"]
    stacks.client.delete_stack(StackName="tap")
    until(lambda: stacks.client.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"])
    assert [event["RequestType"] for event in until(stacks.asked)] == ["Delete"]


def test_when_the_token_is_a_topic_then_the_request_is_published(stacks: Stacks) -> None:
    stacks.account.waits.scale = 1
    sns, sqs = stacks.account.client("sns"), stacks.account.client("sqs")
    topic = sns.create_topic(Name="makers")["TopicArn"]
    queue = sqs.create_queue(QueueName="makers")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    stacks.client.create_stack(StackName="tap", TemplateBody=stacks.template(token=topic))
    [message] = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    event = json.loads(json.loads(message["Body"])["Message"])
    answer(event["ResponseURL"], {"Status": "SUCCESS", "PhysicalResourceId": "by mail", "Data": {"Made": "it"}})
    stacks.settled()
    assert stacks.reasons() == []
    assert outputs(stacks.settled()) == {"Id": "by mail", "Made": "it"}


def answer(url: str, said: dict[str, Any]) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(said).encode(), method="PUT")):
        pass


WAITING = json.dumps(
    {
        "Resources": {
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Thing": {
                "Type": "AWS::CloudFormation::WaitCondition",
                "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "3600", "Count": 2},
            },
        },
        "Outputs": {"Id": {"Value": {"Ref": "Handle"}}, "Made": {"Value": {"Fn::GetAtt": ["Thing", "Data"]}}},
    }
)


def handle(stacks: Stacks) -> str:
    resources = stacks.client.describe_stack_resources(StackName="tap")["StackResources"]
    return str(next(found["PhysicalResourceId"] for found in resources if found["LogicalResourceId"] == "Handle"))


def test_when_all_signals_came_then_the_wait_condition_is_made(stacks: Stacks) -> None:
    stacks.account.waits.scale = 1
    stacks.client.create_stack(StackName="tap", TemplateBody=WAITING)
    for number in ("1", "2"):
        assert stacks.status() == "CREATE_IN_PROGRESS"
        answer(handle(stacks), {"Status": "SUCCESS", "UniqueId": number, "Data": f"d{number}", "Reason": "up"})
    stack = stacks.settled()
    assert (stack["StackStatus"], outputs(stack)["Made"]) == ("CREATE_COMPLETE", '{"1":"d1","2":"d2"}')


def test_fails_when_a_signal_is_a_failure(stacks: Stacks) -> None:
    stacks.account.waits.scale = 1
    stacks.client.create_stack(StackName="tap", TemplateBody=WAITING)
    answer(handle(stacks), {"Status": "FAILURE", "UniqueId": "1", "Reason": "no disk"})
    assert stacks.settled()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reasons() == ["WaitCondition received failed message: 'no disk' for uniqueId: 1"]


def test_fails_when_signals_are_missing(stacks: Stacks) -> None:
    assert stacks.create(WAITING)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reasons() == ["WaitCondition timed out. Received 0 conditions when expecting 2"]
