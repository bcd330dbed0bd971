"""The settings of a site's telemetry for an XDR, each with its default and its range.

The deployment file validates into them, the constructs take them.

Sources: Amazon S3 User Guide, "Managing the lifecycle of objects", "Enabling Amazon S3 server access logging"; Amazon
VPC User Guide, "Flow log records" and "Publish flow logs to Amazon S3"; IAM User Guide, "Access to AWS accounts owned
by third parties", "Create an OpenID Connect (OIDC) identity provider in IAM", "IAM and AWS STS quotas" (the length of a
role's trust policy).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal, get_args

from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.contacts import check_issuer
from tapstack.domain.errors import RuleViolation
from tapstack.domain.external_ids import check_external_id, check_unpublished
from tapstack.domain.iam_documents import Statement, size_of
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.retention import RETENTION_DAYS
from tapstack.domain.telemetry import DEAD_LETTERS, prefix_of
from tapstack.domain.tokens import is_token
from tapstack.domain.xdr_presets import ANY, PRESETS, Preset, PresetName, TrustName

KEEP_DAYS: Final = RETENTION_DAYS
FLOW_LOG_ACCOUNTS: Final = 100
FLOW_LOGS: Final = 100
PRINCIPALS: Final = 20
TRUST_CHARACTERS: Final = 2_048
"""Of a role's trust policy, without white space, where the account has the default of IAM's quota `TRUST_QUOTA`."""
TRUST_CHARACTERS_RAISED: Final = 8_192
"""Likewise where the quota is as high as AWS raises it."""
TRUST_QUOTA: Final = "Role trust policy length"
"""As Service Quotas names it."""
PREFIXES: Final = 20
THUMBPRINTS: Final = 5
_THUMBPRINT: Final = re.compile(r"[0-9A-Fa-f]{40}")
_TEXT: Final = re.compile(r"[!-~]{1,255}")
_SESSION: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")

Traffic = Literal["ALL", "ACCEPT", "REJECT"]
RecordFormat = Literal["default", "extended"]
FlowFileFormat = Literal["text", "parquet"]
AggregationSeconds = Literal[60, 600]

_DEFAULT_FIELDS: Final = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets"),
    *("bytes", "start", "end", "action", "log-status"),
)
"""Version 2, which AWS writes where nothing else is asked for."""
_EXTENDED_FIELDS: Final = (
    *_DEFAULT_FIELDS,
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "pkt-srcaddr", "pkt-dstaddr", "flow-direction"),
    "traffic-path",
)


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """The bucket that telemetry lands in.

    Attributes:
        bucket: Name of an existing bucket in the site's Region; by default one is made. Its policy, lifecycle and
            notifications stay with its owner.
        bucket_key_arn: ARN of the KMS key that encrypts the existing bucket, where it has one of its own.
        keep_days: How many days telemetry is kept, 1 to 3653.
        unmatched_days: How many days alerts are kept for which no single instance could be determined, 1 to
            `keep_days`.
        access_log_bucket: Name of an existing bucket in the site's Region that gets the access logs of the new one,
            and lets Amazon S3 put them; by default one is made.
        flow_log_accounts: Other accounts, at most 100, whose flow logs of the Region are delivered into the new bucket.
        deletion_protection: Refuse to delete the new buckets while they hold objects; deploy `false` before a destroy,
            which then deletes all telemetry.

    Raises:
        RuleViolation: a value out of its range or form, or one that has no effect on an existing bucket.
    """

    bucket: str | None = None
    bucket_key_arn: str | None = None
    keep_days: int = 400
    unmatched_days: int = 90
    access_log_bucket: str | None = None
    flow_log_accounts: tuple[str, ...] = ()
    deletion_protection: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        for bucket in (self.bucket, self.access_log_bucket):
            if bucket is not None:
                check_bucket_name(bucket)
        check_range("keep_days", self.keep_days, KEEP_DAYS)
        check_range("unmatched_days", self.unmatched_days, KEEP_DAYS)
        if self.bucket is None:
            self._check_new()
        else:
            self._check_existing()
        if len(self.flow_log_accounts) > FLOW_LOG_ACCOUNTS:
            raise RuleViolation(
                f"flow_log_accounts has {len(self.flow_log_accounts)} accounts: expected at most {FLOW_LOG_ACCOUNTS}"
            )
        for account in self.flow_log_accounts:
            check_identifier("account", account)

    def _check_new(self) -> None:
        if self.bucket_key_arn is not None:
            raise RuleViolation("bucket_key_arn goes with bucket: a new bucket has a key of its own")
        if self.unmatched_days > self.keep_days:
            raise RuleViolation(
                f"unmatched_days must be at most keep_days, {self.keep_days}, got {self.unmatched_days}: what is older "
                "is deleted with the rest"
            )

    def _check_existing(self) -> None:
        given = [
            each.name
            for each in fields(self)
            if each.name not in ("bucket", "bucket_key_arn") and getattr(self, each.name) != each.default
        ]
        if given:
            raise RuleViolation(f"{', '.join(given)} has no effect with bucket: leave it out")
        if self.bucket_key_arn is not None:
            check_identifier("kms key", self.bucket_key_arn)
            if not is_token(self.bucket_key_arn) and ":alias/" in self.bucket_key_arn:
                raise RuleViolation(
                    f"bucket_key_arn {self.bucket_key_arn!r} is that of an alias, which IAM policies do not take for "
                    "its key: expected arn:...:key/..."
                )


@dataclass(frozen=True, slots=True)
class FlowLogSettings:
    """VPC Flow Logs that land under `flow/`.

    Attributes:
        vpc_ids: VPCs whose flows are logged; the site's own where no VPC, subnet and interface is named.
        subnet_ids: Subnets whose flows are logged.
        network_interface_ids: Network interfaces whose flows are logged.
        traffic: `ALL`, `ACCEPT` for what security groups and network ACLs let through, or `REJECT`.
        record_format: `default` for the fields of version 2, which every reader knows; `extended` for those and the ids
            of VPC, subnet and instance, TCP flags, the packets' own addresses, direction and path.
        file_format: `text`, compressed with gzip, or `parquet`.
        aggregation_seconds: Longest time that is one record, 60 or 600 seconds.

    Raises:
        RuleViolation: an id of another kind, or more than 100 of them.
    """

    vpc_ids: tuple[str, ...] = ()
    subnet_ids: tuple[str, ...] = ()
    network_interface_ids: tuple[str, ...] = ()
    traffic: Traffic = "ALL"
    record_format: RecordFormat = "default"
    file_format: FlowFileFormat = "text"
    aggregation_seconds: AggregationSeconds = 600

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        for kind, ids in (
            ("vpc", self.vpc_ids),
            ("subnet", self.subnet_ids),
            ("network interface", self.network_interface_ids),
        ):
            for each in ids:
                check_identifier(kind, each)
        number = len(self.vpc_ids) + len(self.subnet_ids) + len(self.network_interface_ids)
        if number > FLOW_LOGS:
            raise RuleViolation(f"{number} flow logs: expected at most {FLOW_LOGS}; log a subnet, or the VPC")

    @property
    def log_format(self) -> str:
        """The format as AWS takes it."""
        names = _DEFAULT_FIELDS if self.record_format == "default" else _EXTENDED_FIELDS
        return " ".join(f"${{{name}}}" for name in names)


@dataclass(frozen=True, slots=True)
class IncidentTelemetrySettings:
    """Events of the site's incidents that land under `incidents/v1/`.

    Attributes:
        ocsf: Whether each event lands as a Detection Finding of OCSF too, under `incidents-ocsf/`.
    """

    ocsf: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """What a producer puts below `feeds/` and its name, such as the logs of an endpoint protection.

    Attributes:
        principals: ARNs of the IAM roles or users that may put objects there, 1 to 20, and nothing else.

    Raises:
        RuleViolation: another ARN, none, or more than 20.
    """

    principals: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the ARNs."""
        check_fields(self)
        _check_principals(self.principals)


@dataclass(frozen=True, slots=True)
class VendorTrust:
    """A vendor assumes the role of a reader, with the external id that it has for this customer alone.

    Attributes:
        principal: Id of the vendor's account, or ARN of the role that it assumes this one with; from its own pages.
        external_id: The external id. 16 or more of its characters are random, 8 of them different.

    Raises:
        RuleViolation: neither an account nor a role, or an external id that is short or easy to guess.
    """

    principal: str
    external_id: str

    def __post_init__(self) -> None:
        """Check both."""
        check_fields(self)
        check_vendor(self.principal)
        check_external_id(self.external_id)


def check_thumbprint(value: str) -> str:
    """Return `value` when it is the SHA-1 thumbprint of a certificate, 40 hexadecimal digits; a token passes."""
    if not is_token(value) and not _THUMBPRINT.fullmatch(value):
        raise RuleViolation(f"{value!r} is no thumbprint: expected 40 hexadecimal digits")
    return value


def check_vendor(principal: str) -> str:
    """Return `principal` when it is the id of an account, or the ARN of a role or a user; a token passes."""
    try:
        return check_identifier("account" if principal.isdecimal() else "iam principal", principal)
    except RuleViolation:
        raise RuleViolation(
            f"{principal!r} is no account and no role: expected the id of the vendor's account, as "
            '"111122223333" (12 digits, quoted), or the ARN of its role'
        ) from None


@dataclass(frozen=True, slots=True)
class OidcTrust:
    """A reader shows a token of an OpenID Connect provider.

    Attributes:
        issuer: https URL of the provider, as in the token's `iss`; the preset's by default.
        audience: The token's `aud`; the preset's by default.
        session_name: The only name that the role's session may have. Whoever assumes the role chooses it: it
            authenticates nothing, except with preset `sentinel`, whose audience only Microsoft's service has tokens of.
        subject: The only `sub` that the token may have. Needed, unless issuer and audience are those of preset
            `sentinel`: others have tokens of the same provider and audience.
        thumbprints: SHA-1 thumbprints of certificates of the provider, 40 hexadecimal digits each, at most 5; AWS asks
            for them only where it does not trust the certificate's authority.
        provider_arn: ARN of the account's IAM provider for this issuer, where there is one; by default one is made.
            An account can have one.

    Raises:
        RuleViolation: a value of another form, or neither a name nor a subject.
    """

    issuer: str | None = None
    audience: str | None = None
    session_name: str | None = None
    subject: str | None = None
    thumbprints: tuple[str, ...] = ()
    provider_arn: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        if self.session_name is None and self.subject is None:
            raise RuleViolation(
                "expected subject, or session_name with preset sentinel: any holder of a token of the provider could "
                "assume the role"
            )
        if self.issuer is not None and not is_token(self.issuer):
            check_issuer(self.issuer)
        for name, value, form in (
            ("audience", self.audience, _TEXT),
            ("subject", self.subject, _TEXT),
            ("session_name", self.session_name, _SESSION),
        ):
            if value is not None and not is_token(value) and not form.fullmatch(value):
                raise RuleViolation(f"{name} {value!r} is none: expected text of the form {form.pattern}")
        for thumbprint in self.thumbprints:
            check_thumbprint(thumbprint)
        if len(self.thumbprints) > THUMBPRINTS:
            raise RuleViolation(f"thumbprints has {len(self.thumbprints)} entries: expected at most {THUMBPRINTS}")
        if self.provider_arn is not None:
            check_identifier("oidc provider", self.provider_arn)
            if self.thumbprints:
                raise RuleViolation("thumbprints has no effect with provider_arn: leave it out")


@dataclass(frozen=True, slots=True)
class OwnTrust:
    """Roles or users of one's own assume the role of a reader.

    Attributes:
        principals: ARNs of the IAM roles or users, 1 to 20, and as many as a trust policy holds: 2,048 characters, or
            up to 8,192 where the account's quota is raised.
        external_id: The external id that they give, where they give one.

    Raises:
        RuleViolation: another ARN, none, more than 20 or than a trust policy holds, or an external id that is short or
            easy to guess.
    """

    principals: tuple[str, ...]
    external_id: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        _check_principals(self.principals)
        if self.external_id is not None:
            check_external_id(self.external_id)
        if self._size > TRUST_CHARACTERS_RAISED:
            raise RuleViolation(
                f"{self._size_in_words}, and IAM takes {TRUST_CHARACTERS_RAISED:,} at most: expected fewer principals, "
                "or ones with shorter names"
            )

    def warnings(self) -> list[str]:
        """Say what IAM refuses unless a quota is raised, if anything."""
        if self._size <= TRUST_CHARACTERS:
            return []
        return [
            f"{self._size_in_words}, and IAM takes {TRUST_CHARACTERS:,} by default: before the deploy have the quota "
            f'"{TRUST_QUOTA}" of IAM raised in this account (Service Quotas, in partition aws in us-east-1; AWS grants '
            f"up to {TRUST_CHARACTERS_RAISED:,}), or give fewer principals"
        ]

    @property
    def _size(self) -> int:
        """Characters of the trust policy; 0 where Terraform learns them."""
        known = not any(map(is_token, self.principals))
        return size_of([reader_trust(self.principals, self.external_id)]) if known else 0

    @property
    def _size_in_words(self) -> str:
        return (
            f"the trust policy of the reader's role would have {self._size:,} characters for {len(self.principals)} "
            "principals"
        )


def reader_trust(principals: str | Sequence[str], external_id: str | None) -> Statement:
    """Return the statement of a reader's trust policy for accounts, roles or users.

    Args:
        principals: their ARNs, or the one.
        external_id: that they have to give; none where None.
    """
    statement: Statement = {
        "Sid": "AllowReader",
        "Effect": "Allow",
        "Principal": {"AWS": principals if isinstance(principals, str) else list(principals)},
        "Action": "sts:AssumeRole",
    }
    if external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return statement


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Who reads what landed, and how.

    Attributes:
        prefixes: What is read, 1 to 20 of `flow`, `guardduty`, `incidents`, `incidents-ocsf`, `feeds/PRODUCER`.
        preset: A known XDR, whose permissions the role has: `hunters`, `cortex`, `sentinel`, `elastic`, `splunk` or
            `crowdstrike`. Without one the role lists and gets objects.
        vendor: A vendor assumes the role with an external id. Exactly one of `vendor`, `oidc` and `own` is needed.
        oidc: The reader shows a token of an OpenID Connect provider.
        own: Roles or users of one's own assume the role.
        queue: Make a queue that Amazon S3 notifies of new objects. By default as the preset needs it; none without one.
        notifications: `none` for a preset that makes the notifications of the bucket itself (`hunters`): it then may
            not. Ask the vendor how it then finds new objects. What it has made stays: see docs/xdr.md.

    Raises:
        RuleViolation: values that do not fit together, or not the preset.
    """

    prefixes: tuple[str, ...]
    preset: PresetName | None = None
    vendor: VendorTrust | None = None
    oidc: OidcTrust | None = None
    own: OwnTrust | None = None
    queue: bool | None = None
    notifications: Literal["none"] | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self)
        if not self.prefixes or len(self.prefixes) > PREFIXES:
            raise RuleViolation(f"prefixes has {len(self.prefixes)} entries: expected 1 to {PREFIXES}")
        for name in self.prefixes:
            prefix_of(name)
        given = [name for name in _TRUSTS if getattr(self, name) is not None]
        if len(given) != 1:
            raise RuleViolation(f"expected exactly one of {', '.join(_TRUSTS)}; found {', '.join(given) or 'none'}")
        self._check_preset(given[0])

    def _check_preset(self, trust: str) -> None:
        called = self.means.called
        if self.means.trust not in (None, trust):
            raise RuleViolation(f"{called} reads with {self.means.trust}, not with {trust}")
        if self.queue is not None and self.means.queue != "optional" and self.queue is not self.has_queue:
            does = "always reads from a queue" if self.has_queue else "makes its own notifications and needs no queue"
            raise RuleViolation(f"queue {str(self.queue).lower()} does not fit: {called} {does}; leave it out")
        if self.notifications is not None and not self.means.own_topics:
            raise RuleViolation(f"notifications has no effect: {called} makes none itself; leave it out")
        if self.oidc is not None:
            self._check_token(self.oidc)
        if self.vendor is not None:
            _check_form(called, "external_id", self.vendor.external_id, self.means.external_id)

    def _check_token(self, oidc: OidcTrust) -> None:
        means = self.means
        _check_form(means.called, "session_name", oidc.session_name, means.session_name)
        for name in ("issuer", "audience"):
            if getattr(oidc, name) is None and getattr(means, name) is None:
                raise RuleViolation(f"oidc.{name} is missing: without a preset it has no default")
        vendors_own = (
            means.session_name and oidc.issuer in (None, means.issuer) and oidc.audience in (None, means.audience)
        )
        if oidc.subject is None and not vendors_own:
            raise RuleViolation(
                "oidc.subject is missing: whoever assumes the role chooses session_name, and the provider has tokens "
                "for others, too"
            )

    @property
    def means(self) -> Preset:
        """What the preset says, or what holds without one."""
        return PRESETS[self.preset] if self.preset else ANY

    @property
    def has_queue(self) -> bool:
        """Whether it reads from a queue."""
        if self.means.queue == "optional":
            return self.preset is not None if self.queue is None else self.queue
        return self.means.queue == "always"

    @property
    def manages_notifications(self) -> bool:
        """Whether it makes the notifications of the bucket itself."""
        return bool(self.means.own_topics) and self.notifications is None

    @property
    def issuer(self) -> str | None:
        """Issuer of the tokens that it shows, where it does."""
        return None if self.oidc is None else self.oidc.issuer or str(self.means.issuer)

    @property
    def external_id(self) -> str | None:
        """Its external id, where it has one."""
        trust = self.vendor or self.own
        return trust.external_id if trust is not None else None


_TRUSTS: Final[tuple[TrustName, ...]] = get_args(TrustName)


def check_readers(readers: Mapping[str, ReaderSettings], *, existing: bool = False) -> Iterator[tuple[str, str, str]]:
    """Yield what the readers of one bucket cannot do together: the reader, the setting, and what is wrong.

    A bucket has one configuration of notifications, which whoever puts it replaces; an account one queue of a name, and
    one IAM provider for an issuer, which readers share.

    Args:
        readers: all readers of a bucket, by name.
        existing: the bucket exists, and its notifications stay with its owner.
    """
    managing = [name for name, reader in readers.items() if reader.manages_notifications]
    for name, reader in readers.items():
        if existing and name in managing:
            yield (
                name,
                "preset",
                "makes the notifications of the bucket itself, and those of an existing bucket stay with its owner: "
                "set notifications: none, or have a new bucket",
            )
        elif name in managing[1:]:
            yield (
                name,
                "preset",
                f"makes the notifications of the bucket itself, as {managing[0]} does, and each would replace those of "
                "the other: set notifications: none for one of them",
            )
        if reader.has_queue and existing:
            yield (
                name,
                "queue",
                "needs notifications of the bucket, and those of an existing bucket stay with its owner: expected a "
                "reader without a queue, or a new bucket",
            )
        elif reader.has_queue and managing:
            yield (
                name,
                "queue",
                f"{managing[0]} makes the notifications of the bucket itself, which would replace those for this "
                f"queue: set notifications: none for {managing[0]}",
            )
    yield from _check_queues(readers)
    yield from _check_providers(readers)


def _check_queues(readers: Mapping[str, ReaderSettings]) -> Iterator[tuple[str, str, str]]:
    queued = [name for name, reader in readers.items() if reader.has_queue]
    for name in queued:
        first = name.removesuffix(DEAD_LETTERS)
        if first != name and first in queued:
            yield (
                name,
                "queue",
                f"would have the name of the queue of {first}'s dead letters: expected another name of this reader, "
                f"one that does not end in {DEAD_LETTERS}",
            )


def _check_providers(readers: Mapping[str, ReaderSettings]) -> Iterator[tuple[str, str, str]]:
    given = {reader.issuer: name for name, reader in readers.items() if reader.oidc and reader.oidc.provider_arn}
    thumbprints: dict[str | None, set[str]] = {}
    for name, reader in readers.items():
        if reader.oidc is None or reader.oidc.provider_arn is not None:
            continue
        if reader.issuer in given:
            yield (
                name,
                "oidc",
                f"{given[reader.issuer]} gives the IAM provider of {reader.issuer} as provider_arn, and an account can "
                "have one: give it here, too",
            )
        its = thumbprints.setdefault(reader.issuer, set())
        its |= {one.lower() for one in reader.oidc.thumbprints}
        if len(its) > THUMBPRINTS:
            yield (
                name,
                "oidc",
                f"with those of the readers before, the IAM provider of {reader.issuer} would have {len(its)} "
                f"thumbprints: expected at most {THUMBPRINTS}",
            )


def check_external_ids(reader: ReaderSettings, names: Iterable[str], accounts: Collection[str] = ()) -> None:
    """Refuse an external id that is published, or that names explain which are no secret, such as the reader's.

    Args:
        reader: whose external id it is.
        names: of the deployment, the site and the reader.
        accounts: ids of those that the site can be in, where they are known.

    Raises:
        RuleViolation: others know it, or can guess it.
    """
    if reader.external_id is None:
        return
    vendor = re.findall(r"\d{12}", reader.vendor.principal) if reader.vendor is not None else []
    check_external_id(reader.external_id, [*names, *accounts, *vendor])
    own = [account for arn in reader.own.principals for account in re.findall(r"\d{12}", arn)] if reader.own else []
    check_unpublished(reader.external_id, [*accounts, *vendor, *own])


def _check_principals(principals: tuple[str, ...]) -> None:
    if not principals or len(principals) > PRINCIPALS:
        raise RuleViolation(f"principals has {len(principals)} entries: expected 1 to {PRINCIPALS}")
    for arn in principals:
        check_identifier("iam principal", arn)


def _check_form(called: str, name: str, value: str | None, form: tuple[str, str] | None) -> None:
    if form is None or (value is not None and is_token(value)):
        return
    pattern, words = form
    if value is None or not re.fullmatch(pattern, value):
        raise RuleViolation(f"{name} {value!r} is none of {called}: expected {words}")
