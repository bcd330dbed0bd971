"""The mirror sessions of a stack: session numbers, sessions of each interface, sources of each target.

Source: VPC Traffic Mirroring guide, "Traffic Mirroring quotas" and "Work with traffic
mirror sessions". The numbers of one source must differ; at most 3 sessions share it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from tapstack.domain import instance_types, limits
from tapstack.domain.errors import RuleViolation
from tapstack.domain.sources import SourceLookup


@dataclass(slots=True)
class SessionBook:
    """Records the sessions of one account and Region, and assigns their numbers.

    It knows only what is written down: sessions that others made are counted at run
    time. All sessions of a group have one number, the lowest that nothing before the
    group uses, so that sources come and go without changing the number of another.
    """

    warnings: list[str] = field(default_factory=list)
    appliances: list[str] = field(default_factory=list)
    """CloudFormation stacks of appliances; their interfaces are targets, and so no sources."""
    target_addresses: dict[str, list[str]] = field(default_factory=dict)
    """Private addresses that receive mirrored traffic behind load balancers, by the VPC of the load balancer."""
    _target_instances: dict[str, str] = field(default_factory=dict)
    _numbers: dict[str, dict[int, str]] = field(default_factory=dict)
    _groups_of_number: dict[int, set[str]] = field(default_factory=dict)
    _number_of_group: dict[tuple[str, int], int] = field(default_factory=dict)
    _implied: dict[str, str] = field(default_factory=dict)
    _unknown: dict[int, set[str]] = field(default_factory=dict)
    _sources: dict[Hashable, set[str]] = field(default_factory=dict)
    _target_interfaces: dict[str, str] = field(default_factory=dict)
    _lookups: dict[str, list[SourceLookup]] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    """The address of what each group mirrors, where it has lookups."""
    _target_load_balancers: dict[str, str] = field(default_factory=dict)

    def add_target_interface(self, interface: str, target: str) -> str | None:
        """Record that `interface` receives mirrored traffic, so it cannot be a source; return an earlier target of it.

        Raises:
            RuleViolation: it is a source already.
        """
        if interface in self._numbers:
            raise RuleViolation(_source_is_target(interface, target))
        first = self._target_interfaces.setdefault(interface, target)
        return first if first != target else None

    def add_target_instance(self, instance: str, load_balancer: str) -> None:
        """Record that `instance` receives mirrored traffic behind a load balancer, so it cannot be a source.

        Args:
            instance: id of the instance.
            load_balancer: what messages call the load balancer.

        Raises:
            RuleViolation: it is looked up as a source already.
        """
        self._target_instances.setdefault(instance, load_balancer)
        for lookups in self._lookups.values():
            for lookup in lookups:
                self.check_lookup(lookup)

    def check_lookup(self, lookup: SourceLookup) -> None:
        """Refuse a lookup of an instance that receives mirrored traffic; other lookups leave its interfaces out."""
        if lookup.instance_id in self._target_instances:
            raise RuleViolation(
                f"instance {lookup.instance_id} cannot be a source: it receives mirrored traffic behind the load "
                f"balancer of {self._target_instances[lookup.instance_id]}, and no instance can be both source and "
                "target"
            )

    @property
    def target_instances(self) -> tuple[str, ...]:
        """The instances that are known to receive mirrored traffic behind load balancers."""
        return tuple(self._target_instances)

    def add_target_load_balancer(self, arn: str, target: str) -> None:
        """Record that a Network Load Balancer is behind `target`: AWS accepts one target for each.

        Args:
            arn: of the load balancer, or a token, which is the same load balancer wherever it is the same token.
            target: what messages call the target.

        Raises:
            RuleViolation: it is behind another target already.
        """
        first = self._target_load_balancers.setdefault(arn, target)
        if first != target:
            raise RuleViolation(
                f"the load balancer of {target} is behind {first} already: AWS takes one mirror target for a "
                f"Network Load Balancer; use {first} for both, or share it"
            )

    @property
    def target_interfaces(self) -> tuple[str, ...]:
        """The network interfaces that are known to receive mirrored traffic."""
        return tuple(self._target_interfaces)

    def add_group(self, group: str, number: int | None = None, *, start: int = 1) -> int:
        """Return the number of a group's sessions, and reserve it, whatever sources the group has.

        Args:
            group: who asks; named in messages.
            number: the number wanted, 1 to 32766; the lowest that nothing added before uses when omitted.
            start: where the search for one begins.

        Raises:
            RuleViolation: the number is out of range.
        """
        if number is not None:
            limits.check_session_number(number)
            self._groups_of_number.setdefault(number, set()).add(group)
            return number
        if (group, start) not in self._number_of_group:
            number = start
            while self._groups_of_number.get(number, set()) - {group}:
                number += 1
            limits.check_session_number(number)
            self._number_of_group[group, start] = number
            self._groups_of_number.setdefault(number, set()).add(group)
        return self._number_of_group[group, start]

    def add_mirror_source(self, group: str, interface: str, number: int | None = None) -> int:
        """Add the session of an appliance's own stack on a known interface and return its number.

        Raises:
            RuleViolation: as `add_known`; or it gets no number, and others mirror the interface too: the stack
                would take a number that one of their sessions still has.
        """
        if number is None:
            if interface in self._numbers:
                raise RuleViolation(_mirror_source_is_source(interface, group))
            self._implied[interface] = group
        return self.add_known(group, interface, number)

    def add_known(self, group: str, interface: str, number: int | None = None, *, start: int = 1) -> int:
        """Add a session of `group` on a known interface and return its number.

        Args:
            group: who asks; named in messages.
            interface: network interface id.
            number: the number wanted, 1 to 32766; that of the group when omitted, or the next one that is free
                on the interface.
            start: where the search for the group's number begins.

        Raises:
            RuleViolation: the number is out of range or taken on that interface, it is the
                fourth session there, or the interface is a target.
        """
        if interface in self._target_interfaces:
            raise RuleViolation(_source_is_target(interface, self._target_interfaces[interface]))
        if self._implied.get(interface, group) != group:
            raise RuleViolation(_mirror_source_is_source(interface, self._implied[interface]))
        taken = self._numbers.setdefault(interface, {})
        if len(taken) >= limits.SESSIONS_PER_INTERFACE:
            raise RuleViolation(
                f"network interface {interface} would be in more than {limits.SESSIONS_PER_INTERFACE} sessions: "
                f"it is in {_listed(taken.values())} already"
            )
        if number is None:
            number = self.add_group(group, start=start)
            while number in taken or self._unknown.get(number, set()) - {group}:
                number += 1
            limits.check_session_number(number)
        else:
            limits.check_session_number(number)
            if number in taken:
                raise RuleViolation(
                    f"session number {number} on network interface {interface} is taken by {taken[number]}: "
                    "give one of the two another number"
                )
            if others := self._unknown.get(number, set()) - {group}:
                self.warnings.append(
                    f"session number {number} on network interface {interface} collides with {_listed(others)} "
                    "if its lookup finds that interface too"
                )
        taken[number] = group
        self._groups_of_number.setdefault(number, set()).add(group)
        return number

    def add_unknown(self, group: str, number: int | None = None, *, start: int = 1) -> int:
        """Add sessions of `group` on interfaces that only Terraform will know; return their number.

        Raises:
            RuleViolation: the number is out of range.
        """
        if number is None:
            number = self.add_group(group, start=start)
        limits.check_session_number(number)
        # Also of a number that was chosen: another group may have been given it since.
        if others := self._groups_of_number.get(number, set()) - {group}:
            self.warnings.append(
                f"session number {number} of {group} collides with {_listed(others)} "
                "where both mirror the same network interface"
            )
        self._unknown.setdefault(number, set()).add(group)
        self._groups_of_number.setdefault(number, set()).add(group)
        return number

    def add_lookups(self, group: str, lookups: Sequence[SourceLookup]) -> list[str]:
        """Record what a group looks up; return the groups that can find the same network interfaces.

        Warns where there are such groups: each packet is mirrored by one session only, and AWS takes 3 for each
        interface.

        Raises:
            RuleViolation: one looks up an instance that receives mirrored traffic.
        """
        for lookup in lookups:
            self.check_lookup(lookup)
        shared = [
            other
            for other, theirs in self._lookups.items()
            if other != group and any(mine.can_overlap(their) for mine in lookups for their in theirs)
        ]
        self._lookups.setdefault(group, []).extend(lookups)
        if len(shared) >= limits.SESSIONS_PER_INTERFACE:
            self.warnings.append(
                f"{_listed([*shared, group])} can find the same network interfaces, and AWS allows "
                f"{limits.SESSIONS_PER_INTERFACE} sessions on one: narrow the lookups"
            )
        elif shared:
            self.warnings.append(
                f"{group} and {_listed(shared)} can find the same network interfaces: a packet is mirrored once, by "
                "the session with the lowest number whose filter accepts it"
            )
        return shared

    def add_source(
        self, target: Hashable, source: str, capacity: int | None, *, target_name: str = "", typed: bool = True
    ) -> None:
        """Count `source` as one of the distinct sources of `target`.

        Args:
            target: whatever identifies the target.
            source: network interface id, or a name that stands for one.
            capacity: how many distinct sources the target takes; no limit when None.
            target_name: what messages call the target.
            typed: the target's instance type can be named, and decides about its capacity.

        Raises:
            RuleViolation: it is one source too many.
        """
        sources = self._sources.setdefault(target, set())
        sources.add(source)
        if capacity is not None and len(sources) > capacity:
            remedy = "use a Network Load Balancer, which has no such limit"
            if typed and capacity < limits.SOURCES_PER_LARGEST_INTERFACE_TARGET:
                remedy += (
                    f", or name the appliance's instance_type where it takes "
                    f"{limits.SOURCES_PER_LARGEST_INTERFACE_TARGET}, with accept_instance_type where the list of "
                    f"{instance_types.AS_OF} lacks it"
                )
            raise RuleViolation(
                f"target {target_name or target} takes at most {capacity} distinct sources, "
                f"got {len(sources)}: {remedy}"
            )


def _mirror_source_is_source(interface: str, group: str) -> str:
    return (
        f"network interface {interface} is the mirror_source of {group} as well: give mirror_session_number, which no "
        "other session of the interface has (1 where both exist already)"
    )


def _source_is_target(interface: str, target: str) -> str:
    return (
        f"network interface {interface} cannot be a source: it receives mirrored traffic as {target}, "
        "and no interface can be both source and target"
    )


def _listed(names: object) -> str:
    return ", ".join(sorted(set(names)))  # type: ignore[call-overload]
