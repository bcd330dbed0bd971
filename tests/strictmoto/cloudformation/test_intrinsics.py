"""Templates in YAML and in JSON say the same, and intrinsic functions stand for what AWS says they do."""

import base64
import json
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings

from strictmoto.account import Account as AwsAccount
from strictmoto.cloudformation.yaml_templates import read
from tests.strictmoto.cloudformation.conftest import Account

FILTER = {"Type": "AWS::EC2::TrafficMirrorFilter"}
BASE: dict[str, Any] = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {"Word": {"Type": "String", "Default": "w.1"}, "Words": {"Type": "CommaDelimitedList"}},
    "Mappings": {"Sizes": {"eu-central-1": {"small": "s", "big": "b"}}},
    "Conditions": {
        "Yes": {"Fn::Equals": [{"Ref": "AWS::Region"}, "eu-central-1"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Both": {"Fn::And": [{"Condition": "Yes"}, {"Fn::Or": [{"Condition": "No"}, {"Condition": "Yes"}]}]},
    },
    "Resources": {"First": FILTER},
}
WORDS = [{"ParameterKey": "Words", "ParameterValue": "one,two,three"}]
PLAIN = {"Ref", "Condition"}


class Short:
    """A function that is written in its short form, in flow or in block style."""

    def __init__(self, tag: str, value: Any, flow: bool) -> None:
        self.tag, self.value, self.flow = tag, value, flow


def _represent(dumper: Any, short: Short) -> Any:
    if isinstance(short.value, list):
        return dumper.represent_sequence(short.tag, short.value, flow_style=short.flow)
    if isinstance(short.value, dict):
        return dumper.represent_mapping(short.tag, short.value, flow_style=short.flow)
    return dumper.represent_scalar(short.tag, str(short.value), style='"')


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(Short, _represent)


def shortened(part: Any, flow: bool) -> Any:
    """The same part with the short form of each function, where YAML lets two tags not meet."""
    if isinstance(part, list):
        return [shortened(item, flow) for item in part]
    if not isinstance(part, dict):
        return part
    if len(part) == 1:
        [(name, value)] = part.items()
        if name in PLAIN or name.startswith("Fn::"):
            inner = shortened(value, flow)
            if isinstance(inner, Short):
                return {name: inner}
            if name == "Fn::GetAtt" and flow:
                inner = ".".join(value)
            return Short(f"!{name.removeprefix('Fn::')}", inner, flow)
    return {key: shortened(value, flow) for key, value in part.items()}


def as_yaml(template: dict[str, Any], flow: bool) -> str:
    return yaml.dump(shortened(template, flow), Dumper=_Dumper, sort_keys=False)


texts = st.one_of(
    st.text("abc.:-!'\"# {}", max_size=6).filter(lambda text: "${" not in text),
    st.sampled_from([{"Ref": "Word"}, {"Ref": "AWS::Region"}, {"Fn::GetAtt": ["First", "Id"]}, {"Ref": "First"}]),
)
lists = st.sampled_from(
    [{"Ref": "Words"}, {"Fn::GetAZs": ""}, {"Fn::GetAZs": {"Ref": "AWS::Region"}}, {"Fn::Cidr": ["10.0.0.0/16", 3, 8]}]
)


def _nested(inner: Any) -> Any:
    many = st.one_of(lists, st.lists(inner, min_size=3, max_size=3))
    return st.one_of(
        st.builds(lambda delimiter, values: {"Fn::Join": [delimiter, values]}, st.sampled_from(["", ",", " - "]), many),
        st.builds(lambda index, values: {"Fn::Select": [index, values]}, st.integers(0, 2), many),
        st.builds(lambda index, values: {"Fn::Select": [str(index), values]}, st.integers(0, 2), many),
        st.builds(lambda text: {"Fn::Select": [0, {"Fn::Split": [".", text]}]}, inner),
        st.builds(
            lambda name, then, other: {"Fn::If": [name, then, other]},
            st.sampled_from(["Yes", "No", "Both"]),
            inner,
            inner,
        ),
        st.builds(lambda text: {"Fn::Base64": text}, inner),
        st.builds(lambda text: {"Fn::Sub": ["${A}-${Word}-${!Kept}-${First.Id}", {"A": text}]}, inner),
        st.just({"Fn::Sub": "${AWS::StackName}/${First}"}),
        st.builds(
            lambda size: {"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, size]}, st.sampled_from(["small", "big"])
        ),
    )


values = st.recursive(texts, _nested, max_leaves=6)


@given(value=values, flow=st.booleans())
@settings(max_examples=300, deadline=None)
def test_when_a_template_is_in_yaml_then_it_reads_as_in_json(value: Any, flow: bool) -> None:
    template = {**BASE, "Outputs": {"O": {"Value": value}}}
    assert read(as_yaml(template, flow)) == read(json.dumps(template))


@given(value=values, flow=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_when_a_stack_is_made_of_yaml_then_it_is_that_of_json(account: Account, value: Any, flow: bool) -> None:
    template = {**BASE, "Outputs": {"O": {"Value": {"Fn::Join": ["", ["|", value]]}}}}
    found = []
    for body in (json.dumps(template), as_yaml(template, flow)):
        account.stacks.create_stack(StackName="tap", TemplateBody=body, Parameters=WORDS)
        stack = account.stack()
        [filter_id] = account.left_behind()["filters"]
        found.append((stack["StackStatus"], stack["Outputs"][0]["OutputValue"].replace(filter_id, "tmf")))
        account.stacks.delete_stack(StackName="tap")
    if "Base64" not in json.dumps(value):
        # The id of the filter, which differs, cannot be seen in Base64.
        assert found[0] == found[1]
    assert {status for status, _output in found} == {"CREATE_COMPLETE"}


def evaluated(account: Account, value: Any, more: dict[str, Any] | None = None) -> str:
    template = {**BASE, **(more or {}), "Outputs": {"O": {"Value": value}}}
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template), Parameters=WORDS)
    return str(account.stack()["Outputs"][0]["OutputValue"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Join": [",", {"Fn::GetAZs": {"Ref": "AWS::Region"}}]}, "eu-central-1a,eu-central-1b,eu-central-1c"),
        ({"Fn::Join": [",", {"Fn::GetAZs": ""}]}, "eu-central-1a,eu-central-1b,eu-central-1c"),
        ({"Fn::Join": [",", {"Fn::Cidr": ["10.0.0.0/16", 2, 8]}]}, "10.0.0.0/24,10.0.1.0/24"),
        ({"Fn::Select": [1, {"Fn::Cidr": ["2001:db8::/56", 2, 64]}]}, "2001:db8:0:1::/64"),
        ({"Fn::Join": ["+", ["a", {"Ref": "AWS::NoValue"}, {"Fn::If": ["No", "b", {"Ref": "AWS::NoValue"}]}]]}, "a"),
        ({"Fn::Select": [{"Fn::FindInMap": ["At", "x", "y"]}, ["a", "b"]]}, "b"),
        ({"Fn::Sub": "${!Literal} ${AWS::Partition} ${AWS::URLSuffix}"}, "${Literal} aws amazonaws.com"),
        ({"Fn::Base64": {"Fn::Sub": "${Word}"}}, base64.b64encode(b"w.1").decode()),
        ({"Fn::Sub": "${On}"}, "true"),
    ],
)
def test_when_a_function_is_evaluated_then_it_is_as_documented(account: Account, value: Any, expected: str) -> None:
    more = {
        "Mappings": {**BASE["Mappings"], "At": {"x": {"y": 1}}},
        "Parameters": {**BASE["Parameters"], "On": {"Type": "String", "Default": True}},
    }
    assert evaluated(account, value, more) == expected


def test_when_a_condition_compares_a_boolean_then_its_text_counts(account: Account) -> None:
    conditions = {
        "Conditions": {**BASE["Conditions"], "On": {"Fn::Equals": [{"Fn::FindInMap": ["M", "a", "b"]}, True]}}
    }
    maps = {"Mappings": {**BASE["Mappings"], "M": {"a": {"b": "true"}}}}
    assert evaluated(account, {"Fn::If": ["On", "on", "off"]}, {**conditions, **maps}) == "on"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("Resources:\n  A: !Nope x\n", "could not determine a constructor for the tag '!Nope'"),
        ("Resources:\n  A: &a {Type: AWS::EC2::TrafficMirrorFilter}\n  B: *a\n", "YAML aliases are not allowed"),
        ("Resources: [\n", "YAML not well-formed. (line 2, column 1)"),
    ],
)
def test_fails_when_yaml_is_not_what_cloudformation_reads(account: Account, body: str, said: str) -> None:
    for call in (account.stacks.validate_template, account.stacks.get_template_summary):
        with pytest.raises(ClientError) as refused:
            call(TemplateBody=body)
        assert refused.value.response["Error"]["Code"] == "ValidationError"
        assert said in refused.value.response["Error"]["Message"]


GET_ATT = """
Resources:
  First: {Type: AWS::EC2::TrafficMirrorFilter}
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: sts:AssumeRole}]
Outputs:
  Flow: {Value: !GetAtt [First, Id]}
  Block:
    Value: !GetAtt
      - First
      - Id
  Dotted: {Value: !GetAtt First.Id}
  Full: {Value: {"Fn::GetAtt": First.Id}}
"""


@pytest.mark.parametrize("way", ["stack", "update", "change set"])
def test_when_get_att_is_short_then_every_call_takes_it(account: Account, way: str) -> None:
    account.stacks.validate_template(TemplateBody=GET_ATT)
    account.stacks.get_template_summary(TemplateBody=GET_ATT)
    given: dict[str, Any] = {"StackName": "tap", "TemplateBody": GET_ATT, "Capabilities": ["CAPABILITY_IAM"]}
    if way == "stack":
        account.stacks.create_stack(**given)
    elif way == "update":
        account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps({"Resources": {"First": FILTER}}))
        account.stacks.update_stack(**given)
    else:
        account.stacks.create_change_set(**given, ChangeSetName="first", ChangeSetType="CREATE")
        account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    stack = account.stack()
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
    [filter_id] = account.left_behind()["filters"]
    assert [output["OutputValue"] for output in stack["Outputs"]] == [filter_id] * 4


def test_fails_when_an_attribute_is_not_the_types(account: Account) -> None:
    resources = {"First": FILTER, "More": {**FILTER, "Properties": {"Description": {"Fn::GetAtt": ["First", "Nope"]}}}}
    body = json.dumps({"Resources": resources})
    for call in (
        account.stacks.validate_template,
        lambda **given: account.stacks.create_stack(StackName="tap", **given),
    ):
        with pytest.raises(ClientError, match="resource First does not support attribute type Nope in Fn::GetAtt"):
            call(TemplateBody=body)


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ("us-gov-west-1", "aws-us-gov amazonaws.com"),
        ("cn-north-1", "aws-cn amazonaws.com.cn"),
        ("eusc-de-east-1", "aws-eusc amazonaws.eu"),
    ],
)
def test_when_a_stack_is_in_another_partition_then_its_pseudo_parameters_say_so(
    aws_account: AwsAccount, region: str, expected: str
) -> None:
    stacks = aws_account.client("cloudformation", region=region)
    value = {"Fn::Sub": "${AWS::Partition} ${AWS::URLSuffix}"}
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Where": {"Value": value}}}
    stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template))
    assert stacks.describe_stacks()["Stacks"][0]["Outputs"][0]["OutputValue"] == expected
