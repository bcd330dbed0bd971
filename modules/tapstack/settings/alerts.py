"""Alerts that come in besides GuardDuty's findings: by which ways, and how their documents are read."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tapstack.domain import alert_mappings, alert_settings
from tapstack.domain.alert_settings import SOURCES
from tapstack.domain.webhook_secrets import OVERLAP_HOURS
from tapstack.settings import fields
from tapstack.settings.fields import Settings


class AlertMapping(Settings, domain=alert_mappings.AlertMapping):
    """Where the values of an alert are in the documents of a source: an expression of JMESPath for each."""

    match: fields.Expression
    alert_id: fields.Expression
    severity: fields.Expression
    each: fields.Expression | None
    title: fields.Expression | None
    type: fields.Expression | None
    time: fields.Expression | None
    technique: fields.Expression | None
    tactics: fields.Expression | None
    account_id: fields.Expression | None
    region: fields.Expression | None
    instance_id: fields.Expression | None
    instance_arn: fields.Expression | None
    network_interface_id: fields.Expression | None
    private_ip: fields.Expression | None
    vpc_id: fields.Expression | None
    guardduty_finding: fields.Expression | None
    archived: fields.Expression | None
    severity_scale: alert_mappings.SeverityScale
    several_instances: bool

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        self.to_domain()


class AlertSource(Settings, domain=alert_mappings.AlertSource):
    """A source of alerts, and how its documents are read: by a preset, or by a mapping of one's own."""

    preset: alert_mappings.AlertPreset | None
    mapping: AlertMapping | None
    webhook: bool

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        self.to_domain()


class Alerts(Settings, domain=alert_settings.AlertSettings):
    """Alerts that the policy decides about, besides GuardDuty's findings."""

    security_hub: bool
    sources: Annotated[dict[fields.AlertSourceName, AlertSource], Field(max_length=SOURCES)]
    overlap_hours: Annotated[int, Field(ge=OVERLAP_HOURS[0], le=OVERLAP_HOURS[1])]

    @property
    def any(self) -> bool:
        """Whether any alerts come in besides GuardDuty's findings."""
        return alert_settings.come_besides_findings(self.sources, security_hub=self.security_hub)
