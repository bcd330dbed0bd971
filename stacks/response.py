"""The incident response of one site: API, functions, workflow, table, alarms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from stacks.site import SiteStack, add_output
from tapstack import (
    Authorization,
    Destination,
    ExistingAppliance,
    IncidentResponse,
    LandingBucket,
    LaunchedAppliance,
    PacketBasics,
)
from tapstack.bindings import Construct, add_condition, address, aws, cdk
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.domain.names import response_stack_name
from tapstack.settings.model import PACKET_BASICS, Deployment, Target
from tapstack.settings.response import Response

_NAMED = {"target": "ec2:traffic-mirror-target", "filter": "ec2:traffic-mirror-filter"}


class ResponseStack(SiteStack):
    """The response of a site, with a state of its own.

    What the site's capture stack made is looked up, by names and tags, when Terraform plans: see
    docs/decisions/0012.
    """

    def __init__(self, scope: Construct, site: str, *, deployment: Deployment, base: Path, outdir: Path) -> None:
        """Build the stack; `base` is the deployment file's directory, `outdir` that of the synthesis."""
        super().__init__(scope, response_stack_name(site), site=site, deployment=deployment, base=base, outdir=outdir)
        settings = deployment.sites[site].response
        if settings is None:
            raise ValueError(f"site {site} has no response")
        self._deployment, self._name, self._site = deployment, site, deployment.sites[site]
        self.response = IncidentResponse(
            self,
            "response",
            deployment=deployment.project,
            site=site,
            vpc_id=self._site.vpc_id,
            appliance=self._appliance(settings),
            authorization=_authorization(settings),
            capture=settings.capture.to_domain(),
            policy=settings.rules(),
            emails=settings.notify.emails,
            topic_arns=settings.notify.topic_arns,
            containment=settings.containment.to_domain() if settings.containment else None,
            alerts=settings.alerts.to_domain(),
            landing=self._landing(),
            evidence=settings.evidence.to_domain(),
            retention_days=settings.retention_days,
            log_retention_days=settings.log_retention_days,
            deletion_protection=settings.deletion_protection,
        )
        self._add_outputs()

    def _landing(self) -> LandingBucket | None:
        """Return the bucket of the site's telemetry, which its stack xdr deploys; None where the site has none."""
        xdr, settings = self._site.xdr, self._site.response
        if xdr is None or settings is None or not settings.alerts.any:
            return None
        # The stack looks the account up for itself: see SiteStack.
        account = "${data.aws_caller_identity.account.account_id}"
        name = self._deployment.landing_bucket_name(self._name, account)
        if xdr.landing.bucket is not None:
            return LandingBucket(name, xdr.landing.bucket_key_arn)
        key: Any = aws.DataAwsKmsAlias(self, "landing-key", name=self._deployment.landing_key_alias(self._name))
        return LandingBucket(name, str(key.target_key_arn))

    def _appliance(self, settings: Response) -> ExistingAppliance | LaunchedAppliance:
        if settings.appliance.launch is not None:
            name = self._deployment.launched_stack_name(self._name)
            launched: LaunchedAppliance = settings.appliance.launch.to_domain()
            return replace(launched, stack_name=name)
        asked = settings.appliance
        given = self._site.packet_basics
        target = self._site.targets.get(asked.target)
        balancer = target.load_balancer if target is not None else None
        own_behind = balancer is not None and not balancer.appliances
        appliance = None
        if PACKET_BASICS in (asked.target, asked.filter) or own_behind:
            name = self._deployment.stack_name(self._name)
            appliance = PacketBasics.from_stack_name(self, "packet-basics", name)
        if asked.filter == PACKET_BASICS and appliance is not None:
            filter_id = (given.filter_id if given else None) or appliance.filter.mirror_filter_id
        else:
            filter_id = self._id_of("filter", asked.filter)
        if asked.target == PACKET_BASICS and appliance is not None:
            return ExistingAppliance(
                (given.target_id if given else None) or appliance.target.mirror_target_id,
                filter_id,
                portal_url=appliance.user_access_url,
                target_interface_id=(given.network_interface_id if given else None) or appliance.network_interface_id,
                max_sources=Destination.some_network_interface().max_sources,
            )
        behind = balancer.appliances if balancer is not None else []
        if own_behind and appliance is not None:
            behind = [(given.instance_id if given else None) or appliance.instance_id]
        interface, most = _behind(target)
        return ExistingAppliance(
            self._id_of("target", asked.target),
            filter_id,
            target_interface_id=interface,
            max_sources=most,
            target_appliances=behind,
        )

    def _id_of(self, what: str, name: str) -> str:
        """Return the id of a target or a filter: the one written, or that of the site's own of this name."""
        known = self._site.targets if what == "target" else self._site.filters
        if name not in known:
            return name
        tags = {"Name": name, TAG_DEPLOYMENT: self._deployment.project, TAG_SITE: self._name}
        found: Any = aws.DataAwsResourcegroupstaggingapiResources(
            self,
            f"{what}-{name}",
            resource_type_filters=[_NAMED[what]],
            tag_filter=[
                aws.DataAwsResourcegroupstaggingapiResourcesTagFilter(key=key, values=[value])
                for key, value in tags.items()
            ],
        )
        add_condition(
            found,
            "postcondition",
            "${length(self.resource_tag_mapping_list) == 1}",
            f"Found no single traffic mirror {what} {name} of site {self._name}. Deploy the stack {self._name} "
            "first. The tagging API lags behind the creation by minutes: run the same command again then.",
        )
        return str(
            cdk.Token.as_string(
                f'${{element(split("/", {address(found)}.resource_tag_mapping_list[0].resource_arn), 1)}}'
            )
        )

    def _add_outputs(self) -> None:
        """Add the outputs that users need next."""
        made = self.response
        add_output(self, "api_endpoint", made.api_endpoint, "Address of the API, TAPSTACK_URL of `tapstack incident`.")
        add_output(
            self, "state_machine_arn", made.state_machine_arn, "The workflow; an incident's capture is an execution."
        )
        add_output(self, "table_name", made.table_name, "The table of incidents.")
        add_output(self, "topic_arn", made.topic_arn, "Subscribe to it to get notifications of incidents and alarms.")
        add_output(self, "dashboard_url", made.dashboard_url, "URL of the CloudWatch dashboard.")
        if made.launched_stack_name is not None:
            add_output(
                self,
                "appliance_stack_name",
                made.launched_stack_name,
                "The CloudFormation stack that incidents launch: its events say why a launch failed.",
            )


def _authorization(settings: Response) -> Authorization:
    jwt = settings.authorization.jwt
    if jwt is None:
        return Authorization.iam()
    return Authorization.jwt(jwt.issuer, audience=jwt.audience, scopes=jwt.scopes, scopes_of=jwt.scopes_of)


def _behind(target: Target | None) -> tuple[str | None, int | None]:
    """Return the interface behind a target of the site, and how many sources it takes, where known."""
    if target is None or target.network_interface_id is None:
        return None, None
    destination = Destination.network_interface(
        target.network_interface_id,
        instance_type=target.instance_type,
        accept_instance_type=target.accept_instance_type,
    )
    return target.network_interface_id, destination.max_sources
