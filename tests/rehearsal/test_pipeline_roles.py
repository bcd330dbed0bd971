"""The trust policies of docs/iam/trust: who may assume the roles of the pipeline in docs/gitops.md."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from joserfc import jwk, jwt

from tests.strictmoto.iam.conftest import HERE, THERE, Enforcing, client_of, policy, refusal

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/iam"
ISSUER: Final = "token.actions.githubusercontent.com"
REPOSITORY: Final = "repo:OWNER/REPOSITORY"
KEY: Final = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
PIPELINE: Final = {"plan": "tapstack-plan", "apply": "tapstack-deploy"}
# What the pages call the pipeline's account and the site's, and what they are here.
ACCOUNTS: Final = {"111122223333": HERE, "444455556666": THERE}


def document(name: str) -> str:
    """A policy of the pages, in the accounts of the test."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    for shown, number in ACCOUNTS.items():
        text = text.replace(shown, number)
    return text


@pytest.fixture
def roles(enforcing: Enforcing) -> dict[str, str]:
    """The ARNs of the four roles, made as the page says; the site's account has no policy of its own to refuse."""
    enforcing.account.issuers.add(f"https://{ISSUER}", [KEY.as_dict(private=False)])
    iam = enforcing.client("iam")
    iam.create_open_id_connect_provider(
        Url=f"https://{ISSUER}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
    )
    found = {}
    policies = {"plan": ["plan.json"], "apply": ["plan.json", "apply-capture.json"]}
    for job, name in PIPELINE.items():
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(f"trust/{job}.json"))
        for one in policies[job]:
            iam.put_role_policy(RoleName=name, PolicyName=one.removesuffix(".json"), PolicyDocument=document(one))
        found[job] = made["Role"]["Arn"]
    enforcing.account.enforces_iam = False
    there = enforcing.client("iam", role_arn=f"arn:aws:iam::{THERE}:role/founder")
    for job, name in PIPELINE.items():
        made = there.create_role(RoleName=name, AssumeRolePolicyDocument=document(f"trust/site-{job}.json"))
        found[f"site {job}"] = made["Role"]["Arn"]
    opened = policy({"Principal": {"AWS": HERE}, "Action": "sts:AssumeRole"})
    found["open"] = there.create_role(RoleName="open", AssumeRolePolicyDocument=opened)["Role"]["Arn"]
    enforcing.account.enforces_iam = True
    return found


def token(subject: str) -> str:
    claims = {
        "iss": f"https://{ISSUER}",
        "aud": "sts.amazonaws.com",
        "sub": f"{REPOSITORY}:{subject}",
        "exp": int(time.time()) + 300,
    }
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY, algorithms=["RS256"])


def assumed(enforcing: Enforcing, role: str, subject: str) -> Any:
    """A client of STS as the role that a job with this subject assumes."""
    anonymous = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    made = client_of(enforcing, "sts", None, anonymous).assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="ci", WebIdentityToken=token(subject)
    )
    return client_of(enforcing, "sts", made["Credentials"])


@pytest.mark.parametrize(
    ("subject", "allowed"),
    [
        ("pull_request", {"plan"}),
        ("environment:production", {"apply"}),
        ("ref:refs/heads/main", set()),
        ("ref:refs/heads/another", set()),
        ("environment:other", set()),
    ],
)
def test_when_a_job_shows_its_token_then_only_its_own_role_is_given(
    enforcing: Enforcing, roles: dict[str, str], subject: str, allowed: set[str]
) -> None:
    for job in PIPELINE:
        if job in allowed:
            assert assumed(enforcing, roles[job], subject)
        else:
            assert refusal(assumed, enforcing=enforcing, role=roles[job], subject=subject)[0] == "AccessDenied"


@pytest.mark.parametrize(
    ("job", "subject", "allowed"),
    [("plan", "pull_request", {"site plan"}), ("apply", "environment:production", {"site plan", "site apply"})],
)
def test_when_a_site_is_in_another_account_then_a_pull_request_never_gets_the_role_that_applies(
    enforcing: Enforcing, roles: dict[str, str], job: str, subject: str, allowed: set[str]
) -> None:
    sts = assumed(enforcing, roles[job], subject)

    # The role that trusts the whole account is refused as well: the policy names what may be assumed.
    for name in ("site plan", "site apply", "open", "apply"):
        given = {"RoleArn": roles[name], "RoleSessionName": "terraform"}
        if name in allowed and name.removeprefix("site ") == job:
            assert sts.assume_role(**given)
        else:
            assert refusal(sts.assume_role, **given)[0] == "AccessDenied"
