"""A GuardDuty finding: the policy decides whether to notify, to capture packets, to contain the instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tapstack.domain import policy
from tapstack.domain.containment_settings import MODE_OF_ACTION
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import Finding, FindingInstance, parse_finding
from tapstack.domain.incidents import OpenRequest, can_be_extended
from tapstack.domain.policy import Decision
from tapstack.responder.capture.interfaces import existing_instances
from tapstack.responder.environment import environment
from tapstack.responder.incident import finding_notices, opening
from tapstack.responder.incident.finding_notices import Outcome
from tapstack.responder.outbound import notifications
from tapstack.responder.store import incidents
from tapstack.responder.store.incidents import Incident

OPENED_BY = "guardduty"
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
    incident = None if instance is None or decision.action == "notify" else _open(finding, instance, decision)
    return Outcome(instance, here, decision, incident)


def _is_here(instance: FindingInstance) -> bool:
    """Return whether an instance is of this account and Region: the same id elsewhere is another's."""
    return instance.where == environment().home


def _open(finding: Finding, instance: FindingInstance, decision: Decision) -> Incident:
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
    try:
        return opening.open_incident(request, source="guardduty", opened_by=OPENED_BY)
    except opening.AlertTaken as taken:
        return taken.incident


def _tags(instances: Iterable[FindingInstance]) -> dict[str, dict[str, str]]:
    """Return the present tags of the instances that exist in this account and Region, by their id."""
    ids = [instance.id for instance in instances if _is_here(instance)]
    return {
        instance["InstanceId"]: {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        for instance in existing_instances(ids)
    }


def _notify(finding: Finding, outcomes: list[Outcome]) -> None:
    """Notify of what no open incident notifies of; of an attack sequence, also whenever it opened an incident."""
    opened = [o.incident for o in outcomes if o.incident is not None and can_be_extended(o.incident.state)]
    new = [i for i in opened if _NOTIFIED not in i.notified] if finding.is_attack_sequence else []
    if len(opened) < len(outcomes) or new:
        notifications.publish(*finding_notices.decided(finding, outcomes))
    for incident in new:
        incidents.mark_notified(incident.id, _NOTIFIED)
