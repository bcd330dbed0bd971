"""The response of a site: who may open incidents, what captures them, for how long, and who hears of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tapstack.domain import policy_rules
from tapstack.domain.containment_settings import (
    APPROVAL_MINUTES,
    FURTHER_VPCS,
    PER_HOUR,
    TCP_ESTABLISHED_SECONDS,
    TWO_STEP_SECONDS,
    Mode,
    WhenNobodyAnswers,
)
from tapstack.domain.errors import RuleViolation
from tapstack.settings import fields
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.fields import Settings

PACKET_BASICS = "packet_basics"
"""How sessions and the response name the target and the filter that the site's appliance brings."""

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]
"""What CloudWatch Logs takes (API Reference, PutRetentionPolicy)."""


class Iam(Settings):
    """Callers sign their requests with AWS credentials (SigV4); IAM policies say who may."""


class Jwt(Settings):
    """Callers show a token of an OpenID Connect provider."""

    issuer: fields.Issuer
    """https URL of the provider, as in the token's `iss`."""
    audience: Annotated[list[fields.ShortText], Field(min_length=1, max_length=50)]
    """One of them has to be the token's `aud` or `client_id`."""
    scopes: Annotated[list[fields.ShortText], Field(max_length=10)] = Field(default_factory=list)
    """One of them has to be among the token's `scope`; any token of the audience by default."""


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


class Launch(ApplianceTemplate):
    """An appliance that an incident launches, and that is retired when none needs it."""

    permissions_boundary: fields.IamPolicyArn | None = None
    """Policy that every role of the template must have as its permissions boundary; by default the response makes
    one, where `capabilities` has one for IAM."""
    retire_after_minutes: Annotated[int, Field(ge=0, le=1440)] | None = 30
    """How long it stays after the last incident; `null` keeps it."""
    max_hours: Annotated[int, Field(ge=1, le=720)] = 24
    """An alarm tells when it has been running for longer."""


class ResponseAppliance(Settings):
    """Where incidents mirror to: something that stands, or an appliance that is launched for them."""

    target: str = PACKET_BASICS
    """A target of this site, `packet_basics`, or the id of one that exists (tmt-...)."""
    filter: str = PACKET_BASICS
    """A filter of this site, `packet_basics`, or the id of one that exists (tmf-...)."""
    launch: Launch | None = None
    """Launch an appliance for the first incident, in place of `target` and `filter`."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if self.launch is not None and (clash := {"target", "filter"} & self.model_fields_set):
            raise RuleViolation(
                f"launch does not go with {' and '.join(sorted(clash))}: a launched appliance brings its own"
            )


class ResponseCapture(Settings):
    """How incidents capture."""

    minutes: fields.CaptureMinutes = 60
    """How long, unless the alert or the policy says otherwise."""
    max_minutes: fields.CaptureMinutes = 1440
    """The longest that may be asked for, in one go or by extending."""
    packet_length: fields.PacketLength | None = None
    """Bytes kept of each packet, after the VXLAN header; whole packets by default, 8500 behind a Network
    Load Balancer."""
    virtual_network_id: fields.VirtualNetworkId | None = None
    """VXLAN network identifier; random and unique by default."""
    accept_unsupported_instance_types: bool = False
    """Try instance types, too, that are not on the list of those that AWS mirrors."""


class Severity(Settings):
    """The severity that a rule asks for."""

    at_least: fields.FindingSeverity
    """GuardDuty's number: low begins at 1.0, medium at 4.0, high at 7.0, critical at 9.0."""


class PolicyRule(Settings):
    """What is done about a GuardDuty finding that meets all conditions; without any, about every finding."""

    name: fields.Name
    """What notifications and `tapstack incident explain` call it."""
    action: policy_rules.Action
    """`notify`, `capture`, or one that contains as well; those need `containment` with their mode."""
    severity: Severity | None = None
    """How severe the finding is."""
    types: list[fields.FindingTypePattern] = Field(default_factory=list)
    """Finding types, one of which must fit; `*` stands for any text."""
    tactics: list[fields.Tactic] = Field(default_factory=list)
    """MITRE ATT&CK tactics, one of which the finding's type must stand for."""
    tags: fields.SoughtTags = Field(default_factory=dict)
    """Tags that the instance must all have; `*` in a value stands for any text."""
    resource_role: policy_rules.ResourceRole | None = None
    """`ACTOR` when the instance does what was found, `TARGET` when it is done to the instance."""
    minutes: fields.CaptureMinutes | None = None
    """How long to capture; `capture.minutes` by default."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        self.to_domain()

    def to_domain(self) -> policy_rules.Rule:
        """Return the rule that decides."""
        return policy_rules.Rule(
            name=self.name,
            action=self.action,
            at_least=self.severity.at_least if self.severity else None,
            types=tuple(self.types),
            tactics=tuple(self.tactics),
            tags=dict(self.tags),
            resource_role=self.resource_role,
            minutes=self.minutes,
        )


class Approval(Settings):
    """How long somebody may say yes or no, and what happens when nobody does."""

    minutes: Annotated[int, Field(ge=APPROVAL_MINUTES[0], le=APPROVAL_MINUTES[1])] = 15
    """How long."""
    default: WhenNobodyAnswers = "leave"
    """`leave` or `contain`."""


class Protect(Settings):
    """What is never contained; the appliance never is."""

    tags: fields.SoughtTags = Field(default_factory=lambda: {"tapstack-protected": "*"})
    """An instance that has one of these is refused; `*` in a value stands for any text."""
    instance_ids: list[fields.InstanceId] = Field(default_factory=list)
    """Instances that are refused."""


class TwoStep(Settings):
    """Cut tracked connections too: first an all-open group, which untracks them, then the quarantine group."""

    enabled: bool = False
    """Off by default: the instance is open to everybody for a moment."""
    seconds: Annotated[int, Field(ge=TWO_STEP_SECONDS[0], le=TWO_STEP_SECONDS[1])] = 60
    """How long the all-open group stays."""


class AutoScaling(Settings):
    """Auto Scaling groups, which replace and terminate what looks unhealthy."""

    standby: bool = True
    """Put them into standby: a contained instance looks unhealthy, and would be replaced and terminated."""
    decrement_desired_capacity: bool = False
    """Launch none in their place."""


class LoadBalancers(Settings):
    """Load balancers, which send traffic to what is cut off."""

    deregister: bool = True
    """Take them out, and register them again at release."""


def _approval_only() -> list[Mode]:
    return ["approval"]


class Containment(Settings):
    """How an instance is cut off, and what is kept from undoing or spoiling it. All of it is put back at release."""

    modes: Annotated[list[Mode], Field(min_length=1, max_length=2)] = Field(default_factory=_approval_only)
    """`approval`: somebody has to agree; `now`: nobody has to."""
    approval: Approval = Field(default_factory=Approval)
    """How long people are waited for, and what happens then."""
    protect: Protect = Field(default_factory=Protect)
    """What is never contained."""
    vpc_ids: Annotated[list[fields.VpcId], Field(max_length=FURTHER_VPCS)] = Field(default_factory=list)
    """VPCs of the account and Region that are in scope besides the site's."""
    per_hour: Annotated[int, Field(ge=PER_HOUR[0], le=PER_HOUR[1])] = 5
    """At most so many instances are contained in an hour; people are told of what is refused."""
    two_step: TwoStep = Field(default_factory=TwoStep)
    """Cut tracked connections too."""
    tcp_established_seconds: (
        Annotated[int, Field(ge=TCP_ESTABLISHED_SECONDS[0], le=TCP_ESTABLISHED_SECONDS[1])] | None
    ) = None
    """How long an idle TCP connection stays tracked while contained; unchanged by default."""
    auto_scaling: AutoScaling = Field(default_factory=AutoScaling)
    """What becomes of instances of an Auto Scaling group."""
    load_balancers: LoadBalancers = Field(default_factory=LoadBalancers)
    """What becomes of targets of load balancers."""
    termination_protection: bool = True
    """Nobody terminates the instance by accident."""
    shutdown_behavior: bool = True
    """An instance that shuts itself down is stopped, not terminated."""
    keep_volumes: bool = True
    """Volumes outlive the instance."""
    snapshots: bool = False
    """Take snapshots of the volumes; they stay."""
    instance_profile: Literal["restrict"] | None = None
    """`restrict` denies the role of the instance what this one instance asks for; left alone by default."""


class Notify(Settings):
    """Who hears of incidents."""

    emails: Annotated[list[fields.Email], Field(max_length=50)] = Field(default_factory=list)
    """Each is asked by AWS to confirm, once."""
    topic_arns: Annotated[list[fields.SnsTopicArn], Field(max_length=10)] = Field(default_factory=list)
    """SNS topics that exist, in the site's Region."""


class Response(Settings):
    """The incident response of a site: an API, a workflow that captures, and a policy for GuardDuty's findings."""

    authorization: Authorization = Field(default_factory=lambda: Authorization(iam=Iam()))
    """Who may call the API; AWS credentials by default."""
    appliance: ResponseAppliance = Field(default_factory=ResponseAppliance)
    """Where incidents mirror to; the site's `packet_basics` by default."""
    capture: ResponseCapture = Field(default_factory=ResponseCapture)
    """For how long, and how much of each packet."""
    policy: Annotated[list[PolicyRule], Field(max_length=50)] = Field(default_factory=list)
    """What is done about GuardDuty's findings: the first rule that matches decides; `notify` when none does."""
    containment: Containment | None = None
    """How instances are cut off; they cannot be, by default."""
    notify: Notify = Field(default_factory=Notify)
    """Who hears of incidents; nobody by default."""
    retention_days: Annotated[int, Field(ge=1, le=3653)] = 365
    """How long closed incidents are kept."""
    log_retention_days: LogRetentionDays = 90
    """How long logs are kept."""
    deletion_protection: bool = True
    """Refuse to delete the table of incidents; switch it off, and deploy, before the site is destroyed."""

    def rules(self) -> tuple[policy_rules.Rule, ...]:
        """Return the policy that decides."""
        return tuple(rule.to_domain() for rule in self.policy)
