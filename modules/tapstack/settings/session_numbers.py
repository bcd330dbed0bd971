"""The numbers that the sessions of a site have, chosen as the constructs choose them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tapstack.domain.sessions import SessionBook
from tapstack.domain.sources import split_sources
from tapstack.settings.model import PACKET_BASICS, Site


@dataclass(frozen=True)
class SessionNumbers:
    """The numbers that sessions have.

    Attributes:
        lookups: the numbers of sessions on interfaces that a group looks up, by group.
        known: the numbers of sessions on interfaces that the file names, by group and interface.
        appliance: the number of the session of the appliance's own stack; none without a `mirror_source`.
    """

    lookups: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[str, str], int] = field(default_factory=dict)
    appliance: int | None = None

    def on(self, group: str, interface: str) -> int:
        """Return the number of a group's session on an interface; 0 where it has none."""
        return self.known.get((group, interface), self.lookups.get(group, 0))

    def all(self) -> set[int]:
        """Return all numbers of the groups."""
        return {*self.lookups.values(), *self.known.values()}


def session_numbers(site: Site) -> SessionNumbers:
    """Return the numbers that the sessions of a site have."""
    book, appliance = SessionBook(), None
    lookups: dict[str, int] = {}
    known: dict[tuple[str, str], int] = {}
    basics = site.packet_basics
    if basics is not None and basics.mirror_source is not None:
        appliance = book.add_mirror_source(PACKET_BASICS, basics.mirror_source, basics.mirror_session_number)
    for name, sessions in site.sessions.items():
        given, start = sessions.session_number, sessions.first_session_number
        book.add_group(name, given, start=start)
        named, sought = split_sources([settings.to_domain() for settings in sessions.sources])
        for interface, source in named.items():
            number = source.session_number if source.session_number is not None else given
            known[name, interface] = book.add_known(name, interface, number, start=start)
        if sought:
            lookups[name] = book.add_unknown(name, given, start=start)
    return SessionNumbers(lookups, known, appliance)
