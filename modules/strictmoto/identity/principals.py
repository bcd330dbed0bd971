"""Credentials, and those of roles that the account's services assume."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.utilities.utils import get_partition

from strictmoto.iam.identities import Session, find_role
from strictmoto.iam.trust import trusts

_ADMINISTRATOR: Final = "administrator"
_EVERYTHING: Final = {"Action": "*", "Resource": "*"}
_founding = threading.Lock()
_LAMBDA: Final = "lambda.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials: of the root user or a user, or temporary ones of an assumed role, which have a session token."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    def as_environment(self) -> dict[str, str]:
        """Return the variables that Lambda gives its functions."""
        variables = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return {**variables, "AWS_SESSION_TOKEN": self.session_token} if self.session_token else variables

    def as_arguments(self) -> dict[str, str]:
        """Return them as boto3.client takes them."""
        return {name.lower(): value for name, value in self.as_environment().items()}


class CannotAssumeError(ClientError):  # type: ignore[misc]
    """A role does not exist, or does not let the service assume it: STS's own error."""

    def __init__(self, role_arn: str, service: str) -> None:
        """Say so as STS does."""
        message = f"User: {service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        answer = {"Error": {"Code": "AccessDenied", "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 403}}
        super().__init__(answer, "AssumeRole")


def assume(role_arn: str, session_name: str, region: str, *, service: str = "", source_arn: str = "") -> Credentials:
    """Assume a role as an AWS service does: for a function, a state machine, a rule or a schedule.

    Args:
        role_arn: the role; its calls are made in the role's account.
        session_name: how the service names the session, for example the function's name.
        region: any Region of the role's partition.
        service: that assumes it, for example lambda.amazonaws.com; no call is made in the role otherwise.
        source_arn: of what it is assumed for, where the service names it.

    Raises:
        CannotAssumeError: the role is not there or does not trust the service, where IAM is enforced.
    """
    from moto.sts.models import sts_backends

    if service:
        check_trust(role_arn, service, source_arn)

    role = sts_backends[DEFAULT_ACCOUNT_ID][get_partition(region)].assume_role(
        region_name=region,
        role_session_name=session_name,
        role_arn=role_arn,
        policy="",
        duration=3600,
        external_id="",
    )
    note_role(role)
    if service == _LAMBDA:
        # What a function calls can be distinguished from other calls of its role.
        role.strict_session = Session(function=source_arn)  # type: ignore[attr-defined]
    return Credentials(role.access_key_id, role.secret_access_key, role.session_token)


def note_role(session: Any) -> None:
    """Let moto's session of a role, which is being issued, know whose it is for good.

    moto looks for a role of that name whenever it is asked: the role may be deleted by then, or be another one.
    """
    session.issued_to = session.user_id
    # Where IAM is not enforced, roles are assumed that there are not.
    role = find_role(session.role_arn)
    session.role_id = role.id if role is not None else ""


def check_trust(role_arn: str, service: str, source_arn: str = "") -> None:
    """Refuse a role that a service cannot assume, where IAM is enforced; the arguments are as `assume` has them.

    Raises:
        CannotAssumeError: the role is not there or does not trust the service.
    """
    from strictmoto.running import running

    if running().enforces_iam and not trusts(role_arn, service, source_arn):
        raise CannotAssumeError(role_arn, service)


def administrator(partition: str) -> Credentials:
    """Return the access key of a user that may do everything, who is made where there is none.

    Whoever assumes roles needs one: no root user may.

    Args:
        partition: whose IAM has the user.
    """
    backend: Any = iam_backends[DEFAULT_ACCOUNT_ID][partition]
    with _founding:
        if _ADMINISTRATOR not in backend.users:
            user = backend.create_user(partition, _ADMINISTRATOR)
            user.put_policy("AdministratorAccess", _policy(_EVERYTHING))
            backend.create_access_key(_ADMINISTRATOR)
        [key, *_] = backend.users[_ADMINISTRATOR].access_keys
    return Credentials(key.access_key_id, key.secret_access_key)


def deploying_into(role_arn: str | None) -> Credentials | None:
    """Return the credentials that Terraform runs with: the administrator's where its provider assumes a role.

    Args:
        role_arn: that the provider assumes; None where it assumes none, and root may deploy.
    """
    return administrator(role_arn.split(":")[1]) if role_arn else None


def found_role(role_arn: str, trusted_account: str = DEFAULT_ACCOUNT_ID) -> None:
    """Make a role of an administrator, as a company has it for those who deploy; one that exists stays as it is.

    Args:
        role_arn: of the role, in whatever account.
        trusted_account: whose principals may assume it, where their own policies allow that.
    """
    if find_role(role_arn) is not None:
        return
    _, partition, _, _, account, resource = role_arn.split(":", 5)
    path, _, name = resource.removeprefix("role").rpartition("/")
    trust = {"Principal": {"AWS": trusted_account}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    backend = iam_backends[account][partition]
    role = backend.create_role(name, _policy(trust), f"{path}/", None, "", [], "3600")
    role.put_policy("AdministratorAccess", _policy(_EVERYTHING))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})
