"""The policy: what is done about an alert. Ordered rules, the first that matches decides.

A policy is written in the deployment file, checked there, and handed to the function that
receives alerts as compact JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapstack.domain.alerts import Alert, AlertInstance
from tapstack.domain.errors import RuleViolation
from tapstack.domain.policy_rules import ACTIONS, Action
from tapstack.domain.policy_rules import Rule as Rule


@dataclass(frozen=True, slots=True)
class NotMatched:
    """A rule that was evaluated and did not match, with all reasons."""

    rule: Rule
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about an alert, and why.

    Attributes:
        action: what to do.
        rule: the rule that matched; none when none did, which means `notify`.
        minutes: how long to capture, where the rule says so.
        not_matched: the rules before it, in order, each with the reasons why it did not match.
        limited_because: why `action` is less than the rule asks for; none where it is not.
    """

    action: Action
    rule: Rule | None
    minutes: int | None
    not_matched: tuple[NotMatched, ...]
    limited_because: str | None = None

    @property
    def asked(self) -> Action:
        """What the rule asks for; `notify` without one."""
        return self.rule.action if self.rule else "notify"


def decide(
    rules: Sequence[Rule],
    alert: Alert,
    instance: AlertInstance | None,
    *,
    here: bool,
    tags: Mapping[str, str] | None = None,
    gone: str | None = None,
) -> Decision:
    """Decide about an instance of an alert: the first rule that matches; `notify` when none does.

    Notified at most are a sample, whose instance does not exist; an archived one, which a person or a
    suppression rule archived where it was raised; one that names no instance, so that there is nothing to capture; an
    instance of another account or Region, where the same id is another's; and one that is gone.

    Args:
        rules: in the order of the policy.
        alert: what was raised.
        instance: one of those that the alert is about; none where it is about none.
        here: whether the instance is of the account and Region that the policy is for.
        tags: the instance's tags as they are now; those in the alert by default.
        gone: what is said of the instance, where it is terminated or does not exist: it has no packets any more.
    """
    known = tags if tags is not None or instance is None else instance.tags
    not_matched = []
    for rule in rules:
        if reasons := rule.objections(alert, known):
            not_matched.append(NotMatched(rule, reasons))
            continue
        because = None if rule.action == "notify" else _limit(alert, instance, here=here, gone=gone)
        if because is not None:
            return Decision("notify", rule, None, tuple(not_matched), because)
        return Decision(rule.action, rule, rule.minutes, tuple(not_matched))
    return Decision("notify", None, None, tuple(not_matched))


def _limit(alert: Alert, instance: AlertInstance | None, *, here: bool, gone: str | None) -> str | None:
    if alert.sample:
        return f"the {alert.noun} is a sample: what it names does not exist"
    if alert.archived:
        return f"the {alert.noun} is archived"
    if instance is None:
        return f"the {alert.noun} names no EC2 instance, so there is nothing to capture"
    if not here:
        return f"the instance is of account {instance.where.account_id} in {instance.where.region}, not of this site's"
    return gone


def needs_tags(rules: Sequence[Rule]) -> bool:
    """Return whether any rule has conditions on tags of the instance."""
    return any(rule.tags for rule in rules)


def captures(rules: Sequence[Rule]) -> bool:
    """Return whether any rule does more than notify."""
    return any(rule.action != "notify" for rule in rules)


def policy_problems(rules: Sequence[Rule]) -> Iterator[tuple[int, str]]:
    """Yield the problems of rules that are valid one by one, each with the rule's position, 0 the first.

    Two rules of one name, and a rule that is never asked.
    """
    names: dict[str, int] = {}
    taking_all: list[Rule] = []
    for position, rule in enumerate(rules):
        if (first := names.setdefault(rule.name, position)) != position:
            yield position, f"{rule.name} is what rule {first + 1} is called: give one of them another name"
        before = next((one for one in taking_all if _takes_all_of(one, rule)), None)
        if before is not None:
            which = f" of {' or '.join(rule.sources)}" if before.sources else ""
            yield position, f"rule {rule.name} is never asked: {before.name} before it matches every alert{which}"
        elif rule.unconditional:
            taking_all.append(rule)


def _takes_all_of(before: Rule, rule: Rule) -> bool:
    """Return whether a rule that matches every alert of its sources leaves none to a later one."""
    return not before.sources or (bool(rule.sources) and set(rule.sources) <= set(before.sources))


def weakened_by_tags(rules: Sequence[Rule]) -> Iterator[tuple[int, Rule]]:
    """Yield the position of each rule by whose tags an instance is let off, with a stronger rule after it.

    Any caller that may tag the instance can have the weaker rule decide, also an attacker on it. A rule before that is
    as strong, and has no condition but a severity of at most 9.0, bounds that to less severe alerts.
    """
    for position, rule in enumerate(rules):
        later = [one for one in rules[position + 1 :] if _is_stronger(one, rule) and rule.may_meet(one)]
        if not rule.tags or not later:
            continue
        strongest = max(later, key=lambda one: ACTIONS.index(one.action))
        if not any(one.bounds and not _is_stronger(strongest, one) for one in rules[:position]):
            yield position, strongest


def _is_stronger(one: Rule, other: Rule) -> bool:
    return ACTIONS.index(one.action) > ACTIONS.index(other.action)


def dump(rules: Sequence[Rule]) -> str:
    """Return the rules as compact JSON, which `load` reads again."""
    return json.dumps([_plain(rule) for rule in rules], separators=(",", ":"), ensure_ascii=False)


def _plain(rule: Rule) -> dict[str, Any]:
    written = {
        "name": rule.name,
        "action": rule.action,
        "at_least": rule.at_least,
        "sources": list(rule.sources),
        "types": list(rule.types),
        "tactics": list(rule.tactics),
        "techniques": list(rule.techniques),
        "tags": dict(rule.tags),
        "resource_role": rule.resource_role,
        "minutes": rule.minutes,
    }
    return {key: value for key, value in written.items() if value not in (None, [], {})}


def load(text: str) -> tuple[Rule, ...]:
    """Read the rules that `dump` wrote.

    Raises:
        RuleViolation: this is no such JSON; the message names the rule by its position.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuleViolation(f"the policy is no JSON: {error}") from None
    if not isinstance(document, list):
        raise RuleViolation(f"the policy must be a list of rules, got {type(document).__name__}")
    return tuple(_rule(position, entry) for position, entry in enumerate(document))


_FORMS: Final[Mapping[str, tuple[type, ...]]] = {
    "name": (str,),
    "action": (str,),
    "at_least": (int, float),
    "sources": (list,),
    "types": (list,),
    "tactics": (list,),
    "techniques": (list,),
    "tags": (dict,),
    "resource_role": (str,),
    "minutes": (int,),
}


def _rule(position: int, entry: object) -> Rule:
    where = f"rule {position + 1} of the policy"
    if not isinstance(entry, dict):
        raise RuleViolation(f"{where} must be an object, got {type(entry).__name__}")
    if missing := {"name", "action"} - set(entry):
        raise RuleViolation(f"{where} lacks {', '.join(sorted(missing))}")
    values: dict[str, Any] = {}
    for key, value in entry.items():
        if not isinstance(value, _FORMS.get(key, ())) or not _holds_text_only(value):
            raise RuleViolation(f"{where} has {key}={value!r}, which no rule has")
        values[key] = tuple(value) if isinstance(value, list) else value
    try:
        return Rule(**values)
    except RuleViolation as violation:
        raise RuleViolation(f"{where}: {violation}") from None


def _holds_text_only(value: object) -> bool:
    inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else ()
    return all(isinstance(item, str) for item in inner)
