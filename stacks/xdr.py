"""The telemetry of one site for an XDR: the bucket, what puts there, who reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stacks.site import SiteStack, add_output
from tapstack import FlowLogSettings, GuardDutyExport, IncidentTelemetry, TelemetryLanding, VpcFlowLogs, XdrReader
from tapstack.bindings import Construct
from tapstack.domain.names import notices_topic_name, xdr_stack_name
from tapstack.settings.model import Deployment


class XdrStack(SiteStack):
    """The telemetry of a site, with a state of its own: a destroy of the capture or the response leaves it."""

    def __init__(self, scope: Construct, site: str, *, deployment: Deployment, base: Path, outdir: Path) -> None:
        """Build the stack; `base` is the deployment file's directory, `outdir` that of the synthesis."""
        super().__init__(scope, xdr_stack_name(site), site=site, deployment=deployment, base=base, outdir=outdir)
        settings, self._vpc_id = deployment.sites[site].xdr, deployment.sites[site].vpc_id
        if settings is None:
            raise ValueError(f"site {site} has no xdr")
        self.landing = TelemetryLanding(
            self,
            "landing",
            deployment=deployment.project,
            site=site,
            settings=settings.landing.to_domain(),
            feeds={name: feed.to_domain() for name, feed in settings.feeds.items()},
        )
        if settings.flow_logs is not None:
            VpcFlowLogs(
                self, "flow-logs", landing=self.landing, settings=_sources(settings.flow_logs.to_domain(), self._vpc_id)
            )
        if settings.guardduty is not None:
            GuardDutyExport(self, "guardduty", landing=self.landing, detector_id=settings.guardduty.detector_id)
        response = deployment.sites[site].response
        # The response is deployed after this stack.
        topics = (
            [
                self.landing.place.arn("sns", notices_topic_name(deployment.project, site)),
                *response.notify.topic_arns,
            ]
            if response is not None
            else []
        )
        if response is not None:
            IncidentTelemetry(
                self,
                "incidents",
                landing=self.landing,
                settings=settings.incidents.to_domain(),
                topic_arns=topics,
                log_retention_days=response.log_retention_days,
            )
        self.readers = {
            name: XdrReader(
                self,
                f"reader-{name}",
                landing=self.landing,
                name=name,
                settings=reader.to_domain(),
                topic_arns=topics,
            )
            for name, reader in settings.readers.items()
        }
        self._add_outputs()

    def _add_outputs(self) -> None:
        """Add the outputs that users need next."""
        add_output(self, "landing_bucket", self.landing.bucket_name, "The bucket that telemetry lands in.")
        if self.landing.key_arn is not None:
            add_output(self, "landing_key_arn", self.landing.key_arn, "The key that encrypts what lands.")
        roles = {name: reader.role_arn for name, reader in self.readers.items()}
        if roles:
            add_output(self, "reader_role_arns", roles, "The roles that readers assume, by name.")
        queues = {name: reader.queue_url for name, reader in self.readers.items() if reader.queue_url is not None}
        if queues:
            add_output(self, "reader_queue_urls", queues, "The queues that readers read from, by name.")


def _sources(settings: FlowLogSettings, vpc_id: str) -> FlowLogSettings:
    """Return what is logged: the site's VPC where nothing is named."""
    if settings.vpc_ids or settings.subnet_ids or settings.network_interface_ids:
        return settings
    return replace(settings, vpc_ids=(vpc_id,))
