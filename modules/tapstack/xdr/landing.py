"""The bucket that telemetry lands in, for an XDR to read."""

from __future__ import annotations

from collections.abc import Mapping

from tapstack.bindings import AwsConstruct, Construct, cdk
from tapstack.capture.place import Place
from tapstack.capture.scaffold import checks_arguments, located
from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.identifiers import check_name, example_of
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.domain.tags import XDR, check_construct_tags
from tapstack.domain.telemetry import UNMATCHED, landing_bucket_name, landing_key_name
from tapstack.domain.xdr_settings import LandingSettings
from tapstack.response.key import ResponseKey
from tapstack.xdr.buckets import Bucket, access_log_bucket, suppress_of_landing


class TelemetryLanding(AwsConstruct):
    """The bucket that telemetry lands in, and a KMS key of its own, rotated every year.

    The bucket is private, versioned, encrypted with the key, reached by TLS only, and its access logs go into a second
    bucket. There is one for each site: a second one of the same deployment and site would have the same names.

    What lands has a prefix for each source: `flow/`, `guardduty/`, `incidents/v1/`, `incidents-ocsf/`,
    `feeds/PRODUCER/`, and `unmatched/` for alerts that no mapping took, which no reader sees.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        deployment: name of the deployment; with `site`, the beginning of all names, and a tag. 1 to 40 lower-case
            letters, digits or hyphens.
        site: name of the site, likewise.
        settings: how long what lands is kept, or the existing bucket that it lands in; a new bucket by default.
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
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the key, and the buckets where none exists."""
        settings = settings or LandingSettings()
        with located(scope, id_):
            check_name(deployment)
            check_name(site)
            if settings.bucket is None:
                check_bucket_name(landing_bucket_name(deployment, site, example_of("account")[1:13]))
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

    def _new_bucket(self) -> Bucket:
        settings, force_destroy = self.settings, not self.settings.deletion_protection
        bucket = Bucket(
            self,
            "Bucket",
            name=landing_bucket_name(self.deployment, self.site, self.place.account),
            place=self.place,
            key_arn=self.key.arn,
            keep_days=settings.keep_days,
            keep_less={UNMATCHED: settings.unmatched_days},
            force_destroy=force_destroy,
            tags=self.tags,
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
            tags=self.tags,
        )
        bucket.log_access_to(logs.name, [logs.policy])
        return bucket
