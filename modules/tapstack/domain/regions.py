"""AWS Regions and partitions, and rules about resources of others.

Data with a date: what the SDK for Python (botocore 1.44.5, `partitions.json`) knew on that day,
and the consoles' addresses as the partitions' own guides have them. A Region that is newer can be
accepted; its partition is known by the beginning of its name. Which Regions are enabled by default:
AWS Account Management Reference Guide, "Enable or disable AWS Regions in your account", of the same day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.tokens import is_token

AS_OF: Final = "2026-11-26"


@dataclass(frozen=True, slots=True)
class Partition:
    """A group of Regions with accounts, ARNs and addresses of its own; nothing reaches from one into another.

    Attributes:
        name: as ARNs have it.
        dns_suffix: of the services' addresses.
        console: host of the console, which the Region's name comes before; None where it is not public.
        pattern: of its Regions' names.
        regions: those known here.
    """

    name: str
    dns_suffix: str
    console: str | None
    pattern: str
    regions: tuple[str, ...]


PARTITIONS: Final = (
    Partition(
        "aws",
        "amazonaws.com",
        "console.aws.amazon.com",
        r"(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+",
        (
            *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
            *("ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4"),
            *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1"),
            *("eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"),
            *("il-central-1", "me-central-1", "me-south-1", "me-west-1", "mx-central-1", "sa-east-1", "sa-west-1"),
            *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
        ),
    ),
    Partition("aws-cn", "amazonaws.com.cn", "console.amazonaws.cn", r"cn-[a-z]+-\d+", ("cn-north-1", "cn-northwest-1")),
    Partition(
        "aws-eusc", "amazonaws.eu", "console.amazonaws-eusc.eu", r"eusc-[a-z]{2}-[a-z]+-\d+", ("eusc-de-east-1",)
    ),
    Partition(
        "aws-us-gov",
        "amazonaws.com",
        "console.amazonaws-us-gov.com",
        r"us-gov-[a-z]+-\d+",
        ("us-gov-east-1", "us-gov-west-1"),
    ),
    Partition("aws-iso", "c2s.ic.gov", None, r"us-iso-[a-z]+-\d+", ("us-iso-east-1", "us-iso-west-1")),
    Partition("aws-iso-b", "sc2s.sgov.gov", None, r"us-isob-[a-z]+-\d+", ("us-isob-east-1", "us-isob-west-1")),
    Partition("aws-iso-e", "cloud.adc-e.uk", None, r"eu-isoe-[a-z]+-\d+", ("eu-isoe-west-1",)),
    Partition("aws-iso-f", "csp.hci.ic.gov", None, r"us-isof-[a-z]+-\d+", ("us-isof-east-1", "us-isof-south-1")),
)
DNS_SUFFIXES: Final = tuple(dict.fromkeys(partition.dns_suffix for partition in PARTITIONS))
KNOWN: Final = tuple(region for partition in PARTITIONS for region in partition.regions)
ENABLED_BY_DEFAULT: Final = (
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
"""The Regions of the partition aws that every account has. None is added: Regions since March 20, 2019 are opt-in ones,
which the owner of an account enables. Other partitions have no opt-in Regions."""
OPT_IN_PARTITION: Final = "aws"


@dataclass(frozen=True, slots=True, order=True)
class AccountRegion:
    """The account and Region of a resource: an id of AWS is unique only together with them.

    Attributes:
        account_id: 12 digits.
        region: such as eu-central-1.
    """

    account_id: str
    region: str

    def as_dict(self) -> dict[str, str]:
        """Return it in the form of records, events and settings."""
        return {"account_id": self.account_id, "region": self.region}


def partition_of(region: str) -> Partition | None:
    """Return the partition of a Region, known or named like its Regions; None for a token, and for any other name."""
    return next((found for found in PARTITIONS if re.fullmatch(found.pattern, region, re.ASCII)), None)


def is_opt_in(region: str) -> bool:
    """Return whether an account has a Region only once it is enabled there, such as any newer one of aws."""
    partition = partition_of(region)
    return partition is not None and partition.name == OPT_IN_PARTITION and region not in ENABLED_BY_DEFAULT


def check_form(value: str) -> str:
    """Return `value` when it has the form of a Region's name, whether or not there is one of that name.

    Raises:
        RuleViolation: it has not; where it has the letters and digits of a known one, such as us-east1, or is a
            zone of one, that is named.
    """
    try:
        return check_identifier("region", value)
    except RuleViolation as violation:
        if value[:-1] in KNOWN:
            raise RuleViolation(f"{violation}; {value} is an Availability Zone of {value[:-1]}") from None
        plain = re.sub(r"[^a-z0-9]", "", value.lower())
        meant = next((known for known in KNOWN if known.replace("-", "") == plain), None)
        raise RuleViolation(f"{violation}; did you mean {meant}?" if meant else str(violation)) from None


def check_region(
    value: str, *, accept_unknown: bool = False, how_to_accept: str = "set accept_unknown_region: true"
) -> str:
    """Return `value` when it is a Region, or a token.

    Args:
        value: for example eu-central-1.
        accept_unknown: the Region is newer than the list of this version.
        how_to_accept: what a message proposes for such a Region.

    Raises:
        RuleViolation: it has not the form of one, belongs to no partition, or is not known and not accepted.
    """
    if is_token(value) or value in KNOWN:
        return value
    check_form(value)
    partition = partition_of(value)
    known = partition.regions if partition else KNOWN
    meant = did_you_mean(value, known)
    if partition is None:
        raise RuleViolation(f"{value!r} is not an AWS Region: {meant}expected for example eu-central-1")
    if not accept_unknown:
        raise RuleViolation(
            f"{value!r} is not in this version's list of Regions ({AS_OF}): {meant}{how_to_accept} for a newer one"
        )
    return value


def check_arn(arn: str, region: str, *, same_region: bool = False, accounts: Sequence[str] = ()) -> str:
    """Return `arn` when what it names can be used from a Region; a token passes.

    Args:
        arn: of the form that its kind asks for.
        region: where it is used.
        same_region: it has to be in that Region, where it is in one.
        accounts: those it may belong to; any when empty.

    Raises:
        RuleViolation: it is of another partition, Region or account.
    """
    partition = partition_of(region)
    if is_token(arn) or not arn.startswith("arn:"):
        return arn
    _, its_partition, _, its_region, its_account, *_ = arn.split(":")
    if partition is not None and its_partition != partition.name:
        raise RuleViolation(
            f"is of partition {its_partition}, which Region {region} cannot reach: expected arn:{partition.name}:..."
        )
    if same_region and its_region not in ("", region):
        raise RuleViolation(f"is in Region {its_region}: expected {region}")
    if accounts and its_account not in accounts:
        raise RuleViolation(f"belongs to account {its_account}: expected {' or '.join(accounts)}")
    return arn


def check_address(url: str, region: str) -> str:
    """Return `url`, an address of a service of AWS, when it is of the partition of `region`; a token passes.

    Raises:
        RuleViolation: it is of another partition.
    """
    partition = partition_of(region)
    if is_token(url) or partition is None:
        return url
    host = urlsplit(url).hostname or ""
    suffix = max((s for s in DNS_SUFFIXES if host.endswith(f".{s}")), key=len, default=None)
    named = next((found for label in re.split(r"\.|s3-", host) if (found := partition_of(label))), None)
    if (suffix is not None and suffix != partition.dns_suffix) or (named is not None and named is not partition):
        raise RuleViolation(
            f"{host} is an address of another partition than that of Region {region}: "
            f"expected one that ends in .{partition.dns_suffix}"
            + (f", in a Region of {partition.name}" if named is not None and suffix == partition.dns_suffix else "")
        )
    return url
