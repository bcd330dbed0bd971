"""Settings of every ExtraHop Packet Basics appliance, of a site or launched by an incident."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tapstack.domain.packet_basics import Capability
from tapstack.settings import fields
from tapstack.settings.fields import Settings


class ApplianceTemplate(Settings):
    """The appliance's CloudFormation template, and its parameters."""

    template_url: fields.TemplateUrl
    """https URL of the CloudFormation template, copied from the Marketplace subscription."""
    accept_template_url: bool = False
    """Accept a `template_url` of a bucket that is not AWS Marketplace's."""
    subnet_id: fields.SubnetId
    """Subnet of its one interface, which is management interface and mirror target."""
    remote_access_cidr: fields.Ipv4Cidr
    """Who may reach its portal: an IPv4 block."""
    accept_open_remote_access: bool = False
    """Accept 0.0.0.0/0 as `remote_access_cidr`."""
    public_ip: bool = False
    """Give it an Elastic IP."""
    accept_public_ip: bool = False
    """Accept `public_ip`."""
    parameters: dict[str, str] = Field(default_factory=dict)
    """Further parameters of the template."""
    capabilities: list[Capability] = Field(default_factory=list)
    """CloudFormation capabilities that the template requires; none by default."""
    permissions_boundary: fields.IamPolicyArn | None = None
    """Policy that every role of the template must have as its permissions boundary; by default one is created,
    where `capabilities` has one for IAM."""
    timeout_minutes: Annotated[int, Field(ge=5, le=240)] = 30
    """How long CloudFormation may take to create the stack, and Terraform waits."""
