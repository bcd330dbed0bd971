"""Where a CloudFormation template comes from: the bucket in its URL, and the owner of that.

A template decides what is made, with whatever rights CloudFormation is given. So its address is not taken
for granted: AWS Marketplace's own bucket is, any other takes an explicit acceptance.

Sources: Amazon S3 User Guide, "Methods for accessing a bucket" and "Dual-stack endpoints"; AWS General
Reference, "Amazon S3 endpoints"; IAM User Guide, "Amazon Resource Names" (partitions).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from tapstack.domain.errors import RuleViolation
from tapstack.domain.regions import DNS_SUFFIXES, partition_of
from tapstack.domain.tokens import is_token

MARKETPLACE_BUCKET: Final = "awsmp-fulfillment-cf-templates-prod"
"""Where AWS Marketplace keeps the templates of its products. Bucket names are unique within one partition."""

_REGION: Final = r"[a-z]{2,6}(?:-[a-z]+){1,3}-\d{1,2}"
_HOST: Final = re.compile(
    r"(?:(?P<bucket>[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)\.)?"
    rf"s3(?:-fips)?(?:\.dualstack)?(?:[.-](?:(?P<region>{_REGION})|external-1))?"
    rf"\.(?P<suffix>{'|'.join(map(re.escape, DNS_SUFFIXES))})"
)
# Nothing that a server could read otherwise: no escapes, no empty parts, none that begin with a dot.
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
OBJECT: Final = "^https://(?:([^/]+)[.])?s3[.-][^/]+/([^?]+).*$"
"""Reads an address that only Terraform knows: the bucket, where the host has it, and the rest of the path."""
# Wildcards and variables of IAM, expressions of Terraform.
_MEANS_MORE: Final = re.compile(r"[*?$%]")
_PARTITION: Final = "aws"
"""The one that AWS Marketplace's bucket is in."""


@dataclass(frozen=True, slots=True)
class TemplateUrl:
    """An address of an object in Amazon S3.

    Attributes:
        bucket: that holds it.
        key: of the object, as the address has it.
        region: that the address names; None where it names none.
        suffix: what AWS's host names end with in its partition.
        version: of the object, where the address names one.
    """

    bucket: str
    key: str
    region: str | None
    suffix: str
    version: str | None = None

    @property
    def is_of_marketplace(self) -> bool:
        """Whether AWS Marketplace put it there, which it does in the partition `aws`."""
        return (
            self.bucket == MARKETPLACE_BUCKET
            and self.suffix == "amazonaws.com"
            and not _is_elsewhere(self.region)
            and _PLAIN_KEY.fullmatch(self.key) is not None
        )

    @property
    def reading(self) -> str:
        """The action that reads it."""
        return "s3:GetObject" if self.version is None else "s3:GetObjectVersion"

    @property
    def object_name(self) -> str:
        """The bucket and the key, as an ARN has them in a policy.

        What IAM, or Terraform, would not read literally is `?`, which stands for any one character.
        """
        return f"{self.bucket}/{_MEANS_MORE.sub('?', unquote(self.key))}"


def parse(value: str) -> TemplateUrl | None:
    """Read the https address of an object in S3, with the bucket in its host or in its path; None where it is none."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return None
    host = _HOST.fullmatch(parts.hostname or "")
    if parts.scheme != "https" or host is None or port not in (None, 443) or parts.fragment:
        return None
    path = parts.path.removeprefix("/")
    bucket, key = (host["bucket"], path) if host["bucket"] else path.partition("/")[::2]
    version = parse_qs(parts.query).get("versionId", [None])[0]
    return TemplateUrl(bucket, key, host["region"], host["suffix"], version) if bucket and key.strip("/") else None


def check_source(value: str, *, accept: bool, region: str | None = None) -> None:
    """Refuse a template that AWS Marketplace did not publish, unless that was accepted.

    Args:
        value: the template's address.
        accept: take it from any bucket.
        region: that the stack is made in, where known: other partitions have other buckets of these names.

    Raises:
        RuleViolation: not accepted, and not of the Marketplace's bucket, or not known yet.
    """
    if accept:
        return
    if is_token(value):
        raise RuleViolation(
            "template url is known only when Terraform applies: whoever can change it controls what CloudFormation "
            "creates; accept it with accept_template_url"
        )
    found = parse(value)
    if found is None or not found.is_of_marketplace:
        where = f"in bucket {found.bucket!r}" if found and found.bucket != MARKETPLACE_BUCKET else "at an address"
        raise RuleViolation(
            f"template url {value!r} is {where}, not in AWS Marketplace's ({MARKETPLACE_BUCKET}): whoever can write "
            "to it controls what CloudFormation creates; copy the address from the subscription, or accept it with "
            "accept_template_url"
        )
    if _is_elsewhere(region):
        raise RuleViolation(
            f"template url {value!r} names AWS Marketplace's bucket of the partition aws, and Region {region} is in "
            "another one: accept it with accept_template_url once you know whose bucket that is"
        )


def _is_elsewhere(region: str | None) -> bool:
    """Return whether a Region is of another partition than the bucket; not where none is named."""
    partition = partition_of(region) if region else None
    return partition is not None and partition.name != _PARTITION
