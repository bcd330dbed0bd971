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


def described(value: Any) -> dict[str, Any]:
    """A template with a value in a property."""
    return {"Resources": {"Q": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}}}


MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "a function that joins no list": (described({"Fn::Join": ["-", "a"]}), "every Fn::Join object requires two"),
    "a function that joins with a list": (
        described({"Fn::Join": [["-"], ["a"]]}),
        "every Fn::Join object requires two",
    ),
    "a function that joins nothing": (described({"Fn::Join": "a"}), "every Fn::Join object requires two parameters"),
    "Sub of a number": (described({"Fn::Sub": 1}), "One or more Fn::Sub intrinsic functions"),
    "Sub of three": (described({"Fn::Sub": ["a", {}, {}]}), "One or more Fn::Sub intrinsic functions"),
    "Sub with a list of values": (described({"Fn::Sub": ["a", ["b"]]}), "One or more Fn::Sub intrinsic functions"),
    "Select by a word": (described({"Fn::Select": ["a", ["b"]]}), "every Fn::Select object requires two parameters"),
    "Select from a text": (described({"Fn::Select": [0, "b"]}), "every Fn::Select object requires two parameters"),
    "Split of a list": (described({"Fn::Split": [",", ["a"]]}), "every Fn::Split object requires two parameters"),
    "If of two": (described({"Fn::If": ["C", "a"]}), "every Fn::If object requires"),
    "If of a condition that is not there": (
        described({"Fn::If": ["C", "a", "b"]}),
        "Template error: unresolved condition dependency C in Fn::If",
    ),
    "GetAtt without an attribute": (described({"Fn::GetAtt": ["Q"]}), "every Fn::GetAtt object requires two"),
    "Ref of a list": (described({"Ref": ["Q"]}), "every Ref object must have a single String value"),
    "Base64 of a list": (described({"Fn::Base64": ["Q"]}), "every Fn::Base64 object must have a String-typed value"),
    "Cidr of one": (described({"Fn::Cidr": ["10.0.0.0/8"]}), "every Fn::Cidr object requires"),
    "ImportValue of a list": (described({"Fn::ImportValue": ["a"]}), "every Fn::ImportValue object"),
    "FindInMap of two": (described({"Fn::FindInMap": ["M", "a"]}), "every Fn::FindInMap object requires three"),
    "FindInMap without a mapping": (
        described({"Fn::FindInMap": ["M", "a", "b"]}),
        "Template error: Mapping named 'M' is not present in the 'Mappings' section of template.",
    ),
    "FindInMap of a key that is not there": (
        {**described({"Fn::FindInMap": ["M", "a", "b"]}), "Mappings": {"M": {"x": {"b": "c"}}}},
        "Template error: Unable to get mapping for M::a::b",
    ),
    "FindInMap of a name that is not there": (
        {**described({"Fn::FindInMap": ["M", "a", "b"]}), "Mappings": {"M": {"a": {"x": "c"}}}},
        "Template error: Unable to get mapping for M::a::b",
    ),
    "a condition of a resource that is not there": (
        {"Resources": {"Q": {**QUEUE, "Condition": "C"}}},
        "Unresolved condition dependency C of Q in the Resources block",
    ),
    "a condition of an output that is not there": (
        {**TEMPLATE, "Outputs": {"O": {"Value": "a", "Condition": "C"}}},
        "Unresolved condition dependency C of O in the Outputs block",
    ),
    "a condition that is no text": ({"Resources": {"Q": {**QUEUE, "Condition": ["C"]}}}, "Condition member must be"),
    "conditions that need one another": (
        {**TEMPLATE, "Conditions": {"A": {"Condition": "B"}, "B": {"Fn::Not": [{"Condition": "A"}]}}},
        "circular condition dependency: [A, B]",
    ),
    "a condition on a condition that is not there": (
        {**TEMPLATE, "Conditions": {"A": {"Condition": "B"}}},
        "unresolved condition dependency B",
    ),
    "a condition about a resource": (
        {**TEMPLATE, "Conditions": {"A": {"Fn::Equals": [{"Ref": "Q"}, "a"]}}},
        "Unresolved dependencies [Q]. Cannot reference resources in the Conditions block of the template",
    ),
    "a condition that compares one": (
        {**TEMPLATE, "Conditions": {"A": {"Fn::Equals": ["a"]}}},
        "every Fn::Equals object requires a list of 2 string parameters",
    ),
    "Not of nothing": ({**TEMPLATE, "Conditions": {"A": {"Fn::Not": []}}}, "every Fn::Not object requires"),
    "And of one": ({**TEMPLATE, "Conditions": {"A": {"Fn::And": [True]}}}, "every Fn::And object requires"),
    "a condition that is a text": ({**TEMPLATE, "Conditions": {"A": "b"}}, "must be a boolean function"),
    "resources in a list": ({"Resources": [QUEUE]}, "[/Resources] is not an object"),
    "parameters in a list": ({**TEMPLATE, "Parameters": ["P"]}, "[/Parameters] is not an object"),
    "outputs in a list": ({**TEMPLATE, "Outputs": ["P"]}, "[/Outputs] is not an object"),
    "properties in a list": ({"Resources": {"Q": {**QUEUE, "Properties": ["a"]}}}, "Properties] is not an object"),
    "a type that is a list": ({"Resources": {"Q": {"Type": ["a"]}}}, "'Type' must be a string"),
    "DependsOn of an object": (
        {"Resources": {"Q": {**QUEUE, "DependsOn": {"a": 1}}}},
        "DependsOn value must be a string",
    ),
    "a parameter without a type": (
        {**TEMPLATE, "Parameters": {"P": {}}},
        "Parameters object must contain a Type member",
    ),
    "a parameter of an unknown type": (
        {**TEMPLATE, "Parameters": {"P": {"Type": "Text"}}},
        "Unrecognized parameter type: Text",
    ),
    "a parameter whose default is a list": (
        {**TEMPLATE, "Parameters": {"P": {"Type": "String", "Default": ["a"]}}},
        "Every Default member must be a string.",
    ),
    "a parameter with a bound that is a word": (
        {**TEMPLATE, "Parameters": {"P": {"Type": "String", "Default": "a", "MinLength": "one"}}},
        "Every MinLength member must be a number.",
    ),
    "a parameter with a pattern that is none": (
        {**TEMPLATE, "Parameters": {"P": {"Type": "String", "Default": "a", "AllowedPattern": "("}}},
        "AllowedPattern of parameter P",
    ),
    "an output without a value": ({**TEMPLATE, "Outputs": {"O": {"Description": "a"}}}, "Output O is malformed"),
    "an output that is a list": (
        {**TEMPLATE, "Outputs": {"O": {"Value": [{"Ref": "Q"}]}}},
        "Template format error: The Value field of every Outputs member must evaluate to a String and not a List.",
    ),
    "an output that is an object": (
        {**TEMPLATE, "Outputs": {"O": {"Value": {"a": "b"}}}},
        "Template format error: The Value field of every Outputs member must evaluate to a String and not a Map.",
    ),
    "an output of a function that gives a list": (
        {**TEMPLATE, "Outputs": {"O": {"Value": {"Fn::GetAZs": ""}}}},
        "Template format error: The Value field of every Outputs member must evaluate to a String.",
    ),
    "an output whose description is an object": (
        {**TEMPLATE, "Outputs": {"O": {"Value": "a", "Description": {"b": "c"}}}},
        "Template format error: Every Description member must be a string.",
    ),
    "an export that is a text": (
        {**TEMPLATE, "Outputs": {"O": {"Value": "a", "Export": "b"}}},
        "Output O is malformed. The Name field of every Export member must be specified and consist only of",
    ),
    "an export whose name is a list": (
        {**TEMPLATE, "Outputs": {"O": {"Value": "a", "Export": {"Name": ["b"]}}}},
        "Output O is malformed. The Name field of every Export member must be specified and consist only of",
    ),
    "null in a property": (
        {"Resources": {"Q": {**QUEUE, "Properties": {"QueueName": None}}}},
        "[/Resources/Q/Properties/QueueName] 'null' values are not allowed in templates",
    ),
    "null in a list": (
        {"Resources": {"Q": {**QUEUE, "DependsOn": [None]}}},
        "[/Resources/Q/DependsOn/0] 'null' values are not allowed in templates",
    ),
    "null in a function": (
        {"Resources": {"Q": {**QUEUE, "Properties": {"QueueName": {"Fn::Join": ["", ["a", None]]}}}}},
        "[/Resources/Q/Properties/QueueName/Fn::Join/1/1] 'null' values are not allowed in templates",
    ),
    "null as a section": ({**TEMPLATE, "Conditions": None}, "[/Conditions] 'null' values are not allowed in templates"),
    "null as a resource": ({"Resources": {"Q": None}}, "[/Resources/Q] 'null' values are not allowed in templates"),
    "null as an output": (
        {**TEMPLATE, "Outputs": {"O": {"Value": None}}},
        "[/Outputs/O/Value] 'null' values are not allowed in templates",
    ),
    "a policy of deletion that there is not": (
        {"Resources": {"Q": {**QUEUE, "DeletionPolicy": "Keep"}}},
        "Unrecognized DeletionPolicy Keep for resource Q",
    ),
    "a snapshot of what has none": (
        {"Resources": {"Q": {**QUEUE, "DeletionPolicy": "Snapshot"}}},
        "resource type AWS::SQS::Queue does not support deletion policy Snapshot",
    ),
}


@pytest.mark.parametrize(("template", "said"), MALFORMED.values(), ids=MALFORMED)
def test_fails_when_a_part_of_a_template_is_malformed(account: Account, template: dict[str, Any], said: str) -> None:
    assert said in refused(account, template)


UNRESOLVED: dict[str, tuple[dict[str, Any], str]] = {
    "a resource that needs one whose condition is false": (
        {
            "Conditions": {"C": {"Fn::Equals": ["a", "b"]}},
            "Resources": {
                "Q": {**QUEUE, "Condition": "C"},
                "T": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Q"}}},
            },
        },
        "Unresolved resource dependencies [Q] in the Resources block of the template",
    ),
    "a parameter that Systems Manager does not have": (
        {**TEMPLATE, "Parameters": {"P": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/none"}}},
        "Unable to fetch parameters [/none] from parameter store for this account.",
    ),
}


@pytest.mark.parametrize(("template", "said"), UNRESOLVED.values(), ids=UNRESOLVED)
def test_fails_when_a_template_names_what_is_not_there(account: Account, template: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError) as error:
        account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template))
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert said in error.value.response["Error"]["Message"]
    assert account.stacks.list_stacks()["StackSummaries"] == []


@pytest.mark.parametrize(
    ("given", "value", "said"),
    [
        ("a,b", {"Fn::Select": [{"Ref": "P"}, ["c"]]}, "every Fn::Select object requires"),
        ("a", {"Fn::Select": [0, {"Ref": "P"}]}, "every Fn::Select object requires"),
        ("a", {"Fn::Join": ["-", {"Ref": "P"}]}, "every Fn::Join object requires"),
        ("a", {"Fn::Cidr": [{"Ref": "P"}, 1, 8]}, "every Fn::Cidr object requires"),
        ("7", {"Fn::Select": [{"Ref": "P"}, ["c"]]}, "Fn::Select cannot select nonexistent value at index 7"),
    ],
)
def test_fails_when_a_parameter_makes_a_function_malformed_and_the_stack_rolls_back(
    account: Account, given: str, value: Any, said: str
) -> None:
    template = {**described(value), "Parameters": {"P": {"Type": "String"}}}
    account.stacks.create_stack(
        StackName="tap",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "P", "ParameterValue": given}],
    )
    assert account.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any(said in reason for _, status, reason in account.events("tap") if status == "CREATE_FAILED")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"Tags": {"a": "b"}}, "#/Tags: expected type: JSONArray, found: JSONObject"),
        ({"DelaySeconds": [1]}, "#/DelaySeconds: expected type: Integer, found: JSONArray"),
        ({"QueueName": {"a": "b"}}, "#/QueueName: expected type: String, found: JSONObject"),
        ({"DelaySeconds": "soon"}, "#/DelaySeconds: expected type: Integer, found: String"),
        ({"FifoQueue": "yes"}, "#/FifoQueue: expected type: Boolean, found: String"),
        ({"Tags": ["a"]}, "#/Tags/0: expected type: JSONObject, found: String"),
        ({"Tags": [{"Key": "a"}]}, "#/Tags/0: required key [Value] not found"),
        ({"Tags": [{"Key": ["a"], "Value": "b"}]}, "#/Tags/0/Key: expected type: String, found: JSONArray"),
        ({"Tags": [{"Key": "a", "Value": "b", "C": "d"}]}, "#/Tags/0: extraneous key [C] is not permitted"),
    ],
)
def test_fails_when_a_property_has_another_form_at_any_depth(
    account: Account, properties: dict[str, Any], said: str
) -> None:
    template = {"Resources": {"Q": {**QUEUE, "Properties": properties}}}
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template))
    assert account.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert any(said in reason for _, status, reason in account.events("tap") if status == "CREATE_FAILED")


@pytest.mark.parametrize(
    ("value", "expected"), [(5, "5"), (5.5, "5.5"), (True, "true"), (False, "false"), ({"Fn::Select": [0, [7]]}, "7")]
)
def test_when_an_output_is_a_number_or_a_truth_value_then_it_is_a_text(
    account: Account, value: Any, expected: str
) -> None:
    outputs = {"O": {"Value": value, "Export": {"Name": 8}}}
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps({**TEMPLATE, "Outputs": outputs}))
    [shown] = account.stack()["Outputs"]
    assert (shown["OutputValue"], shown["ExportName"]) == (expected, "8")
    assert [(one["Name"], one["Value"]) for one in account.stacks.list_exports()["Exports"]] == [("8", expected)]
    account.stacks.create_stack(StackName="importer", TemplateBody=importing({"Fn::ImportValue": "8"}))
    assert account.stack("importer")["StackStatus"] == "CREATE_COMPLETE"


def test_when_the_condition_of_an_output_is_false_then_nothing_is_exported(account: Account) -> None:
    template = {
        **TEMPLATE,
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Outputs": {"O": {"Value": "a", "Condition": "Never", "Export": {"Name": "never"}}},
    }
    account.stacks.create_stack(StackName="tap", TemplateBody=json.dumps(template))
    assert account.stack()["StackStatus"] == "CREATE_COMPLETE"
    assert account.stacks.list_exports()["Exports"] == []


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"Value": {"Ref": "P"}}, "Template format error: Every Value member must be a string."),
        (
            {"Value": "a", "Export": {"Name": {"Fn::Select": [0, {"Ref": "P"}]}}},
            "Output O is malformed. The Name field of every Export member must be specified and consist only of",
        ),
    ],
)
def test_fails_when_an_output_turns_out_to_be_no_text(account: Account, output: dict[str, Any], said: str) -> None:
    """The stack fails, and an update goes back."""
    declared = {**TEMPLATE, "Parameters": {"P": {"Type": "CommaDelimitedList", "Default": "a b,c"}}}
    failing = json.dumps({**declared, "Outputs": {"O": output}})
    account.stacks.create_stack(StackName="tap", TemplateBody=failing)
    assert account.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert said in account.stack()["StackStatusReason"]
    account.stacks.create_stack(StackName="other", TemplateBody=json.dumps(declared))
    account.stacks.update_stack(StackName="other", TemplateBody=failing)
    assert account.stack("other")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert any(said in reason for _, status, reason in account.events("other") if "ROLLBACK" in status)


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


def test_when_an_export_is_imported_then_its_importers_are_listed(shared: Account) -> None:
    assert shared.stacks.list_imports(ExportName="shared")["Imports"] == ["importer"]
    shared.stacks.delete_stack(StackName="importer")
    for name, said in (("shared", "is not imported by any stack"), ("other", "does not exist")):
        with pytest.raises(ClientError, match=f"Export '{name}' {said}"):
            shared.stacks.list_imports(ExportName=name)


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
