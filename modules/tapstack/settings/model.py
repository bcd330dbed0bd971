"""The model of the deployment file, from which the JSON Schema and the messages are generated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr

from tapstack.domain import names
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_presets import (
    FilterPreset,
    dns,
    everything,
    everything_but_intra_vpc,
    web,
)
from tapstack.domain.filter_rules import Action, Direction, MirrorRule, Traffic
from tapstack.domain.limits import FIRST_SESSION_NUMBER
from tapstack.domain.load_balancers import HEALTH_CHECK_PORT, HEALTH_CHECK_PORTS
from tapstack.domain.packet_basics import DELETION_PROTECTION, NOTIFICATION_ARNS, ON_FAILURE, OnFailure
from tapstack.domain.provider_versions import PROVIDER_VERSION, supported
from tapstack.domain.sources import AnySource, Source, SourceLookup
from tapstack.domain.telemetry import landing_bucket_name, landing_key_name
from tapstack.settings import fields
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.fields import Settings
from tapstack.settings.problems import DeploymentError, Path, Problem
from tapstack.settings.response import PACKET_BASICS as PACKET_BASICS
from tapstack.settings.response import Response
from tapstack.settings.xdr import Xdr


def _mapping_of(model: type[Settings], what: str) -> Any:
    return Annotated[dict[fields.Name, model], Field(default_factory=dict, description=what)]  # type: ignore[valid-type]


class LocalBackend(Settings):
    """State in a directory of this machine. For trials, not for teams."""

    directory: Annotated[str, Field(min_length=1)] = "state"
    """Where state files go; relative to the deployment file."""


class S3Backend(Settings):
    """State in an S3 bucket, encrypted, with S3's native lock file (Terraform 1.10 or newer)."""

    bucket: fields.BucketName
    """An existing bucket; enable versioning for it."""
    region: fields.Region
    """The bucket's Region."""
    accept_unknown_region: bool = False
    """Accept a `region` that is newer than the list of this version."""
    key_prefix: fields.KeyPrefix = "tapstack"
    """State keys are `<key_prefix>/<project>/<stack>.tfstate`."""
    kms_key_id: fields.KmsKeyArn | None = None
    """Encrypts the state; the bucket's default key by default."""
    role_arn: fields.IamRoleArn | None = None
    """Role assumed to reach the bucket; the caller's own credentials by default."""


class Backend(Settings):
    """Where Terraform keeps its state: `local` or `s3`."""

    local: LocalBackend | None = None
    """State in a directory of this machine."""
    s3: S3Backend | None = None
    """State in an S3 bucket."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if (self.local is None) == (self.s3 is None):
            raise RuleViolation("expected exactly one of local, s3")


class Provider(Settings):
    """The Terraform AWS provider of every site."""

    version: fields.VersionConstraint = PROVIDER_VERSION
    """Version constraint; only versions from 5.100.0 to below 7.0.0 are used."""
    mirror: str | None = None
    """Directory with the provider in Terraform's mirror layout, for machines that cannot reach the
    registry; relative to the deployment file. `none` ignores the usual places too. By default
    the usual places are searched."""
    max_retries: Annotated[int, Field(ge=0, le=100)] | None = None
    """How often the provider retries an AWS call; the provider's own default (25) by default."""

    @property
    def constraint(self) -> str:
        """The versions to use: those of `version` that Tapstack supports."""
        return supported(self.version)


class AssumeRole(Settings):
    """The role that Terraform assumes in a site's account."""

    role_arn: fields.IamRoleArn
    """The role."""
    external_id: fields.ExternalId | None = None
    """External id that the role's trust policy requires."""
    session_name: fields.RoleSessionName = "tapstack"
    """Name of the role's session, which CloudTrail shows."""


class PacketBasics(ApplianceTemplate):
    """The ExtraHop Packet Basics appliance of a site."""

    stack_name: fields.StackName | None = None
    """Name of the CloudFormation stack; `<project>-<site>-packet-basics` by default."""
    mirror_source: fields.NetworkInterfaceId | None = None
    """Network interface that the stack itself mirrors from the start."""
    mirror_session_number: fields.SessionNumber | None = None
    """Session number of `mirror_source`."""
    on_failure: OnFailure = ON_FAILURE
    """What CloudFormation does when the creation fails; of no effect afterwards."""
    deletion_protection: bool = DELETION_PROTECTION
    """Refuse every plan that deletes or replaces the appliance, and the packets that it keeps. Deploy `false` before a
    destroy or a change that replaces it."""
    notification_arns: Annotated[list[fields.SnsTopicArn], Field(max_length=NOTIFICATION_ARNS)] = Field(
        default_factory=list
    )
    """SNS topics that CloudFormation publishes the stack's events to."""
    target_id: fields.TargetId | None = None
    """The stack's mirror target; found by its Name tag `<stack>.target` by default."""
    filter_id: fields.FilterId | None = None
    """The stack's mirror filter; found by its Name tag `<stack>.filter` by default."""
    network_interface_id: fields.NetworkInterfaceId | None = None
    """The appliance's interface; the primary one of the stack's instance by default."""
    instance_id: fields.InstanceId | None = None
    """The appliance's instance; found by CloudFormation's own tag by default."""


class Rule(Settings):
    """A rule of a mirror filter."""

    direction: Direction
    """`ingress` for packets that reach the source, `egress` for those that leave it."""
    action: Action = "accept"
    """`accept` mirrors, `reject` does not."""
    protocol: fields.Protocol = Field(default="all", validate_default=True)
    """A name, or an IANA protocol number; all of them by default."""
    source: fields.Cidr | None = None
    """CIDR block of the packet's source address; any by default."""
    destination: fields.Cidr | None = None
    """CIDR block of the packet's destination address; any by default."""
    source_ports: fields.Ports | None = None
    """Source port, or a range such as "8000-8999", for tcp and udp."""
    destination_ports: fields.Ports | None = None
    """Destination port, or a range such as "8000-8999", for tcp and udp."""
    number: fields.RuleNumber | None = None
    """Rule number: the lowest is evaluated first. By default 100, 200 and so on, in the order of the file."""
    description: Annotated[str, Field(max_length=255)] = ""
    """Description, shown in the console."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        self.to_domain()

    def to_domain(self) -> MirrorRule:
        """Return the rule that the constructs take."""
        return MirrorRule(
            self.direction,
            self.action,
            Traffic(self.protocol, self.source_ports, self.destination_ports),
            self.source,
            self.destination,
            self.number,
            self.description,
        )


class Filter(Settings):
    """A mirror filter: a preset, or rules."""

    preset: Literal["everything", "everything_but_intra_vpc", "web", "dns"] | None = None
    """A ready-made filter, in place of `rules`."""
    vpc_cidrs: list[fields.Cidr] = Field(default_factory=list)
    """The VPC's CIDR blocks, for `everything_but_intra_vpc`: 1 to 3."""
    rules: list[Rule] = Field(default_factory=list)
    """Up to 10 rules, both directions together, in the order of evaluation."""
    amazon_dns: bool = False
    """Also mirror DNS to the Route 53 Resolver, which rules never match."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        if self.preset and "rules" in self.model_fields_set:
            raise RuleViolation("expected either preset or rules, not both")
        if self.preset == "everything_but_intra_vpc":
            if not self.vpc_cidrs:
                raise RuleViolation(f"preset {self.preset} needs vpc_cidrs")
        elif self.vpc_cidrs:
            taker = f"preset {self.preset} takes" if self.preset else "rules take"
            raise RuleViolation(f"{taker} no vpc_cidrs: expected preset everything_but_intra_vpc with it")
        if not (self.preset or self.rules or self.amazon_dns):
            raise RuleViolation("expected preset, rules or amazon_dns: a filter without a rule mirrors nothing")
        self.to_domain()

    def to_domain(self) -> FilterPreset:
        """Return the rules that the constructs take."""
        if self.preset is None:
            return FilterPreset(tuple(rule.to_domain() for rule in self.rules), self.amazon_dns)
        if self.preset == "everything_but_intra_vpc":
            preset = everything_but_intra_vpc(self.vpc_cidrs)
        else:
            preset = {"everything": everything, "web": web, "dns": dns}[self.preset]()
        return FilterPreset(preset.rules, preset.amazon_dns or self.amazon_dns)


class LoadBalancer(Settings):
    """A Network Load Balancer in front of appliances, created by the site."""

    subnet_ids: Annotated[list[fields.SubnetId], Field(json_schema_extra={"minItems": 2})]
    """Two or more, in different Availability Zones."""
    mirrored_from: Annotated[list[fields.PeerText], Field(min_length=1)] = Field(default_factory=list)
    """The sources' CIDR blocks, security groups, prefix lists or VPCs; the site's VPC by default."""
    instance_ids: list[fields.InstanceId] = Field(default_factory=list)
    """The appliances; the site's `packet_basics` by default."""
    ip_addresses: list[str] = Field(default_factory=list)
    """The appliances by private address, in place of `instance_ids`."""
    health_check_port: Annotated[int, Field(ge=HEALTH_CHECK_PORTS[0], le=HEALTH_CHECK_PORTS[1])] = HEALTH_CHECK_PORT
    """TCP port on which a healthy appliance answers the health check."""
    deletion_protection: bool = False
    """Deletion protection of the load balancer."""
    accept_open_mirrored_from: bool = False
    """Accept 0.0.0.0/0 and ::/0 in `mirrored_from`."""

    @property
    def appliances(self) -> list[str]:
        """The appliances by id or address; none where it is the site's `packet_basics`."""
        return [*self.instance_ids, *self.ip_addresses]


class Target(Settings):
    """A mirror target besides that of `packet_basics`: exactly one of the four kinds."""

    network_interface_id: fields.NetworkInterfaceId | None = None
    """An appliance's interface."""
    instance_type: str | None = None
    """Instance type of that appliance: the largest sizes accept 100 sources, others 10."""
    accept_instance_type: bool = False
    """Allow 100 sources for an `instance_type` that is not on the list of those."""
    network_load_balancer_arn: fields.LoadBalancerArn | None = None
    """An existing Network Load Balancer."""
    gateway_load_balancer_endpoint_id: fields.EndpointId | None = None
    """A Gateway Load Balancer endpoint."""
    load_balancer: LoadBalancer | None = None
    """A Network Load Balancer that the site creates."""
    share_with: list[fields.RamPrincipal] = Field(default_factory=list)
    """Accounts, organization or organizational units that may mirror to it, through AWS RAM."""
    allow_external_principals: bool = False
    """Allow `share_with` to name accounts outside the organization."""
    description: Annotated[str, Field(max_length=255)] | None = None
    """Description, shown in the console."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        kinds = (
            "network_interface_id",
            "network_load_balancer_arn",
            "gateway_load_balancer_endpoint_id",
            "load_balancer",
        )
        given = [name for name in kinds if getattr(self, name)]
        if len(given) != 1:
            raise RuleViolation(f"expected exactly one of {', '.join(kinds)}; found {', '.join(given) or 'none'}")
        if self.instance_type is not None and self.network_interface_id is None:
            raise RuleViolation("instance_type goes with network_interface_id")
        if self.accept_instance_type and self.instance_type is None:
            raise RuleViolation("accept_instance_type goes with instance_type")


class SourceSettings(Settings):
    """What is mirrored: one network interface, or all that a lookup finds, whose conditions must all hold."""

    model_config = ConfigDict(title="Source")

    network_interface_id: fields.NetworkInterfaceId | None = None
    """One network interface."""
    session_number: fields.SessionNumber | None = None
    """Number of that interface's session; that of the group by default."""
    instance_type: str | None = None
    """Type of that interface's instance, checked against AWS's allow-list."""
    accept_instance_type: bool = False
    """Accept an `instance_type`, or types that a lookup finds, that are not on the list."""
    instance_id: fields.InstanceId | None = None
    """Every interface of this instance."""
    subnet_id: fields.SubnetId | None = None
    """Every interface of this subnet."""
    vpc_id: fields.VpcId | None = None
    """Every interface of this VPC."""
    tags: Annotated[fields.SoughtTags, Field(min_length=1)] = Field(default_factory=dict)
    """Every interface that carries all these tags itself; in a value `*` stands for any text and `?` for any one
    character."""
    instance_tags: Annotated[fields.SoughtTags, Field(min_length=1)] = Field(default_factory=dict)
    """Every interface of the instances that carry all these tags; in a value `*` stands for any text and `?` for any
    one character."""
    include_requester_managed: bool = False
    """Also find interfaces that AWS services manage; AWS mirrors those of RDS and ElastiCache only."""

    def check(self) -> None:
        """Refuse fields that do not fit together."""
        # There may be ten thousand interfaces, and nearly all stand alone.
        if len(self.model_fields_set) == 1 and self.network_interface_id is not None:
            return
        lookup = {
            "instance_id",
            "subnet_id",
            "vpc_id",
            "tags",
            "instance_tags",
            "include_requester_managed",
        } & self.model_fields_set
        if self.network_interface_id is not None and lookup:
            raise RuleViolation(f"network_interface_id does not go with {', '.join(sorted(lookup))}")
        single = {"session_number", "instance_type"} & self.model_fields_set
        if self.network_interface_id is None and single:
            raise RuleViolation(f"{', '.join(sorted(single))} goes with network_interface_id only")
        if self.network_interface_id is not None and self.instance_type is None and self.accept_instance_type:
            raise RuleViolation("accept_instance_type goes with instance_type, or with a lookup")
        self.to_domain()

    def to_domain(self) -> AnySource:
        """Return the source that the constructs take."""
        return self.domain

    @functools.cached_property
    def domain(self) -> AnySource:
        """The source, made once: there may be ten thousand, and each is asked for several times."""
        if self.network_interface_id is not None:
            return Source.network_interface(
                self.network_interface_id,
                session_number=self.session_number,
                instance_type=self.instance_type,
                accept_instance_type=self.accept_instance_type,
            )
        return SourceLookup(
            dict(self.tags),
            self.instance_id,
            self.subnet_id,
            self.vpc_id,
            self.include_requester_managed,
            dict(self.instance_tags),
            self.accept_instance_type,
        )


_LOOKUPS: Final = {"i-": "instance_id", "subnet-": "subnet_id", "vpc-": "vpc_id"}


def _source(value: Any) -> Any:
    """A bare network interface id stands for the mapping; an id of another kind is refused with its own message."""
    if not isinstance(value, str):
        return value
    for prefix, name in _LOOKUPS.items():
        if value.startswith(prefix):
            raise RuleViolation(
                f"expected the id of a network interface (eni-...), or {{{name}: {value}}} for all interfaces there"
            )
    return {"network_interface_id": value}


class Sessions(Settings):
    """A group of sessions: sources mirrored to one target through one filter."""

    sources: Annotated[
        list[
            Annotated[
                SourceSettings,
                BeforeValidator(_source, json_schema_input_type=fields.NetworkInterfaceId | SourceSettings),
            ]
        ],
        Field(min_length=1),
    ]
    """Network interface ids, or lookups."""
    target: str = PACKET_BASICS
    """A target of this site, `packet_basics`, or the id of an existing one (tmt-...)."""
    filter: str = PACKET_BASICS
    """A filter of this site, `packet_basics`, or the id of an existing one (tmf-...)."""
    session_number: fields.SessionNumber | None = None
    """Session number of every session of the group; by default the lowest that nothing before the group in the file
    has. So put new groups last."""
    first_session_number: fields.SessionNumber = FIRST_SESSION_NUMBER
    """The lowest number that is chosen; keeps lower ones free for other sessions."""
    packet_length: fields.PacketLength | None = None
    """Bytes mirrored of each packet, after the VXLAN header; whole packets by default, 8500 behind a Network
    Load Balancer. Once deployed, a value stays when the key is removed: write 65535 for whole packets."""
    virtual_network_id: fields.VirtualNetworkId | None = None
    """VXLAN network identifier; random and unique by default. Once deployed, a value stays when the key is removed."""
    exclude: list[fields.NetworkInterfaceId] = Field(default_factory=list)
    """Network interfaces that the lookups of the group leave out."""


class CaptureSecurityGroup(Settings):
    """The security group that lets mirrored packets reach the site's appliance."""

    enabled: bool = True
    """`false` where the template's own security group is enough."""
    mirrored_from: Annotated[list[fields.PeerText], Field(min_length=1)] | None = None
    """The sources' CIDR blocks, security groups, prefix lists or VPCs; the site's VPC by default."""
    accept_open_mirrored_from: bool = False
    """Accept 0.0.0.0/0 and ::/0 in `mirrored_from`."""


class Site(Settings):
    """A VPC in an account and Region, captured on its own, with a state of its own."""

    region: fields.Region
    """The Region."""
    accept_unknown_region: bool = False
    """Accept a `region` that is newer than the list of this version."""
    vpc_id: fields.VpcId
    """The VPC."""
    allowed_account_ids: Annotated[list[fields.AccountId], Field(min_length=1)] = Field(default_factory=list)
    """The only accounts that Terraform may deploy to; any account by default."""
    assume_role: AssumeRole | None = None
    """The role to assume; the caller's own credentials by default."""
    tags: fields.Tags = Field(default_factory=dict)
    """Tags of everything of this site, besides the project's."""
    packet_basics: PacketBasics | None = None
    """The appliance; none where sessions use existing targets and filters."""
    remove_packet_basics: bool = False
    """Delete the site's appliance and all packets that it keeps. Write it in place of `packet_basics`."""
    capture_security_group: CaptureSecurityGroup = Field(default_factory=CaptureSecurityGroup)
    """Security group that lets mirrored packets reach the appliance."""
    quarantine_security_group: bool = True
    """Create the VPC's quarantine security group."""
    filters: _mapping_of(Filter, "Mirror filters by name.")  # type: ignore[valid-type]
    targets: _mapping_of(Target, "Further mirror targets by name.")  # type: ignore[valid-type]
    sessions: _mapping_of(Sessions, "Groups of sessions by name.")  # type: ignore[valid-type]
    response: Response | None = None
    """Incident response of the site; none by default."""
    xdr: Xdr | None = None
    """Telemetry of the site for an XDR; none by default."""


@dataclass(frozen=True, slots=True)
class _ReadFrom:
    """Where a deployment was read; two that say the same are equal, wherever."""

    file: str = field(default="the deployment file", compare=False)
    line: Callable[[Path], int | None] = field(default=lambda _: None, compare=False)


class Deployment(Settings):
    """A Tapstack deployment: any number of sites, and what they share."""

    project: fields.Name = "tapstack"
    """The beginning of the names of state files and CloudFormation stacks. With another name the deployment has a new,
    empty state."""
    tags: fields.Tags = Field(default_factory=dict)
    """Tags of everything that is deployed."""
    backend: Backend = Field(default_factory=lambda: Backend(local=LocalBackend()))
    """Where Terraform keeps its state; a local directory by default."""
    provider: Provider = Field(default_factory=Provider)
    """The Terraform AWS provider."""
    sites: Annotated[dict[fields.Name, Site], Field(min_length=1)]
    """Sites by name; each becomes a Terraform stack, its telemetry and its response one more each."""

    _warnings: list[tuple[str, bool]] = PrivateAttr(default_factory=list)
    _read_from: _ReadFrom = PrivateAttr(default_factory=lambda: _ReadFrom())

    def note_file(self, file: str, line: Callable[[Path], int | None]) -> None:
        """Set the name of the file, and the function that finds the line of a part of it."""
        self._read_from = _ReadFrom(file, line)

    def refusal(self, path: Path, message: str) -> DeploymentError:
        """Return the refusal of a part of the file that is found to be wrong later."""
        return DeploymentError(self._read_from.file, [Problem(path, message, line=self._read_from.line(path))])

    def note_warnings(self, warnings: Iterable[tuple[str, bool]]) -> None:
        """Keep what is likely wrong with the file, and whether the constructs say so as well."""
        self._warnings.extend(warnings)

    def warnings(self, *, before_synthesis: bool = False) -> list[str]:
        """Return what is likely wrong with the file, each with its line.

        Args:
            before_synthesis: leave out what the constructs will say themselves.
        """
        return [text for text, by_constructs in self._warnings if not (before_synthesis and by_constructs)]

    def stack_name(self, site: str) -> str:
        """Return the name of the CloudFormation stack of a site's appliance."""
        basics = self.sites[site].packet_basics
        return (basics.stack_name if basics else None) or names.packet_basics_stack_name(self.project, site)

    def quarantine_group_name(self, site: str) -> str:
        """Return the name that the quarantine group of a site is made with; one that exists keeps the name it has."""
        return names.quarantine_group_name(self.project, site)

    def description(self, site: str, name: str) -> str:
        """Return what describes a target, a filter or the sessions of a group in AWS by default."""
        return f"Tapstack {self.project}/{site}/{name}"

    def landing_bucket_name(self, site: str, account: str) -> str:
        """Return the name of the bucket that a site's telemetry lands in; `account` may be a token."""
        xdr = self.sites[site].xdr
        given = xdr.landing.bucket if xdr is not None else None
        return given or landing_bucket_name(self.project, site, account)

    def landing_key_alias(self, site: str) -> str:
        """Return the alias of the key that encrypts what lands in a new bucket of a site."""
        return f"alias/{landing_key_name(self.project, site)}"

    def launched_stack_name(self, site: str) -> str:
        """Return the name of the CloudFormation stack that incidents of a site launch."""
        return names.launched_stack_name(self.project, site)
