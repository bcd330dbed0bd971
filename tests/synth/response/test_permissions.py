"""What each role may do: nothing by itself that could touch what is not ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from strictmoto.iam.policies import Request, Resource, judge, read_policy
from tapstack import EvidenceSettings
from tapstack.domain import template_urls
from tests.synth.ids import FILTER, TARGET, TEMPLATE_URL
from tests.synth.response.building import NAMES, Response, launched
from tests.synth.template import assert_equal

REGION, ACCOUNT = "<region.id>", "<caller_identity.account_id>"
OURS = {"aws:ResourceTag/tapstack:deployment": "ir", "aws:ResourceTag/tapstack:site": "a"}
ALARM = f"arn:<partition.partition>:cloudwatch:{REGION}:{ACCOUNT}:alarm:ir-a-response-dead-letters"
RULE = f"arn:<partition.partition>:events:{REGION}:{ACCOUNT}:rule/ir-a-response-findings"
SESSIONS = f"arn:<partition.partition>:ec2:{REGION}:{ACCOUNT}:traffic-mirror-session/*"
STACK_NAMES = ["ir-a-epb", "ir-a-epb-*"]


def construct(name: str) -> str:
    return f"{name.capitalize()}Function"


def actions(statement: dict[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


def test_when_a_role_may_change_the_launched_stack_then_it_is_exempt_from_the_service_control_policy(
    launching: Response,
) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/security.md").read_text(encoding="utf-8")
    shown = map(json.loads, re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    [statement] = [one for policy in shown for one in policy["Statement"] if one["Sid"] == "ProtectAppliances"]
    made = {
        body["name"]
        for part in (*map(construct, NAMES), "ApplianceRole")
        for name, body in launching.terraform["resource"]["aws_iam_role"].items()
        if name.startswith(f"response_{part}_")
        and {action for found in launching.statements(part).values() for action in actions(found)}
        & set(statement["Action"])
    }
    exempt = {arn.rpartition("/")[2] for arn in statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"]}
    assert {name.replace("ir-a-", "tapstack-production-") for name in made} == exempt - {
        "tapstack-deploy",
        "tapstack-production-packet-basics-role",
    }


@pytest.mark.parametrize("name", NAMES)
def test_when_a_function_may_do_something_then_it_is_named_and_limited(launching: Response, name: str) -> None:
    for sid, statement in launching.statements(construct(name)).items():
        assert all("*" not in action for action in actions(statement)), sid
        # Only what knows no resources has none, and then the Region, or the template, limits it.
        if statement["Resource"] == "*":
            condition = statement["Condition"]["StringEquals"]
            assert condition in (
                {"ec2:Region": REGION},
                {"aws:RequestedRegion": REGION},
                {"cloudformation:TemplateUrl": TEMPLATE_URL},
            ), sid


def test_when_a_function_may_change_ec2_then_it_is_one_of_three(launching: Response) -> None:
    changing = {
        name: sorted(
            {
                action
                for statement in launching.statements(construct(name)).values()
                for action in actions(statement)
                if action.startswith("ec2:") and not action.startswith("ec2:Describe")
            }
        )
        for name in NAMES
    }
    assert_equal(
        {name: found for name, found in changing.items() if found},
        {
            "appliance": ["ec2:CreateSnapshots", "ec2:CreateTags", "ec2:StartInstances", "ec2:StopInstances"],
            "capture": ["ec2:CreateTags", "ec2:CreateTrafficMirrorSession", "ec2:DeleteTrafficMirrorSession"],
            "sweeper": [
                "ec2:CreateSnapshots",
                "ec2:CreateTags",
                "ec2:CreateTrafficMirrorSession",
                "ec2:DeleteSnapshot",
                "ec2:DeleteTrafficMirrorSession",
                "ec2:ModifyTrafficMirrorSession",
                "ec2:StopInstances",
            ],
        },
    )


def test_when_instances_are_stopped_or_snapshotted_then_only_those_of_the_launched_stack(launching: Response) -> None:
    ours = {"StringEquals": OURS, "StringLike": {"aws:ResourceTag/aws:cloudformation:stack-name": STACK_NAMES}}
    instances = f"arn:<partition.partition>:ec2:{REGION}:{ACCOUNT}:instance/*"
    for name in ("appliance", "sweeper"):
        statements = launching.statements(construct(name))
        for sid in ("StopAppliance", "SnapshotAppliance"):
            assert statements[sid]["Resource"] == instances
            assert_equal(statements[sid]["Condition"], ours)
        assert_equal(statements["TagSnapshots"]["Condition"], {"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}})
    deleting = launching.statements(construct("sweeper"))["DeleteOwnSnapshots"]
    assert_equal(deleting["Condition"], {"StringEquals": OURS, "Null": {"aws:ResourceTag/tapstack:appliance": "false"}})


def test_when_no_snapshots_are_taken_then_only_the_sweeper_may_delete_those_of_before() -> None:
    response = Response(evidence=EvidenceSettings(appliance_snapshots=None))
    assert response.settings("sweeper")["appliance"]["launch"]["snapshots"] is None
    of_sweeper = response.statements(construct("sweeper"))
    changing = {action for found in of_sweeper.values() for action in actions(found) if "napshot" in action}
    assert changing == {"ec2:DescribeSnapshots", "ec2:DeleteSnapshot"}
    of_appliance = response.statements(construct("appliance"))
    assert not {action for found in of_appliance.values() for action in actions(found) if "napshot" in action}


def test_when_sessions_are_ended_or_mended_then_only_those_of_the_deployments_incidents(launching: Response) -> None:
    expected = {"StringEquals": OURS, "Null": {"aws:ResourceTag/tapstack:incident": "false"}}
    for name, sid in (
        ("capture", "DeleteSessions"),
        ("sweeper", "DeleteSessions"),
        ("sweeper", "ModifySessions"),
    ):
        statement = launching.statements(construct(name))[sid]
        assert statement["Resource"] == SESSIONS
        assert_equal(statement["Condition"], expected)


@pytest.mark.parametrize("name", ["capture", "sweeper"])
def test_when_sessions_are_made_then_under_our_tags_and_with_all_of_them(launching: Response, name: str) -> None:
    condition = launching.statements(construct(name))["CreateTaggedSessions"]["Condition"]
    assert_equal(
        condition,
        {
            "StringEquals": {"aws:RequestTag/tapstack:deployment": "ir", "aws:RequestTag/tapstack:site": "a"},
            "Null": {"aws:RequestTag/tapstack:incident": "false", "aws:RequestTag/tapstack:expires": "false"},
            "ForAllValues:StringEquals": {
                "aws:TagKeys": [
                    "Name",
                    "tapstack:incident",
                    "tapstack:expires",
                    "tapstack:deployment",
                    "tapstack:site",
                ]
            },
        },
    )


@pytest.mark.parametrize("name", ["capture", "sweeper"])
def test_when_tags_are_changed_then_no_resource_can_be_claimed(launching: Response, name: str) -> None:
    statements = launching.statements(construct(name))
    assert statements["TagSessions"]["Condition"] == {
        "StringEquals": {"ec2:CreateAction": "CreateTrafficMirrorSession"}
    }
    moved = statements["RetagSessions"]["Condition"]
    assert moved["StringEquals"] == OURS
    assert moved["ForAllValues:StringEquals"]["aws:TagKeys"] == ["Name", "tapstack:incident", "tapstack:expires"]


def test_when_an_appliance_exists_then_sessions_may_only_go_to_it(with_existing: Response) -> None:
    expected = [
        f"arn:<partition.partition>:ec2:{REGION}:*:traffic-mirror-target/{TARGET}",
        f"arn:<partition.partition>:ec2:{REGION}:{ACCOUNT}:traffic-mirror-filter/{FILTER}",
    ]
    assert with_existing.statements("CaptureFunction")["MirrorToAppliance"]["Resource"] == expected
    assert with_existing.statements("SweeperFunction")["UseMirrorTarget"]["Resource"] == expected


def test_when_an_appliance_exists_then_no_function_may_call_cloudformation(with_existing: Response) -> None:
    policies = [body["policy"] for body in with_existing.all("aws_iam_role_policy")]
    assert not any("cloudformation:" in policy or "PassRole" in policy for policy in policies)


def test_when_an_appliance_is_launched_then_it_is_this_stack_from_this_template_with_this_role(
    launching: Response,
) -> None:
    statements = launching.statements("ApplianceFunction")
    stack = f"arn:<partition.partition>:cloudformation:{REGION}:{ACCOUNT}:stack/ir-a-epb/*"
    role = f"arn:<partition.partition>:iam::{ACCOUNT}:role/<iam_role_policy.role>"
    assert statements["CreateApplianceStack"]["Resource"] == stack
    assert_equal(
        statements["CreateApplianceStack"]["Condition"],
        {
            "StringEquals": {
                "cloudformation:TemplateUrl": TEMPLATE_URL,
                "cloudformation:RoleArn": role,
                "aws:RequestTag/tapstack:deployment": "ir",
                "aws:RequestTag/tapstack:site": "a",
            }
        },
    )
    assert statements["DeleteApplianceStack"]["Resource"] == stack
    assert statements["DeleteApplianceStack"]["Condition"] == {"StringEquals": OURS}
    assert statements["PassStackRole"]["Resource"] == role
    assert statements["PassStackRole"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}
    }


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("url", "action", "named"),
    [
        (TEMPLATE_URL, "s3:GetObject", TEMPLATE_URL.removeprefix("https://s3.amazonaws.com/")),
        ("https://mine.s3.eu-central-1.amazonaws.com/a/epb.json", "s3:GetObject", "mine/a/epb.json"),
        ("https://s3.eu-central-1.amazonaws.com/mine/a%20b.json?versionId=3", "s3:GetObjectVersion", "mine/a b.json"),
        ("https://mine.s3.amazonaws.com/a*b", "s3:GetObject", "mine/a?b"),
    ],
    ids=["path", "host", "version", "wildcard"],
)
def test_when_an_appliance_is_launched_then_its_function_may_read_the_template_and_no_other_object(
    url: str, action: str, named: str
) -> None:
    made = Response(appliance=launched(template_url=url, accept_template_url=True))
    found = {
        (construct(name), sid): statement
        for name in NAMES
        for sid, statement in made.statements(construct(name)).items()
        if any(one.startswith("s3:") for one in actions(statement))
    }
    resource = f"arn:<partition.partition>:s3:::{named}"
    statement = {"Sid": "ReadTemplate", "Effect": "Allow", "Action": action, "Resource": resource}
    assert_equal(found, {("ApplianceFunction", "ReadTemplate"): statement})
    of_role = made.statements("ApplianceRole").values()
    assert not any(one.startswith("s3:") for statement in of_role for one in actions(statement))


def test_when_terraform_knows_the_address_then_it_says_which_object_may_be_read() -> None:
    url = '${data.x.y.outputs["Url"]}'
    made = Response(appliance=launched(template_url=url, accept_template_url=True))
    statement = made.statements("ApplianceFunction")["ReadTemplate"]
    named = re.fullmatch(r"arn:<partition\.partition>:s3:::\$\{local\.(\w+)\}", statement["Resource"])
    assert named is not None
    local_values = made.terraform["locals"]
    address = next(name for name, value in local_values.items() if value == url)
    replaced = f'replace(local.{address}, "/{template_urls.OBJECT}/", "$1/$2")'
    assert local_values[named[1]] == f'${{trimprefix({replaced}, "/")}}'
    conditions = made.statements("ApplianceFunction")["CreateApplianceStack"]["Condition"]["StringEquals"]
    assert conditions["cloudformation:TemplateUrl"] == f"${{local.{address}}}"


def test_when_cloudformation_launches_it_then_it_changes_only_what_carries_our_tags(launching: Response) -> None:
    statements = launching.statements("ApplianceRole")
    assert statements["ModifyStackResources"]["Condition"]["StringEquals"] == OURS
    assert all(action.startswith("ec2:") for action in actions(statements["ModifyStackResources"]))


def test_when_the_template_makes_no_iam_resources_then_the_role_may_not_either() -> None:
    extra = {"Sid": "Extra", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:::key/k"}
    made = Response(appliance=launched(extra_statements=[extra]))
    statements = made.statements("ApplianceRole")
    assert not any("iam:" in action for statement in statements.values() for action in actions(statement))
    assert statements["Extra"] == extra
    assert made.all("aws_iam_policy") == []


def test_when_items_are_read_or_written_then_only_those_of_the_function(launching: Response) -> None:
    reached = {
        name: sorted(
            {
                key
                for statement in launching.statements(construct(name)).values()
                if statement["Resource"] == "<dynamodb_table.arn>"
                for key in statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            }
        )
        for name in NAMES
    }
    assert_equal(
        reached,
        {
            "api": ["INCIDENT#*", "INSTANCE#*", "KEY#*", "UNDELIVERED#*"],
            "findings": ["INCIDENT#*", "INSTANCE#*", "KEY#*", "UNDELIVERED#*"],
            "prepare": ["INCIDENT#*"],
            "appliance": ["APPLIANCE", "CAPTURE#*", "INCIDENT#*", "SNAPSHOTS#*"],
            "capture": ["APPLIANCE", "CAPTURE#*", "INCIDENT#*"],
            "incident": ["APPLIANCE", "CAPTURE#*", "INCIDENT#*", "INSTANCE#*", "UNDELIVERED#*"],
            "sweeper": ["APPLIANCE", "CAPTURE#*", "INCIDENT#*", "SNAPSHOTS#*", "UNDELIVERED#*"],
        },
    )


def test_when_events_are_published_then_only_as_tapstack_on_the_default_bus(launching: Response) -> None:
    for name in ("api", "findings", "incident", "sweeper"):
        statement = launching.statements(construct(name))["PutEvents"]
        assert statement["Resource"] == f"arn:<partition.partition>:events:{REGION}:{ACCOUNT}:event-bus/default"
        assert statement["Condition"] == {"StringEquals": {"events:source": "tapstack"}}


def test_when_a_service_assumes_a_role_then_for_this_account_only(launching: Response) -> None:
    trusted = [json.loads(role["assume_role_policy"])["Statement"][0] for role in launching.all("aws_iam_role")]
    by_service = {statement["Principal"]["Service"]: statement.get("Condition") for statement in trusted}
    this_account = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert by_service == {
        "lambda.amazonaws.com": None,  # Lambda names no account when it assumes a role
        "states.amazonaws.com": this_account,
        "scheduler.amazonaws.com": this_account,
        # It is not documented whether CloudFormation names account and stack: where it does, then for this one only.
        "cloudformation.amazonaws.com": {
            "StringEqualsIfExists": {"aws:SourceAccount": ACCOUNT},
            "ArnLikeIfExists": {
                "aws:SourceArn": f"arn:<partition.partition>:cloudformation:{REGION}:{ACCOUNT}:stack/ir-a-epb/*"
            },
        },
    }


@pytest.mark.parametrize(
    ("policy", "resource", "context", "action"),
    [
        (
            "aws_sns_topic_policy",
            "<sns_topic.arn>",
            {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": ALARM},
            "sns:Publish",
        ),
        ("aws_sqs_queue_policy", "<sqs_queue.arn>", {"aws:SourceArn": RULE}, "sqs:SendMessage"),
    ],
)
def test_when_a_topic_or_a_queue_is_used_then_by_tls_only(
    launching: Response, policy: str, resource: str, context: dict[str, str], action: str
) -> None:
    statements = read_policy(json.loads(launching.one(policy)["policy"]))

    def allowed(secure: str) -> bool:
        given = {key: (value,) for key, value in {**context, "aws:SecureTransport": secure}.items()}
        return judge(statements, Request(action, (Resource(resource),), given)).allowed

    assert (allowed("true"), allowed("false")) == (True, False)
    # Whoever asks, and whatever for: IAM policies of the account allow the rest.
    denying = json.loads(launching.one(policy)["policy"])["Statement"][1]
    assert (denying["Effect"], denying["Principal"]) == ("Deny", "*")


def test_when_the_policy_of_a_topic_is_written_then_it_names_what_sns_takes_there(launching: Response) -> None:
    denied = json.loads(launching.one("aws_sns_topic_policy")["policy"])["Statement"][1]["Action"]
    assert all(action.startswith("sns:") and "*" not in action for action in denied)


def test_when_an_appliance_exists_then_nothing_is_granted_that_only_a_launch_needs(
    launching: Response, with_existing: Response
) -> None:
    def granted(response: Response, name: str) -> set[str]:
        statements = response.statements(construct(name))
        return {f"{sid}/{action}" for sid, statement in statements.items() for action in actions(statement)}

    assert granted(launching, "prepare") - granted(with_existing, "prepare") == {
        "DescribeNetworkResources/ec2:DescribeTrafficMirrorSessions"
    }
    assert "UpdateApplianceItem/dynamodb:UpdateItem" not in granted(with_existing, "sweeper")
    assert not any("PutItem" in action for action in granted(with_existing, "appliance"))
