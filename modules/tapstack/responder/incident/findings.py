"""An alert: the policy decides whether to notify, to capture packets, to contain the instances."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from tapstack.domain import policy
from tapstack.domain.alerts import GUARDDUTY, Alert, AlertInstance, title_of
from tapstack.domain.callers import policy_caller
from tapstack.domain.containment_settings import MODE_OF_ACTION, Requested
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import parse_finding
from tapstack.domain.incidents import OpenRequest
from tapstack.domain.outside_text import quoted
from tapstack.domain.own_names import ALERTS_NOT_NOTIFIED
from tapstack.domain.policy import Decision
from tapstack.domain.policy_rules import ACTIONS
from tapstack.responder.aws.errors import is_transient
from tapstack.responder.environment import environment
from tapstack.responder.incident import finding_notices, opening
from tapstack.responder.incident.finding_notices import Done, Outcome
from tapstack.responder.incident.joining import Report
from tapstack.responder.incident.targets import Existing, existing
from tapstack.responder.observability import count, logger
from tapstack.responder.outbound import notifications
from tapstack.responder.outbound.notifications import NOTIFIED_IN_AN_HOUR
from tapstack.responder.store import incidents, notified
from tapstack.responder.store import opening as store
from tapstack.responder.store.incidents import Incident

_DONE: Final[Mapping[Requested, Done]] = {
    "none": "capture",
    "approval": "contain_on_approval",
    "now": "contain_now",
}
"""What an incident does that was opened with a containment, or without: in the words of the policy."""
_NOTIFIED: Final = "finding"
"""What an incident has recorded whose attack sequence was notified of."""


def receive(event: object) -> dict[str, Any]:
    """Apply the policy to a finding of GuardDuty, for each of its instances; return what was done.

    What cannot be read as a finding ends as a notification: delivered again, it would be no other.
    """
    try:
        finding = parse_finding(event)
    except RuleViolation as violation:
        _notify_so_often(
            GUARDDUTY, "unreadable", _delivery(event), partial(finding_notices.unreadable, event, str(violation))
        )
        return {"finding": None, "type": None, "decisions": [], "problem": str(violation)}
    decisions, left_out = notifications.fitting(decide(finding, _delivery(event)))
    result = {"finding": finding.id, "type": finding.type, "decisions": decisions, "left_out": left_out}
    notifications.emit(notifications.FINDING_EVENT, result)
    return result


def _delivery(event: object) -> tuple[str, ...]:
    """Return by what an event of EventBridge is known when it comes again; nothing of a bare finding, whose id is not
    that of an event.
    """
    if isinstance(event, dict) and "detail-type" in event and isinstance(event.get("id"), str):
        return (GUARDDUTY, event["id"])
    return ()


def decide(
    alert: Alert,
    delivery: tuple[str, ...],
    there: Existing | None = None,
    *,
    position: int = 0,
    sender: str | None = None,
) -> list[dict[str, Any]]:
    """Apply the policy to an alert, for each of its instances, and notify; return what was done about each.

    Tools send an alert again whenever it is updated: all updates of an instance belong to one incident.

    Args:
        alert: what was raised.
        delivery: by what it is known when it comes again.
        there: what EC2 says of its instances; it is asked where none is given.
        position: of the alert among those of its delivery.
        sender: `person` of the caller of the API that sent it, if one did: that is who requests what a rule asks.

    Raises:
        Exception: of the first instance that failed, once the others are done, and notified of: the alert comes again.
    """
    rules = policy.load(environment().policy)
    about = _Deciding(rules, alert, delivery, _there(rules, alert) if there is None else there, sender)
    outcomes, errors = _outcomes(about)
    if alert.source != GUARDDUTY and alert.where == alert.detected_in == environment().home:
        # GuardDuty's own event notifies of it, which comes from every detector of this account and Region. An id alone
        # does not say whose it is, and may be of no finding at all.
        outcomes = [replace(one, done="silent") if one.done == "notify" else one for one in outcomes]
    undecided = len(alert.instances or (None,)) - len(outcomes)
    _notify(alert, outcomes, _notified_as(outcomes, delivery, position), failed=undecided)
    if errors:
        # Once operators are notified of the others: the same instance may fail each time.
        raise errors[0]
    return [outcome.as_dict() for outcome in outcomes]


def _notified_as(outcomes: Sequence[Outcome], delivery: tuple[str, ...], position: int) -> tuple[str, ...]:
    """Return by what is known that operators were notified of an alert: when it comes again, more may be decided."""
    only = (one.instance.id if one.instance else "" for one in outcomes if one.done == "notify")
    return (*delivery, str(position), *only) if delivery else ()


def _there(rules: Sequence[policy.Rule], alert: Alert) -> Existing:
    """Return what EC2 says of the instances of an alert, as far as the policy needs it; nothing where it need not."""
    here = [one.id for one in alert.instances if _is_here(one)]
    if policy.needs_tags(rules):
        return existing(here)
    if alert.sample or not policy.captures(rules):
        return existing([])
    try:
        return existing(here)
    except Exception as error:
        # Whoever has EC2 throttled would keep a finding from its incident. What is gone, the capture finds out.
        if not is_transient(error):
            raise
        logger.warning("EC2 does not say whether these exist: decided as if they do", extra={"instances": here})
        return existing([])


@dataclass(frozen=True, slots=True)
class _Deciding:
    """What is decided about: see `decide`.

    Attributes:
        rules: of the policy.
        alert: what was raised.
        delivery: by what it is known when it comes again.
        there: what EC2 says of its instances, where it was asked.
        sender: who sent the alert; none where no caller of the API did.
    """

    rules: Sequence[policy.Rule]
    alert: Alert
    delivery: tuple[str, ...]
    there: Existing
    sender: str | None


def _outcomes(about: _Deciding) -> tuple[list[Outcome], list[Exception]]:
    """Return what was done about each instance that could be decided about, and the errors of those that failed.

    A finding opens so many incidents, with all its updates.
    """
    alert, errors = about.alert, list[Exception]()
    instances, most = alert.instances or (None,), environment().capture.incidents_per_finding
    # Updates of an attack sequence may name other instances each time.
    before = _opened_before(alert) if alert.is_attack_sequence else set()
    if len(instances) + len(before) <= most:
        outcomes = list(_each(about, instances, errors))
    else:
        # First what it has opened already, and what it joins, which no limit is for: updates may list the others first.
        outcomes = list(_each(about, instances, errors, opens=False))
        wanting = [at for at, outcome in enumerate(outcomes) if outcome.incident is None and _is_wanted(outcome)]
        wanting.sort(key=lambda at: ACTIONS.index(outcomes[at].decision.action), reverse=True)
        of_these = {one.incident.id for one in outcomes if one.incident is not None and _has_opened(alert, one)}
        # What failed may be about an incident that it has opened.
        left, undecided = max(0, most - len(before | of_these) - len(errors)), set(wanting)
        for at in wanting[:left]:
            for outcome in _each(about, [outcomes[at].instance], errors):
                outcomes[at] = outcome
                undecided.remove(at)
        if errors:
            # The next attempt may capture any of them: of none is known that it is beyond what may be opened.
            return [outcome for at, outcome in enumerate(outcomes) if at not in undecided], errors
        for at in undecided:
            outcomes[at] = replace(outcomes[at], done="listed")
    return outcomes, errors


def _each(
    about: _Deciding, instances: Sequence[AlertInstance | None], errors: list[Exception], *, opens: bool = True
) -> Iterator[Outcome]:
    """Yield what was done about each instance; `errors` get those of the instances that failed."""
    for instance in instances:
        try:
            yield _outcome(about, instance, opens=opens)
        except Exception as error:
            # Whatever is wrong with one, the others are captured and contained all the same.
            logger.exception("an alert could not be decided about", instance=instance.id if instance else None)
            errors.append(error)


def _opened_before(alert: Alert) -> set[str]:
    """Return the open incidents that an attack sequence has opened; the listing is eventually consistent."""
    return {one.id for one in incidents.listed("open") if alert.opened(one.alert_id)}


def _is_wanted(outcome: Outcome) -> bool:
    """Return whether the policy wants an incident of an instance."""
    return outcome.here and outcome.decision.action != "notify"


def _has_opened(alert: Alert, outcome: Outcome) -> bool:
    """Return whether the finding has opened the incident of an instance, and not joined it."""
    incident, instance = outcome.incident, outcome.instance
    if incident is None or instance is None:
        return False
    return incident.alert_id in (alert.key(instance), alert.other_key(instance))


def _outcome(about: _Deciding, instance: AlertInstance | None, *, opens: bool = True) -> Outcome:
    here = instance is not None and _is_here(instance)
    if instance is None or not here:
        return Outcome(instance, here, policy.decide(about.rules, about.alert, instance, here=here), None, "notify")
    now, gone = about.there.tags.get(instance.id), about.there.missing.get(instance.id)
    decision = policy.decide(about.rules, about.alert, instance, here=True, tags=now, gone=gone)
    if decision.limited_because not in (None, gone):
        return Outcome(instance, True, decision, None, "notify")
    # What is gone opens none, and belongs to the incident that there is.
    outcome = _received(about, instance, decision, opens=opens and decision.action != "notify")
    return replace(outcome, gone=gone is not None)


def _is_here(instance: AlertInstance) -> bool:
    """Return whether an instance is of this account and Region: the same id elsewhere is another's."""
    return instance.where == environment().home


def _known_as(alert: Alert, instance: AlertInstance) -> str:
    """Return what an alert is known by about an instance: as the same finding was, where it came by another way."""
    other = alert.other_key(instance)
    if other is not None and store.knows_alert(other, environment().home, instance.id):
        return other
    return alert.key(instance)


def _received(about: _Deciding, instance: AlertInstance, decision: Decision, *, opens: bool) -> Outcome:
    """Open an incident, where it may, or join the one that is open."""
    alert = about.alert
    limits, containment = environment().capture, environment().containment
    mode = MODE_OF_ACTION.get(decision.action)
    request = OpenRequest(
        reason=f"{title_of(alert.source)}: {alert.title or alert.type or alert.id}"[:1000],
        minutes=min(decision.minutes or limits.minutes, limits.max_minutes),
        instance_id=instance.id,
        severity=alert.level,
        alert_id=_known_as(alert, instance),
        # A rule whose mode the deployment does not allow still captures.
        containment=mode if mode is not None and containment is not None and mode in containment.modes else "none",
    )
    report = Report(
        said=f"{alert.noun} {alert.shown_id}, {alert.shown_type}: {quoted(alert.title)}",
        last_seen=alert.last_seen,
        of_policy=True,
        opens=opens,
        extends=decision.action != "notify",
        delivery=about.delivery,
        techniques=alert.techniques,
        tactics=alert.tactics,
    )
    by = policy_caller(alert.source, about.sender)
    opened = opening.open_incident(request, source=alert.source, by=by, report=report)
    if opened.incident is None:
        return Outcome(instance, True, decision, None, "notify")
    if opened.how == "opened":
        return Outcome(instance, True, decision, opened.incident, _DONE[opened.containment])
    return Outcome(instance, True, decision, opened.incident, "silent" if opened.how == "same" else opened.how)


def _notify(alert: Alert, outcomes: list[Outcome], known_by: tuple[str, ...], *, failed: int) -> None:
    """Notify of what no incident notifies of; of an attack sequence, also whenever it opened or joined an incident.

    Of what only notifies, a source may send any number: operators are notified of so many of each level in an hour, so
    that neither what changes something nor what is more severe is lost among them. Events have all.
    """
    found = [o.incident for o in outcomes if o.incident is not None and incidents.is_open(o.incident)]
    new = [i for i in found if not notified.is_notified(i, _NOTIFIED)] if alert.is_attack_sequence else []
    listed, only = _listed(outcomes), any(outcome.done == "notify" for outcome in outcomes)
    if new or listed:
        notifications.publish(*finding_notices.decided(alert, outcomes, failed=failed))
        if only and known_by:
            # It names them as well: no attempt after this one notifies of them again.
            notified.mark_published(alert.source, _digest(known_by))
    elif only:
        notice = partial(finding_notices.decided, alert, outcomes, failed=failed)
        _notify_so_often(alert.source, alert.level, known_by, notice)
    for incident in new:
        notified.mark_notified(incident.id, _NOTIFIED)
    for incident, mark in listed:
        notified.mark_notified(incident.id, mark)


def _notify_so_often(source: str, kind: str, known_by: tuple[str, ...], notice: Callable[..., tuple[str, str]]) -> None:
    """Notify operators of what only notifies, so often in an hour, and count what comes beyond.

    Args:
        source: of the alert.
        kind: what is counted apart.
        known_by: by what it is known when it comes again, because the function was killed, or another alert of its
            delivery failed: it is counted once, and not notified of again. What nothing is known of is another one each
            time, so that no repetition is a flood.
        notice: returns subject and text, given whether it is the `last` of the hour.
    """
    of = _digest(known_by) if known_by else uuid.uuid4().hex
    if known_by and notified.was_published(source, of):
        return
    number = notified.count_alert(source, kind, of, most=NOTIFIED_IN_AN_HOUR)
    if number is None:
        count(ALERTS_NOT_NOTIFIED)
    else:
        notifications.publish(*notice(last=number == NOTIFIED_IN_AN_HOUR))
    if known_by:
        notified.mark_published(source, of)


def _digest(known_by: tuple[str, ...]) -> str:
    return hashlib.sha256(json.dumps(known_by).encode()).hexdigest()


def _listed(outcomes: Sequence[Outcome]) -> list[tuple[Incident, str]]:
    """Return the incident that records which instances were only listed, and how, where they were not notified of."""
    beyond = sorted(one.instance.id for one in outcomes if one.done == "listed" and one.instance is not None)
    known = sorted((one.incident for one in outcomes if one.incident is not None), key=lambda one: one.id)
    if not beyond or not known:
        return []
    mark = f"listed {hashlib.sha256(' '.join(beyond).encode()).hexdigest()[:16]}"
    return [] if any(notified.is_notified(one, mark) for one in known) else [(known[0], mark)]
