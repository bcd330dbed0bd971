"""Telemetry of a site for an XDR: where it lands, what is put there, and who reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tapstack.domain.xdr_settings import FLOW_LOG_ACCOUNTS, KEEP_DAYS, LandingSettings
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


class Xdr(Settings):
    """Telemetry of a site for an XDR."""

    landing: Landing = Field(default_factory=lambda: Landing.model_validate({}))
    """The bucket that telemetry lands in; a new one by default."""
