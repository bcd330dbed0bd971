"""What no template and no stack may be called or hold, and exports that others import."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.cloudformation.conftest import Account

QUEUE: dict[str, Any] = {"Type": "AWS::SQS::Queue"}
TEMPLATE = {"Resources": {"Q": QUEUE}}


def refused(account: Account, template: dict[str, Any], name: str = "tap") -> str:
    with pytest.raises(ClientError) as error:
        account.stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))
    assert error.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(ClientError):
        account.stacks.create_change_set(
            StackName=name, ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=json.dumps(template)
        )
    assert account.stacks.list_stacks()["StackSummaries"] == []
    return str(error.value.response["Error"]["Message"])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"Foo": 1}, "Invalid template property or properties [Foo]"),
        ({"AWSTemplateFormatVersion": "2011-01-01"}, "2011-01-01"),
        ({"Resources": {"Q": {**QUEUE, "Foo": 1}}}, "Invalid template resource property 'Foo'"),
        ({"Resources": {"Q-1": QUEUE}}, "Template format error: Resource name Q-1 is non alphanumeric."),
        ({"Parameters": {"A_b": {"Type": "String"}}}, "Template format error: Parameter name A_b is non alphanumeric."),
        ({"Outputs": {"A.b": {"Value": "c"}}}, "Template format error: Output name A.b is non alphanumeric."),
    ],
)
def test_fails_when_a_template_holds_what_no_template_does(account: Account, more: dict[str, Any], said: str) -> None:
    assert said in refused(account, {**TEMPLATE, **more})


@pytest.mark.parametrize("name", ["1bad", "a_b", "a" * 129])
def test_fails_when_a_stack_cannot_be_called_so(account: Account, name: str) -> None:
    message = refused(account, TEMPLATE, name)
    assert message.startswith(
        f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint"
    )


def test_when_a_template_holds_all_that_it_may_then_a_stack_is_made(account: Account) -> None:
    whole = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "all",
        "Metadata": {"any": {"thing": 1}},
        "Parameters": {"Environment": {"Type": "String", "Default": "x"}},
        "Rules": {"R": {"Assertions": [{"Assert": {"Fn::Equals": [1, 1]}}]}},
        "Mappings": {"M": {"a": {"b": "c"}}},
        "Conditions": {"Yes": {"Fn::Equals": [1, 1]}},
        "Resources": {"Q": {**QUEUE, "Metadata": {}, "DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}},
        "Outputs": {"O": {"Value": {"Ref": "Q"}}},
    }
    account.stacks.create_stack(StackName="a" * 128, TemplateBody=json.dumps(whole))
    assert account.stack("a" * 128)["StackStatus"] == "CREATE_COMPLETE"


def exporting(value: str | None, name: str = "shared") -> str:
    outputs = {"Outputs": {"O": {"Value": value, "Export": {"Name": name}}}} if value else {}
    return json.dumps({**TEMPLATE, **outputs})


def importing(imported: Any) -> str:
    queue = {**QUEUE, "Properties": {"Tags": [{"Key": "k", "Value": imported}]}}
    parameters = {"Parameters": {"Name": {"Type": "String", "Default": "shared"}}}
    return json.dumps({**parameters, "Resources": {"Q": queue}})


@pytest.fixture
def shared(account: Account) -> Account:
    account.stacks.create_stack(StackName="exporter", TemplateBody=exporting("one"))
    body = importing({"Fn::ImportValue": {"Fn::Sub": "${Name}"}})
    account.stacks.create_stack(StackName="importer", TemplateBody=body)
    assert account.stack("importer")["StackStatus"] == "CREATE_COMPLETE"
    return account


def test_fails_when_a_stack_whose_export_is_imported_is_deleted(shared: Account) -> None:
    shared.stacks.delete_stack(StackName="exporter")
    stack = shared.stack("exporter")
    said = "Export shared cannot be deleted as it is in use by importer"
    assert (stack["StackStatus"], stack["StackStatusReason"]) == ("CREATE_COMPLETE", said)
    assert ("exporter", "CREATE_COMPLETE", said) in shared.events("exporter")
    shared.stacks.delete_stack(StackName="importer")
    shared.stacks.delete_stack(StackName="exporter")
    assert shared.stacks.describe_stacks()["Stacks"] == []
    assert shared.stacks.list_exports()["Exports"] == []


@pytest.mark.parametrize(("value", "verb"), [("two", "updated"), (None, "deleted")])
def test_fails_when_an_update_changes_what_another_stack_imports(shared: Account, value: str | None, verb: str) -> None:
    shared.stacks.update_stack(StackName="exporter", TemplateBody=exporting(value))
    assert shared.stack("exporter")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    said = f"Export shared cannot be {verb} as it is in use by importer"
    assert [reason for _name, _status, reason in shared.events("exporter") if said in reason]
    assert [(one["Name"], one["Value"]) for one in shared.stacks.list_exports()["Exports"]] == [("shared", "one")]


def test_when_nothing_imports_an_export_then_an_update_changes_it(account: Account) -> None:
    account.stacks.create_stack(StackName="exporter", TemplateBody=exporting("one"))
    for value, name in (("two", "shared"), ("two", "other")):
        account.stacks.update_stack(StackName="exporter", TemplateBody=exporting(value, name))
        assert account.stack("exporter")["StackStatus"] == "UPDATE_COMPLETE"
        assert [(one["Name"], one["Value"]) for one in account.stacks.list_exports()["Exports"]] == [(name, value)]
    account.stacks.create_stack(StackName="importer", TemplateBody=importing({"Fn::ImportValue": "other"}))
    assert account.stack("importer")["StackStatus"] == "CREATE_COMPLETE"
