"""A rule of the policy: its conditions on an alert, and its action."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from tapstack.domain.alerts import ATTACK_SEQUENCE, CRITICAL, GUARDDUTY, HIGHEST_SEVERITY, RUNTIME, TYPE_LENGTH, Alert
from tapstack.domain.arguments import check_fields
from tapstack.domain.errors import RuleViolation
from tapstack.domain.globs import is_literal, matches
from tapstack.domain.identifiers import check_name
from tapstack.domain.incidents import TECHNIQUE_PATTERN, check_minutes
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.tags import check_sought_tag_key, check_tag_value
from tapstack.domain.threats import RESOURCE_TYPES, TACTICS, THREAT_PURPOSES, tactics_of_purpose

Action = Literal["notify", "capture", "contain_on_approval", "contain_now"]
ResourceRole = Literal["TARGET", "ACTOR"]

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
RESOURCE_ROLES: Final[tuple[ResourceRole, ...]] = get_args(ResourceRole)
SEVERITY: Final = (0.0, HIGHEST_SEVERITY)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy. Its conditions all have to hold; without any it matches every alert.

    Attributes:
        name: what messages call it; 1 to 40 lower-case letters, digits or hyphens, beginning with a letter.
        action: what is done about an alert that matches.
        at_least: the lowest severity that matches, 0.0 to 10.0.
        types: patterns of types (`*`, `?`), one of which must fit; case does not count.
        tactics: ATT&CK tactics, one of which the type must stand for, or the alert must name.
        tags: tags that the instance must all have; values may be patterns.
        resource_role: the part that the instance must have played; findings of Runtime Monitoring say none.
        minutes: how long to capture, 1 to 10080; the deployment's own default otherwise.
        sources: by one of which the alert must have come: `guardduty`, `securityhub` or the name of another one.
            `types` of another tool than GuardDuty need its source here.
        techniques: ATT&CK techniques, one of which the alert must name: T1071 fits T1071.004 too.
    """

    name: str
    action: Action
    at_least: float | None = None
    types: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    resource_role: ResourceRole | None = None
    minutes: int | None = None
    sources: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RuleViolation: a value that no alert could ever match, or that is out of range.
        """
        check_name(self.name)
        check_one_of("action", self.action, ACTIONS)
        if self.resource_role is not None:
            check_one_of("resource role", self.resource_role, RESOURCE_ROLES)
        check_fields(self)
        if self.at_least is not None:
            check_severity(self.at_least)
        for source in self.sources:
            check_name(source)
        for pattern in self.types:
            check_type_pattern(pattern, of_guardduty=self.of_guardduty)
        for tactic in self.tactics:
            check_one_of("tactic", tactic, tuple(TACTICS))
        for technique in self.techniques:
            check_technique(technique)
        for key, value in self.tags.items():
            check_sought_tag_key(key)
            check_tag_value(value)
        if self.minutes is not None:
            check_minutes(self.minutes)
            if self.action == "notify":
                raise RuleViolation(f"minutes goes with an action that captures, got {self.minutes} with notify")

    @property
    def bounds(self) -> bool:
        """Whether it matches every alert of a severity, of critical ones at least, so that no later rule decides it."""
        return not self.sources and replace(self, at_least=None).unconditional and (self.at_least or 0.0) <= CRITICAL

    def may_meet(self, other: Rule) -> bool:
        """Return whether an alert may match both rules, as far as their sources and purposes of types show."""
        if self.sources and other.sources and not set(self.sources) & set(other.sources):
            return False
        if not (self.types and other.types and self.of_guardduty and other.of_guardduty):
            return True
        mine, others = ({type_.partition(":")[0].lower() for type_ in types} for types in (self.types, other.types))
        return bool(mine & others) or not all(map(is_literal, mine | others))

    @property
    def unconditional(self) -> bool:
        """Whether it matches every alert of its sources, or of all where it names none."""
        narrows = self.types or self.tactics or self.techniques or self.tags or self.resource_role
        return self.at_least in (None, 0.0) and not narrows

    @property
    def of_guardduty(self) -> bool:
        """Whether its types are GuardDuty's: no source is named whose alerts have other types."""
        return are_of_guardduty(self.sources)

    @property
    def unmatched_types(self) -> tuple[str, ...]:
        """The patterns in `types` that no alert can match, because of `resource_role`."""
        return tuple(filter(_is_of_runtime_monitoring, self.types)) if self.resource_role else ()

    @property
    def types_without_tactics(self) -> tuple[str, ...]:
        """The patterns in `types` that no alert can match, because of `tactics`."""
        checked = self.tactics and self.of_guardduty
        return tuple(pattern for pattern in self.types if checked and self._excludes(pattern))

    def _excludes(self, pattern: str) -> bool:
        purpose, colon, _ = pattern.partition(":")
        # Attack sequences name their tactics themselves.
        if not colon or not is_literal(purpose) or purpose.lower() == ATTACK_SEQUENCE.lower():
            return False
        return tactics_of_purpose(purpose).isdisjoint(self.tactics)

    def objections(self, alert: Alert, tags: Mapping[str, str] | None) -> tuple[str, ...]:
        """Return why the rule does not match; nothing when it does.

        Args:
            alert: what was raised.
            tags: of the instance that is decided about; none where the alert names no instance.
        """
        said = []
        if self.sources and alert.source not in self.sources:
            said.append(f"source {alert.source} is not {_alternatives(self.sources)}")
        if self.at_least is not None and alert.severity < self.at_least:
            said.append(f"severity {alert.severity:g} is below {self.at_least:g}")
        if self.types and not any(matches(p.lower(), alert.type.lower()) for p in self.types):
            said.append(f"type {alert.shown_type} does not fit {_alternatives(self.types)}")
        if self.tactics and not set(self.tactics) & set(found := alert.tactics):
            stands_for = " and ".join(found) or "no ATT&CK tactic"
            said.append(f"the {alert.noun} stands for {stands_for}, not for {_alternatives(self.tactics)}")
        if self.techniques and not any(_is_of(given, self.techniques) for given in alert.techniques):
            named = " and ".join(alert.techniques) or "no ATT&CK technique"
            said.append(f"the {alert.noun} names {named}, not {_alternatives(self.techniques)}")
        said += self._objections_to_tags(tags, alert.noun)
        if self.resource_role is not None and alert.resource_role != self.resource_role:
            given = "none, as in all findings of Runtime Monitoring" if alert.of_runtime_monitoring else "not given"
            said.append(f"the resource's role is {alert.resource_role or given}, not {self.resource_role}")
        return tuple(said)

    def _objections_to_tags(self, tags: Mapping[str, str] | None, noun: str) -> list[str]:
        if tags is None:
            return [f"the {noun} names no instance, so there are no tags"] if self.tags else []
        said = []
        for key, pattern in self.tags.items():
            if key not in tags:
                said.append(f"the instance has no tag {key}")
            elif not matches(pattern, tags[key]):
                said.append(f"tag {key} is {tags[key]!r}, which does not fit {pattern!r}")
        return said


def check_one_of(what: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a word that is none of those allowed."""
    if value not in allowed:
        raise RuleViolation(f"{value!r} is no {what}: {did_you_mean(str(value), allowed)}expected {', '.join(allowed)}")


def check_severity(value: float) -> None:
    """Refuse a severity outside 0.0 to 10.0."""
    low, high = SEVERITY
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RuleViolation(f"severity must be a number from {low:g} to {high:g}, got {value!r}")


def are_of_guardduty(sources: Collection[str]) -> bool:
    """Return whether the types of a rule with these sources are GuardDuty's: it names no other, or none at all."""
    return set(sources) <= {GUARDDUTY}


def check_technique(technique: str) -> None:
    """Refuse what is no technique of ATT&CK."""
    if not re.fullmatch(TECHNIQUE_PATTERN, technique, re.ASCII):
        raise RuleViolation(f"{technique!r} is no technique of ATT&CK: expected the form T1071 or T1071.004")


def _is_of(given: str, techniques: Sequence[str]) -> bool:
    """Return whether a technique is one of some, or a sub-technique of one."""
    return given in techniques or given.partition(".")[0] in techniques


def check_type_pattern(pattern: str, *, of_guardduty: bool = True) -> None:
    """Refuse a pattern of types that cannot fit any.

    Args:
        pattern: the whole type must fit.
        of_guardduty: whether GuardDuty's types are meant; other tools have any.

    The parts before the colon and before the slash must be a threat purpose and a resource
    type that GuardDuty has, or hold a wildcard: that lets a policy name one newer than these lists.
    """
    if not of_guardduty:
        if not 0 < len(pattern) <= TYPE_LENGTH or not pattern.isprintable() or pattern != pattern.strip():
            raise RuleViolation(
                f"{pattern!r} is no type: expected 1 to {TYPE_LENGTH} printable characters, with * for any text and "
                "no blank at an end"
            )
        return
    purpose, colon, rest = pattern.partition(":")
    resource, slash, family = rest.partition("/")
    complete = bool(resource and family) or not is_literal(rest) if colon else not is_literal(pattern)
    if not pattern or len(pattern) > TYPE_LENGTH or not complete or any(map(str.isspace, pattern)):
        raise RuleViolation(
            f"{pattern!r} is no finding type: expected the form ThreatPurpose:Resource/Family with * for any text and "
            "no spaces, such as UnauthorizedAccess:EC2/*; for types of another tool, name its source in sources"
        )
    _check_known(purpose, "threat purpose", tuple(THREAT_PURPOSES))
    if slash:
        _check_known(resource, "resource type", RESOURCE_TYPES)


def _check_known(word: str, what: str, known: Sequence[str]) -> None:
    if is_literal(word) and word.lower() not in {one.lower() for one in known}:
        raise RuleViolation(
            f"{word!r} is no {what} of GuardDuty: {did_you_mean(word, known)}known here: {', '.join(known)}; "
            "for a newer one, write a wildcard into it"
        )


def _is_of_runtime_monitoring(pattern: str) -> bool:
    """Return whether only types of Runtime Monitoring fit a pattern, as far as it shows."""
    _, colon, resource = pattern.lower().rpartition(":")
    word = RUNTIME.lower()
    return f"{word}/" in resource or (bool(colon) and resource.startswith(word))


def _alternatives(words: Sequence[str]) -> str:
    return " or ".join(words)
