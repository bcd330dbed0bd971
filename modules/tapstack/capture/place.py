"""Where a stack is deployed to, and ARNs of its resources that are known before they exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapstack.bindings import Construct, aws, cdk
from tapstack.domain.regions import PARTITIONS


@dataclass(frozen=True)
class Place:
    """Where a stack is deployed to: the parts that every ARN begins with, as tokens.

    Attributes:
        partition: `aws`, or another one.
        region: the Region.
        account: the account's id.
        dns_suffix: of the partition's services, such as `amazonaws.com`.
    """

    partition: str
    region: str
    account: str
    dns_suffix: str

    @staticmethod
    def of(scope: Construct) -> Place:
        """Add the lookups, which Terraform reads when it plans."""
        partition: Any = aws.DataAwsPartition(scope, "Partition")
        region: Any = aws.DataAwsRegion(scope, "Region")
        identity: Any = aws.DataAwsCallerIdentity(scope, "Account")
        # `name` is deprecated in newer providers and `region` unknown to older ones; both know `id`.
        return Place(str(partition.partition), str(region.id), str(identity.account_id), str(partition.dns_suffix))

    @property
    def console(self) -> str:
        """The host of the partition's console, which the Region's name comes before, as a token."""
        hosts = {found.name: found.console for found in PARTITIONS if found.console is not None}
        return str(cdk.Token.as_string(cdk.Fn.lookup(hosts, self.partition, hosts["aws"])))

    @property
    def via_s3(self) -> dict[str, dict[str, str]]:
        """The condition of a use of a KMS key that only Amazon S3 makes, in this Region, on behalf of a caller."""
        return {"StringEquals": {"kms:ViaService": f"s3.{self.region}.{self.dns_suffix}"}}

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of this account and Region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def role_arn(self, name: str) -> str:
        """Return the ARN of a role of this account."""
        return f"arn:{self.partition}:iam::{self.account}:role/{name}"
