"""What operators are notified of about alerts: what was decided of each instance, and what to run next."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tapstack.domain.alerts import SECURITY_HUB, Alert, AlertInstance, title_of
from tapstack.domain.console import instance_page
from tapstack.domain.counts import counted
from tapstack.domain.incidents import can_be_extended
from tapstack.domain.names import dead_letters_name
from tapstack.domain.outside_text import one_line, quoted, word
from tapstack.domain.own_names import ALERTS_NOT_NOTIFIED, ALERTS_UNMATCHED
from tapstack.domain.policy import Decision
from tapstack.domain.proposals import URL_VARIABLE
from tapstack.domain.webhook_secrets import alert_dead_letters_name
from tapstack.responder.environment import environment
from tapstack.responder.outbound.notifications import address, attack_lines, close_command, headed
from tapstack.responder.store.incidents import Incident, containment_wait

_EVENT_LENGTH: Final = 2000
_MAY_READ: Final = "docs/iam/operators/xdr-unmatched.json"
_LISTED: Final = 10
"""How many left-out values are named."""


Done = Literal["notify", "capture", "contain_on_approval", "contain_now", "joined", "updated", "silent", "listed"]
"""What was done about an instance of an alert. The words of the policy: it opened an incident, or only notified.
`listed` where the alert may open no more incidents; `updated` where the alert's incident took over something new,
and `silent` where nothing is new, or GuardDuty's own event notifies of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided and done about an instance of an alert.

    Attributes:
        instance: which; none where the alert names no instance.
        here: whether it is of this account and Region.
        decision: of the policy.
        incident: that was opened or joined, now or before; none where the policy only notifies.
        done: what was done, which may be less than what was decided.
        gone: whether it is terminated, or does not exist.
    """

    instance: AlertInstance | None
    here: bool
    decision: Decision
    incident: Incident | None
    done: Done
    gone: bool = False

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


def decided(alert: Alert, outcomes: Sequence[Outcome], *, failed: int = 0, last: bool = False) -> tuple[str, str]:
    """Return subject and text about an alert.

    Args:
        alert: what was raised.
        outcomes: what was done about each of its instances.
        failed: how many instances it is about besides, which could not be decided about.
        last: whether operators are notified of no further one of its source and level within the hour.
    """
    source, what = title_of(alert.source), f"{alert.noun.capitalize()}:"
    lines = [
        f"{source} reports {alert.shown_type}, severity {alert.severity:g} ({alert.level}).",
        "",
        *([f"Title:    {quoted(alert.title, 400)}"] if alert.title else []),
        *(attack_lines(alert.tactics, alert.techniques) or ["Tactics:  none"]),
        f"{what:<9} {alert.shown_id} in {alert.where.region}, account {alert.where.account_id}, "
        f"seen {counted(alert.count, 'time')}",
        *address(),
        *(f"Left out: {value}" for value in alert.left_out[:_LISTED]),
    ]
    if further := len(alert.left_out[_LISTED:]):
        lines.append(f"Left out: {counted(further, 'more value')}")
    for outcome in outcomes:
        lines += ["", *_lines(alert, outcome)]
    if failed:
        said = f"{counted(failed, 'instance')} of it could not be decided about yet: the {alert.noun} is tried again, "
        lines += ["", f"{said}and becomes a dead letter if that goes on failing."]
    if last:
        which = f"{alert.noun}s of {source} with severity {alert.level} that change nothing"
        lines += ["", f"{_last(which)} The events for subscribers have each."]
    return headed(f"{source} {alert.level}: {alert.shown_type}"), "\n".join(lines) + "\n"


def _decided(outcome: Outcome) -> str:
    """Return the line about what was done, which may be less than the rule asks for."""
    match outcome.done:
        case "joined":
            return "Done:     joined the open incident"
        case "listed":
            return f"Decision: NOT {outcome.decision.action}"
        case "silent" if outcome.incident is None:
            return "Done:     nothing here, GuardDuty's own event notifies of it"
        case "updated" | "silent":
            return "Done:     nothing new, it has an incident already"
        case done:
            return f"Decision: {done}"


def _last(which: str) -> str:
    return (
        f"You are notified of no further {which} within this clock hour (UTC): they are counted only (metric "
        f"{ALERTS_NOT_NOTIFIED})."
    )


def unreadable(event: object, problem: str, *, last: bool = False) -> tuple[str, str]:
    """Return subject and text about an event that is no finding.

    Args:
        event: what came.
        problem: why it cannot be read.
        last: whether operators are notified of no further one within the hour.
    """
    try:
        shown = json.dumps(event)
    except (RecursionError, TypeError, ValueError):
        shown = repr(type(event))
    region = environment().home.region
    lines = [
        "An event came for the policy that cannot be read as a GuardDuty finding. No action was taken.",
        "",
        f"Why:      {problem}",
        f"Event:    {quoted(shown, _EVENT_LENGTH)}",
        "",
        "What to run next, which lists the ids of GuardDuty's latest findings:",
        f"  aws guardduty list-findings --region {region} --sort-criteria AttributeName=updatedAt,OrderBy=DESC "
        f"--max-items 10 --detector-id $(aws guardduty list-detectors --region {region} --query 'DetectorIds[0]' "
        "--output text)",
        *(["", _last("events that are no findings")] if last else []),
    ]
    return headed("GuardDuty: an event that is no finding"), "\n".join(lines) + "\n"


def unmatched(
    source: str,
    document: str,
    reasons: Sequence[str],
    kept_as: str | None,
    refused: str | None = None,
    *,
    again: bool = False,
) -> tuple[str, str]:
    """Return subject and text about an alert that names no instance for certain.

    Args:
        source: that it came from.
        document: what came.
        reasons: why it is unmatched.
        kept_as: the address of the object that it is kept as; None where there is no bucket for it.
        refused: why the bucket did not take it yet; none where it did.
        again: whether all of the document is tried again, because another alert of it failed.
    """
    shown = title_of(source)
    reading = "tapstack xdr try --source " + shlex.quote(source)
    lines = [
        f"An alert of {shown} could not be matched to exactly one instance. No action was taken"
        + (" yet: another alert of its document failed, and all of it is tried again." if again else "."),
        "",
        *(f"Why:      {reason}" for reason in reasons[:_LISTED]),
        *([f"Why:      {counted(further, 'more reason')}"] if (further := len(reasons[_LISTED:])) else []),
        f"Kept:     {_kept(source, kept_as, refused)}",
        *([f"Read it:  with the policy {_MAY_READ}"] if kept_as is not None and refused is None else []),
        f"Alert:    {quoted(document, _EVENT_LENGTH)}",
        "",
        f"Further ones of {shown} in this hour are "
        + (
            f"kept and counted (metric {ALERTS_UNMATCHED}), without a notification."
            if refused is None
            else "tried again likewise where the bucket refuses them, without a notification."
        ),
        "",
        "What to run next:",
    ]
    if kept_as is not None and refused is None:
        copy = f"aws s3 cp --region {environment().home.region} {shlex.quote(kept_as)} -"
        lines.append(f"  {copy} | jq -r .document | {reading} -")
    else:
        lines.append(f"  {reading} FILE")
    said = headed(f"{shown}: an alert not matched to exactly one instance")
    return said, "\n".join(map(one_line, lines)) + "\n"


def _kept(source: str, kept_as: str | None, refused: str | None) -> str:
    """Return where an unmatched document is."""
    if kept_as is None:
        return "not stored, because this site has no telemetry bucket (xdr)"
    if refused is None:
        return kept_as
    named = environment()
    letters = (dead_letters_name if source == SECURITY_HUB else alert_dead_letters_name)(named.deployment, named.site)
    return f"not yet, {refused}: it is tried again, and if that goes on failing it is in the queue {letters}"


def _lines(alert: Alert, outcome: Outcome) -> Iterator[str]:
    instance, decision, incident = outcome.instance, outcome.decision, outcome.incident
    if instance is None:
        yield "Instance: none"
    else:
        elsewhere = "" if outcome.here else f" in {instance.where.region}, account {instance.where.account_id}"
        yield f"Instance: {instance.id}{elsewhere}"
        if (page := instance_page(instance.where.region, instance.id)) is not None:
            yield f"Console:  {page}"
    yield _decided(outcome)
    if incident is not None and outcome.done in ("contain_on_approval", "contain_now"):
        wait = containment_wait(incident)
        if wait is not None:
            yield f"          it waits for packets first, at most {wait} seconds: the attacker stays connected"
    if decision.limited_because:
        yield f"          not {decision.asked}: {decision.limited_because}"
    if outcome.done == "listed":
        most = environment().capture.incidents_per_finding
        yield f"          one {alert.noun} opens at most {counted(most, 'incident')} (capture.incidents_per_finding)"
    yield f"Rule:     {decision.rule.name if decision.rule else 'none matches'}"
    if decision.rule and decision.rule.tags and decision.action == "notify" and not decision.limited_because:
        keys = ", ".join(word(key) for key in decision.rule.tags)
        yield f"          by its tags ({keys}), which any caller with ec2:CreateTags on the instance can write"
    if incident is not None:
        captures = "" if can_be_extended(incident.state) else ": it captures nothing"
        yield f"Incident: {incident.id} is {incident.state}{captures}"
    yield "What to run next:"
    if incident is not None:
        yield f"  tapstack incident show {incident.id}"
        if incident.state == "failed":
            yield f"  {close_command(incident)}"
    if instance is None:
        yield "  nothing: Tapstack captures and contains EC2 instances only"
    elif outcome.gone:
        yield "  it has no packets any more: inspect what it left, such as volumes, snapshots and flow logs"
    elif incident is None or incident.state in ("closing", "closed"):
        if not outcome.here:
            there = f"account {instance.where.account_id} in {instance.where.region}"
            yield f"  with {URL_VARIABLE} set to the API of {there}:"
        reason = shlex.quote(f"{title_of(alert.source)} {alert.id}")
        yield f"  tapstack incident open --instance {shlex.quote(instance.id)} --reason {reason}"
