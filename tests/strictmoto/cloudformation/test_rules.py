"""Rules of templates: assertions about parameters, which are evaluated before anything is made.

Source: CloudFormation Template Reference, "Rule functions", with its examples.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.cloudformation.conftest import Account

QUEUE: dict[str, Any] = {"Q": {"Type": "AWS::SQS::Queue"}}


def ruled(assertion: Any, *, condition: Any = None, **parameters: dict[str, Any]) -> str:
    rule = {"Assertions": [{"Assert": assertion, "AssertDescription": "this must not be"}]}
    if condition is not None:
        rule["RuleCondition"] = condition
    return json.dumps({"Parameters": parameters, "Rules": {"OnlyRule": rule}, "Resources": QUEUE})


def refused(account: Account, template: str, said: str, *given: dict[str, str]) -> None:
    """Neither a stack nor a change set is made."""
    for make, more in (
        (account.stacks.create_stack, {}),
        (account.stacks.create_change_set, {"ChangeSetName": "first", "ChangeSetType": "CREATE"}),
    ):
        with pytest.raises(ClientError) as error:
            make(StackName="ruled", TemplateBody=template, Parameters=list(given), **more)
        assert error.value.response["Error"]["Code"] == "ValidationError"
        assert said in error.value.response["Error"]["Message"]
    assert account.stacks.list_stacks()["StackSummaries"] == []


def text(default: str) -> dict[str, Any]:
    return {"Type": "String", "Default": default}


def numbers(default: str) -> dict[str, Any]:
    return {"Type": "CommaDelimitedList", "Default": default}


REF: dict[str, Any] = {"Ref": "Size"}
OTHER: dict[str, Any] = {"Ref": "Sizes"}


@pytest.mark.parametrize(
    ("assertion", "right", "wrong"),
    [
        ({"Fn::Equals": [REF, "large"]}, "large", "small"),
        ({"Fn::Not": [{"Fn::Equals": [REF, "large"]}]}, "small", "large"),
        ({"Fn::Contains": [["large", "huge"], REF]}, "huge", "small"),
        ({"Fn::Or": [{"Fn::Equals": [REF, "a"]}, {"Fn::Equals": [REF, "b"]}]}, "b", "c"),
        ({"Fn::And": [{"Fn::Contains": [OTHER, REF]}, {"Fn::Not": [{"Fn::Equals": [REF, "a"]}]}]}, "b", "a"),
        ({"Fn::EachMemberEquals": [[REF, REF], "a"]}, "a", "b"),
        ({"Fn::EachMemberIn": [[REF, "a"], OTHER]}, "b", "c"),
        ({"Fn::Contains": [{"Fn::RefAll": "String"}, "b"]}, "b", "a"),
    ],
)
def test_fails_when_an_assertion_does_not_hold(account: Account, assertion: Any, right: str, wrong: str) -> None:
    refused(account, ruled(assertion, Size=text(wrong), Sizes=numbers("a, b")), "OnlyRule failed: this must not be")
    account.stacks.create_stack(
        StackName="ruled", TemplateBody=ruled(assertion, Size=text(right), Sizes=numbers("a,b"))
    )


def test_when_the_condition_of_a_rule_is_false_then_it_asserts_nothing(account: Account) -> None:
    never = {"Fn::Equals": [REF, "huge"]}
    template = ruled({"Fn::Equals": ["a", "b"]}, condition=never, Size=text("small"))
    refused(account, template, "OnlyRule failed", {"ParameterKey": "Size", "ParameterValue": "huge"})
    account.stacks.create_stack(StackName="ruled", TemplateBody=template)


def test_fails_when_an_update_breaks_a_rule(account: Account) -> None:
    """It is refused, and the stack stays as it was."""
    template = ruled({"Fn::Equals": [REF, "small"]}, Size=text("small"))
    account.stacks.create_stack(StackName="ruled", TemplateBody=template)
    with pytest.raises(ClientError, match="OnlyRule failed: this must not be"):
        account.stacks.update_stack(
            StackName="ruled",
            TemplateBody=template.replace('"Q"', '"Other"'),
            Parameters=[{"ParameterKey": "Size", "ParameterValue": "large"}],
        )
    assert account.stacks.describe_stacks(StackName="ruled")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_when_rules_ask_about_networks_then_they_are_those_that_the_parameters_name(account: Account) -> None:
    """Fn::ValueOf and Fn::ValueOfAll: attributes and tags of subnets, VPCs and groups, one or each of a list."""
    zone = account.ec2.describe_subnets(SubnetIds=[account.subnet])["Subnets"][0]["AvailabilityZone"]
    account.ec2.create_tags(Resources=[account.subnet], Tags=[{"Key": "Department", "Value": "IT"}])
    vpc, subnets = "AWS::EC2::VPC::Id", "AWS::EC2::Subnet::Id"
    parameters = {
        "Vpc": {"Type": vpc, "Default": account.vpc},
        "Subnets": {"Type": f"List<{subnets}>", "Default": account.subnet},
    }
    of_vpc = {"Fn::EachMemberIn": [{"Fn::ValueOfAll": [subnets, "VpcId"]}, {"Fn::RefAll": vpc}]}
    tagged = {"Fn::EachMemberEquals": [{"Fn::ValueOf": ["Subnets", "Tags.Department"]}, "IT"]}
    placed = {"Fn::Contains": [{"Fn::ValueOf": ["Subnets", "AvailabilityZone"]}, zone]}
    default = {"Fn::Equals": [{"Fn::ValueOf": ["Vpc", "DefaultSecurityGroup"]}, "sg-12345678"]}
    every = {"Fn::And": [of_vpc, tagged, placed, {"Fn::Not": [default]}]}
    refused(account, ruled({"Fn::Not": [every]}, **parameters), "OnlyRule failed")
    other = account.ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    refused(account, ruled(every, **parameters), "OnlyRule failed", {"ParameterKey": "Vpc", "ParameterValue": other})
    absent = {"ParameterKey": "Subnets", "ParameterValue": "subnet-12345678"}
    refused(account, ruled(every, **parameters), "subnet-12345678 for parameter name Subnets does not exist", absent)
    unknown = {"Fn::Equals": [{"Fn::ValueOf": ["Vpc", "Colour"]}, "red"]}
    refused(account, ruled(unknown, **parameters), "strictmoto has no attribute Colour")
    account.stacks.create_stack(StackName="ruled", TemplateBody=ruled(every, **parameters))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"Assertions": "nonsense"}, "Rule OnlyRule must have a list of Assertions"),
        ({"Assertions": []}, "Rule OnlyRule must have a list of Assertions"),
        ({"Assertions": [{"AssertDescription": "a"}]}, "Every assertion of rule OnlyRule must have an Assert"),
        ({"Assertions": [{"Assert": {"Fn::Sub": "a"}}]}, "Encountered unsupported function: Fn::Sub"),
        ({"Assertions": [{"Assert": {"Fn::Contains": ["a"]}}]}, "every Fn::Contains object requires two parameters"),
        ({"Assertions": [{"Assert": {"Fn::Contains": ["a", "b"]}}]}, "every Fn::Contains object requires two"),
        ({"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "Q"}, "b"]}}]}, "Unresolved dependencies [Q]"),
        ({"Assertions": [{"Assert": {"Fn::Equals": [{"Fn::ValueOf": ["Q", "a"]}, "b"]}}]}, "dependencies [Q]"),
        ({"Assertions": [{"Assert": "true"}]}, "must be a boolean function"),
    ],
)
def test_fails_when_a_rule_is_malformed(account: Account, rule: dict[str, Any], said: str) -> None:
    refused(account, json.dumps({"Rules": {"OnlyRule": rule}, "Resources": QUEUE}), said)
