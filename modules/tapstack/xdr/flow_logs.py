"""VPC Flow Logs that land for an XDR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapstack.bindings import AwsConstruct, Construct, aws, cdk
from tapstack.capture.scaffold import checks_arguments, distinct_id, located
from tapstack.domain.errors import RuleViolation
from tapstack.domain.tags import EC2, check_construct_tags
from tapstack.domain.telemetry import FLOW
from tapstack.domain.tokens import is_token
from tapstack.domain.xdr_settings import FlowLogSettings
from tapstack.xdr.landing import TelemetryLanding

_FILES = {"text": "plain-text", "parquet": "parquet"}
_SOURCES = {"vpc_ids": "vpc_id", "subnet_ids": "subnet_id", "network_interface_ids": "eni_id"}


class VpcFlowLogs(AwsConstruct):
    """Flow logs of VPCs, subnets or network interfaces, which AWS delivers below `flow/` of a landing.

    The policy of the landing's bucket lets AWS deliver before the first flow log is made: otherwise AWS writes
    statements of its own into the policy, which Terraform then removes. The policy of an existing bucket, in this
    account or another one, is its owner's: it must let `delivery.logs.amazonaws.com` deliver, as
    `landing.flow_log_accounts` of another site does.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        landing: where they are delivered to.
        settings: what is logged, and how; at least one VPC, subnet or interface.
        tags: on the flow logs, besides those of the landing.
        provider: the AWS provider of its resources, of the landing's account and Region; by default the one of `scope`.

    Raises:
        RuleViolation: an argument is invalid, or nothing is to be logged.

    See "Publish flow logs to Amazon S3" in the Amazon VPC User Guide.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        landing: TelemetryLanding,
        settings: FlowLogSettings,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the flow logs."""
        with located(scope, id_):
            check_construct_tags(tags, EC2)
            if not any(getattr(settings, name) for name in _SOURCES):
                raise RuleViolation(f"expected one or more of {', '.join(_SOURCES)}")
        super().__init__(scope, id_, provider=provider)
        self.flow_log_ids: dict[str, str] = {}
        """The ids of the flow logs by what is logged, as tokens."""
        landing.deliver_flow_logs_of(landing.place.account)
        tags = {**(tags or {}), **landing.tags}
        taken: set[str] = set()
        for name, argument in _SOURCES.items():
            for value in getattr(settings, name):
                flow_log: Any = aws.FlowLog(
                    self,
                    distinct_id(value, f"{argument}-{len(taken)}" if is_token(value) else value, taken),
                    **{argument: value},
                    traffic_type=settings.traffic,
                    log_destination_type="s3",
                    log_destination=f"{landing.bucket_arn}/{FLOW}",
                    # Defaults are written out, too: the provider keeps what a flow log has where these are left out.
                    log_format=settings.log_format.replace("${", "$${"),
                    max_aggregation_interval=settings.aggregation_seconds,
                    destination_options=aws.FlowLogDestinationOptions(file_format=_FILES[settings.file_format]),
                    tags=tags,
                    depends_on=landing.needs or None,
                )
                self.flow_log_ids[value] = str(flow_log.id)
