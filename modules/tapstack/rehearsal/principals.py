"""Credentials, and those of roles that the account's services assume."""

from __future__ import annotations

from dataclasses import dataclass, field

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.utilities.utils import get_partition


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials: of the root user, or temporary ones of an assumed role, which have a session token."""

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
