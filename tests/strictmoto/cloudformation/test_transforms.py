"""Transforms and macros: which a stack may be made with, and what may stand in a template with them only."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.cloudformation.conftest import Account

TOPIC: dict[str, Any] = {"Type": "AWS::SNS::Topic"}
EXTENDED = "AWS::LanguageExtensions"
EXPAND = "CAPABILITY_AUTO_EXPAND"
LENGTH = {**TOPIC, "Properties": {"DisplayName": {"Fn::Sub": ["${n}", {"n": {"Fn::Length": ["a", "b"]}}]}}}
TEXT = {**TOPIC, "Properties": {"DisplayName": {"Fn::ToJsonString": {"at": {"Ref": "AWS::Region"}}}}}
LOOP = {"Fn::ForEach::Topics": ["name", ["A", "B"], {"Topic${name}": TOPIC}]}
KEPT = {**TOPIC, "DeletionPolicy": {"Fn::If": ["Yes", "Retain", "Delete"]}}


def body(transform: Any = None, **resources: Any) -> str:
    template = {
        "Conditions": {"Yes": {"Fn::Equals": ["a", "a"]}},
        "Resources": resources or {"Topic": TOPIC},
        **({"Transform": transform} if transform else {}),
    }
    return json.dumps(template)


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ("MyMacro", "No transform named 123456789012::MyMacro found."),
        (["MyMacro"], "No transform named 123456789012::MyMacro found."),
        ([EXTENDED, {"Name": "Other", "Parameters": {}}], "No transform named 123456789012::Other found."),
        ("AWS::Serverless-2016-10-31", "strictmoto runs no transform AWS::Serverless-2016-10-31"),
        (
            {"Name": "AWS::Include", "Parameters": {"Location": "s3://b/k"}},
            "strictmoto runs no transform AWS::Include",
        ),
    ],
)
def test_fails_when_nothing_runs_a_transform(account: Account, transform: Any, said: str) -> None:
    """At creation, at an update, in a change set and in a nested stack: nothing is made."""
    stacks, given = account.stacks, {"StackName": "tap", "TemplateBody": body(transform)}
    assert refused(stacks.create_stack, **given, Capabilities=[EXPAND]) == f"ValidationError: {said}"
    changes = {"ChangeSetName": "first", "ChangeSetType": "CREATE"}
    assert refused(stacks.create_change_set, **given, **changes) == f"ValidationError: {said}"
    assert stacks.describe_stacks()["Stacks"] == []
    stacks.create_stack(StackName="tap", TemplateBody=body())
    assert refused(stacks.update_stack, **given, Capabilities=[EXPAND]) == f"ValidationError: {said}"
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.validate_template(TemplateBody=body(transform))["Capabilities"] == [EXPAND]


def test_fails_when_a_part_of_a_template_is_transformed(account: Account) -> None:
    part = {"Fn::Transform": {"Name": "MyMacro", "Parameters": {}}}
    template = body(Topic={**TOPIC, "Properties": part})
    asked = {"StackName": "tap", "TemplateBody": template, "Capabilities": [EXPAND]}
    assert "No transform named 123456789012::MyMacro found." in refused(account.stacks.create_stack, **asked)


@pytest.mark.parametrize("transform", [EXTENDED, [EXTENDED]])
def test_when_extensions_are_declared_then_their_functions_are_evaluated(account: Account, transform: Any) -> None:
    """Length and ToJsonString, functions in Ref, in Fn::GetAtt and in a policy of deletion."""
    template = json.loads(body(transform, Length=LENGTH, Text=TEXT, Kept=KEPT))
    template["Mappings"] = {"Names": {"of": {"one": "Length", "other": "Text"}}}
    one, other = ({"Fn::FindInMap": ["Names", "of", name]} for name in ("one", "other"))
    template["Outputs"] = {
        "One": {"Value": {"Ref": one}},
        "Other": {"Value": {"Fn::GetAtt": [other, "TopicName"]}},
    }
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template), Capabilities=[EXPAND])
    found = {output["OutputKey"]: output["OutputValue"] for output in account.stack()["Outputs"]}
    sns = account.client("sns")
    names = {
        topic["TopicArn"]: sns.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]["DisplayName"]
        for topic in sns.list_topics()["Topics"]
    }
    assert sorted(names.values()) == ["", "2", '{"at": "eu-central-1"}']
    assert names[found["One"]] == "2"
    assert found["Other"] in [arn.rpartition(":")[2] for arn, shown in names.items() if "at" in shown]
    account.stacks.delete_stack(StackName="tap")
    [left] = sns.list_topics()["Topics"]
    assert names[left["TopicArn"]] == ""
    sns.delete_topic(**left)


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({"Topic": LENGTH}, "Template error: Encountered unsupported function: Fn::Length Supported functions are: ["),
        ({"Topic": TEXT}, "Template error: Encountered unsupported function: Fn::ToJsonString"),
        (LOOP, "Template error: Encountered unsupported function: Fn::ForEach::Topics"),
        ({"Topic": {**TOPIC, "Properties": {"DisplayName": {"Fn::Upper": "a"}}}}, "Fn::Upper"),
        ({"Topic": KEPT}, "Template format error: Every DeletionPolicy member must be a string."),
    ],
)
def test_fails_when_extensions_are_not_declared(account: Account, resource: Any, said: str) -> None:
    for call in (account.stacks.validate_template, account.stacks.get_template_summary):
        assert said in refused(call, TemplateBody=body(**resource))


def test_fails_when_a_loop_would_have_to_be_expanded(account: Account) -> None:
    """A limit of the account, in plain words."""
    said = "strictmoto does not evaluate Fn::ForEach::Topics"
    assert said in refused(account.stacks.validate_template, TemplateBody=body(EXTENDED, **LOOP))


@pytest.mark.parametrize("transform", [EXTENDED, "MyMacro"])
def test_when_a_template_has_macros_then_making_a_stack_of_it_directly_is_acknowledged(
    account: Account, transform: str
) -> None:
    """CAPABILITY_AUTO_EXPAND, besides those of IAM; a change set needs the latter only."""
    role = {"Type": "AWS::IAM::User"}
    given = {"StackName": "tap", "TemplateBody": body(transform, User=role)}
    required = "InsufficientCapabilitiesException: Requires capabilities : "
    stacks = account.stacks
    assert refused(stacks.create_stack, **given) == f"{required}[CAPABILITY_IAM, {EXPAND}]"
    assert refused(stacks.create_stack, **given, Capabilities=["CAPABILITY_IAM"]) == f"{required}[{EXPAND}]"
    assert refused(stacks.create_stack, **given, Capabilities=[EXPAND]) == f"{required}[CAPABILITY_IAM]"
    if transform == EXTENDED:
        changes = {"ChangeSetName": "first", "ChangeSetType": "CREATE"}
        assert refused(stacks.create_change_set, **given, **changes) == f"{required}[CAPABILITY_IAM]"
        assert stacks.create_change_set(**given, **changes, Capabilities=["CAPABILITY_IAM"])


def test_when_a_template_is_summarized_then_its_transforms_are_named(account: Account) -> None:
    """Types that a macro makes are not looked up."""
    function = {"Type": "AWS::Serverless::Function"}
    transforms = ["AWS::Serverless-2016-10-31", {"Name": "MyMacro", "Parameters": {"a": "b"}}]
    found = account.stacks.get_template_summary(TemplateBody=body(transforms, Function=function))
    assert found["DeclaredTransforms"] == ["AWS::Serverless-2016-10-31", "MyMacro"]
    assert found["Capabilities"] == [EXPAND]
