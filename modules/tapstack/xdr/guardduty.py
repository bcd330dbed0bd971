"""Findings that GuardDuty exports for an XDR."""

from __future__ import annotations

from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, cdk
from tapstack.capture.place import Place
from tapstack.capture.scaffold import checks_arguments, located
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.landing_policies import (
    GUARDDUTY_SERVICE,
    guardduty_service,
    guardduty_statement,
    guardduty_statements,
)
from tapstack.domain.regions import ENABLED_BY_DEFAULT, OPT_IN_PARTITION
from tapstack.domain.telemetry import GUARDDUTY
from tapstack.xdr.landing import TelemetryLanding


class GuardDutyExport(AwsConstruct):
    """Has GuardDuty export its findings to `guardduty/` of a landing: new ones within five minutes.

    The detector exists, and is never made here: an account has one in a Region, which others may use. It exports to one
    bucket; where it does so already, AWS refuses a second one. An administrator account exports the findings of its
    members too.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        landing: where they are exported to; with a KMS key, which GuardDuty needs.
        detector_id: of the detector of the landing's account and Region.
        provider: the AWS provider of its resources, of the landing's account and Region; by default the one of `scope`.

    Raises:
        RuleViolation: not the id of a detector, or a landing without a key.

    See "Exporting findings" in the Amazon GuardDuty User Guide. It wants the folder to be there, as an object of its
    name, which that page does not say: github.com/aws/aws-cli issue 10483 and hashicorp/terraform-provider-aws issue
    16750.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        landing: TelemetryLanding,
        detector_id: str,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the folder and the publishing destination."""
        with located(scope, id_):
            check_identifier("detector", detector_id)
            if landing.key_arn is None:
                raise RuleViolation("GuardDuty exports with a KMS key: expected bucket_key_arn beside bucket")
        super().__init__(scope, id_, provider=provider)
        if landing.bucket is not None:
            detector = landing.place.arn("guardduty", f"detector/{detector_id}")
            account = landing.place.account
            service = self._service(landing.place)
            landing.bucket.allow(*guardduty_statements(landing.bucket.arn, account, detector, service))
            landing.key.allow(
                guardduty_statement("AllowGuardDuty", "kms:GenerateDataKey", "*", account, detector, service)
            )
        folder = aws.S3Object(
            self,
            "Folder",
            bucket=landing.bucket_name,
            key=GUARDDUTY,
            content="",
            kms_key_id=landing.key_arn,
            # An object takes ten tags, and a stack may have more by default.
            override_provider=aws.S3ObjectOverrideProvider(
                default_tags=aws.S3ObjectOverrideProviderDefaultTags(tags={})
            ),
            depends_on=landing.needs or None,
        )
        self.resource: Any = aws.GuarddutyPublishingDestination(
            self,
            "Resource",
            detector_id=detector_id,
            destination_arn=f"{landing.bucket_arn}/{GUARDDUTY.rstrip('/')}",
            kms_key_arn=landing.key_arn,
            depends_on=[folder, *landing.needs],
        )

    def _service(self, place: Place) -> str:
        """Return the principal of GuardDuty in the Region of the detector, which Terraform knows when it plans."""
        opt_in = cdk.Fn.format(guardduty_service("%s"), [place.region])
        of_aws = cdk.Fn.lookup(dict.fromkeys(ENABLED_BY_DEFAULT, GUARDDUTY_SERVICE), place.region, opt_in)
        service = cdk.Fn.lookup({OPT_IN_PARTITION: of_aws}, place.partition, GUARDDUTY_SERVICE)
        return str(cdk.TerraformLocal(self, "Service", service).as_string)
