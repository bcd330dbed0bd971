"""A traffic mirror filter and its rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tapstack.bindings import AwsConstruct, Construct, aws, cdk
from tapstack.capture.scaffold import (
    CREATE_FIRST,
    checks_arguments,
    delete_last,
    located,
    name_main_child,
    name_tag,
    warn,
)
from tapstack.domain import filter_presets
from tapstack.domain.arguments import check_arguments
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_changes import order_of_changes
from tapstack.domain.filter_presets import FilterPreset
from tapstack.domain.filter_rules import MirrorRule, PortRange, likely_mistakes, number_rules
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tags import EC2, check_construct_tags


class IMirrorFilter(Protocol):
    """A traffic mirror filter, ours or one that exists already."""

    @property
    def mirror_filter_id(self) -> str:
        """Its id, tmf-..., or a token."""


@dataclass(frozen=True)
class _ImportedFilter:
    mirror_filter_id: str


class MirrorFilter(AwsConstruct):
    """Decides which packets a session mirrors.

    Rules become resources of their own, addressed by direction and number, so that a rule
    put between two others changes rules in place and collides with none. Those that accept change first.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`; direct children of a stack are addressed by it.
        rules: up to 10, both directions together; evaluated from the lowest number of their
            direction, numbered in steps of 100 where they have none. A duplicate is dropped.
        amazon_dns: also mirror DNS to and from the Route 53 Resolver, which rules never match.
            Off by default.
        description: what it is for; names the construct by default.
        logical_id: name in the Terraform address, unique in the stack for its type; `id_` where the
            construct is a direct child of its stack.
        tags: added to the Name tag.
        provider: the AWS provider of what it makes and looks up, for a stack that has several; the one of
            `scope`, in the end the stack's provider without an alias, by default.

    Raises:
        RuleViolation: no rule and no `amazon_dns`, more than 10 rules, or a number used twice.

    See "Traffic mirror filters" in the VPC Traffic Mirroring guide.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        rules: Sequence[MirrorRule],
        amazon_dns: bool = False,
        description: str | None = None,
        logical_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the filter and its rules."""
        with located(scope, id_):
            numbered = number_rules(rules)
            if not numbered and not amazon_dns:
                raise RuleViolation("a filter without a rule mirrors nothing: add a rule or amazon_dns")
            check_construct_tags(tags, EC2)
        super().__init__(scope, id_, provider=provider)
        for mistake in likely_mistakes(numbered, amazon_dns=amazon_dns):
            warn(self, mistake.message)
        self.resource: Any = aws.Ec2TrafficMirrorFilter(
            self,
            "Resource",
            description=description or f"Tapstack {id_}",
            network_services=["amazon-dns"] if amazon_dns else None,
            lifecycle=CREATE_FIRST,
            tags=name_tag(id_, tags),
        )
        name_main_child(self, self.resource, logical_id)
        self.needs = tuple(self._add_rules(numbered))
        """What has to be there before a session uses the filter, and until no session does."""

    @property
    def mirror_filter_id(self) -> str:
        """Its id, as a token."""
        return str(self.resource.id)

    @staticmethod
    def from_id(mirror_filter_id: str) -> IMirrorFilter:
        """Use a filter that exists already, by its id (tmf-...) or a token."""
        return _ImportedFilter(check_identifier("traffic mirror filter", mirror_filter_id))

    @classmethod
    def from_preset(
        cls,
        scope: Construct,
        id_: str,
        preset: FilterPreset,
        *,
        description: str | None = None,
        logical_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> MirrorFilter:
        """Create a filter from a preset of `tapstack.presets`."""
        with located(scope, id_):
            check_arguments(MirrorFilter.from_preset, {"preset": preset})
        return cls(
            scope,
            id_,
            rules=preset.rules,
            amazon_dns=preset.amazon_dns,
            description=description,
            logical_id=logical_id,
            tags=tags,
            provider=provider,
        )

    @classmethod
    def everything(
        cls,
        scope: Construct,
        id_: str,
        *,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> MirrorFilter:
        """Create a filter that mirrors every packet, both directions, both IP families, DNS included."""
        return cls.from_preset(scope, id_, filter_presets.everything(), tags=tags, provider=provider)

    @classmethod
    def everything_but_intra_vpc(
        cls,
        scope: Construct,
        id_: str,
        *,
        vpc_cidrs: Sequence[str],
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> MirrorFilter:
        """Create a filter that mirrors what enters or leaves the VPC, given its 1 to 3 CIDR blocks."""
        with located(scope, id_):
            check_arguments(MirrorFilter.everything_but_intra_vpc, {"vpc_cidrs": vpc_cidrs})
            preset = filter_presets.everything_but_intra_vpc(vpc_cidrs)
        return cls.from_preset(scope, id_, preset, tags=tags, provider=provider)

    @classmethod
    def web(
        cls,
        scope: Construct,
        id_: str,
        *,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> MirrorFilter:
        """Create a filter for HTTP and HTTPS over TCP and IPv4, as server and as client."""
        return cls.from_preset(scope, id_, filter_presets.web(), tags=tags, provider=provider)

    @classmethod
    def dns(
        cls,
        scope: Construct,
        id_: str,
        *,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> MirrorFilter:
        """Create a filter for DNS: the Route 53 Resolver, and port 53 over UDP and TCP and IPv4."""
        return cls.from_preset(scope, id_, filter_presets.dns(), tags=tags, provider=provider)

    def _add_rules(self, rules: Sequence[MirrorRule]) -> list[Any]:
        """Make the rules, each after the one before it in the order of changes of its direction."""
        made: list[Any] = []
        last: dict[str, Any] = {}
        for rule in order_of_changes(rules):
            last[rule.direction] = self._add_rule(rule, last.get(rule.direction))
            made.append(last[rule.direction])
        if made:
            delete_last(self, "Rules", made)
        return made

    def _add_rule(self, rule: MirrorRule, after: Any) -> Any:
        return aws.Ec2TrafficMirrorFilterRule(
            self,
            f"{rule.direction}-{rule.number}",
            traffic_mirror_filter_id=self.resource.id,
            traffic_direction=rule.direction,
            rule_number=rule.number,
            rule_action=rule.action,
            protocol=rule.traffic.protocol,
            source_cidr_block=rule.source_cidr,
            destination_cidr_block=rule.destination_cidr,
            source_port_range=_ports(aws.Ec2TrafficMirrorFilterRuleSourcePortRange, rule.traffic.source_ports),
            destination_port_range=_ports(
                aws.Ec2TrafficMirrorFilterRuleDestinationPortRange, rule.traffic.destination_ports
            ),
            description=rule.description or None,
            depends_on=[after] if after is not None else None,
            lifecycle=CREATE_FIRST,
        )


def _ports(struct: Any, ports: PortRange | None) -> Any:
    return None if ports is None else struct(from_port=ports.first, to_port=ports.last)
