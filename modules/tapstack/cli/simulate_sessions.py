"""What `tapstack simulate` plays packets at: a filter alone, or the sessions of a site's interfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from tapstack.cli.incident_explain import WrongInputError
from tapstack.domain import filter_presets
from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.filter_presets import FilterPreset
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.sources import AnySource, SourceLookup
from tapstack.domain.suggestions import did_you_mean
from tapstack.packets.mirroring import MirrorSession, MirrorTarget
from tapstack.settings.load import deployment_path, load_deployment, shown
from tapstack.settings.model import PACKET_BASICS, Deployment, Filter, Site, SourceSettings
from tapstack.settings.session_numbers import SessionNumbers, session_numbers

BLOCKS: Final = "everything_but_intra_vpc"
"""The preset that takes the VPC's blocks."""
PRESETS: Final = tuple(name for one in get_args(Filter.model_fields["preset"].annotation) for name in get_args(one))
_SHOWN_INTERFACES: Final = 1


@dataclass(frozen=True, slots=True)
class Interfaces:
    """Network interfaces that have the same sessions.

    Attributes:
        name: what the result calls them.
        sessions: of each of them.
    """

    name: str
    sessions: tuple[MirrorSession, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where packets are played.

    Attributes:
        kind: `filter` or `site`.
        name: of it.
        heading: what it is, for the first lines.
        interfaces: those with different sessions apart.
        notes: what the reader has to know besides.
    """

    kind: Literal["filter", "site"]
    name: str
    heading: str
    interfaces: tuple[Interfaces, ...]
    notes: tuple[str, ...] = ()

    @property
    def filter_only(self) -> bool:
        """Return whether it is a filter without sessions and targets."""
        return self.kind == "filter"


def filter_place(
    name: str, deployment_file: Path | None, site_name: str | None, *, vpc_cidrs: Sequence[str], target: MirrorTarget
) -> Place:
    """Return a filter as a place: a preset, or a filter of a site.

    Args:
        name: of the filter; of a preset first, unless a site is given.
        deployment_file: by default as `deployment_path` finds it; not read for a preset.
        site_name: whose filter it is.
        vpc_cidrs: the blocks of the VPC, for `everything_but_intra_vpc`.
        target: what it would be sent to.

    Raises:
        WrongInputError: there is no such filter, or the preset does not fit to the blocks.
        DeploymentError: the file is wrong.
    """
    if site_name is None and name in PRESETS:
        try:
            preset = _preset(name, vpc_cidrs)
        except RuleViolation as violation:
            raise WrongInputError(f"--filter {name}: {violation}; give --vpc-cidr for each block of the VPC") from None
        return _filter_place(name, f"{name} (preset)", preset, target)
    path = deployment_file or deployment_path(Path.cwd())
    deployment = load_deployment(path)
    names = list(deployment.sites) if site_name is None else [_site_name(deployment, site_name, shown(path))]
    sites = {key: deployment.sites[key] for key in names}
    having = [key for key, site in sites.items() if name in site.filters]
    if len(having) > 1:
        raise WrongInputError(
            f"--filter {name}: several sites have one of this name: give --site {' or '.join(having)}"
        )
    if not having:
        known = [*dict.fromkeys(key for site in sites.values() for key in site.filters)]
        where = f"site {site_name} of {shown(path)} has" if site_name else f"no preset, and {shown(path)} has"
        filters = known if site_name else [*PRESETS, *known]
        expected = f"expected {', '.join(filters)}" if filters else "it has no filters"
        meant = did_you_mean(name, filters)
        raise WrongInputError(f"--filter {name}: {where} no filter of this name: {meant}{expected}")
    site = deployment.sites[having[0]]
    return _filter_place(name, f"{name} of site {having[0]}", site.filters[name].to_domain(), target)


def _preset(name: str, vpc_cidrs: Sequence[str]) -> FilterPreset:
    if name == BLOCKS:
        return filter_presets.everything_but_intra_vpc(vpc_cidrs)
    return Filter.model_validate({"preset": name}).to_domain()


def _filter_place(name: str, title: str, preset: FilterPreset, target: MirrorTarget) -> Place:
    session = MirrorSession(1, name, preset, target, filter_name=name)
    dns = "amazon-dns" if preset.amazon_dns else "no amazon-dns"
    heading = f"{title}: {counted(len(preset.rules), 'rule')}, {dns}"
    return Place("filter", name, heading, (Interfaces("", (session,)),))


def _site_name(deployment: Deployment, name: str | None, file: str) -> str:
    """Return the name of a site; of the only one where none is named."""
    sites = list(deployment.sites)
    if name is None and len(sites) > 1:
        raise WrongInputError(f"{file} has several sites: give --site {' or '.join(sites)}, or a filter with --filter")
    if name is not None and name not in sites:
        raise WrongInputError(
            f"--site {name}: {file} has no such site: {did_you_mean(name, sites)}expected {', '.join(sites)}"
        )
    return sites[0] if name is None else name


def site_place(
    deployment_file: Path | None,
    site_name: str | None,
    *,
    interface: str | None,
    groups: Sequence[str],
    mtu: int,
) -> Place:
    """Return the interfaces that a site mirrors, each kind with its sessions.

    Args:
        deployment_file: by default as `deployment_path` finds it.
        site_name: by default the only one.
        interface: the only one that counts, by its id.
        groups: the only groups of sessions that count, all on one interface.
        mtu: of the network interfaces that are targets.

    Raises:
        WrongInputError: there is no such site, interface or group, or nothing is mirrored.
        DeploymentError: the file is wrong.
    """
    path = deployment_file or deployment_path(Path.cwd())
    deployment = load_deployment(path)
    name = _site_name(deployment, site_name, shown(path))
    site = deployment.sites[name]
    sessions = _Sessions(site, session_numbers(site), mtu)
    if groups:
        interfaces = [_of_groups(sessions, groups, name, interface)]
    elif interface is not None:
        interfaces = [_of_interface(sessions, interface, name)]
    else:
        interfaces = sessions.all()
    if not interfaces:
        raise WrongInputError(f"site {name} of {shown(path)} has no sessions: expected sites.{name}.sessions")
    heading = f"{name}: {counted(len(site.sessions), 'group')} of sessions"
    notes = tuple(_notes(site, sessions, interface, groups))
    return Place("site", name, heading, tuple(interfaces), notes)


class _Sessions:
    """The sessions of a site's interfaces."""

    def __init__(self, site: Site, numbers: SessionNumbers, mtu: int) -> None:
        self.site, self._numbers, self._mtu = site, numbers, mtu
        self.lookups = {
            name: [str(one) for one in map(_domain, group.sources) if isinstance(one, SourceLookup)]
            for name, group in site.sessions.items()
        }

    def all(self) -> list[Interfaces]:
        """Return the interfaces that the file names, those with the same sessions together, and what lookups find."""
        alike: dict[tuple[MirrorSession, ...], list[str]] = {}
        for interface in self.named():
            alike.setdefault(self.of(interface), []).append(interface)
        found = [Interfaces(_listed(names), sessions) for sessions, names in alike.items()]
        for name, lookups in self.lookups.items():
            if lookups:
                found.append(Interfaces(f"found by {name}", (self._session(name, self._numbers.lookups[name]),)))
        return found

    def named(self) -> list[str]:
        """Return the interfaces that the file names."""
        basics = self.site.packet_basics
        first = [basics.mirror_source] if basics is not None and basics.mirror_source is not None else []
        return [*dict.fromkeys([*first, *(interface for _, interface in self._numbers.known)])]

    def of(self, interface: str) -> tuple[MirrorSession, ...]:
        """Return the sessions of an interface that the file names."""
        found = [
            self._session(group, number) for (group, named), number in self._numbers.known.items() if named == interface
        ]
        basics = self.site.packet_basics
        if basics is not None and basics.mirror_source == interface and self._numbers.appliance is not None:
            target = self._target(PACKET_BASICS)
            found.append(MirrorSession(self._numbers.appliance, PACKET_BASICS, None, target, filter_name=PACKET_BASICS))
        return tuple(sorted(found, key=lambda one: one.number))

    def group(self, name: str, interface: str | None) -> MirrorSession:
        """Return the session of a group: on an interface, on those that it looks up, or on the first that it names."""
        numbers = [number for (group, named), number in self._numbers.known.items() if group == name]
        on_it = self._numbers.on(name, interface) if interface is not None else 0
        return self._session(name, on_it or self._numbers.lookups.get(name) or numbers[0])

    def _session(self, group: str, number: int) -> MirrorSession:
        settings = self.site.sessions[group]
        known = self.site.filters.get(settings.filter)
        return MirrorSession(
            number,
            group,
            None if known is None else known.to_domain(),
            self._target(settings.target),
            settings.packet_length,
            settings.virtual_network_id,
            settings.filter,
        )

    def _target(self, name: str) -> MirrorTarget:
        target = self.site.targets.get(name)
        if target is None:
            # The id of one that exists says nothing of its kind.
            return MirrorTarget(name, "network interface" if name == PACKET_BASICS else None, self._mtu)
        if target.network_interface_id is not None:
            return MirrorTarget(name, "network interface", self._mtu)
        if target.gateway_load_balancer_endpoint_id is not None:
            return MirrorTarget(name, "gateway load balancer endpoint")
        return MirrorTarget(name, "network load balancer")


def _domain(settings: SourceSettings) -> AnySource:
    return settings.to_domain()


def _of_interface(sessions: _Sessions, interface: str, site: str) -> Interfaces:
    try:
        check_identifier("network interface", interface)
    except RuleViolation as violation:
        raise WrongInputError(f"--interface: {violation}") from None
    named = sessions.named()
    if interface in named:
        return Interfaces(interface, sessions.of(interface))
    seeking = [name for name, lookups in sessions.lookups.items() if lookups]
    ways = [f"expected {', '.join(named)}"] if named else []
    if seeking:
        ways.append(f"what a lookup finds is known when Terraform plans: give --sessions {' or '.join(seeking)} for it")
    raise WrongInputError(f"--interface {interface}: no group of site {site} names it: {'; '.join(ways)}")


def _of_groups(sessions: _Sessions, groups: Sequence[str], site: str, interface: str | None) -> Interfaces:
    known = list(sessions.site.sessions)
    for name in groups:
        if name not in known:
            expected = f"expected {', '.join(known)}" if known else "it has none"
            raise WrongInputError(
                f"--sessions {name}: site {site} has no such group: {did_you_mean(name, known)}{expected}"
            )
    found = tuple(sessions.group(name, interface) for name in dict.fromkeys(groups))
    if len({one.number for one in found}) < len(found):
        shared = " and ".join(f"{one.name} (number {one.number})" for one in found)
        raise WrongInputError(f"--sessions: no interface can be in {shared}: session numbers of one interface differ")
    return Interfaces(interface or f"in {', '.join(dict.fromkeys(groups))}", found)


def _notes(site: Site, sessions: _Sessions, interface: str | None, groups: Sequence[str]) -> list[str]:
    notes = []
    if not groups:
        seeking = {name: lookups for name, lookups in sessions.lookups.items() if lookups}
        # What one lookup alone finds has no other session.
        alone = interface is None and not sessions.named() and len(seeking) == 1
        for name, lookups in ({} if alone else seeking).items():
            about = f"{interface} too" if interface is not None else "interfaces that others name too"
            notes.append(
                f"sessions {name} may mirror {about}: what it looks up ({'; '.join(lookups)}) is known when Terraform "
                "plans"
            )
    if site.response is not None:
        notes.append("an incident's session takes the first free number of an interface, so that it may be asked first")
    return notes


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_INTERFACES
    return ", ".join(names[:_SHOWN_INTERFACES]) + (f" and {more} more" if more > 0 else "")
