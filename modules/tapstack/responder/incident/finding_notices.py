"""What operators are notified of about GuardDuty findings: what was decided of each instance, and what to run next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tapstack.domain.alerts import Alert, AlertInstance
from tapstack.domain.counts import counted
from tapstack.domain.incidents import can_be_extended, undo_command
from tapstack.domain.outside_text import quoted
from tapstack.domain.policy import Decision
from tapstack.responder.environment import environment
from tapstack.responder.store.incidents import Incident

_EVENT_LENGTH: Final = 2000
_LISTED: Final = 10
"""How many left-out values are named."""


Done = Literal["notify", "capture", "contain_on_approval", "contain_now", "joined", "updated", "silent", "listed"]
"""What was done about an instance of a finding. The words of the policy: it opened an incident, or only notified.
`listed` where the finding may open no more incidents; `updated` where the finding's incident took over something new,
and `silent` where nothing is new."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided and done about an instance of a finding.

    Attributes:
        instance: which; none where the finding names no instance.
        here: whether it is of this account and Region.
        decision: of the policy.
        incident: that was opened or joined, now or before; none where the policy only notifies.
        done: what was done, which may be less than what was decided.
    """

    instance: AlertInstance | None
    here: bool
    decision: Decision
    incident: Incident | None
    done: Done

    def as_dict(self) -> dict[str, Any]:
        """Return it as events and logs have it."""
        return {
            "instance_id": self.instance.id if self.instance else None,
            **(self.instance.where.as_dict() if self.instance else {}),
            "action": self.done,
            "decision": self.decision.action,
            "rule": self.decision.rule.name if self.decision.rule else None,
            "incident_id": self.incident.id if self.incident else None,
        }


def decided(finding: Alert, outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """Return subject and text about a finding."""
    lines = [
        f"GuardDuty reports {finding.type}, severity {finding.severity:g} ({finding.level}).",
        "",
        *([f"Title:    {quoted(finding.title, 400)}"] if finding.title else []),
        f"Tactics:  {' and '.join(finding.tactics) or 'none'}",
        f"Finding:  {finding.id} in {finding.where.region}, account {finding.where.account_id}, "
        f"seen {counted(finding.count, 'time')}",
        *(f"Left out: {value}" for value in finding.left_out[:_LISTED]),
    ]
    if further := len(finding.left_out[_LISTED:]):
        lines.append(f"Left out: {counted(further, 'more value')}")
    for outcome in outcomes:
        lines += ["", *_lines(finding, outcome)]
    return f"{_prefix()} GuardDuty {finding.level}: {finding.type}", "\n".join(lines) + "\n"


def _decided(outcome: Outcome) -> str:
    """Return what was done, which may be less than the rule asks for."""
    match outcome.done:
        case "joined":
            return "join the open incident"
        case "listed":
            return f"NOT {outcome.decision.action}"
        case "updated" | "silent":
            return "none, because it has an incident already"
        case done:
            return done


def unreadable(event: object, problem: str) -> tuple[str, str]:
    """Return subject and text about an event that is no finding.

    Args:
        event: what came.
        problem: why it cannot be read.
    """
    try:
        shown = json.dumps(event)
    except (RecursionError, TypeError, ValueError):
        shown = repr(type(event))
    lines = [
        "An event came for the policy that cannot be read as a GuardDuty finding. Nothing was done about it.",
        "",
        f"Why:      {problem}",
        f"Event:    {quoted(shown, _EVENT_LENGTH)}",
        "",
        "What to run next: inspect GuardDuty's findings of this time.",
    ]
    return f"{_prefix()} GuardDuty: an event that is no finding", "\n".join(lines) + "\n"


def _prefix() -> str:
    return f"[tapstack {environment().site}]"


def _lines(finding: Alert, outcome: Outcome) -> Iterator[str]:
    instance, decision, incident = outcome.instance, outcome.decision, outcome.incident
    rule = f"rule {decision.rule.name}" if decision.rule else "no rule of the policy"
    if instance is None:
        yield "Instance: none"
    else:
        elsewhere = "" if outcome.here else f" in {instance.where.region}, account {instance.where.account_id}"
        yield f"Instance: {instance.id}{elsewhere}"
    yield f"Decision: {_decided(outcome)}, by {rule}"
    if decision.limited_because:
        yield f"          not {decision.asked}: {decision.limited_because}"
    if outcome.done == "listed":
        most = environment().capture.incidents_per_finding
        yield f"          one finding opens at most {counted(most, 'incident')} (capture.incidents_per_finding)"
    if incident is not None:
        captures = "" if can_be_extended(incident.state) else ": it captures nothing"
        yield f"Incident: {incident.id} is {incident.state}{captures}"
    yield "What to run next:"
    if incident is not None:
        yield f"  tapstack incident show {incident.id}"
        if incident.state == "failed":
            yield f"  {undo_command(incident.id)}"
    if instance is None:
        yield "  nothing: there is no EC2 instance to capture"
    elif incident is None or incident.state in ("closing", "closed"):
        if not outcome.here:
            yield f"  with the TAPSTACK_URL of account {instance.where.account_id} in {instance.where.region}:"
        reason = shlex.quote(f"GuardDuty {finding.id}")
        yield f"  tapstack incident open --instance {shlex.quote(instance.id)} --reason {reason}"
