"""The bucket that telemetry lands in, for an XDR to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, cdk, rendered
from tapstack.capture.place import Place
from tapstack.capture.scaffold import checks_arguments, located
from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_name, example_of
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.domain.landing_policies import (
    check_policy_size,
    feed_sid,
    feed_statements,
    flow_log_conditions,
    flow_log_statements,
)
from tapstack.domain.packet_basics import DELETION_PROTECTION_TAG
from tapstack.domain.tags import XDR, check_construct_tags
from tapstack.domain.telemetry import (
    KEPT,
    UNMATCHED,
    landing_bucket_name,
    landing_key_name,
    landing_name,
)
from tapstack.domain.tokens import is_token
from tapstack.domain.xdr_settings import FeedSettings, LandingSettings, ReaderSettings, check_readers
from tapstack.response.key import ResponseKey
from tapstack.xdr.buckets import Bucket, access_log_bucket, suppress_of_landing
from tapstack.xdr.notifications import LandingNotifications, ReaderQueue


class TelemetryLanding(AwsConstruct):
    """The bucket that telemetry lands in, and a KMS key of its own, rotated every year.

    The bucket is private, versioned, encrypted with the key, reached by TLS only, and its access logs go into a second
    bucket. There is one for each site: a second one of the same deployment and site would have the same names.

    What lands has a prefix for each source: `flow/`, `guardduty/`, `incidents/v1/`, `incidents-ocsf/`,
    `feeds/PRODUCER/`, and `unmatched/` for alerts without a certain instance, which no reader sees.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        deployment: name of the deployment; with `site`, the beginning of all names, and a tag. 1 to 40 lower-case
            letters, digits or hyphens.
        site: name of the site, likewise.
        settings: how long what lands is kept, or the existing bucket that it lands in; a new bucket by default.
        feeds: what others put below `feeds/`, by the name of the producer. 1 to 40 lower-case letters, digits or
            hyphens. They need a new bucket: the policy of an existing one is its owner's.
        tags: on all resources, besides those of deployment and site.
        provider: the AWS provider of its resources and lookups, for a stack that has several; by default the one of
            `scope`, or the stack's provider without an alias.

    Raises:
        RuleViolation: an argument is invalid.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        deployment: str,
        site: str,
        settings: LandingSettings | None = None,
        feeds: Mapping[str, FeedSettings] | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the key, and the buckets where none exists."""
        settings = settings or LandingSettings()
        with located(scope, id_):
            check_name(deployment)
            check_name(site)
            if settings.bucket is None:
                name = check_bucket_name(landing_bucket_name(deployment, site, example_of("account")[1:13]))
                principals = {producer: feed.principals for producer, feed in (feeds or {}).items()}
                check_policy_size(name, settings.flow_log_accounts, principals)
            for producer in feeds or ():
                check_name(producer)
                if settings.bucket is not None:
                    raise RuleViolation(
                        f"feeds has {producer}, and the policy of the existing bucket {settings.bucket} says who may "
                        "put objects there: leave feeds out"
                    )
            check_construct_tags(tags, *XDR)
        super().__init__(scope, id_, provider=provider)
        self.deployment, self.site, self.settings = deployment, site, settings
        self.tags = {**(tags or {}), TAG_DEPLOYMENT: deployment, TAG_SITE: site}
        """Tags of all that belongs to the landing."""
        self.place = Place.of(self)
        name = landing_key_name(deployment, site)
        self.key = ResponseKey(self, "Key", name=name, place=self.place, what="telemetry", tags=self.tags)
        """Encrypts what lands in a new bucket, and what is on its way there."""
        self.bucket = None if settings.bucket else self._new_bucket()
        """The new bucket; None where it exists."""
        self._accounts: list[str] = []
        self._readers: dict[str, ReaderSettings] = {}
        self._notifications: LandingNotifications | None = None
        self._providers: dict[str, tuple[Any, list[str], list[str]]] = {}
        for account in settings.flow_log_accounts:
            self.deliver_flow_logs_of(account)
        if feeds:
            self._allow_feeds({producer: feed.principals for producer, feed in feeds.items()})

    @property
    def bucket_name(self) -> str:
        """The name of the bucket; of a new one a token."""
        return self.bucket.name if self.bucket is not None else str(self.settings.bucket)

    @property
    def bucket_arn(self) -> str:
        """The ARN of the bucket, as a token."""
        return f"arn:{self.place.partition}:s3:::{self.bucket_name}"

    @property
    def key_arn(self) -> str | None:
        """The ARN of the key that encrypts what lands, as a token; None where an existing bucket has none."""
        return self.key.arn if self.bucket is not None else self.settings.bucket_key_arn

    @property
    def needs(self) -> list[Any]:
        """What must be there before AWS delivers into the bucket: its policy, where that is made here."""
        return [self.bucket.policy] if self.bucket is not None else []

    def deliver_flow_logs_of(self, account: str) -> None:
        """Let AWS deliver the flow logs of an account in this Region, with the statements that AWS's page has.

        See "Amazon S3 bucket permissions for flow logs" and "Required key policy for use with SSE-KMS" in the Amazon
        VPC User Guide.
        """
        if self.bucket is None or account in self._accounts:
            return
        self._accounts.append(account)
        place = self.place
        self.bucket.allow(*flow_log_statements(self.bucket.arn, place.partition, place.region, self._accounts))
        self.key.allow(
            {
                "Sid": "AllowLogDelivery",
                "Effect": "Allow",
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": flow_log_conditions(place.partition, place.region, self._accounts),
            }
        )

    def add_reader(self, name: str, settings: ReaderSettings) -> None:
        """Note a reader of the bucket.

        Raises:
            RuleViolation: there is one of this name, or notifications of one would replace those of another.
        """
        if name in self._readers:
            raise RuleViolation(f"the landing has a reader {name} already: expected another name")
        readers = {**self._readers, name: settings}
        for about, setting, problem in check_readers(readers, existing=self.bucket is None):
            raise RuleViolation(f"reader {about}: {setting}: {problem}")
        self._readers = readers

    def notify(self, reader: str, queue: ReaderQueue, prefixes: Sequence[str]) -> None:
        """Have the queue of a reader be notified of new objects below its prefixes; of a new bucket only."""
        assert self.bucket is not None
        if self._notifications is None:
            self._notifications = LandingNotifications(
                self,
                "Notifications",
                name=landing_name(self.deployment, self.site),
                place=self.place,
                bucket=self.bucket,
                key=self.key,
                tags=self.tags,
            )
        self._notifications.notify(reader, queue, prefixes)

    def oidc_provider(self, issuer: str, audience: str, thumbprints: Sequence[str]) -> str:
        """Return the ARN of the IAM provider of an issuer; readers share it, because an account can have one."""
        if issuer not in self._providers:
            provider: Any = aws.IamOpenidConnectProvider(
                self,
                f"Provider-{len(self._providers)}" if is_token(issuer) else f"Provider-{issuer}",
                url=issuer,
                client_id_list=[audience],
                thumbprint_list=list(thumbprints) or None,
                tags=self.tags,
            )
            self._providers[issuer] = provider, [audience], list(thumbprints)
        provider, audiences, known = self._providers[issuer]
        if audience not in audiences:
            audiences.append(audience)
            provider.client_id_list = rendered(audiences)
        if more := [one for one in thumbprints if one.lower() not in map(str.lower, known)]:
            known += more
            provider.thumbprint_list = rendered(known)
        return str(provider.arn)

    def _allow_feeds(self, feeds: Mapping[str, Sequence[str]]) -> None:
        """Let each producer put objects below its prefix, and nothing else.

        See "Uploading a large object to Amazon S3 with encryption using an AWS KMS key" in the AWS re:Post Knowledge
        Center for kms:Decrypt, which parts of an upload need; a producer gets no object that it could decrypt.
        """
        assert self.bucket is not None
        self.bucket.allow(*feed_statements(self.bucket.arn, feeds))
        self.key.allow(
            *(
                {
                    "Sid": feed_sid(number),
                    "Effect": "Allow",
                    "Principal": {"AWS": list(principals)},
                    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                    "Resource": "*",
                    "Condition": self.place.via_s3,
                }
                for number, principals in enumerate(feeds.values(), 1)
            )
        )

    def _new_bucket(self) -> Bucket:
        settings, force_destroy = self.settings, not self.settings.deletion_protection
        # What destroys reads it, before it begins.
        tags = {**self.tags, DELETION_PROTECTION_TAG: "on" if settings.deletion_protection else "off"}
        bucket = Bucket(
            self,
            "Bucket",
            name=landing_bucket_name(self.deployment, self.site, self.place.account),
            place=self.place,
            key=self.key,
            keep_days={
                **dict.fromkeys(KEPT, settings.keep_days),
                UNMATCHED: settings.unmatched_days,
            },
            force_destroy=force_destroy,
            tags=tags,
        )
        suppress_of_landing(bucket, notifies=False)
        if settings.access_log_bucket is not None:
            bucket.log_access_to(settings.access_log_bucket)
            return bucket
        logs = access_log_bucket(
            self,
            "AccessLogBucket",
            name=landing_bucket_name(self.deployment, self.site, self.place.account, access_logs=True),
            place=self.place,
            source_arn=bucket.arn,
            keep_days=settings.keep_days,
            force_destroy=force_destroy,
            tags=tags,
        )
        bucket.log_access_to(logs.name, [logs.policy])
        return bucket
