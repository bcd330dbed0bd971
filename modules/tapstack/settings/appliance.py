"""Settings of every ExtraHop Packet Basics appliance, of a site or launched by an incident."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tapstack.domain import appliance_settings
from tapstack.domain.appliance_settings import TIMEOUT_MINUTES
from tapstack.domain.packet_basics import Capability
from tapstack.settings import fields
from tapstack.settings.fields import Settings


class ApplianceTemplate(Settings, domain=appliance_settings.ApplianceTemplate, library_only=("extra_statements",)):
    """The appliance's CloudFormation template, and its parameters."""

    template_url: fields.TemplateUrl
    accept_template_url: bool
    subnet_id: fields.SubnetId
    remote_access_cidr: fields.Ipv4Cidr
    accept_open_remote_access: bool
    public_ip: bool
    accept_public_ip: bool
    parameters: dict[str, str]
    capabilities: list[Capability]
    permissions_boundary: fields.IamPolicyArn | None
    timeout_minutes: Annotated[int, Field(ge=TIMEOUT_MINUTES[0], le=TIMEOUT_MINUTES[1])]
