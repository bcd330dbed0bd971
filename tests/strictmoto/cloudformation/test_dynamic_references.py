"""Dynamic references: properties get the values that they name in other services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.strictmoto.cloudformation.conftest import Account


@pytest.fixture
def stored(account: Account) -> Account:
    ssm = account.client("ssm")
    ssm.put_parameter(Name="/name", Value="one", Type="String")
    ssm.put_parameter(Name="/name", Value="two", Type="String", Overwrite=True)
    ssm.put_parameter(Name="/secure", Value="hidden", Type="SecureString")
    account.client("secretsmanager").create_secret(Name="login", SecretString=json.dumps({"user": "operator"}))
    return account


def create(account: Account, value: Any, **more: Any) -> str:
    resource = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}
    template = {"Resources": {"T": resource}, "Outputs": {"Topic": {"Value": {"Ref": "T"}}}, **more}
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template))
    return str(account.stack()["StackStatus"])


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ("{{resolve:ssm:/name}}", "two"),
        ("{{resolve:ssm:/name:1}}", "one"),
        ("it is {{resolve:ssm:/name}}, not {{resolve:ssm:/name:1}}", "it is two, not one"),
        ({"Fn::Join": ["", ["{{resolve:ssm:", "/name", "}}"]]}, "two"),
        ({"Ref": "P"}, "two"),
        ("{{resolve:secretsmanager:login}}", '{"user": "operator"}'),
        ("{{resolve:secretsmanager:login:SecretString:user}}", "operator"),
        ("{{resolve:secretsmanager:login:SecretString:user:AWSCURRENT}}", "operator"),
        ("{{other:ssm:/name}}", "{{other:ssm:/name}}"),
    ],
)
def test_when_a_property_names_a_value_then_it_gets_it(stored: Account, reference: Any, value: str) -> None:
    declared = {"P": {"Type": "String", "Default": "{{resolve:ssm:/name}}"}}
    assert create(stored, reference, Parameters=declared) == "CREATE_COMPLETE"
    topic = stored.stack()["Outputs"][0]["OutputValue"]
    assert stored.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == value


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("{{resolve:ssm:/none}}", "Parameters: [ssm:/none] cannot be found."),
        ("{{resolve:ssm:/name:9}}", "cannot be found"),
        ("{{resolve:ssm:/secure}}", "Parameters: [ssm:/secure] cannot be found."),
        ("{{resolve:ssm-secure:/secure}}", "SSM Secure reference is not supported in: [AWS::SNS::Topic/Properties/"),
        ("{{resolve:secretsmanager:none}}", "can't find the specified secret"),
        ("{{resolve:secretsmanager:login:SecretString:none}}", "JSONKey in SecretString: none"),
        ("{{resolve:secretsmanager:login:SecretBinary}}", "Incorrect format"),
    ],
)
def test_fails_when_a_value_cannot_be_had_and_the_stack_rolls_back(stored: Account, reference: str, said: str) -> None:
    assert create(stored, reference) == "ROLLBACK_COMPLETE"
    assert any(said in reason for _, status, reason in stored.events("tap") if status == "CREATE_FAILED")


def test_when_an_output_names_a_value_then_it_stays_a_reference(stored: Account) -> None:
    reference = "{{resolve:secretsmanager:login}}"
    create(stored, "x", Outputs={"O": {"Value": reference}})
    assert stored.stack()["Outputs"][0]["OutputValue"] == reference
