"""A GuardDuty finding: the policy decides whether to notify, to capture packets, to contain the instance."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from tapstack.domain import policy
from tapstack.domain.containment_settings import MODE_OF_ACTION
from tapstack.domain.counts import counted
from tapstack.domain.findings import Finding, parse_finding
from tapstack.domain.incidents import OpenRequest, can_be_extended, undo_command
from tapstack.domain.policy import Decision
from tapstack.responder.aws.errors import code_of
from tapstack.responder.capture.interfaces import instances
from tapstack.responder.environment import environment
from tapstack.responder.incident import opening
from tapstack.responder.outbound import notifications
from tapstack.responder.store.incidents import Incident

OPENED_BY = "guardduty"


def receive(event: dict[str, Any]) -> dict[str, Any]:
    """Apply the policy to a finding; return what was done.

    GuardDuty sends a finding again whenever it is updated: all updates belong to one incident.

    Raises:
        RuleViolation: the event is not a finding.
    """
    finding = parse_finding(event)
    rules = policy.load(environment().policy)
    tags = _tags(finding) if policy.needs_tags(rules) and finding.instance_id else None
    decision = policy.decide(rules, finding, tags=tags)
    incident = None if decision.action == "notify" else _open(finding, decision)
    if incident is None or not can_be_extended(incident.state):
        _notify(finding, decision, incident)
    result = {
        "finding": finding.id,
        "type": finding.type,
        "action": decision.action,
        "rule": decision.rule.name if decision.rule else None,
        "incident_id": incident.id if incident else None,
    }
    notifications.emit(notifications.FINDING_EVENT, result)
    return result


def _open(finding: Finding, decision: Decision) -> Incident:
    limits, containment = environment().capture, environment().containment
    mode = MODE_OF_ACTION.get(decision.action)
    request = OpenRequest(
        reason=f"GuardDuty: {finding.title or finding.type}"[:1000],
        minutes=min(decision.minutes or limits.minutes, limits.max_minutes),
        instance_id=finding.instance_id,
        severity=finding.level,
        alert_id=finding.id,
        # A rule whose mode the deployment does not allow still captures.
        containment=mode if mode is not None and containment is not None and mode in containment.modes else "none",
    )
    try:
        return opening.open_incident(request, source="guardduty", opened_by=OPENED_BY)
    except opening.AlertTaken as taken:
        return taken.incident


def _tags(finding: Finding) -> dict[str, str] | None:
    """Return the present tags of the instance; None, for those in the finding, where it no longer exists."""
    try:
        found = instances([str(finding.instance_id)])
    except ClientError as error:
        if code_of(error).startswith("InvalidInstanceID"):
            return None
        raise
    return {tag["Key"]: tag["Value"] for instance in found for tag in instance.get("Tags", [])} if found else None


def _notify(finding: Finding, decision: Decision, incident: Incident | None) -> None:
    rule = f"rule {decision.rule.name}" if decision.rule else "no rule of the policy"
    lines = [
        f"{finding.title or finding.type}",
        "",
        f"Type:     {finding.type}",
        f"Severity: {finding.severity:g} ({finding.level})",
        f"Instance: {finding.instance_id or 'none'}",
        f"Finding:  {finding.id} in {finding.region}, account {finding.account_id}, "
        f"seen {counted(finding.count, 'time')}",
        f"Decision: {decision.action}, by {rule}",
    ]
    if decision.limited_because:
        lines.append(f"          not {decision.asked}: {decision.limited_because}")
    lines += ["", "What to run next:"]
    if incident is not None:
        lines.append(f"  tapstack incident show {incident.id}   (this finding's incident, which is {incident.state})")
        if incident.state == "failed":
            lines.append(f"  {undo_command(incident.id)}")
    if finding.instance_id and (incident is None or incident.state in ("closing", "closed")):
        lines.append(f"  tapstack incident open --instance {finding.instance_id} --reason 'GuardDuty {finding.id}'")
    if not finding.instance_id:
        lines.append("  nothing: there is no EC2 instance to capture")
    subject = f"[tapstack {environment().site}] GuardDuty {finding.level}: {finding.type}"
    notifications.publish(subject, "\n".join(lines) + "\n")
