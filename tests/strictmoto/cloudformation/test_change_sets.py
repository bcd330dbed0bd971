"""Change sets: what they say, what they refuse, and what becomes of their stack."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.strictmoto.cloudformation.conftest import Account
from tests.strictmoto.cloudformation.test_stacks import GOOD, ROLE, create, statuses

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
RULE: dict[str, Any] = {
    "Type": "AWS::EC2::TrafficMirrorFilterRule",
    "Properties": {
        "TrafficMirrorFilterId": {"Ref": "Good"},
        "TrafficDirection": "ingress",
        "RuleNumber": {"Ref": "Number"},
        "RuleAction": "accept",
        "SourceCidrBlock": "0.0.0.0/0",
        "DestinationCidrBlock": "0.0.0.0/0",
    },
}
NUMBERED: dict[str, Any] = {
    "Parameters": {"Number": {"Type": "Number"}, "Words": {"Type": "String", "Default": "few"}},
    "Resources": {"Good": {**GOOD, "Properties": {"Description": {"Ref": "Words"}}}, "Rule": RULE},
    "Outputs": {"Number": {"Value": {"Ref": "Number"}}},
}


def given(**values: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def propose(account: Account, kind: str, name: str = "first", **more: Any) -> dict[str, Any]:
    wanted = {"TemplateBody": json.dumps(NUMBERED), "Parameters": given(Number="1"), **more}
    wanted = {key: value for key, value in wanted.items() if value != ""}
    account.stacks.create_change_set(StackName="tap", ChangeSetName=name, ChangeSetType=kind, **wanted)
    found: dict[str, Any] = account.stacks.describe_change_set(StackName="tap", ChangeSetName=name)
    return found


def changes(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (change["Action"], change["LogicalResourceId"], change.get("Replacement", ""), *change.get("Scope", ()))
        for change in (change["ResourceChange"] for change in found["Changes"])
    ]


def test_when_a_new_stack_has_parameters_then_it_is_made_with_them(account: Account) -> None:
    found = propose(account, "CREATE", Tags=[{"Key": "team", "Value": "blue"}])
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert changes(found) == [("Add", "Good", ""), ("Add", "Rule", "")]
    assert found["Parameters"] == given(Number="1")
    assert statuses(account) == {"tap": "REVIEW_IN_PROGRESS"}
    assert account.left_behind() == {}
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    account.stacks.get_waiter("stack_create_complete").wait(StackName="tap")
    stack = account.stack()
    assert stack["Outputs"] == [{"OutputKey": "Number", "OutputValue": "1"}]
    assert stack["Tags"] == [{"Key": "team", "Value": "blue"}]
    assert [event[:2] for event in account.events("tap") if event[0] == "tap"] == [
        ("tap", "REVIEW_IN_PROGRESS"),
        ("tap", "CREATE_IN_PROGRESS"),
        ("tap", "CREATE_COMPLETE"),
    ]


def test_when_a_stack_exists_then_a_change_set_says_what_would_change_and_changes_that(account: Account) -> None:
    create(account, NUMBERED, Parameters=given(Number="1"))
    before = account.left_behind()
    found = propose(account, "UPDATE", Parameters=given(Number="2"))
    assert changes(found) == [("Modify", "Rule", "False", "Properties")]
    assert account.left_behind() == before
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert account.stack()["StackStatus"] == "UPDATE_COMPLETE"
    assert account.stack()["Outputs"][0]["OutputValue"] == "2"
    assert account.left_behind() == before


def test_when_a_change_replaces_then_the_change_set_says_so(account: Account) -> None:
    create(account, NUMBERED, Parameters=given(Number="1"))
    again = [{"ParameterKey": "Number", "UsePreviousValue": True}]
    found = propose(
        account, "UPDATE", Parameters=[*again, *given(Words="many")], UsePreviousTemplate=True, TemplateBody=""
    )
    assert changes(found) == [("Modify", "Good", "True", "Properties")]
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    [mirror_filter] = account.ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]
    assert mirror_filter["Description"] == "many"
    assert len(mirror_filter["IngressFilterRules"]) == 1


def test_fails_when_nothing_changes(account: Account) -> None:
    create(account, NUMBERED, Parameters=given(Number="1"))
    found = propose(account, "UPDATE")
    assert (found["Status"], found["ExecutionStatus"], found["StatusReason"]) == ("FAILED", "UNAVAILABLE", NO_CHANGES)
    with pytest.raises(ClientError, match="cannot be executed in its current status") as refused:
        account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert refused.value.response["Error"]["Code"] == "InvalidChangeSetStatus"


def test_when_only_tags_change_then_there_is_a_change(account: Account) -> None:
    create(account, NUMBERED, Parameters=given(Number="1"))
    assert propose(account, "UPDATE", Tags=[{"Key": "team", "Value": "red"}])["Status"] == "CREATE_COMPLETE"
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert account.stack()["Tags"] == [{"Key": "team", "Value": "red"}]


@pytest.mark.parametrize(
    ("kind", "more", "code", "said"),
    [
        ("CREATE", {"Parameters": []}, "ValidationError", r"Parameters: \[Number\] must have values"),
        ("CREATE", {"Parameters": given(Number="1", No="2")}, "ValidationError", r"Parameters: \[No\] do not exist"),
        ("UPDATE", {}, "ValidationError", r"Stack \[tap\] does not exist"),
        ("CREATE", {"TemplateBody": ""}, "ValidationError", "Either Template URL or Template Body must be specified"),
        (
            "CREATE",
            {"TemplateBody": json.dumps({"Resources": {"Role": ROLE}}), "Parameters": []},
            "InsufficientCapabilitiesException",
            "CAPABILITY_IAM",
        ),
    ],
)
def test_fails_when_a_change_set_cannot_be(
    account: Account, kind: str, more: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(ClientError, match=said) as refused:
        propose(account, kind, **more)
    assert refused.value.response["Error"]["Code"] == code
    assert statuses(account) == {}


def test_fails_when_the_stack_is_there_already(account: Account) -> None:
    create(account, {"Resources": {"Good": GOOD}})
    with pytest.raises(ClientError, match=r"already exists and cannot be created again with the changeSet \[first\]"):
        propose(account, "CREATE")


def test_when_one_of_two_is_executed_then_the_other_is_gone(account: Account) -> None:
    propose(account, "CREATE")
    propose(account, "CREATE", "second", Parameters=given(Number="2"))
    with pytest.raises(ClientError, match="ChangeSet first already exists"):
        propose(account, "CREATE")
    listed = account.stacks.list_change_sets(StackName="tap")["Summaries"]
    assert [found["ChangeSetName"] for found in listed] == ["first", "second"]
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="second")
    with pytest.raises(ClientError) as refused:
        account.stacks.describe_change_set(StackName="tap", ChangeSetName="first")
    assert refused.value.response["Error"]["Code"] == "ChangeSetNotFound"
    assert account.stack()["Outputs"][0]["OutputValue"] == "2"


def test_when_one_was_executed_then_its_name_is_free_and_its_arn_still_leads_to_it(account: Account) -> None:
    first = propose(account, "CREATE")["ChangeSetId"]
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert account.stacks.list_change_sets(StackName="tap")["Summaries"] == []
    second = propose(account, "UPDATE", Parameters=given(Number="2"))["ChangeSetId"]
    assert [account.stacks.describe_change_set(ChangeSetName=arn)["ExecutionStatus"] for arn in (first, second)] == [
        "EXECUTE_COMPLETE",
        "AVAILABLE",
    ]
    account.stacks.execute_change_set(StackName="tap", ChangeSetName="first")
    assert account.stack()["Outputs"][0]["OutputValue"] == "2"


def test_when_a_change_set_is_deleted_then_its_stack_stays_to_be_reviewed(account: Account) -> None:
    propose(account, "CREATE")
    for _ in range(2):
        account.stacks.delete_change_set(StackName="tap", ChangeSetName="first")
    assert statuses(account) == {"tap": "REVIEW_IN_PROGRESS"}
    account.stacks.delete_stack(StackName="tap")
    assert statuses(account) == {"tap": "DELETE_COMPLETE"}


def test_fails_when_an_update_would_change_the_type_of_a_resource(account: Account) -> None:
    create(account, {"Resources": {"Good": GOOD}})
    other = {"Resources": {"Good": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.9.0.0/16"}}}}
    with pytest.raises(ClientError, match=r"Update of resource type is not permitted.*\[Good\]"):
        account.stacks.update_stack(StackName="tap", TemplateBody=json.dumps(other))
    assert statuses(account) == {"tap": "CREATE_COMPLETE"}
