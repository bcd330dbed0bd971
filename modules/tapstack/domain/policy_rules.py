"""A rule of the policy: its conditions on a GuardDuty finding, and its action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from tapstack.domain.arguments import check_fields
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import ATTACK_SEQUENCE, HIGHEST_SEVERITY, RUNTIME, Finding
from tapstack.domain.globs import is_literal, matches
from tapstack.domain.identifiers import check_name
from tapstack.domain.incidents import check_minutes
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.tags import check_sought_tag_key, check_tag_value
from tapstack.domain.threats import RESOURCE_TYPES, TACTICS, THREAT_PURPOSES, tactics_of_purpose

Action = Literal["notify", "capture", "contain_on_approval", "contain_now"]
ResourceRole = Literal["TARGET", "ACTOR"]

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
RESOURCE_ROLES: Final[tuple[ResourceRole, ...]] = get_args(ResourceRole)
SEVERITY: Final = (0.0, HIGHEST_SEVERITY)
_TYPE_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy. Its conditions all have to hold; without any it matches every finding.

    Attributes:
        name: what messages call it; 1 to 40 lower-case letters, digits or hyphens, beginning with a letter.
        action: what is done about a finding that matches.
        at_least: the lowest severity that matches, 0.0 to 10.0.
        types: patterns of finding types (`*`, `?`), one of which must fit; case does not count.
        tactics: ATT&CK tactics, one of which the type must stand for.
        tags: tags that the instance must all have; values may be patterns.
        resource_role: the part that the instance must have played; findings of Runtime Monitoring say none.
        minutes: how long to capture, 1 to 10080; the deployment's own default otherwise.
    """

    name: str
    action: Action
    at_least: float | None = None
    types: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    resource_role: ResourceRole | None = None
    minutes: int | None = None

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RuleViolation: a value that no finding could ever match, or that is out of range.
        """
        check_name(self.name)
        check_one_of("action", self.action, ACTIONS)
        if self.resource_role is not None:
            check_one_of("resource role", self.resource_role, RESOURCE_ROLES)
        check_fields(self)
        if self.at_least is not None:
            check_severity(self.at_least)
        for pattern in self.types:
            check_type_pattern(pattern)
        for tactic in self.tactics:
            check_one_of("tactic", tactic, tuple(TACTICS))
        for key, value in self.tags.items():
            check_sought_tag_key(key)
            check_tag_value(value)
        if self.minutes is not None:
            check_minutes(self.minutes)
            if self.action == "notify":
                raise RuleViolation(f"minutes goes with an action that captures, got {self.minutes} with notify")

    @property
    def unconditional(self) -> bool:
        """Whether it matches every finding, so that no later rule is evaluated."""
        return self.at_least in (None, 0.0) and not (self.types or self.tactics or self.tags or self.resource_role)

    @property
    def unmatched_types(self) -> tuple[str, ...]:
        """The patterns in `types` that no finding can match, because of `resource_role`."""
        return tuple(filter(_is_of_runtime_monitoring, self.types)) if self.resource_role else ()

    @property
    def types_without_tactics(self) -> tuple[str, ...]:
        """The patterns in `types` that no finding can match, because of `tactics`."""
        return tuple(pattern for pattern in self.types if self.tactics and self._excludes(pattern))

    def _excludes(self, pattern: str) -> bool:
        purpose, colon, _ = pattern.partition(":")
        # Attack sequences name their tactics themselves.
        if not colon or not is_literal(purpose) or purpose.lower() == ATTACK_SEQUENCE.lower():
            return False
        return tactics_of_purpose(purpose).isdisjoint(self.tactics)

    def objections(self, finding: Finding, tags: Mapping[str, str] | None) -> tuple[str, ...]:
        """Return why the rule does not match; nothing when it does.

        Args:
            finding: what GuardDuty found.
            tags: of the instance that is decided about; none where the finding names no instance.
        """
        said = []
        if self.at_least is not None and finding.severity < self.at_least:
            said.append(f"severity {finding.severity:g} is below {self.at_least:g}")
        if self.types and not any(matches(p.lower(), finding.type.lower()) for p in self.types):
            said.append(f"type {finding.type} does not fit {_alternatives(self.types)}")
        if self.tactics and not set(self.tactics) & set(found := finding.tactics):
            stands_for = " and ".join(found) or "no ATT&CK tactic"
            said.append(f"the finding stands for {stands_for}, not for {_alternatives(self.tactics)}")
        said += self._objections_to_tags(tags)
        if self.resource_role is not None and finding.resource_role != self.resource_role:
            given = "none, as in all findings of Runtime Monitoring" if finding.of_runtime_monitoring else "not given"
            said.append(f"the resource's role is {finding.resource_role or given}, not {self.resource_role}")
        return tuple(said)

    def _objections_to_tags(self, tags: Mapping[str, str] | None) -> list[str]:
        if tags is None:
            return ["the finding names no instance, so there are no tags"] if self.tags else []
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


def check_type_pattern(pattern: str) -> None:
    """Refuse a pattern of finding types that cannot fit any.

    The whole type must fit. The parts before the colon and before the slash must be a threat purpose and a resource
    type that GuardDuty has, or hold a wildcard: that lets a policy name one newer than these lists.
    """
    purpose, colon, rest = pattern.partition(":")
    resource, slash, family = rest.partition("/")
    complete = bool(resource and family) or not is_literal(rest) if colon else not is_literal(pattern)
    if not pattern or len(pattern) > _TYPE_LENGTH or not complete or any(map(str.isspace, pattern)):
        raise RuleViolation(
            f"{pattern!r} is no finding type: expected the form ThreatPurpose:Resource/Family with * for any text and "
            "no spaces, such as UnauthorizedAccess:EC2/*"
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
