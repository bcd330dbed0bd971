"""Who is one person, with IAM enforced: users whose sessions of a role IAM names after their source identity."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from strictmoto.account import ACCOUNT_ID, REGION, Account
from tests.api.conftest import Caller
from tests.api.test_responders_policies import FOLDER
from tests.response_by_hand import IMAGE, Deployed, deploy
from tests.strictmoto.trusting import TRUST


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """What a session may call decides who is who."""
    return True


def written(file: str, api_id: str) -> str:
    """A policy of the page, for this account and API."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    return text.replace("111122223333", ACCOUNT_ID).replace("API_ID", api_id)


@pytest.fixture(scope="module")
def enforced(aws_account_server: Account) -> Iterator[Deployed]:
    aws_account_server.reset()
    approval = {"source_identity_roles": ["responders", "approvers"]}
    made = deploy(aws_account_server, containment={"approval": approval})
    iam = aws_account_server.client("iam")
    roles = {"responders": ("respond", "contain", "approve"), "approvers": ("approve",), "shared": ("approve",)}
    for role, policies in roles.items():
        is_named = role in approval["source_identity_roles"]
        trust = written("source-identity/trust.json", made.api_id) if is_named else TRUST
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)
        for name in (*policies, *(["source-identity/deny"] if is_named else [])):
            document = written(f"{name}.json", made.api_id)
            iam.put_role_policy(RoleName=role, PolicyName=name.replace("/", "-"), PolicyDocument=document)
    may = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"], "Resource": "*"}
    for user in ("ana", "ben"):
        iam.create_user(UserName=user)
        policy = json.dumps({"Version": "2012-10-17", "Statement": [may]})
        iam.put_user_policy(UserName=user, PolicyName="roles", PolicyDocument=policy)
    yield made
    aws_account_server.reset()


def session(deployed: Deployed, user: str, role: str, *, name: str = "", source: str | None = None) -> Caller:
    """A session of a user, whose name and source identity are the user's unless told otherwise."""
    key = deployed.account.client("iam").create_access_key(UserName=user)["AccessKey"]
    sts = boto3.client(
        "sts",
        endpoint_url=deployed.account.endpoint,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    identity = user if source is None else source
    try:
        found = sts.assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT_ID}:role/{role}",
            RoleSessionName=name or user,
            **({"SourceIdentity": identity} if identity else {}),
        )["Credentials"]
    finally:
        deployed.account.client("iam").delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    return Caller(deployed, Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]))


def pending(deployed: Deployed, who: Caller) -> str:
    """An incident whose containment a caller requested."""
    made = deployed.ec2.run_instances(
        ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=deployed.subnet
    )
    body = {"instance_id": made["Instances"][0]["InstanceId"], "reason": "beacons"}
    incident = str(who("POST", "/incidents", json.dumps(body).encode()).json["incident"]["id"])
    assert who("POST", f"/incidents/{incident}/contain").json["containment"]["state"] == "pending"
    return incident


def test_when_two_users_have_sessions_of_one_role_then_the_other_one_approves(enforced: Deployed) -> None:
    ana, ben = (session(enforced, user, "responders") for user in ("ana", "ben"))
    incident = pending(enforced, ana)
    assert ana("POST", f"/incidents/{incident}/approve").problem == "other-person-needed"
    # The source identity is the same in whatever role she has.
    elsewhere = session(enforced, "ana", "approvers")
    assert elsewhere("POST", f"/incidents/{incident}/approve").problem == "other-person-needed"
    approved = ben("POST", f"/incidents/{incident}/approve")
    assert (approved.status, approved.json["containment"]["decision"]) == (202, "approved")


def test_fails_when_a_session_has_another_name_than_its_source_identity(enforced: Deployed) -> None:
    incident = pending(enforced, session(enforced, "ana", "responders"))
    as_ben = session(enforced, "ana", "responders", name="ben")
    refused = as_ben("POST", f"/incidents/{incident}/approve")
    assert (refused.status, refused.json) == (403, {"message": "Forbidden"})


@pytest.mark.parametrize("source", ["ben", ""])
def test_fails_when_a_user_takes_the_source_identity_of_another_or_none(enforced: Deployed, source: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        session(enforced, "ana", "responders", source=source)


def test_fails_when_sessions_of_a_role_that_the_settings_do_not_name_approve_each_others(enforced: Deployed) -> None:
    iam = enforced.account.client("iam")
    for name in ("respond", "contain"):
        document = written(f"{name}.json", enforced.api_id)
        iam.put_role_policy(RoleName="shared", PolicyName=name, PolicyDocument=document)
    incident = pending(enforced, session(enforced, "ana", "shared", source=""))
    refused = session(enforced, "ben", "shared", source="")("POST", f"/incidents/{incident}/approve")
    assert refused.problem == "other-person-needed"
    assert "All sessions of the role shared count as one person" in refused.json["detail"]
