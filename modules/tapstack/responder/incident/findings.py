"""A GuardDuty finding: the policy decides whether to notify, to capture packets, to contain the instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tapstack.domain import policy
from tapstack.domain.callers import POLICY
from tapstack.domain.containment_settings import MODE_OF_ACTION, Requested
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import Finding, FindingInstance, parse_finding
from tapstack.domain.incidents import OpenRequest
from tapstack.domain.outside_text import quoted
from tapstack.domain.policy import Decision
from tapstack.responder.capture.interfaces import existing_instances
from tapstack.responder.environment import environment
from tapstack.responder.incident import finding_notices, opening
from tapstack.responder.incident.finding_notices import Done, Outcome
from tapstack.responder.incident.joining import Report
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents

_DONE: Final[Mapping[Requested, Done]] = {
    "none": "capture",
    "approval": "contain_on_approval",
    "now": "contain_now",
}
"""What an incident does that was opened with a containment, or without: in the words of the policy."""
_NOTIFIED: Final = "finding"
"""What an incident has recorded whose attack sequence was notified of."""


def receive(event: object) -> dict[str, Any]:
    """Apply the policy to a finding, for each of its instances; return what was done.

    GuardDuty sends a finding again whenever it is updated: all updates of an instance belong to one incident.
    What cannot be read as a finding ends as a notification: delivered again, it would be no other.
    """
    try:
        finding = parse_finding(event)
    except RuleViolation as violation:
        notifications.publish(*finding_notices.unreadable(event, str(violation)))
        return {"finding": None, "type": None, "decisions": [], "problem": str(violation)}
    rules = policy.load(environment().policy)
    tags = _tags(finding.instances) if policy.needs_tags(rules) else {}
    outcomes = [_outcome(rules, finding, instance, tags) for instance in finding.instances or (None,)]
    _notify(finding, outcomes)
    result = {
        "finding": finding.id,
        "type": finding.type,
        "decisions": [outcome.as_dict() for outcome in outcomes],
    }
    notifications.emit(notifications.FINDING_EVENT, result)
    return result


def _outcome(
    rules: Iterable[policy.Rule],
    finding: Finding,
    instance: FindingInstance | None,
    tags: Mapping[str, Mapping[str, str]],
) -> Outcome:
    here = instance is not None and _is_here(instance)
    now = tags.get(instance.id) if instance is not None and here else None
    decision = policy.decide(tuple(rules), finding, instance, here=here, tags=now)
    if instance is None or not here or decision.limited_because is not None:
        return Outcome(instance, here, decision, None, "notify")
    return _received(finding, instance, decision)


def _is_here(instance: FindingInstance) -> bool:
    """Return whether an instance is of this account and Region: the same id elsewhere is another's."""
    return instance.where == environment().home


def _received(finding: Finding, instance: FindingInstance, decision: Decision) -> Outcome:
    """Open an incident, or join the one that is open; where the policy only notifies, none is opened."""
    limits, containment = environment().capture, environment().containment
    mode = MODE_OF_ACTION.get(decision.action)
    request = OpenRequest(
        reason=f"GuardDuty: {finding.title or finding.type}"[:1000],
        minutes=min(decision.minutes or limits.minutes, limits.max_minutes),
        instance_id=instance.id,
        severity=finding.level,
        alert_id=finding.alert_id(instance),
        # A rule whose mode the deployment does not allow still captures.
        containment=mode if mode is not None and containment is not None and mode in containment.modes else "none",
    )
    report = Report(
        said=f"finding {finding.id}, {finding.type}: {quoted(finding.title)}",
        last_seen=finding.last_seen,
        of_policy=True,
        opens=decision.action != "notify",
    )
    opened = opening.open_incident(request, source="guardduty", by=POLICY, report=report)
    if opened.incident is None:
        return Outcome(instance, True, decision, None, "notify")
    if opened.how == "opened":
        asked = opened.incident.containment
        return Outcome(instance, True, decision, opened.incident, _DONE[asked.mode if asked else "none"])
    return Outcome(instance, True, decision, opened.incident, "silent" if opened.how == "same" else opened.how)


def _tags(instances: Iterable[FindingInstance]) -> dict[str, dict[str, str]]:
    """Return the present tags of the instances that exist in this account and Region, by their id."""
    ids = [instance.id for instance in instances if _is_here(instance)]
    return {
        instance["InstanceId"]: {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        for instance in existing_instances(ids)
    }


def _notify(finding: Finding, outcomes: list[Outcome]) -> None:
    """Notify of what no incident notifies of; of an attack sequence, also whenever it opened or joined an incident."""
    found = [o.incident for o in outcomes if o.incident is not None and incidents.is_open(o.incident)]
    new = [i for i in found if _NOTIFIED not in i.notified] if finding.is_attack_sequence else []
    if new or any(outcome.done == "notify" for outcome in outcomes):
        notifications.publish(*finding_notices.decided(finding, outcomes))
    for incident in new:
        incidents.mark_notified(incident.id, _NOTIFIED)
