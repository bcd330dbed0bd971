"""Telemetry of a site for an XDR: where it lands, what is put there, and who reads it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tapstack.domain import xdr_settings
from tapstack.domain.xdr_presets import PresetName
from tapstack.domain.xdr_settings import (
    FLOW_LOG_ACCOUNTS,
    KEEP_DAYS,
    PREFIXES,
    PRINCIPALS,
    THUMBPRINTS,
    LandingSettings,
)
from tapstack.settings import fields
from tapstack.settings.fields import Settings


class Landing(Settings, domain=LandingSettings):
    """The bucket that telemetry lands in: a new one by default."""

    bucket: fields.BucketName | None
    bucket_key_arn: fields.KmsKeyArn | None
    keep_days: Annotated[int, Field(ge=KEEP_DAYS[0], le=KEEP_DAYS[1])]
    unmatched_days: Annotated[int, Field(ge=KEEP_DAYS[0], le=KEEP_DAYS[1])]
    access_log_bucket: fields.BucketName | None
    flow_log_accounts: Annotated[list[fields.AccountId], Field(max_length=FLOW_LOG_ACCOUNTS)]
    deletion_protection: bool

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        # Too many are reported where they stand.
        if len(self.flow_log_accounts) <= FLOW_LOG_ACCOUNTS:
            self.to_domain()


class FlowLogs(Settings, domain=xdr_settings.FlowLogSettings):
    """VPC Flow Logs that land under `flow/`."""

    vpc_ids: list[fields.VpcId]
    subnet_ids: list[fields.SubnetId]
    network_interface_ids: list[fields.NetworkInterfaceId]
    traffic: xdr_settings.Traffic
    record_format: xdr_settings.RecordFormat
    file_format: xdr_settings.FlowFileFormat
    aggregation_seconds: xdr_settings.AggregationSeconds

    def check(self) -> None:
        """Refuse too many."""
        self.to_domain()


class GuardDuty(Settings):
    """Findings of GuardDuty that it exports to `guardduty/`."""

    detector_id: fields.DetectorId
    """The detector of the account in the site's Region, which exists (aws guardduty list-detectors). It can export to
    one bucket."""


class Incidents(Settings, domain=xdr_settings.IncidentTelemetrySettings):
    """Events of the incidents of the site's response, which land under `incidents/v1/`."""

    ocsf: bool


class Feed(Settings, domain=xdr_settings.FeedSettings):
    """What a producer puts below `feeds/` and its name, such as the logs of an endpoint protection."""

    principals: Annotated[list[fields.IamPrincipalArn], Field(min_length=1, max_length=PRINCIPALS)]


class Vendor(Settings, domain=xdr_settings.VendorTrust):
    """A vendor assumes the role of a reader, with the external id that it has for this customer alone."""

    principal: fields.VendorPrincipal
    external_id: fields.HardExternalId


class Oidc(Settings, domain=xdr_settings.OidcTrust):
    """A reader shows a token of an OpenID Connect provider."""

    issuer: fields.Issuer | None
    audience: fields.ClaimText | None
    session_name: fields.RoleSessionName | None
    subject: fields.ClaimText | None
    thumbprints: Annotated[list[fields.Thumbprint], Field(max_length=THUMBPRINTS)]
    provider_arn: fields.OidcProviderArn | None

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if len(self.thumbprints) <= THUMBPRINTS:
            self.to_domain()


class Own(Settings, domain=xdr_settings.OwnTrust):
    """Roles or users of one's own assume the role of a reader."""

    principals: Annotated[list[fields.IamPrincipalArn], Field(min_length=1, max_length=PRINCIPALS)]
    external_id: fields.HardExternalId | None


class Reader(Settings, domain=xdr_settings.ReaderSettings):
    """Who reads what landed, and how: with a role of its own."""

    prefixes: Annotated[list[fields.Prefix], Field(min_length=1, max_length=PREFIXES)]
    preset: PresetName | None
    vendor: Vendor | None
    oidc: Oidc | None
    own: Own | None
    queue: bool | None
    notifications: Literal["none"] | None

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if 0 < len(self.prefixes) <= PREFIXES:
            self.to_domain()


class Xdr(Settings):
    """Telemetry of a site for an XDR."""

    landing: Landing = Field(default_factory=lambda: Landing.model_validate({}))
    """The bucket that telemetry lands in; a new one by default."""
    flow_logs: FlowLogs | None = None
    """VPC Flow Logs that land there; none by default."""
    guardduty: GuardDuty | None = None
    """Findings of GuardDuty that land there; none by default."""
    incidents: Incidents = Field(default_factory=lambda: Incidents.model_validate({}))
    """Events of incidents, which land there where the site has a response."""
    feeds: Annotated[
        dict[fields.Name, Feed], Field(default_factory=dict, description="What others put there, by producer.")
    ]
    readers: Annotated[dict[fields.Name, Reader], Field(default_factory=dict, description="Who reads it, by name.")]
