"""Where incidents mirror to: an existing target, or an appliance that is launched for them.

Each setting with its default and its range: the deployment file validates into them, the construct writes them, the
functions read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from tapstack.domain import cidrs, template_urls
from tapstack.domain import packet_basics as template
from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.destinations import check_max_sources
from tapstack.domain.evidence_settings import ApplianceSnapshots
from tapstack.domain.iam_statements import check_statements
from tapstack.domain.identifiers import check_cloudformation_stack_name, check_identifier
from tapstack.domain.load_balancers import check_appliance_address
from tapstack.domain.packet_basics import Capability

TIMEOUT_MINUTES: Final = (5, 240)
RETIRE_AFTER_MINUTES: Final = (0, 1440)
MAX_HOURS: Final = (1, 720)


@dataclass(frozen=True)
class ExistingAppliance:
    """An existing target and filter.

    Attributes:
        target_id: the traffic mirror target (tmt-...), or a token.
        filter_id: the traffic mirror filter (tmf-...), or a token.
        portal_url: the URL of the portal, for responders; none by default.
        target_interface_id: the network interface behind the target, which is never mirrored itself;
            not checked by default.
        max_sources: how many distinct sources the target takes: 10 or 100 for an interface, 1 or more. Not
            limited by default.
        target_appliances: the instances behind the target's load balancer, by id or by private address in the
            response's VPC, which are never mirrored themselves; not checked by default.

    Raises:
        RuleViolation: an id or address of the wrong form, or fewer sources than one.
    """

    target_id: str
    filter_id: str
    portal_url: str | None = None
    target_interface_id: str | None = None
    max_sources: int | None = None
    target_appliances: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the ids."""
        check_fields(self)
        check_identifier("traffic mirror target", self.target_id)
        check_identifier("traffic mirror filter", self.filter_id)
        if self.target_interface_id is not None:
            check_identifier("network interface", self.target_interface_id)
        check_max_sources(self.max_sources)
        for appliance in self.target_appliances:
            if appliance.startswith("i-"):
                check_identifier("instance", appliance)
            else:
                check_appliance_address(appliance)

    def settings(self) -> dict[str, Any]:
        """Return the settings that the functions read; null is the default of each that is left out."""
        given = {**asdict(self), "target_appliances": list(self.target_appliances) or None}
        return {"existing": {name: value for name, value in given.items() if value is not None}}


@dataclass(frozen=True)
class ApplianceTemplate:
    """The CloudFormation template of an ExtraHop Packet Basics appliance, of a site or launched by an incident.

    Attributes:
        template_url: https URL of the CloudFormation template, copied from the Marketplace subscription.
        subnet_id: Subnet of its one interface, which is management interface and mirror target.
        remote_access_cidr: Who may reach its portal: an IPv4 block.
        public_ip: Give it an Elastic IP.
        parameters: Further parameters of the template.
        accept_template_url: Accept a `template_url` of a bucket that is not AWS Marketplace's.
        capabilities: CloudFormation capabilities that the template requires; none by default.
        permissions_boundary: Policy that every role of the template must have as its permissions boundary; by default
            one is created, where `capabilities` has one for IAM.
        timeout_minutes: How long CloudFormation may take to create the stack, 5 to 240; for the appliance of a site
            Terraform waits as long.
        accept_open_remote_access: Accept 0.0.0.0/0 as `remote_access_cidr`.
        accept_public_ip: Accept `public_ip`.
        extra_statements: IAM statements for the role that CloudFormation creates the stack with, for templates that
            need more than `ApplianceRole` grants.

    Raises:
        RuleViolation: any of these is of the wrong form, or opens a door that was not accepted.
    """

    template_url: str
    subnet_id: str
    remote_access_cidr: str
    public_ip: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    accept_template_url: bool = False
    capabilities: Sequence[Capability] = ()
    permissions_boundary: str | None = None
    timeout_minutes: int = 30
    accept_open_remote_access: bool = False
    accept_public_ip: bool = False
    extra_statements: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        check_fields(self)
        template.check_template_url(self.template_url)
        template_urls.check_source(self.template_url, accept=self.accept_template_url)
        template.check_permissions_boundary(self.permissions_boundary, self.capabilities)
        check_identifier("subnet", self.subnet_id)
        remote_access_cidr = cidrs.check_remote_access(
            self.remote_access_cidr, accept_open=self.accept_open_remote_access, ipv6=False
        )
        object.__setattr__(self, "remote_access_cidr", remote_access_cidr)
        template.check_public_ip(self.public_ip, accept=self.accept_public_ip)
        template.check_parameters(self.parameters)
        check_statements("extra_statements", self.extra_statements)
        # No token: it is calculated with.
        check_range("timeout_minutes", self.timeout_minutes, TIMEOUT_MINUTES)

    def own_parameters(self, vpc_id: str) -> dict[str, str]:
        """Return the parameters of the template that have settings of their own."""
        return {
            template.VPC_ID: vpc_id,
            template.SUBNET_ID: self.subnet_id,
            template.REMOTE_ACCESS_CIDR: self.remote_access_cidr,
            template.PUBLIC_EIP: "true" if self.public_ip else "false",
        }


@dataclass(frozen=True)
class LaunchedAppliance(ApplianceTemplate):
    """An ExtraHop Packet Basics appliance that the first incident launches, and that is retired after the last one.

    Attributes:
        stack_name: Name of the CloudFormation stack; `<deployment>-<site>-epb` by default.
        retire_after_minutes: How long the appliance stays after the last incident, 0 to 1440; `null` keeps it.
        max_hours: Hours after which an alarm notifies that the appliance still runs, 1 to 720.

    Raises:
        RuleViolation: any of these is of the wrong form, or opens a door that was not accepted.
    """

    stack_name: str | None = None
    retire_after_minutes: int | None = 30
    max_hours: int = 24

    def __post_init__(self) -> None:
        """Check what can be checked before AWS is asked."""
        super().__post_init__()
        if self.stack_name is not None:
            check_cloudformation_stack_name(self.stack_name)
        if self.retire_after_minutes is not None:
            check_range("retire_after_minutes", self.retire_after_minutes, RETIRE_AFTER_MINUTES)
        check_range("max_hours", self.max_hours, MAX_HOURS)


@dataclass(frozen=True, slots=True)
class DeployedLaunch:
    """A launched appliance where it is deployed. No field has a default: null is written, and means what it says.

    Attributes:
        stack_name: of the CloudFormation stack.
        template_url: of the product's template.
        role_arn: the service role that CloudFormation uses; None for the permissions of the caller.
        parameters: of the template, apart from the source and its session number.
        capabilities: the IAM capabilities that may be acknowledged to CloudFormation.
        timeout_minutes: after which CloudFormation stops the creation.
        retire_after_minutes: minutes without an incident after which it is retired; None to keep it.
        snapshots: of its volumes, before it is deleted; None where none are taken.
    """

    stack_name: str
    template_url: str
    role_arn: str | None
    parameters: Mapping[str, str]
    capabilities: tuple[str, ...]
    timeout_minutes: int
    retire_after_minutes: int | None
    snapshots: ApplianceSnapshots | None

    @staticmethod
    def of(
        appliance: LaunchedAppliance,
        *,
        stack_name: str,
        role_arn: str,
        vpc_id: str,
        snapshots: ApplianceSnapshots | None,
    ) -> DeployedLaunch:
        """Return settings with what their deployment adds: the VPC and the subnet are parameters of the template."""
        return DeployedLaunch(
            stack_name=stack_name,
            template_url=appliance.template_url,
            role_arn=role_arn,
            parameters={**appliance.parameters, **appliance.own_parameters(vpc_id)},
            capabilities=tuple(appliance.capabilities),
            timeout_minutes=appliance.timeout_minutes,
            retire_after_minutes=appliance.retire_after_minutes,
            snapshots=snapshots,
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings that the functions read."""
        return {"launch": {**asdict(self), "capabilities": list(self.capabilities)}}
