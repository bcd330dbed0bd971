"""Types that are not made: unknown ones are refused, and those that this account lacks fail their stack."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.cloudformation import api_types, schemas
from tests.strictmoto.cloudformation.conftest import REGION, Account
from tests.strictmoto.cloudformation.test_stacks import GOOD, create

UNMADE = {
    "Type": "AWS::AppConfig::Application",
    "DependsOn": "Good",
    "Properties": {"Name": "settings"},
}


@pytest.mark.parametrize(
    "kind", ["AWS::EC2::TrafficMirrorReceiver", "AWS::Nothing::AtAll", "Mine::Own::Type", "Custom::"]
)
def test_fails_when_a_type_does_not_exist(account: Account, kind: str) -> None:
    template = {"Resources": {"Bad": {"Type": kind}, "Good": GOOD}}
    body = json.dumps(template)
    calls: list[Any] = [
        lambda: account.stacks.validate_template(TemplateBody=body),
        lambda: account.stacks.get_template_summary(TemplateBody=body),
        lambda: create(account, template),
        lambda: account.stacks.create_change_set(
            StackName="tap", ChangeSetName="first", ChangeSetType="CREATE", TemplateBody=body
        ),
    ]
    for call in calls:
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"] == {
            "Type": "Sender",
            "Code": "ValidationError",
            "Message": f"Template format error: Unrecognized resource types: [{kind}]",
        }
    assert account.stacks.list_stacks()["StackSummaries"] == []


def test_fails_when_the_account_does_not_make_a_type_and_the_stack_is_rolled_back(account: Account) -> None:
    account.stacks.validate_template(TemplateBody=json.dumps({"Resources": {"Bad": UNMADE, "Good": GOOD}}))
    create(account, {"Resources": {"Bad": UNMADE, "Good": GOOD}, "Outputs": {"O": {"Value": {"Ref": "Bad"}}}})
    assert account.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert (
        "Bad",
        "CREATE_FAILED",
        "strictmoto does not make AWS::AppConfig::Application",
    ) in account.events("tap")
    assert account.left_behind() == {}


def test_fails_when_an_update_adds_a_type_that_the_account_does_not_make(account: Account) -> None:
    create(account, {"Resources": {"Good": GOOD}})
    account.stacks.update_stack(StackName="tap", TemplateBody=json.dumps({"Resources": {"Bad": UNMADE, "Good": GOOD}}))
    assert account.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"Descriptoin": "typed wrongly"}, "#: extraneous key [Descriptoin] is not permitted"),
        ({"SessionNumber": 1}, "#: required key [NetworkInterfaceId] not found"),
    ],
)
def test_fails_when_properties_are_not_the_types(account: Account, properties: dict[str, Any], said: str) -> None:
    kind = "AWS::EC2::TrafficMirrorSession" if "SessionNumber" in properties else "AWS::EC2::TrafficMirrorFilter"
    create(account, {"Resources": {"Bad": {"Type": kind, "Properties": properties}}})
    assert account.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    [reason] = [reason for _name, status, reason in account.events("tap") if status == "CREATE_FAILED"]
    assert reason.startswith("Properties validation failed for resource Bad with message:\n")
    assert said in reason


@pytest.mark.parametrize("marker", ["types made by calls", "types made by models"])
def test_when_a_type_is_made_then_the_page_says_by_what(account: Account, marker: str) -> None:
    page = (Path(__file__).parents[3] / "modules/strictmoto/docs/cloudformation.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`([^`]+)`", page.split(f"<!-- {marker} -->")[1].partition("\n\n")[0]))
    made = {kind for kind in schemas.kinds(REGION) if api_types.makes(kind)}
    by_calls = {kind for kind in made if api_types.own_type(kind)}
    assert listed == (by_calls | {"Custom::*"} if marker == "types made by calls" else made - by_calls)


FIELD = (
    "AutoScaling",
    "CloudFormation",
    "CloudWatch",
    "EC2",
    "ElasticLoadBalancingV2",
    "Events",
    "IAM",
    "KMS",
    "Lambda",
    "Logs",
    "NetworkFirewall",
    "RAM",
    "Route53",
    "S3",
    "SNS",
    "SQS",
    "SSM",
    "Scheduler",
    "SecretsManager",
    "StepFunctions",
)
"""The services whose types templates of this field name."""
IAM = ["CAPABILITY_NAMED_IAM"]


@pytest.mark.long
def test_fails_whatever_type_of_the_field_the_account_does_not_make(account: Account) -> None:
    kinds = [kind for kind in schemas.kinds(REGION) if kind.split("::")[1] in FIELD]
    unmade = sorted(kind for kind in kinds if not api_types.makes(kind))
    assert len(unmade) > 50
    for number, kind in enumerate(unmade):
        stack = create(account, {"Resources": {"Bad": {"Type": kind}}}, f"tap{number}", Capabilities=IAM)
        assert account.stack(stack)["StackStatus"] == "ROLLBACK_COMPLETE", kind
        reasons = [reason for _name, status, reason in account.events(stack) if status == "CREATE_FAILED"]
        assert reasons == [f"strictmoto does not make {kind}"]
