"""The telemetry of one site for an XDR: the bucket, what puts there, who reads it."""

from __future__ import annotations

from pathlib import Path

from stacks.site import SiteStack, add_output
from tapstack import TelemetryLanding
from tapstack.bindings import Construct
from tapstack.settings.model import Deployment
from tapstack.workspace.state import xdr_stack_name


class XdrStack(SiteStack):
    """The telemetry of a site, with a state of its own: a destroy of the capture or the response leaves it."""

    def __init__(self, scope: Construct, site: str, *, deployment: Deployment, base: Path, outdir: Path) -> None:
        """Build the stack; `base` is the deployment file's directory, `outdir` that of the synthesis."""
        super().__init__(scope, xdr_stack_name(site), site=site, deployment=deployment, base=base, outdir=outdir)
        settings = deployment.sites[site].xdr
        if settings is None:
            raise ValueError(f"site {site} has no xdr")
        self.landing = TelemetryLanding(
            self,
            "landing",
            deployment=deployment.project,
            site=site,
            settings=settings.landing.to_domain(),
        )
        self._add_outputs()

    def _add_outputs(self) -> None:
        """Add the outputs that users need next."""
        add_output(self, "landing_bucket", self.landing.bucket_name, "The bucket that telemetry lands in.")
        if self.landing.key_arn is not None:
            add_output(self, "landing_key_arn", self.landing.key_arn, "The key that encrypts what lands.")
