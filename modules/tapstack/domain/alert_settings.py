"""The settings of alerts that come in besides GuardDuty's findings.

The deployment file validates into them, the construct takes them, and the functions read the sources from their
package: they do not fit into the environment of a function.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tapstack.domain.alert_mappings import AlertSource
from tapstack.domain.alerts import GUARDDUTY, SECURITY_HUB
from tapstack.domain.arguments import check_fields, check_range
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_name
from tapstack.domain.incidents import API
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.webhook_secrets import DEFAULT_OVERLAP_HOURS, OVERLAP_HOURS

SOURCES: Final = 20
RESERVED_SOURCES: Final = (API, GUARDDUTY, SECURITY_HUB)
"""Names that stand for other ways than a source's own: nothing else may come under them."""


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Alerts that the policy decides about, besides GuardDuty's findings.

    Attributes:
        security_hub: Whether findings of Security Hub about instances are decided about, CSPM's and v2's. Those about
            their configuration never are.
        sources: What else sends alerts, and how its documents are read: at most 20, by name.
        overlap_hours: How many hours the previous webhook secret stays valid after a new one is set, 0 to 168.
    """

    security_hub: bool = False
    sources: Mapping[str, AlertSource] = field(default_factory=dict)
    overlap_hours: int = DEFAULT_OVERLAP_HOURS

    def __post_init__(self) -> None:
        """Check the sources.

        Raises:
            RuleViolation: too many, or one under a name that stands for another way; or the overlap is out of range.
        """
        check_fields(self)
        if len(self.sources) > SOURCES:
            raise RuleViolation(f"sources has {len(self.sources)} entries: expected at most {SOURCES}")
        for name in self.sources:
            check_source_name(name)
        check_range("overlap_hours", self.overlap_hours, OVERLAP_HOURS)

    @property
    def any(self) -> bool:
        """Whether any alerts come in besides GuardDuty's findings."""
        return come_besides_findings(self.sources, security_hub=self.security_hub)

    @property
    def webhooks(self) -> tuple[str, ...]:
        """The sources that sign what they send."""
        return tuple(name for name, source in self.sources.items() if source.webhook)

    @property
    def names(self) -> tuple[str, ...]:
        """By which ways alerts come: what a rule of the policy may name."""
        return ways(self.sources, security_hub=self.security_hub)


def ways(sources: Iterable[str], *, security_hub: bool) -> tuple[str, ...]:
    """Return by which ways alerts come, with these names of sources."""
    return (GUARDDUTY, *((SECURITY_HUB,) if security_hub else ()), *sources)


def come_besides_findings(sources: Iterable[str], *, security_hub: bool) -> bool:
    """Return whether any alerts come in besides GuardDuty's findings, with these names of sources."""
    return ways(sources, security_hub=security_hub) != (GUARDDUTY,)


def check_source_name(name: str) -> str:
    """Return `name` when a source of its own can have it.

    Raises:
        RuleViolation: it is no name, or stands for another way.
    """
    check_name(name)
    if name in RESERVED_SOURCES:
        raise RuleViolation(f"{name} is reserved: give the source another name")
    return name


def check_rule_source(name: str, known: Sequence[str]) -> str:
    """Return `name` when alerts come by it.

    Args:
        name: that a rule of the policy names.
        known: by which ways alerts come.

    Raises:
        RuleViolation: none do; the message lists the names.
    """
    if name not in known:
        hint = "it needs alerts.security_hub; " if name == SECURITY_HUB else did_you_mean(name, known)
        raise RuleViolation(f"no alerts come by {name}: {hint}expected {', '.join(known)}")
    return name
