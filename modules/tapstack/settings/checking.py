"""How checks call the domain, and the checks that several parts of the file share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from tapstack.domain import cidrs, template_urls
from tapstack.domain import packet_basics as template
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.suggestions import did_you_mean
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.model import PACKET_BASICS, Sessions, Site
from tapstack.settings.problems import ABSENT, Path, Problem
from tapstack.settings.response import ResponseAppliance
from tapstack.settings.unknown import UNKNOWN, UnknownValueError

Mirroring: TypeAlias = Sessions | ResponseAppliance
"""What names a target and a filter."""


@dataclass(slots=True)
class Checker:
    """Collects problems.

    Attributes:
        problems: what was found.
        warnings: what is likely, not certainly, wrong; and whether the constructs say so as well.
        partial: parts of the file are wrong already, and `UNKNOWN` stands in their place.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[tuple[Problem, bool]] = field(default_factory=list)
    partial: bool = False

    def ask(self, path: Path, question: Callable[[], Any], value: Any = ABSENT) -> Any:
        """Return the answer, or record why there is none; `UNKNOWN` where that cannot be known."""
        try:
            return question()
        except RuleViolation as violation:
            self.say(path, str(violation), value)
            return None
        except (UnknownValueError, TypeError):
            if not self.partial:
                raise
            return UNKNOWN

    def say(self, path: Path, message: str, value: Any = ABSENT) -> None:
        """Record what is wrong."""
        self.problems.append(Problem(path, message, value))

    def warn(self, path: Path, *messages: str, by_constructs: bool = False) -> None:
        """Record what is likely wrong; `by_constructs` where a synthesis says the same."""
        self.warnings += [(Problem(path, message), by_constructs) for message in messages]

    @contextmanager
    def part(self) -> Iterator[None]:
        """Leave out the rest of a part of the checks where it depends on what is wrong already."""
        try:
            yield
        except (UnknownValueError, TypeError):
            # TypeError: the standard library was given what is unknown, and wants text.
            if not self.partial:
                raise


def refuse_twice(checker: Checker, path: Path, values: Sequence[str], *, alike: Callable[[str], str] = str) -> None:
    """Refuse an entry of a list that it has already.

    Args:
        checker: gathers what is wrong.
        path: of the list.
        values: the entries.
        alike: returns the same for entries that mean the same.
    """
    seen = list(map(alike, values))
    for position, value in enumerate(values):
        if (first := seen.index(seen[position])) != position:
            checker.say((*path, position), f"given twice, first as {path[-1]}[{first}]: keep one", value)


def check_template(checker: Checker, path: Path, settings: ApplianceTemplate, region: str) -> None:
    """Check what an appliance's stack in a Region is given."""
    checker.ask(
        (*path, "template_url"),
        lambda: template_urls.check_source(settings.template_url, accept=settings.accept_template_url, region=region),
    )
    checker.ask(
        (*path, "remote_access_cidr"),
        lambda: cidrs.check_remote_access(
            settings.remote_access_cidr, accept_open=settings.accept_open_remote_access, ipv6=False
        ),
    )
    checker.ask(
        (*path, "public_ip"),
        lambda: template.check_public_ip(settings.public_ip, accept=settings.accept_public_ip),
        True,
    )
    checker.warn(
        (*path, "remote_access_cidr"), *cidrs.remote_access_warnings(settings.remote_access_cidr), by_constructs=True
    )
    for name, value in settings.parameters.items():
        with checker.part():
            checker.ask((*path, "parameters", name), partial(template.check_parameter, name, value))
    checker.ask(
        (*path, "permissions_boundary"),
        lambda: template.check_permissions_boundary(settings.permissions_boundary, settings.capabilities),
    )


def check_target_reference(checker: Checker, path: Path, settings: Mirroring, site: Site) -> bool:
    """Return whether `settings.target` names a target of the site; record what is wrong with a wrong one."""
    return _check_reference(checker, path, settings, "tmt-", "target", list(site.targets), site)


def check_filter_reference(checker: Checker, path: Path, settings: Mirroring, site: Site) -> bool:
    """Return whether `settings.filter` names a filter of the site; record what is wrong with a wrong one."""
    return _check_reference(checker, path, settings, "tmf-", "filter", list(site.filters), site)


def _check_reference(
    checker: Checker, path: Path, settings: Mirroring, prefix: str, what: str, names: list[str], site: Site
) -> bool:
    """Return whether a field names a target or filter of the site, or the id of one that exists."""
    value: str = getattr(settings, what)
    given = what in settings.model_fields_set
    path = (*path, what)
    if value.startswith(prefix):
        checker.ask(path, lambda: check_identifier(f"traffic mirror {what}", value))
        return False
    if value == PACKET_BASICS:
        if site.packet_basics is None:
            absent = (
                f"the site has no packet_basics, whose {what} this would be"
                if given
                else f"no {what} is given, and the default, packet_basics, is not in this site"
            )
            checker.say(path, f"{absent}: expected {_alternatives(names, prefix, what)}", value if given else ABSENT)
            return False
        return True
    if value not in names:
        checker.say(
            path,
            f"no {what} of this name: {did_you_mean(value, [*names, PACKET_BASICS])}"
            f"expected {_alternatives([*names, PACKET_BASICS], prefix, what)}; or add it under {what}s",
            value,
        )
        return False
    return True


def _alternatives(names: list[str], prefix: str, what: str) -> str:
    existing = f"the id of a {what} that exists ({prefix}...)"
    return ", ".join([*names, f"or {existing}"]) if names else existing
