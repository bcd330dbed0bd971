"""What is mirrored: network interfaces that are known, or found when Terraform plans.

Source: VPC Traffic Mirroring guide, "Traffic mirror sources".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tapstack.domain import ec2_filters, globs, instance_types, limits
from tapstack.domain.arguments import check_fields, checked
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier, check_name
from tapstack.domain.tokens import is_token


@dataclass(frozen=True, slots=True)
class KnownSource:
    """One network interface.

    Attributes:
        network_interface_id: may be a token.
        name: what the session is called in addresses; the interface id where that is literal.
        session_number: 1 to 32766; allocated when None.
    """

    network_interface_id: str
    name: str
    session_number: int | None = None

    def __post_init__(self) -> None:
        """Refuse a wrong id or number, and a name other than sessions of such an interface have.

        Raises:
            RuleViolation: names what is wrong.
        """
        check_identifier("network interface", self.network_interface_id)
        if is_token(self.network_interface_id):
            check_name(self.name)
        elif self.name != self.network_interface_id:
            raise RuleViolation(
                f"source {self.network_interface_id} is named by its id; leave out name={self.name!r}, which only "
                "goes with an id that is a token"
            )
        if self.session_number is not None:
            limits.check_session_number(self.session_number)


@dataclass(frozen=True, slots=True)
class SourceLookup:
    """Every network interface that fulfils all conditions given, found when Terraform plans.

    Only interfaces of type `interface` that are in use are found; those that AWS services
    manage only when asked for, because AWS mirrors few of them (RDS, ElastiCache). Those of
    instances of a type that AWS does not mirror are left out, with a warning of the plan.

    Attributes:
        tags: of the interface itself; in a value, here and in `instance_tags`, `*` stands for any text and `?` for any
            one character.
        instance_id: of the instance it is attached to.
        subnet_id: it is in this subnet.
        vpc_id: it is in this VPC.
        include_requester_managed: find those that AWS services manage, too.
        instance_tags: of the instance it is attached to.
        accept_instance_type: leave none out for its instance's type, whatever the list says.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    instance_id: str | None = None
    subnet_id: str | None = None
    vpc_id: str | None = None
    include_requester_managed: bool = False
    instance_tags: Mapping[str, str] = field(default_factory=dict)
    accept_instance_type: bool = False

    def __post_init__(self) -> None:
        """Refuse a lookup without a condition, and ids of the wrong form."""
        check_fields(self)
        if not (self.tags or self.instance_tags or self.instance_id or self.subnet_id or self.vpc_id):
            raise RuleViolation("a lookup of sources needs tags, instance tags, an instance, a subnet or a VPC")
        if self.instance_tags and self.instance_id:
            raise RuleViolation("instance_tags does not go with instance_id: one says which instance it is already")
        for kind, value in (
            ("instance", self.instance_id),
            ("subnet", self.subnet_id),
            ("vpc", self.vpc_id),
        ):
            if value is not None:
                check_identifier(kind, value)

    def warnings(self) -> list[str]:
        """Say what of the interfaces that it finds AWS is likely not to mirror."""
        if self.include_requester_managed:
            return ["of the interfaces that AWS services manage, AWS mirrors those of RDS and ElastiCache only"]
        return []

    def filters(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return the filters of DescribeNetworkInterfaces, in a stable order."""
        found: list[tuple[str, tuple[str, ...]]] = [
            ("interface-type", ("interface",)),
            ("status", ("in-use",)),
        ]
        if not self.include_requester_managed:
            found.append(("requester-managed", ("false",)))
        if self.instance_id:
            found.append(("attachment.instance-id", (self.instance_id,)))
        if self.subnet_id:
            found.append(("subnet-id", (self.subnet_id,)))
        if self.vpc_id:
            found.append(("vpc-id", (self.vpc_id,)))
        found.extend(_tag_filters(self.tags))
        return tuple(found)

    def instance_filters(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Return the filters of DescribeInstances that find the instances by their tags."""
        return tuple(_tag_filters(self.instance_tags))

    def __str__(self) -> str:
        """Name its conditions as the deployment file does."""
        named = {
            "instance_id": self.instance_id,
            "subnet_id": self.subnet_id,
            "vpc_id": self.vpc_id,
            **{f"tag {key}": value for key, value in self.tags.items()},
            **{f"instance tag {key}": value for key, value in self.instance_tags.items()},
        }
        return ", ".join(f"{name} = {value}" for name, value in named.items() if value is not None)

    def can_overlap(self, other: SourceLookup) -> bool:
        """Return whether one network interface could fulfil the conditions of both, as far as they are written."""
        pairs = [
            (self.instance_id, other.instance_id),
            (self.subnet_id, other.subnet_id),
            (self.vpc_id, other.vpc_id),
            *((value, other.tags.get(key)) for key, value in self.tags.items()),
            *((value, other.instance_tags.get(key)) for key, value in self.instance_tags.items()),
        ]
        return all(
            mine is None or theirs is None or is_token(mine) or is_token(theirs) or _can_be_both(mine, theirs)
            for mine, theirs in pairs
        )


def _tag_filters(tags: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key, value in sorted(tags.items()):
        yield f"tag:{key}", (ec2_filters.from_pattern(value),)


def _can_be_both(mine: str, theirs: str) -> bool:
    """Return whether one value could fit both; two patterns are taken to fit: a warning too many does no harm."""
    if globs.is_literal(mine):
        return globs.matches(theirs, mine)
    return not globs.is_literal(theirs) or globs.matches(mine, theirs)


AnySource = KnownSource | SourceLookup


class Source:
    """Factories for what is mirrored."""

    @staticmethod
    @checked
    def network_interface(
        network_interface_id: str,
        *,
        name: str | None = None,
        session_number: int | None = None,
        instance_type: str | None = None,
        accept_instance_type: bool = False,
    ) -> KnownSource:
        """Mirror one network interface.

        Args:
            network_interface_id: its id, or a token.
            name: names the session in Terraform's addresses. Needed for a token; a literal
                id names itself.
            session_number: 1 to 32766, 1 evaluated first; the first free number of the
                interface when omitted.
            instance_type: of the instance it is attached to, checked against AWS's allow-list.
            accept_instance_type: the instance type is fine, whatever the list says.

        Raises:
            RuleViolation: a wrong id or number, a token without a name, or an instance type
                that AWS does not mirror.
        """
        if name is None and is_token(network_interface_id):
            raise RuleViolation(
                "a source whose network interface id is a token needs a name: Terraform's addresses must not "
                "depend on values that are known only after apply"
            )
        source = KnownSource(network_interface_id, network_interface_id if name is None else name, session_number)
        if instance_type is not None:
            if not accept_instance_type:
                instance_types.check_size(instance_type)
            instance_types.check_source_type(instance_type, accept=accept_instance_type)
        return source

    @staticmethod
    def instance(instance_id: str) -> SourceLookup:
        """Mirror every network interface of an instance."""
        return SourceLookup(instance_id=instance_id)

    @staticmethod
    @checked
    def tagged(tags: Mapping[str, str], *, vpc_id: str | None = None) -> SourceLookup:
        """Mirror every network interface that carries all these tags (the interface's, not the instance's)."""
        return SourceLookup(tags=dict(tags), vpc_id=vpc_id)

    @staticmethod
    def tagged_instances(tags: Mapping[str, str], *, vpc_id: str | None = None) -> SourceLookup:
        """Mirror every network interface of the instances that carry all these tags."""
        return SourceLookup(instance_tags=dict(tags), vpc_id=vpc_id)

    @staticmethod
    def subnet(subnet_id: str) -> SourceLookup:
        """Mirror every network interface of a subnet."""
        return SourceLookup(subnet_id=subnet_id)

    @staticmethod
    def vpc(vpc_id: str) -> SourceLookup:
        """Mirror every network interface of a VPC."""
        return SourceLookup(vpc_id=vpc_id)


def split_sources(sources: Sequence[AnySource]) -> tuple[dict[str, KnownSource], list[SourceLookup]]:
    """Return known sources by name and lookups in order; a source said twice counts once.

    Raises:
        RuleViolation: no source at all, or one name for two interfaces.
    """
    known: dict[str, KnownSource] = {}
    lookups: list[SourceLookup] = []
    for source in sources:
        if isinstance(source, SourceLookup):
            if is_token(dict(source.tags)) or source not in lookups:
                lookups.append(source)
            continue
        earlier = known.get(source.name)
        if earlier is not None and earlier != source:
            raise RuleViolation(f"source {source.name} is given twice with different values: keep one of the two")
        known[source.name] = source
    if not known and not lookups:
        raise RuleViolation("no source given: name at least one network interface, or a lookup")
    return known, lookups
