"""An account that enforces IAM, and what its tests need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from strictmoto.account import Account
from strictmoto.identity.principals import Credentials
from tests.in_process import answered_in_process as answered_in_process

HERE: Final = "123456789012"
THERE: Final = "111122223333"
ROOT: Final = f"arn:aws:iam::{HERE}:root"


@dataclass
class Enforcing:
    """An account, and the roles of its tests."""

    account: Account

    def client(self, service: str, **options: Any) -> Any:
        """Return a client of the root user, or of a role by its ARN."""
        return self.account.client(service, **options)

    def role(self, name: str, *statements: dict[str, Any], trust: Any = ROOT, owner: Any = None, **more: Any) -> str:
        """Make a role that ROOT may hand on, with a policy; return its ARN."""
        iam = owner or self.client("iam")
        principal = trust if isinstance(trust, dict) else {"AWS": trust}
        trusted = {"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trusted), **more)
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=policy(*statements))
        return str(made["Role"]["Arn"])

    def user(self, name: str, *statements: dict[str, Any], **more: Any) -> Credentials:
        """Make a user with a policy; return an access key of it."""
        iam = self.client("iam")
        iam.create_user(UserName=name, **more)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="work", PolicyDocument=policy(*statements))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(made["AccessKeyId"], made["SecretAccessKey"])

    def signed(self, service: str, credentials: Credentials) -> Any:
        """Return a client that signs with these credentials."""
        return boto3.client(
            service,
            endpoint_url=self.account.endpoint,
            region_name="eu-central-1",
            config=Config(retries={"total_max_attempts": 1}),
            **credentials.as_arguments(),
        )

    def worker(self, service: str, *statements: dict[str, Any], **more: Any) -> Any:
        """Return a client of a service that calls as a new role with these statements."""
        count = len(self.client("iam").list_roles()["Roles"])
        return self.client(service, role_arn=self.role(f"worker-{count}", *statements, **more))


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy document; statements allow what they say on everything."""
    filled = [{"Effect": "Allow", **({} if "Principal" in one else {"Resource": "*"}), **one} for one in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": filled})


def session_of(answer: dict[str, Any]) -> Credentials:
    """Return the credentials in an answer of STS."""
    given = answer["Credentials"]
    return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    """Return code and message of the error that a call is refused with."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


def client_of(enforcing: Enforcing, service: str, found: Any, config: Config | None = None) -> Any:
    """Return a client with the credentials that STS gave, or the root user's, as a program outside has it."""
    keys = {}
    if found:
        keys = {
            "aws_access_key_id": found["AccessKeyId"],
            "aws_secret_access_key": found["SecretAccessKey"],
            "aws_session_token": found["SessionToken"],
        }
    else:
        own = enforcing.account.environment
        keys = {
            "aws_access_key_id": own["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": own["AWS_SECRET_ACCESS_KEY"],
        }
    used = config or Config(retries={"total_max_attempts": 1})
    endpoint = enforcing.account.endpoint
    return boto3.client(service, region_name="eu-central-1", endpoint_url=endpoint, config=used, **keys)


@pytest.fixture(scope="module")
def enforces_iam() -> bool:
    """What is tried here is what IAM refuses."""
    return True


@pytest.fixture
def enforcing(aws_account: Account) -> Enforcing:
    """An empty account that enforces IAM."""
    aws_account.enforces_iam = True
    return Enforcing(aws_account)
