"""The life of a stack: creation that fails, rollback, deletion, and what is refused before there is one."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.cloudformation.conftest import Account

GOOD = {"Type": "AWS::EC2::TrafficMirrorFilter", "Properties": {"Description": "good"}}
# There is no such interface, and every account says so.
BAD = {
    "Type": "AWS::EC2::TrafficMirrorTarget",
    "DependsOn": "Good",
    "Properties": {"NetworkInterfaceId": "eni-0123456789abcdef0"},
}
FAILING = {"Resources": {"Bad": BAD, "Good": GOOD}}
ROLE: dict[str, Any] = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    },
}


def create(account: Account, template: dict[str, Any], name: str = "tap", **given: Any) -> str:
    made = account.stacks.create_stack(StackName=name, TemplateBody=json.dumps(template), **given)
    return str(made["StackId"])


def statuses(account: Account) -> dict[str, str]:
    return {stack["StackName"]: stack["StackStatus"] for stack in account.stacks.list_stacks()["StackSummaries"]}


def test_fails_when_a_resource_cannot_be_made_and_what_was_made_is_rolled_back(account: Account) -> None:
    stack_id = create(account, FAILING)
    stack = account.stack()
    assert stack["StackId"] == stack_id
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stack["StackStatusReason"] == (
        "The following resource(s) failed to create: [Bad]. Rollback requested by user."
    )
    assert "Outputs" not in stack
    assert statuses(account) == {"tap": "ROLLBACK_COMPLETE"}
    assert account.left_behind() == {}
    assert [(name, status) for name, status, _reason in account.events("tap")] == [
        ("tap", "CREATE_IN_PROGRESS"),
        ("Good", "CREATE_IN_PROGRESS"),
        ("Good", "CREATE_COMPLETE"),
        ("Bad", "CREATE_IN_PROGRESS"),
        ("Bad", "CREATE_FAILED"),
        ("tap", "ROLLBACK_IN_PROGRESS"),
        ("Good", "DELETE_IN_PROGRESS"),
        ("Good", "DELETE_COMPLETE"),
        ("tap", "ROLLBACK_COMPLETE"),
    ]
    [reason] = [reason for _name, status, reason in account.events("tap") if status == "CREATE_FAILED"]
    assert reason.startswith('Resource handler returned message: "')
    assert "eni-0123456789abcdef0" in reason


def test_when_a_stack_was_rolled_back_then_it_can_be_deleted_and_its_name_used_again(account: Account) -> None:
    stack_id = create(account, FAILING)
    with pytest.raises(ClientError, match="already exists"):
        create(account, {"Resources": {"Good": GOOD}})
    account.stacks.delete_stack(StackName="tap")
    assert account.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    create(account, {"Resources": {"Good": GOOD}})
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize("choice", [{"OnFailure": "DO_NOTHING"}, {"DisableRollback": True}])
def test_fails_when_rollback_is_off_and_what_was_made_stays(account: Account, choice: dict[str, Any]) -> None:
    create(account, FAILING, **choice)
    stack = account.stack()
    assert (stack["StackStatus"], stack["DisableRollback"]) == ("CREATE_FAILED", True)
    assert list(account.left_behind()) == ["filters"]
    resources = account.stacks.describe_stack_resources(StackName="tap")["StackResources"]
    assert [(r["LogicalResourceId"], r["ResourceStatus"]) for r in resources] == [("Good", "CREATE_COMPLETE")]
    account.stacks.delete_stack(StackName="tap")
    assert account.left_behind() == {}


def test_fails_when_failure_deletes_the_stack(account: Account) -> None:
    stack_id = create(account, FAILING, OnFailure="DELETE")
    assert account.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert statuses(account) == {"tap": "DELETE_COMPLETE"}
    assert account.events(stack_id)[-1][:2] == ("tap", "DELETE_COMPLETE")
    assert account.left_behind() == {}
    with pytest.raises(ClientError, match="does not exist"):
        account.stack()


def test_fails_when_a_parameter_names_a_key_pair_that_is_not_there(account: Account) -> None:
    declared = {"Key": {"Type": "AWS::EC2::KeyPair::KeyName", "Default": "operators"}}
    stack_id = create(account, {"Parameters": declared, "Resources": {"Good": GOOD}})
    stack = account.stack(stack_id)
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "operators" in stack["StackStatusReason"]
    account.stacks.delete_stack(StackName="tap")
    account.ec2.create_key_pair(KeyName="operators")
    assert account.stack(create(account, {"Parameters": declared, "Resources": {"Good": GOOD}}))["StackStatus"] == (
        "CREATE_COMPLETE"
    )


def test_fails_when_both_ways_to_handle_failure_are_given(account: Account) -> None:
    with pytest.raises(ClientError, match="You cannot specify both"):
        create(account, FAILING, OnFailure="DELETE", DisableRollback=True)


@pytest.mark.parametrize(
    "given", [{"TemplateBody": json.dumps({"Resources": {"Good": GOOD}})}, {"UsePreviousTemplate": True}]
)
def test_fails_when_a_rolled_back_stack_is_updated(account: Account, given: dict[str, Any]) -> None:
    create(account, FAILING)
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        account.stacks.update_stack(StackName="tap", **given)


def test_fails_when_a_resource_cannot_be_deleted_and_the_stack_stays(account: Account) -> None:
    create(account, {"Resources": {"Good": GOOD}, "Outputs": {"Filter": {"Value": {"Ref": "Good"}}}})
    filter_id = account.stack()["Outputs"][0]["OutputValue"]
    target = account.ec2.create_traffic_mirror_target(NetworkInterfaceId=account.interface())["TrafficMirrorTarget"]
    session = account.ec2.create_traffic_mirror_session(
        NetworkInterfaceId=account.interface(),
        TrafficMirrorTargetId=target["TrafficMirrorTargetId"],
        TrafficMirrorFilterId=filter_id,
        SessionNumber=1,
    )["TrafficMirrorSession"]
    account.stacks.delete_stack(StackName="tap")
    stack = account.stack()
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert stack["StackStatusReason"] == "The following resource(s) failed to delete: [Good]. "
    account.ec2.delete_traffic_mirror_session(TrafficMirrorSessionId=session["TrafficMirrorSessionId"])
    account.stacks.delete_stack(StackName="tap")
    assert statuses(account) == {"tap": "DELETE_COMPLETE"}
    assert "filters" not in account.left_behind()


def test_fails_when_a_protected_stack_is_deleted(account: Account) -> None:
    create(account, {"Resources": {"Good": GOOD}}, EnableTerminationProtection=True)
    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        account.stacks.delete_stack(StackName="tap")
    assert statuses(account) == {"tap": "CREATE_COMPLETE"}
    for protects in (False, True):
        account.stacks.update_termination_protection(StackName="tap", EnableTerminationProtection=protects)
        assert account.stack()["EnableTerminationProtection"] is protects
    account.stacks.update_termination_protection(StackName="tap", EnableTerminationProtection=False)
    account.stacks.delete_stack(StackName="tap")
    assert statuses(account) == {"tap": "DELETE_COMPLETE"}


def test_when_a_deletion_policy_retains_then_the_resource_stays(account: Account) -> None:
    create(account, {"Resources": {"Good": {**GOOD, "DeletionPolicy": "Retain"}}})
    account.stacks.delete_stack(StackName="tap")
    assert statuses(account) == {"tap": "DELETE_COMPLETE"}
    assert list(account.left_behind()) == ["filters"]


@pytest.mark.parametrize(
    ("slot", "value", "said"),
    [
        ({"AllowedValues": ["a", "b"]}, "c", "Parameter 'P' must be one of AllowedValues"),
        ({"AllowedPattern": "[a-z]+"}, "a1", r"Parameter 'P' must match pattern \[a-z\]\+"),
        ({"MinLength": 3}, "ab", "Parameter 'P' must contain at least 3 characters"),
        ({"MaxLength": "3"}, "abcd", "Parameter 'P' must contain at most 3 characters"),
        ({"Type": "Number"}, "many", "Parameter 'P' must be a number"),
        ({"Type": "Number", "MaxValue": 3}, "4", "Parameter 'P' must be a number not greater than 3"),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "a,c", "Parameter 'P' must be one of"),
        ({}, None, r"Parameters: \[P\] must have values"),
    ],
)
def test_fails_when_a_parameter_is_not_as_declared(
    account: Account, slot: dict[str, Any], value: str | None, said: str
) -> None:
    template = {"Parameters": {"P": {"Type": "String", **slot}}, "Resources": {"Good": GOOD}}
    given = [{"ParameterKey": "P", "ParameterValue": value}] if value is not None else []
    with pytest.raises(ClientError, match=said) as refused:
        create(account, template, Parameters=given)
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert statuses(account) == {}


@pytest.mark.parametrize("allowed", [[True, False], ["true", "false"]])
def test_when_an_allowed_value_is_a_boolean_then_its_text_is_meant(account: Account, allowed: list[Any]) -> None:
    template = {
        "Parameters": {"P": {"Type": "String", "AllowedValues": allowed, "Default": False}},
        "Conditions": {"On": {"Fn::Equals": [{"Ref": "P"}, "true"]}},
        "Resources": {"Good": GOOD, "More": {**GOOD, "Condition": "On"}},
    }
    for name, value in (("on", "true"), ("off", None)):
        given = [{"ParameterKey": "P", "ParameterValue": value}] if value else []
        create(account, template, name, Parameters=given)
    resources = {
        name: len(account.stacks.describe_stack_resources(StackName=name)["StackResources"]) for name in ("on", "off")
    }
    assert resources == {"on": 2, "off": 1}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"Resources": {}}, "At least one Resources member must be defined"),
        ({"Resources": {"A": {"Properties": {}}}}, "Every Resources object must contain a Type member"),
        (
            {"Resources": {"A": {**GOOD, "Properties": {"Description": {"Ref": "Nothing"}}}}},
            r"Unresolved resource dependencies \[Nothing\] in the Resources block",
        ),
        (
            {"Resources": {"A": GOOD}, "Outputs": {"O": {"Value": {"Fn::Sub": "${Nothing.Id}"}}}},
            r"Unresolved resource dependencies \[Nothing\] in the Outputs block",
        ),
        (
            {"Resources": {"A": {**GOOD, "DependsOn": "Nothing"}}},
            r"Unresolved resource dependencies \[Nothing\] in the Resources block",
        ),
        (
            {"Resources": {"A": {**GOOD, "Properties": {"Description": {"Fn::GetAtt": ["Nothing", "Arn"]}}}}},
            "Template error: instance of Fn::GetAtt references undefined resource Nothing",
        ),
        (
            {"Resources": {"A": GOOD}, "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Nothing", "Arn"]}}}},
            "Template error: instance of Fn::GetAtt references undefined resource Nothing",
        ),
        (
            {
                "Parameters": {"P": {"Type": "String", "Default": "x"}},
                "Resources": {"A": {**GOOD, "Properties": {"Description": {"Fn::GetAtt": ["P", "Arn"]}}}},
            },
            "Template error: instance of Fn::GetAtt references undefined resource P",
        ),
        (
            {"Resources": {"A": {**GOOD, "DependsOn": "B"}, "B": {**GOOD, "DependsOn": ["A"]}}},
            r"Circular dependency between resources: \[A, B\]",
        ),
    ],
)
def test_fails_when_a_template_cannot_be_read(account: Account, template: dict[str, Any], said: str) -> None:
    for call in (create, lambda a, t: a.stacks.validate_template(TemplateBody=json.dumps(t))):
        with pytest.raises(ClientError, match=said):
            call(account, template)


def test_fails_when_a_template_is_not_yaml(account: Account) -> None:
    with pytest.raises(ClientError, match="Template format error: YAML not well-formed"):
        account.stacks.create_stack(StackName="tap", TemplateBody="Resources: [")


@pytest.mark.parametrize("url", ["http://s3.amazonaws.com/bucket/key", "https://example.com/key"])
def test_fails_when_a_template_url_is_not_s3s(account: Account, url: str) -> None:
    with pytest.raises(ClientError, match="TemplateURL must be a supported URL"):
        account.stacks.create_stack(StackName="tap", TemplateURL=url)


def test_fails_when_there_is_no_template_at_the_url(account: Account) -> None:
    with pytest.raises(ClientError, match="S3 error: ") as refused:
        account.stacks.get_template_summary(TemplateURL="https://s3.amazonaws.com/nowhere/key")
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def named(role: dict[str, Any]) -> dict[str, Any]:
    return {**role, "Properties": {**role["Properties"], "RoleName": "mine"}}


@pytest.mark.parametrize(
    ("role", "given", "missing"),
    [
        (ROLE, [], "CAPABILITY_IAM"),
        (named(ROLE), ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ],
)
def test_fails_when_a_capability_is_missing(
    account: Account, role: dict[str, Any], given: list[str], missing: str
) -> None:
    with pytest.raises(ClientError, match=rf"Requires capabilities : \[{missing}\]") as refused:
        create(account, {"Resources": {"Role": role}}, Capabilities=given)
    assert refused.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"
    assert statuses(account) == {}


@pytest.mark.parametrize("capability", ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"])
def test_when_the_capability_is_given_then_the_role_is_made(account: Account, capability: str) -> None:
    create(account, {"Resources": {"Role": ROLE}}, Capabilities=[capability])
    assert statuses(account) == {"tap": "CREATE_COMPLETE"}


def test_when_a_template_is_summarized_then_it_says_which_capability_it_needs(account: Account) -> None:
    body = json.dumps({"Description": "roles", "Resources": {"Role": named(ROLE), "Good": GOOD}})
    summary = account.stacks.get_template_summary(TemplateBody=body)
    assert summary["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert summary["CapabilitiesReason"] == "The following resource(s) require capabilities: [AWS::IAM::Role]"
    assert summary["ResourceTypes"] == ["AWS::EC2::TrafficMirrorFilter", "AWS::IAM::Role"]
    assert summary["Description"] == "roles"


def test_when_an_image_parameter_is_a_string_then_the_template_is_valid(account: Account) -> None:
    template = {
        "Parameters": {"Image": {"Type": "String", "Default": "ami-12345678", "NoEcho": True}},
        "Resources": {"I": {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": {"Ref": "Image"}}}},
    }
    valid = account.stacks.validate_template(TemplateBody=json.dumps(template))
    assert valid["Parameters"] == [{"ParameterKey": "Image", "DefaultValue": "ami-12345678", "NoEcho": True}]


def test_when_two_stacks_export_one_name_then_the_second_is_rolled_back(account: Account) -> None:
    template = {
        "Resources": {"Good": GOOD},
        "Outputs": {"Filter": {"Value": {"Ref": "Good"}, "Export": {"Name": "filter"}}},
    }
    create(account, template, "first")
    create(account, template, "second")
    assert statuses(account) == {"first": "CREATE_COMPLETE", "second": "ROLLBACK_COMPLETE"}
    assert [export["Name"] for export in account.stacks.list_exports()["Exports"]] == ["filter"]
    account.stacks.delete_stack(StackName="second")
    assert len(account.stacks.list_exports()["Exports"]) == 1
    account.stacks.delete_stack(StackName="first")
    assert account.stacks.list_exports()["Exports"] == []
    assert account.left_behind() == {}


def change_set(account: Account, template: dict[str, Any], kind: str) -> dict[str, Any]:
    account.stacks.create_change_set(
        StackName="tap", ChangeSetName=f"{kind}-it", ChangeSetType=kind, TemplateBody=json.dumps(template)
    )
    account.stacks.execute_change_set(StackName="tap", ChangeSetName=f"{kind}-it")
    return account.stack()


def test_when_a_change_set_makes_a_stack_then_it_has_outputs(account: Account) -> None:
    template = {"Resources": {"Good": GOOD}, "Outputs": {"Filter": {"Value": {"Ref": "Good"}}}}
    stack = change_set(account, template, "CREATE")
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert [stack["Outputs"][0]["OutputValue"]] == account.left_behind()["filters"]
    account.stacks.delete_stack(StackName="tap")
    assert account.left_behind() == {}


def test_fails_when_a_change_set_cannot_be_applied(account: Account) -> None:
    assert change_set(account, FAILING, "CREATE")["StackStatus"] == "ROLLBACK_COMPLETE"
    assert account.left_behind() == {}
    account.stacks.delete_stack(StackName="tap")
    create(account, {"Resources": {"Good": GOOD}})
    before = account.left_behind()
    assert change_set(account, FAILING, "UPDATE")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert account.left_behind() == before


def test_when_a_stack_and_its_resources_change_then_eventbridge_hears_of_it(account: Account) -> None:
    queues, rules = account.client("sqs"), account.client("events")
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**allowed, "Resource": "*"}]})
    queue = queues.create_queue(QueueName="heard", Attributes={"Policy": policy})["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rules.put_rule(Name="stacks", EventPattern=json.dumps({"source": ["aws.cloudformation"]}))
    rules.put_targets(Rule="stacks", Targets=[{"Id": "queue", "Arn": arn}])
    stack_id = create(account, {"Resources": {"Good": GOOD}})
    messages: list[Any] = []
    while len(messages) < 4:
        # EventBridge delivers later than the stack is made.
        messages += queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    heard = [json.loads(message["Body"]) for message in messages]
    assert [(event["detail-type"], event["detail"]["status-details"]["status"]) for event in heard] == [
        ("CloudFormation Stack Status Change", "CREATE_IN_PROGRESS"),
        ("CloudFormation Resource Status Change", "CREATE_IN_PROGRESS"),
        ("CloudFormation Resource Status Change", "CREATE_COMPLETE"),
        ("CloudFormation Stack Status Change", "CREATE_COMPLETE"),
    ]
    assert {event["detail"]["stack-id"] for event in heard} == {stack_id}
    assert heard[2]["detail"]["resource-type"] == "AWS::EC2::TrafficMirrorFilter"


def test_when_a_stack_is_nested_then_what_it_makes_has_the_tags_of_the_outer_one(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket="templates", Key="inner.json", Body=json.dumps({"Resources": {"Good": GOOD}}).encode())
    url = "https://s3.amazonaws.com/templates/inner.json"
    inner = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}
    create(account, {"Resources": {"Inner": inner}}, Tags=[{"Key": "team", "Value": "blue"}])
    [found] = account.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
    assert {"Key": "team", "Value": "blue"} in found["Tags"]


def test_when_a_nested_stack_changes_then_it_stays_and_its_outputs_are_known_outside(account: Account) -> None:
    s3 = account.client("s3")
    s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    inner = {
        "Parameters": {"Word": {"Type": "String"}},
        "Resources": {"Good": GOOD},
        "Outputs": {"Said": {"Value": {"Fn::Sub": "${Word}!"}}},
    }
    s3.put_object(Bucket="templates", Key="inner.json", Body=json.dumps(inner).encode())
    url = "https://s3.amazonaws.com/templates/inner.json"

    def outer(word: str) -> str:
        nested = {
            "Type": "AWS::CloudFormation::Stack",
            "Properties": {"TemplateURL": url, "Parameters": {"Word": word}},
        }
        outputs = {"Said": {"Value": {"Fn::GetAtt": ["Inner", "Outputs.Said"]}}, "Id": {"Value": {"Ref": "Inner"}}}
        return json.dumps({"Resources": {"Inner": nested}, "Outputs": outputs})

    seen = []
    account.stacks.create_stack(StackName="tap", TemplateBody=outer("one"))
    seen.append({output["OutputKey"]: output["OutputValue"] for output in account.stack()["Outputs"]})
    before = account.left_behind()["filters"]
    account.stacks.update_stack(StackName="tap", TemplateBody=outer("two"))
    seen.append({output["OutputKey"]: output["OutputValue"] for output in account.stack()["Outputs"]})
    assert [output["Said"] for output in seen] == ["one!", "two!"]
    assert seen[0]["Id"] == seen[1]["Id"]
    assert seen[0]["Id"].startswith("arn:aws:cloudformation:")
    assert account.left_behind()["filters"] == before
    account.stacks.delete_stack(StackName="tap")
    assert account.left_behind() == {}


def nested(account: Account, name: str, template: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A nested stack of a template, which is put into a bucket."""
    account.client("s3").put_object(Bucket="templates", Key=f"{name}.json", Body=json.dumps(template).encode())
    url = f"https://s3.amazonaws.com/templates/{name}.json"
    return {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url, **properties}}


def test_when_stacks_are_nested_then_each_names_its_parent_and_its_root(account: Account) -> None:
    account.client("s3").create_bucket(
        Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    tags = [{"Key": "team", "Value": "red"}]
    innermost = nested(account, "innermost", {"Resources": {"Good": GOOD}}, Tags=tags)
    inner = nested(account, "inner", {"Resources": {"Innermost": innermost}})
    role = "arn:aws:iam::123456789012:role/deployer"
    given: dict[str, Any] = {
        "Capabilities": ["CAPABILITY_IAM"],
        "RoleARN": role,
        "Tags": [{"Key": "team", "Value": "blue"}],
    }
    # The second update adds a stack that is nested in two others.
    create(account, {"Resources": {"Good": GOOD}}, **given)
    body = json.dumps({"Resources": {"Inner": inner}})
    account.stacks.update_stack(StackName="tap", TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    found = {one["StackName"].split("-")[-2] if "-" in one["StackName"] else "tap": one for one in all_stacks(account)}
    root, middle, leaf = found["tap"], found["Inner"], found["Innermost"]
    assert not {"ParentId", "RootId"} & set(root)
    assert (middle["ParentId"], middle["RootId"]) == (root["StackId"], root["StackId"])
    assert (leaf["ParentId"], leaf["RootId"]) == (middle["StackId"], root["StackId"])
    assert {one["RoleARN"] for one in found.values()} == {role}
    assert {tuple(one["Capabilities"]) for one in found.values()} == {("CAPABILITY_NAMED_IAM",)}
    assert [one["Tags"] for one in (root, middle, leaf)] == [given["Tags"], given["Tags"], tags]
    listed = {one["StackId"]: one.get("ParentId") for one in account.stacks.list_stacks()["StackSummaries"]}
    assert listed[leaf["StackId"]] == middle["StackId"]


def test_fails_when_a_parameter_of_a_nested_stack_is_a_list(account: Account) -> None:
    account.client("s3").create_bucket(
        Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    template = {"Parameters": {"Words": {"Type": "CommaDelimitedList"}}, "Resources": {"Good": GOOD}}
    inner = nested(account, "inner", template, Parameters={"Words": ["a", "b"]})
    create(account, {"Resources": {"Inner": inner}})
    [reason] = [
        reason for name, status, reason in account.events("tap") if (name, status) == ("Inner", "CREATE_FAILED")
    ]
    assert "Value of property Parameters must be an object with String (or simple type) properties" in reason


def all_stacks(account: Account) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.stacks.describe_stacks()["Stacks"]
    return found


def test_when_a_change_set_is_executed_then_its_capabilities_are_the_stacks(account: Account) -> None:
    body = json.dumps({"Resources": {"Good": GOOD}})
    given = {"StackName": "tap", "ChangeSetName": "first", "ChangeSetType": "CREATE", "TemplateBody": body}
    account.stacks.create_change_set(**given, Capabilities=["CAPABILITY_IAM"])
    described = account.stacks.describe_change_set(StackName="tap", ChangeSetName="first")
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert described["Capabilities"] == account.stack()["Capabilities"] == ["CAPABILITY_IAM"]


LISTED: dict[str, Any] = {
    "Parameters": {
        "Words": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Numbers": {"Type": "List<Number>", "Default": "1, 2"},
        "Secret": {"Type": "String", "NoEcho": True, "Default": "hidden"},
    },
    "Resources": {"Good": GOOD},
    "Outputs": {name: {"Value": {"Fn::Join": ["|", {"Ref": name}]}} for name in ("Words", "Numbers")},
}


@pytest.mark.parametrize(("given", "words"), [(None, "a|b"), ("c ,d", "c|d")])
def test_when_a_parameter_is_a_list_then_it_is_one_and_shown_as_given(
    account: Account, given: str | None, words: str
) -> None:
    parameters = [{"ParameterKey": "Words", "ParameterValue": given}] if given else []
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(LISTED), Parameters=parameters)
    stack = account.stack()
    assert {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]} == {"Words": words, "Numbers": "1|2"}
    shown = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    assert shown == {"Words": given or "a, b", "Numbers": "1, 2", "Secret": "****"}


def test_when_a_change_set_keeps_a_list_then_it_is_still_one(account: Account) -> None:
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(LISTED))
    account.stacks.create_change_set(
        StackName="tap",
        ChangeSetName="more",
        TemplateBody=json.dumps({**LISTED, "Resources": {"Good": GOOD, "More": GOOD}}),
        Parameters=[{"ParameterKey": "Words", "UsePreviousValue": True}],
    )
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="more")
    stack = account.stack()
    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert {"OutputKey": "Words", "OutputValue": "a|b"} in stack["Outputs"]


def test_when_a_parameter_names_one_of_systems_manager_then_its_value_is_shown_besides(account: Account) -> None:
    account.client("ssm").put_parameter(Name="/names", Value="a,b", Type="StringList")
    declared = {"Names": {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/names"}}
    body = json.dumps({"Parameters": declared, "Resources": {"Good": GOOD}})
    account.stacks.create_stack(StackName="tap", TemplateBody=body)
    [shown] = account.stack()["Parameters"]
    assert shown == {"ParameterKey": "Names", "ParameterValue": "/names", "ResolvedValue": "a,b"}
