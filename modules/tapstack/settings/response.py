"""The response of a site: who may open incidents, what captures them, for how long, and who is notified."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tapstack.domain import containment_settings, evidence_settings, policy_rules
from tapstack.domain.appliance_settings import MAX_HOURS, RETIRE_AFTER_MINUTES, LaunchedAppliance
from tapstack.domain.capture_settings import INCIDENTS_PER_FINDING, RESERVED_SOURCES, CaptureSettings
from tapstack.domain.containment_settings import (
    APPROVAL_MINUTES,
    FURTHER_VPCS,
    PER_HOUR,
    PROTECTED_INSTANCES,
    PROTECTED_TAGS,
    SOURCE_IDENTITY_ROLES,
    TCP_ESTABLISHED_SECONDS,
    TWO_STEP_SECONDS,
    WAIT_FOR_PACKETS_SECONDS,
    ApprovalDefault,
    Mode,
)
from tapstack.domain.errors import RuleViolation
from tapstack.domain.evidence_settings import KEEP_DAYS
from tapstack.domain.operations import Right
from tapstack.domain.retention import (
    DELETION_PROTECTION,
    INCIDENTS_KEPT_DAYS,
    LOGS_KEPT_DAYS,
    RETENTION_DAYS,
    LogRetentionDays,
)
from tapstack.settings import fields
from tapstack.settings.alerts import Alerts
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.fields import Settings

PACKET_BASICS = "packet_basics"
"""How sessions and the response name the target and the filter that the site's appliance brings."""


class Iam(Settings):
    """Callers sign their requests with AWS credentials (SigV4); IAM policies say who may."""


class Jwt(Settings):
    """Callers send a token of an OpenID Connect provider."""

    issuer: fields.Issuer
    """https URL of the provider, as in the token's `iss`."""
    audience: Annotated[list[fields.ShortText], Field(min_length=1, max_length=50)]
    """One of them must be the token's `aud` or `client_id`."""
    scopes: Annotated[list[fields.Scope], Field(max_length=10)] = Field(default_factory=list)
    """One of them must be in the token's `scope` or `scp` claim; any token of the audience by default. Give them where
    `containment` is configured: they decide who may contain, approve and release."""
    scopes_of: dict[Right, Annotated[list[fields.Scope], Field(min_length=1, max_length=10)]] = Field(
        default_factory=dict
    )
    """Scopes of a right, in place of `scopes`: `contain_now: [incidents.contain-now]`. A request that opens an incident
    and contains needs one of both rights."""


class Authorization(Settings):
    """Who may call the API: `iam` or `jwt`."""

    iam: Iam | None = None
    """AWS credentials."""
    jwt: Jwt | None = None
    """Tokens."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if (self.iam is None) == (self.jwt is None):
            raise RuleViolation("expected exactly one of iam, jwt")


class Launch(ApplianceTemplate, domain=LaunchedAppliance, library_only=("stack_name", "extra_statements")):
    """An appliance that an incident launches, and that is retired when none needs it."""

    retire_after_minutes: Annotated[int, Field(ge=RETIRE_AFTER_MINUTES[0], le=RETIRE_AFTER_MINUTES[1])] | None
    max_hours: Annotated[int, Field(ge=MAX_HOURS[0], le=MAX_HOURS[1])]


class ResponseAppliance(Settings):
    """Where incidents mirror to: an existing target, or an appliance that is launched for them."""

    target: str = PACKET_BASICS
    """A target of this site, `packet_basics`, or the id of an existing one (tmt-...)."""
    filter: str = PACKET_BASICS
    """A filter of this site, `packet_basics`, or the id of an existing one (tmf-...)."""
    launch: Launch | None = None
    """Launch an appliance for the first incident, in place of `target` and `filter`."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if self.launch is not None and (clash := {"target", "filter"} & self.model_fields_set):
            raise RuleViolation(
                f"launch does not go with {' and '.join(sorted(clash))}: a launched appliance brings its own"
            )


class ResponseCapture(Settings, domain=CaptureSettings):
    """How incidents capture."""

    minutes: fields.CaptureMinutes
    max_minutes: fields.CaptureMinutes
    packet_length: fields.PacketLength | None
    virtual_network_id: fields.VirtualNetworkId | None
    reserved_sources: Annotated[int, Field(ge=RESERVED_SOURCES[0], le=RESERVED_SOURCES[1])]
    incidents_per_finding: Annotated[int, Field(ge=INCIDENTS_PER_FINDING[0], le=INCIDENTS_PER_FINDING[1])]
    accept_unsupported_instance_types: bool


class Severity(Settings):
    """The severity that a rule asks for."""

    at_least: fields.FindingSeverity
    """GuardDuty's number: low begins at 1.0, medium at 4.0, high at 7.0, critical at 9.0."""


class PolicyRule(Settings):
    """What is done about an alert that meets all conditions; a rule without any matches every alert."""

    name: fields.Name
    """Name of the rule in notifications and in `tapstack incident explain`."""
    action: policy_rules.Action
    """What is done. `contain_on_approval` and `contain_now` capture and contain; both need `containment` with their
    mode."""
    sources: list[fields.Name] = Field(default_factory=list)
    """Sources, one of which must have delivered the alert: `guardduty`, `securityhub` or a source of `alerts`; any by
    default."""
    severity: Severity | None = None
    """Severity of the alert."""
    types: list[fields.AlertTypePattern] = Field(default_factory=list)
    """Types, one of which must match; `*` stands for any text. They are GuardDuty's, unless `sources` names another
    source."""
    tactics: list[fields.Tactic] = Field(default_factory=list)
    """MITRE ATT&CK tactics; the alert, its type as GuardDuty has it, or the signals of an attack sequence must have one
    of them."""
    techniques: list[fields.Technique] = Field(default_factory=list)
    """MITRE ATT&CK techniques, one of which the alert must name; T1071 matches T1071.004 too. GuardDuty's findings name
    none, unless Security Hub brings them."""
    tags: fields.SoughtTags = Field(default_factory=dict)
    """Tags that the instance must all have; `*` in a value stands for any text."""
    resource_role: policy_rules.ResourceRole | None = None
    """Role of the instance in the finding, as GuardDuty names it: `ACTOR` or `TARGET`. Findings of Runtime Monitoring
    have none: a rule with `resource_role` never matches them."""
    minutes: fields.CaptureMinutes | None = None
    """How long to capture; `capture.minutes` by default."""

    def check(self) -> None:
        """Refuse fields that do not fit together; types that are none of GuardDuty's are refused where they stand."""
        self._rule(types=())

    def to_domain(self) -> policy_rules.Rule:
        """Return the rule that decides."""
        return self._rule(types=tuple(self.types))

    def _rule(self, types: tuple[str, ...]) -> policy_rules.Rule:
        return policy_rules.Rule(
            name=self.name,
            action=self.action,
            at_least=self.severity.at_least if self.severity else None,
            sources=tuple(self.sources),
            types=types,
            tactics=tuple(self.tactics),
            techniques=tuple(self.techniques),
            tags=dict(self.tags),
            resource_role=self.resource_role,
            minutes=self.minutes,
        )


class Approval(Settings, domain=containment_settings.Approval):
    """How long a pending containment may be approved or rejected, and what happens without an answer."""

    minutes: Annotated[int, Field(ge=APPROVAL_MINUTES[0], le=APPROVAL_MINUTES[1])]
    default: ApprovalDefault
    other_person: bool
    source_identity_roles: Annotated[list[fields.RoleName], Field(max_length=SOURCE_IDENTITY_ROLES)]

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        roles = self.source_identity_roles
        # Too many, and one twice, are reported where they stand.
        if len(roles) <= SOURCE_IDENTITY_ROLES and len(set(roles)) == len(roles):
            self.to_domain()


class Protect(Settings, domain=containment_settings.Protect):
    """What is never contained, besides the appliance."""

    tags: Annotated[fields.SoughtTags, Field(max_length=PROTECTED_TAGS)]
    instance_ids: Annotated[list[fields.InstanceId], Field(max_length=PROTECTED_INSTANCES)]


class TwoStep(Settings, domain=containment_settings.TwoStep):
    """First an all-open group, then the quarantine group: ends connections tracked because of group rules only."""

    enabled: bool
    seconds: Annotated[int, Field(ge=TWO_STEP_SECONDS[0], le=TWO_STEP_SECONDS[1])]


class WaitForPackets(Settings, domain=containment_settings.WaitForPackets):
    """A containment waits until packets are seen, so that what the attacker sends is captured before it stops."""

    at_most_seconds: Annotated[int, Field(ge=WAIT_FOR_PACKETS_SECONDS[0], le=WAIT_FOR_PACKETS_SECONDS[1])]


class AutoScaling(Settings, domain=containment_settings.AutoScaling):
    """Auto Scaling groups, which terminate and replace unhealthy instances."""

    standby: bool
    decrement_desired_capacity: bool


class LoadBalancers(Settings, domain=containment_settings.LoadBalancers):
    """Load balancers that the instance is a target of."""

    deregister: bool


class Containment(Settings, domain=containment_settings.ContainmentSettings):
    """How an instance is isolated, and how evidence is protected. A release restores all of it."""

    modes: Annotated[list[Mode], Field(min_length=1, max_length=2)]
    approval: Approval
    protect: Protect
    vpc_ids: Annotated[list[fields.VpcId], Field(max_length=FURTHER_VPCS)]
    per_hour: Annotated[int, Field(ge=PER_HOUR[0], le=PER_HOUR[1])]
    wait_for_packets: WaitForPackets | None
    two_step: TwoStep
    tcp_established_seconds: Annotated[int, Field(ge=TCP_ESTABLISHED_SECONDS[0], le=TCP_ESTABLISHED_SECONDS[1])] | None
    auto_scaling: AutoScaling
    load_balancers: LoadBalancers
    termination_protection: bool
    stop_on_shutdown: bool
    keep_volumes: bool
    snapshots: bool
    instance_profile: Literal["restrict"] | None


class ApplianceSnapshots(Settings, domain=evidence_settings.ApplianceSnapshots):
    """Snapshots of the volumes of a launched appliance, which are taken before it is deleted."""

    keep_days: Annotated[int, Field(ge=KEEP_DAYS[0], le=KEEP_DAYS[1])]


class Evidence(Settings, domain=evidence_settings.EvidenceSettings):
    """What is kept of what incidents captured."""

    appliance_snapshots: ApplianceSnapshots | None


class Notify(Settings):
    """Who is notified of incidents."""

    emails: Annotated[list[fields.Email], Field(max_length=50)] = Field(default_factory=list)
    """Addresses that are notified; AWS asks each to confirm the subscription, once."""
    topic_arns: Annotated[list[fields.SnsTopicArn], Field(max_length=10)] = Field(default_factory=list)
    """Existing SNS topics in the site's Region, which are notified too; those with a key of their own, or of another
    account, must allow it (docs/response.md, "Existing topics")."""


class Response(Settings):
    """The incident response of a site: an API, a workflow that captures, and a policy for GuardDuty findings."""

    authorization: Authorization = Field(default_factory=lambda: Authorization(iam=Iam()))
    """Who may call the API; AWS credentials by default."""
    appliance: ResponseAppliance = Field(default_factory=ResponseAppliance)
    """Where incidents mirror to; the site's `packet_basics` by default."""
    capture: ResponseCapture = Field(default_factory=lambda: ResponseCapture.model_validate({}))
    """How long to capture, and how much of each packet."""
    policy: Annotated[list[PolicyRule], Field(max_length=50)] = Field(default_factory=list)
    """What is done about alerts, of which GuardDuty's findings are some: the first rule that matches decides; `notify`
    when none does."""
    alerts: Alerts = Field(default_factory=lambda: Alerts.model_validate({}))
    """Alerts of Security Hub and of other tools, which the policy decides about as well; none by default. Any needs the
    site's section `xdr`: its landing keeps those that lead to no instance."""
    containment: Containment | None = None
    """How instances are contained; without it they cannot be."""
    evidence: Evidence = Field(default_factory=lambda: Evidence.model_validate({}))
    """What is kept of what a launched appliance captured."""
    notify: Notify = Field(default_factory=Notify)
    """Who is notified of incidents; no address by default."""
    retention_days: Annotated[int, Field(ge=RETENTION_DAYS[0], le=RETENTION_DAYS[1])] = INCIDENTS_KEPT_DAYS
    """How long closed incidents are kept."""
    log_retention_days: LogRetentionDays = LOGS_KEPT_DAYS
    """How long logs are kept."""
    deletion_protection: bool = DELETION_PROTECTION
    """Deletion protection of the table of incidents; deploy `false` before a destroy."""

    def rules(self) -> tuple[policy_rules.Rule, ...]:
        """Return the policy that decides."""
        return tuple(rule.to_domain() for rule in self.policy)
