"""Names of what a response consists of, and the ARNs that they have before anything is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from tapstack.bindings import Construct, aws, cdk
from tapstack.domain.errors import RuleViolation
from tapstack.domain.regions import PARTITIONS
from tapstack.domain.tokens import is_token

LIMIT: Final = 64
"""The shortest limit among the resources named here: functions, roles, rules and schedules."""

_DIGEST: Final = 8


def name_within(prefix: str, what: str, limit: int = LIMIT) -> str:
    """Return `<prefix>-<what>`, with the prefix cut and a digest in its place where that is too long.

    Raises:
        RuleViolation: the prefix is a token, whose length nobody knows yet.
    """
    if is_token(prefix):
        raise RuleViolation(f"the name {prefix!r} is a token: names of a response must be known at synthesis")
    full = f"{prefix}-{what}"
    if len(full) <= limit:
        return full
    digest = hashlib.sha256(full.encode()).hexdigest()[:_DIGEST]
    return f"{prefix[: limit - len(what) - _DIGEST - 2].rstrip('-')}-{digest}-{what}"


def pattern_within(prefix: str, longest: str, limit: int = LIMIT) -> str:
    """Return a pattern of all names that `name_within` makes of a prefix, where none ends longer than `longest`."""
    kept = prefix[: limit - len(longest) - _DIGEST - 2].rstrip("-")
    return f"{prefix}-*" if len(f"{prefix}-{longest}") <= limit else f"{kept}*"


@dataclass(frozen=True)
class Place:
    """Where a stack is deployed to: the parts that every ARN begins with, as tokens.

    Attributes:
        partition: `aws`, or another one.
        region: the Region.
        account: the account's id.
    """

    partition: str
    region: str
    account: str

    @staticmethod
    def of(scope: Construct) -> Place:
        """Look the place up when Terraform plans."""
        partition: Any = aws.DataAwsPartition(scope, "Partition")
        region: Any = aws.DataAwsRegion(scope, "Region")
        identity: Any = aws.DataAwsCallerIdentity(scope, "Account")
        # `name` is deprecated in newer providers and `region` unknown to older ones; both know `id`.
        return Place(str(partition.partition), str(region.id), str(identity.account_id))

    @property
    def console(self) -> str:
        """The host of the partition's console, which the Region's name comes before, as a token."""
        hosts = {found.name: found.console for found in PARTITIONS if found.console is not None}
        return str(cdk.Token.as_string(cdk.Fn.lookup(hosts, self.partition, hosts["aws"])))

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def role_arn(self, name: str) -> str:
        """Return the ARN of a role of this account."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"
