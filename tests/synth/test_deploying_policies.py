"""The policies of the deploying roles against what was recorded last, and that against what is synthesized today."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from scripts import deploying_policies as deploying
from stacks.synthesis import synthesize
from tapstack.domain.globs import matches
from tapstack.settings.load import load_deployment, parse_deployment
from tapstack.settings.model import Deployment
from tests.sampling import sampled

pytestmark = pytest.mark.thorough

ROOT: Final = deploying.ROOT
NEEDS, TYPES = deploying.read_needs(deploying.NEEDS.read_text(encoding="utf-8"))
AGAIN: Final = "not recorded: run python -m scripts.deploying_policies, which takes minutes"
IN_THE_TABLE: Final = {
    "aws_apigatewayv2_authorizer": "`authorization.jwt`",
    "aws_iam_policy": "`capabilities` of a launched appliance",
}
"""Types that the recorded deployment has not, and the row of docs/iam/README.md that says what they need."""


def test_the_policies_are_what_the_recorded_calls_need() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in deploying.FOLDER.glob("*.json")}
    assert deploying.render(NEEDS) == written


def types(deployment: Deployment, directory: Path) -> Mapping[str, set[str]]:
    """The types of resources by kind of stack."""
    assert synthesize(deployment, directory, directory / "out") == []
    return deploying.types_of({file.name: file for file in (directory / "out/stacks").iterdir()})


def test_when_a_construct_makes_another_type_of_resource_then_its_calls_have_to_be_recorded(tmp_path: Path) -> None:
    whole = deploying.with_telemetry(deploying.example())
    assert types(parse_deployment(json.dumps(whole)), tmp_path) == TYPES, AGAIN


@pytest.mark.parametrize("file", ["response.yaml", "xdr.yaml"])
def test_when_a_setting_makes_another_type_of_resource_then_the_page_says_what_it_needs(
    file: str, tmp_path: Path
) -> None:
    made = types(load_deployment(ROOT / "tests/unit/settings" / file), tmp_path)

    more = {type_ for kind, found in made.items() for type_ in found - TYPES[kind] if not type_.startswith("data.")}
    page = (deploying.FOLDER / "README.md").read_text(encoding="utf-8")
    assert more <= set(IN_THE_TABLE), AGAIN
    for type_ in more:
        assert f"| {IN_THE_TABLE[type_]} |" in page


NAMED: Final = {
    "aws_cloudwatch_dashboard": ("cloudwatch::111122223333:dashboard/{}", "dashboard_name"),
    "aws_cloudwatch_event_rule": ("events:eu-central-1:111122223333:rule/{}", "name"),
    "aws_cloudwatch_log_group": ("logs:eu-central-1:111122223333:log-group:{}", "name"),
    "aws_cloudwatch_metric_alarm": ("cloudwatch:eu-central-1:111122223333:alarm:{}", "alarm_name"),
    "aws_dynamodb_table": ("dynamodb:eu-central-1:111122223333:table/{}", "name"),
    "aws_iam_role": ("iam::111122223333:role/{}", "name"),
    "aws_kms_alias": ("kms:eu-central-1:111122223333:{}", "name"),
    "aws_lambda_function": ("lambda:eu-central-1:111122223333:function:{}", "function_name"),
    "aws_s3_bucket": ("s3:::{}", "bucket"),
    "aws_scheduler_schedule": ("scheduler:eu-central-1:111122223333:schedule/default/{}", "name"),
    "aws_secretsmanager_secret": ("secretsmanager:eu-central-1:111122223333:secret:{}-a1B2c3", "name"),
    "aws_sfn_state_machine": ("states:eu-central-1:111122223333:stateMachine:{}", "name"),
    "aws_sns_topic": ("sns:eu-central-1:111122223333:{}", "name"),
    "aws_sqs_queue": ("sqs:eu-central-1:111122223333:{}", "name"),
}
"""The ARN of each type of resource that policies name, and the attribute that its name is in."""


def resources_of(kind: str, project: str) -> list[str]:
    """The resources that the policies for applying a kind of stack name, with a project's name put in."""
    found: list[str] = []
    for file in deploying.FOLDER.glob(f"apply-{kind}*.json"):
        for statement in json.loads(file.read_text(encoding="utf-8"))["Statement"]:
            resource = statement["Resource"]
            found += [resource] if isinstance(resource, str) else resource
    return [one.replace("tapstack-*", f"{project}-*") for one in found if "tapstack-*" in one]


@pytest.mark.parametrize("project", [1, 25, 37, 40])
@sampled("site", [1, 25, 40], every=2)
def test_when_names_are_shortened_then_the_policies_name_them_all_the_same(
    project: int, site: int, tmp_path: Path
) -> None:
    whole = deploying.with_telemetry(deploying.example())
    whole["project"], name = "p" * project, "s" * site
    production = whole["sites"].pop("production")
    whole["sites"] = {name: production}
    xdr = production["xdr"]
    xdr["readers"] = {f"{reader:r<40}": settings for reader, settings in xdr["readers"].items()}
    assert synthesize(parse_deployment(json.dumps(whole)), tmp_path, tmp_path / "out") == []

    others: list[str] = []
    count = 0
    for kind in ("response", "xdr"):
        named = resources_of(kind, whole["project"])
        terraform = json.loads((tmp_path / f"out/stacks/{name}-{kind}/cdk.tf.json").read_text(encoding="utf-8"))
        for type_, resources in terraform["resource"].items():
            for resource in resources.values() if type_ in NAMED else ():
                arn, attribute = NAMED[type_]
                made = "arn:aws:" + arn.format(re.sub(r"\$\{[^}]*account_id\}", "111122223333", resource[attribute]))
                count += 1
                if not any(matches(one, made) for one in named):
                    others.append(made)
    assert count > 60
    # What is left of a bucket's name for those of the project and the site is in docs/iam/README.md.
    too_long = (
        [one for one in others if one.startswith("arn:aws:s3:::")] if project > deploying.PROJECT_IN_BUCKETS else []
    )
    assert others == too_long
    assert bool(too_long) == (project > deploying.PROJECT_IN_BUCKETS)


def test_when_a_project_is_too_long_for_buckets_then_the_page_says_so() -> None:
    page = (deploying.FOLDER / "README.md").read_text(encoding="utf-8")
    assert f"`project` of more than {deploying.PROJECT_IN_BUCKETS} characters" in page


def test_fails_when_a_policy_lacks_what_a_call_needs() -> None:
    short = {name: set(needs) for name, needs in NEEDS.items()}
    (gone,) = (need for need in short["apply-xdr.json"] if need.action == "guardduty:CreatePublishingDestination")
    short["apply-xdr.json"].remove(gone)

    rendered: dict[str, Any] = json.loads(deploying.render(short)["apply-xdr.json"])
    written = json.loads((deploying.FOLDER / "apply-xdr.json").read_text(encoding="utf-8"))
    assert rendered != written
    assert [one for one in written["Statement"] if one not in rendered["Statement"]] != []


@pytest.mark.parametrize(
    ("policy", "action", "resource", "condition"),
    [
        ("apply-xdr.json", "lambda:UpdateFunctionConfiguration", "function:tapstack-*-xdr-*", ""),
        ("apply-xdr.json", "sns:UntagResource", ":tapstack-*-xdr-*", ""),
        ("apply-xdr.json", "sns:SetSubscriptionAttributes", "*", ""),
        ("apply-xdr.json", "guardduty:UpdatePublishingDestination", "detector/*/publishingDestination/*", ""),
        ("apply-xdr-access.json", "iam:UpdateAssumeRolePolicy", "role/OIDC_tapstack-*-xdr-*", ""),
        ("apply-xdr-access.json", "ec2:CreateTags", "vpc-flow-log/*", "resource"),
        ("apply-response-access.json", "iam:UpdateAssumeRolePolicy", "role/tapstack-*-response-*", ""),
        ("apply-load-balancer.json", "elasticloadbalancing:ModifyListener", "listener/net/*/*/*", "resource"),
        ("apply-load-balancer.json", "elasticloadbalancing:ModifyTargetGroup", "targetgroup/*/*", "resource"),
    ],
)
def test_when_something_changes_alone_then_a_policy_allows_its_call(
    policy: str, action: str, resource: str, condition: str
) -> None:
    needed = {need.resource for need in NEEDS[policy] if (need.action, need.condition) == (action, condition)}
    assert [one for one in needed if one.endswith(resource)] != []


def test_fails_when_an_argument_is_neither_changed_nor_known_to_replace_its_resource() -> None:
    queue = {"name": "a", "tags": {}, "delay_seconds": 5, "visibility_timeout_seconds": 30}
    assert deploying.unchanged({"resource": {"aws_sqs_queue": {"a": queue}}}) == ["aws_sqs_queue.delay_seconds"]


def test_when_a_resource_has_an_argument_then_the_record_changes_it_or_it_is_replaced(tmp_path: Path) -> None:
    whole = deploying.with_telemetry(deploying.example())
    assert synthesize(parse_deployment(json.dumps(whole)), tmp_path, tmp_path / "out") == []
    found = {
        file.parent.name: deploying.unchanged(json.loads(file.read_text(encoding="utf-8")))
        for file in (tmp_path / "out").glob("stacks/*/cdk.tf.json")
    }
    assert len(found) == 4
    assert {stack: arguments for stack, arguments in found.items() if arguments} == {}
