"""Who calls: roles that the account's services assume, and whose an access key is."""

from __future__ import annotations

from dataclasses import dataclass

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import get_account_id_from, iam_backends
from moto.utilities.utils import get_partition


@dataclass(frozen=True, slots=True)
class Credentials:
    """Temporary credentials of an assumed role."""

    access_key_id: str
    secret_access_key: str
    session_token: str

    def as_environment(self) -> dict[str, str]:
        """Return the variables that Lambda gives its functions."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }

    def as_arguments(self) -> dict[str, str]:
        """Return them as boto3.client takes them."""
        return {name.lower(): value for name, value in self.as_environment().items()}


def assume(role_arn: str, session_name: str, region: str) -> Credentials:
    """Assume a role as an AWS service does: for a function, a state machine, a rule or a schedule.

    Args:
        role_arn: the role, which need not exist; its calls are made in the role's account.
        session_name: how the service names the session, for example the function's name.
        region: any Region of the role's partition.
    """
    from moto.sts.models import sts_backends

    role = sts_backends[DEFAULT_ACCOUNT_ID][get_partition(region)].assume_role(
        region_name=region,
        role_session_name=session_name,
        role_arn=role_arn,
        policy="",
        duration=3600,
        external_id="",
    )
    return Credentials(role.access_key_id, role.secret_access_key, role.session_token)


def principal_of(access_key: str, region: str) -> str:
    """Return the ARN of the role or user whose key it is; of the account's root user where it is nobody's."""
    partition = get_partition(region)
    account = get_account_id_from(access_key)
    backend = iam_backends[account][partition]
    key = backend.access_keys.get(access_key)
    if key is not None and key.role_arn:
        return str(key.role_arn)
    if key is not None and key.user_name:
        return str(backend.get_user(key.user_name).arn)
    return f"arn:{partition}:iam::{account}:root"
