"""An alert about an instance that has an open incident joins it: what the incident becomes, and what is said of it.

One attack raises many alerts. They share one incident, so that one answer settles whether its instance is contained:
what is pending, or what a person has rejected, is not asked again, unless a rule contains without asking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypedDict

from tapstack.domain.alerts import GUARDDUTY
from tapstack.domain.callers import Caller
from tapstack.domain.containment_settings import Mode, contain_command
from tapstack.domain.incidents import (
    API,
    OpenRequest,
    Source,
    as_moment,
    as_text,
    as_time,
    can_be_extended,
    highest,
    is_before_capture,
    lasting,
    utc_now,
)
from tapstack.domain.outside_text import quoted, word
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.errors import Conflict
from tapstack.responder.outbound import executions, notifications
from tapstack.responder.store import containments, incidents, notified
from tapstack.responder.store.containments import LastRelease
from tapstack.responder.store.incidents import Incident, IncidentContainment
from tapstack.responder.store.opening import Joining

_ENDS_NOW: Final = timedelta(seconds=10)
"""An incident whose time is over in less may be closing already."""
_LAST_OF_THE_HOUR: Final = (
    "Of further alerts that join within this clock hour you are notified only where they raise the severity or change "
    "the containment. The timeline lists all of them."
)
_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Report:
    """What an alert reports, besides what it requests.

    Attributes:
        said: the alert, as one line.
        last_seen: when what it reports was seen last, in ISO 8601; none where it does not say.
        of_policy: whether the policy decides about it. Otherwise its sender decides, at the moment of sending.
        opens: whether it opens an incident where there is none to join.
        extends: whether it wants packets captured: otherwise it makes the capture that it joins no longer.
        delivery: by what the policy knows it when it comes again; of what is sent to the API, nothing.
        techniques: of MITRE ATT&CK that it names.
        tactics: likewise that it stands for, by their names in one word.
    """

    said: str
    last_seen: str | None = None
    of_policy: bool = False
    opens: bool = True
    extends: bool = True
    delivery: tuple[str, ...] = ()
    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()

    @property
    def as_of(self) -> str | None:
        """When what the policy decides about was seen last; none where the sender decides."""
        seen = as_moment(self.last_seen)
        if not self.of_policy:
            return None
        return as_text(seen) if seen is not None else _LONG_AGO

    def is_newer_than(self, moment: str | None) -> bool:
        """Return whether what it reports went on after a moment."""
        seen = as_moment(self.last_seen)
        return seen is not None and moment is not None and seen > as_time(moment)


_LONG_AGO: Final = "1970-01-01T00:00:00Z"
"""What says no time is never newer than a release."""


def report_of(request: OpenRequest) -> Report:
    """Return what a request to the API reports."""
    return Report(
        f"alert {quoted(request.alert_id, _TEXT)}: {quoted(request.reason, _TEXT)}",
        techniques=() if request.technique is None else (request.technique,),
    )


def can_be_joined(incident: Incident, report: Report) -> bool:
    """Return whether an alert can join an incident: it is neither closed nor closing, and not about to.

    One that failed is joined only by what is not newer than its failure: the rest is to be captured by another one.
    """
    return stays_with(incident, report) and _is_not_over(incident)


def _is_not_over(incident: Incident) -> bool:
    """Return whether the time of an incident is not over; it begins only when mirroring starts."""
    return is_before_capture(incident.state) or as_time(incident.expires_at) > utc_now() + _ENDS_NOW


def to_join(found: Iterable[Incident], report: Report) -> Incident | None:
    """Return which incident an alert joins, of several about its instance; None where it joins none.

    That is the first one, so that it is always the same; one that captures before one that failed.
    """
    joinable = [incident for incident in found if can_be_joined(incident, report)]
    return min(joinable, key=lambda incident: incident.state == "failed", default=None)


def stays_with(incident: Incident, report: Report) -> bool:
    """Return whether an incident is open, and what an alert reports is not newer than its failure."""
    if not incidents.is_open(incident) or incident.state != "failed":
        return incidents.is_open(incident)
    return report.of_policy and not report.is_newer_than(incidents.ended_at(incident))


def has_joined(incident: Incident, request: OpenRequest, source: Source) -> bool:
    """Return whether a request's incident is one that it did not open."""
    if request.alert_id is None:
        return False
    # By whichever way the alert that opened it comes again: its id is the same.
    return (incident.source == API, incident.alert_id) != (source == API, request.alert_id)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a request does to an open incident.

    Attributes:
        joining: what the incident becomes.
        entries: of the timeline: what, and details.
    """

    joining: Joining
    entries: tuple[tuple[str, str], ...]


def effect(incident: Incident, request: OpenRequest, report: Report, *, by: Caller) -> Effect:
    """Return what it does to an incident that a request joins it.

    Raises:
        Conflict: a responder requests a containment that is not requested for it: the alert does not join without.
    """
    if not report.of_policy:
        _check_is_contained(incident, request, report)
    until, minutes = incident.expires_at, incident.minutes
    if report.extends and can_be_extended(incident.state):
        wanted, minutes = incidents.lengthened(incident, request.minutes) or (until, minutes)
        until = max(until, min(wanted, incidents.latest_end(incident)))
    requested = _containment(incident, request, report, by)
    joining = Joining(highest(incident.severity, request.severity), until, minutes, **requested)
    said = [report.said, *_raised(incident, joining)]
    if (until, minutes) != (incident.expires_at, incident.minutes):
        said.append(f"captured {lasting(incident.state, until, minutes)}")
    if (why := why_not_contained(incident, request, report) or _despite(incident, joining, report)) is not None:
        said.append(why)
    return Effect(joining, (("joined", "; ".join(said)), *_asked(joining)))


def _check_is_contained(incident: Incident, request: OpenRequest, report: Report) -> None:
    """Refuse a request of a responder whose containment would be dropped.

    Raises:
        Conflict: with the reason, and what to run.
    """
    why, mode = why_not_contained(incident, request, report), _mode(request)
    if why is None or mode is None:
        return
    do = f"Once it is: {contain_command(incident.id, mode)}"
    if incident.containment_state == "pending":
        do = f"To approve that: tapstack incident approve {incident.id}"
    raise Conflict(
        f"incident {incident.id} is about {incident.instance_id}, and the alert would join it; {why}. {do}. Without "
        "containment the alert joins now"
    )


def effect_of_update(incident: Incident, request: OpenRequest, report: Report, *, by: Caller) -> Effect | None:
    """Return what an update of an alert does to the incident that it opened or joined; None where nothing.

    It makes the capture no longer: activity that goes on after the incident is closed opens another one. It requests a
    containment only where none was requested, one waits for an approval that its rule no longer needs, or one was
    refused and what it reports went on since: what refused it may have passed.
    """
    requested: _Requested = {}
    before = incident.containment
    refused_before = before is not None and before.refused and report.is_newer_than(before.asked_at)
    if incident.containment_state in (None, "pending") or refused_before:
        requested = _containment(incident, request, report, by)
    severity = highest(incident.severity, request.severity)
    joining = Joining(severity, incident.expires_at, incident.minutes, **requested)
    if joining == Joining(incident.severity, incident.expires_at, incident.minutes):
        return None
    said = [report.said, *_raised(incident, joining)]
    if (despite := _despite(incident, joining, report)) is not None:
        said.append(despite)
    return Effect(joining, (("updated", "; ".join(said)), *_asked(joining)))


def _despite(incident: Incident, joining: Joining, report: Report) -> str | None:
    """Return what is to be said where a person rejected what is requested now, or a rule of the settings refused it."""
    before = incident.containment
    if not joining.anew or before is None:
        return None
    if before.refused:
        return f"its containment is tried again; before, {before.failure}"
    if not before.rejected:
        return None
    said = f"{word(str(before.decided_by))} rejected its containment before"
    return f"{said}; this rule contains without asking" if report.of_policy else said


def _raised(incident: Incident, joining: Joining) -> Iterator[str]:
    if joining.severity != incident.severity:
        yield f"severity {incident.severity} -> {joining.severity}"


def _asked(joining: Joining) -> Iterator[tuple[str, str]]:
    if joining.containment is not None:
        yield f"containment {'requested' if joining.anew else 'approved'}", joining.how


class _Requested(TypedDict, total=False):
    """What a request does to a containment, as `Joining` has it; empty where that does not change."""

    containment: IncidentContainment
    anew: bool
    how: str


def _containment(incident: Incident, request: OpenRequest, report: Report, by: Caller) -> _Requested:
    """Return the containment that is requested."""
    before, mode = incident.containment, _mode(request)
    if mode is None or why_not_contained(incident, request, report) is not None:
        return {}
    if before is not None and before.state in ("containing", "contained"):
        return {}
    if before is not None and before.state == "pending":
        if mode == "approval" or before.overridden_tags:
            return {}
        now = as_text(utc_now())
        approved = replace(
            before, state="containing", decision="approved", decided_by=by.name, decided_at=now, as_of=report.as_of
        )
        return {
            "containment": approved,
            "how": "by a rule that contains without approval" if report.of_policy else "now",
        }
    asked = containment_requests.record(before, mode, by, as_of=report.as_of)
    return {"containment": asked, "anew": True, "how": containment_requests.asked_words(asked, before)}


def _mode(request: OpenRequest) -> Mode | None:
    return None if request.containment == "none" else request.containment


def why_not_contained(incident: Incident, request: OpenRequest, report: Report) -> str | None:
    """Return why a requested containment is not requested for an incident; None where it is, or is already."""
    before, mode = incident.containment, _mode(request)
    if mode is None or (before is not None and before.state in ("containing", "contained")):
        return None
    if before is not None:
        if before.state == "pending" and before.overridden_tags and mode == "now":
            return "not contained: it waits for a person's approval to override what protects it"
        if before.state == "releasing":
            return "not contained: it is being released"
        if before.state == "blocked":
            return "not contained: its release is blocked, and not completed yet"
        if before.rejected and mode == "approval" and report.of_policy:
            return f"not asked again whether to contain it: {word(str(before.decided_by))} rejected that"
    released = last_release(incident) if report.of_policy else None
    if released is not None and not report.is_newer_than(released.until):
        return f"not contained again: {released.said}, and nothing newer is reported"
    return None


def last_release(incident: Incident) -> LastRelease | None:
    """Return the last release of the instance of an incident; None where it never was released."""
    there = containments.get(incident.named_instance_id, incident.where)
    moments = [incidents.last_release_before_change(incident.named_instance_id, incident.where)]
    if (containment := incident.containment) is not None and containment.state in ("released", "rejected"):
        moments.append(containment.released_at)
    known = [containments.released_at(moment) for moment in moments if moment is not None]
    if there is not None and (last := containments.last_release(there)) is not None:
        known.append(last)
    return max(known, key=lambda one: one.until, default=None)


def is_complete(incident: Incident, request: OpenRequest, source: Source) -> bool:
    """Return whether all is done that a request does when it joins an incident: notifying is the last of it."""
    return notified.is_notified(incident, _mark(request, source))


def complete(
    incident: Incident, request: OpenRequest, report: Report, *, source: Source, before: Incident | None = None
) -> None:
    """Start what an alert requested when it joined, and notify; idempotent.

    Args:
        incident: as it is now.
        request: of the alert.
        report: likewise.
        source: by which way it came.
        before: the incident before the alert joined; none where another call wrote that.
    """
    proceed(incident, before)
    mark = _mark(request, source)
    number: int | None = 0
    if not notified.is_notified(incident, _changes(mark)):
        hour = f"joins of {notified.this_hour()}"
        number = notified.count(incident.id, hour, mark, most=notifications.NOTIFIED_IN_AN_HOUR)
    notifications.notify_once(
        incident,
        "joined",
        *_notification(incident, request, report, last=number == notifications.NOTIFIED_IN_AN_HOUR),
        once=mark,
        to_operators=number is not None,
    )


def of_change(incident: Incident, joining: Joining, request: OpenRequest, source: Source) -> list[dict[str, Any]]:
    """Return what is written with a join that raises the severity of an incident, or changes its containment.

    Operators are notified of each of these, however many alerts join in an hour, and whichever call completes it.
    """
    if joining.severity == incident.severity and joining.containment is None:
        return []
    return [notified.recorded(incident.id, _changes(_mark(request, source)))]


def _changes(mark: str) -> str:
    return f"changed: {mark}"


def proceed(incident: Incident, before: Incident | None = None) -> None:
    """Let the executions of an incident proceed with what was requested.

    Args:
        incident: as it is now.
        before: the incident as it was; none where that is not known.
    """
    containment = incident.containment
    if containment is not None and containment.state in ("pending", "containing"):
        executions.ensure(incident, "contain")
    # What waits for a place at the mirror target may get one. The severity rises three times at most: an execution ends
    # at 25,000 events, and any number of alerts may join. Where this call is killed before, the sweeper sees to it.
    rose = before is not None and incident.severity != before.severity
    if incident.token and rose and incident.interface_ids("waiting"):
        executions.end_wait(incident.token, "joined")


def _mark(request: OpenRequest, source: Source) -> str:
    """Return what is recorded of an alert that was notified of, as earlier versions recorded it."""
    kind = source if source == API else GUARDDUTY
    alert = hashlib.sha256(f"{kind}:{request.alert_id}".encode()).hexdigest()[:16]
    return f"joined {alert}"


def _notification(incident: Incident, request: OpenRequest, report: Report, *, last: bool) -> tuple[str, str]:
    why = why_not_contained(incident, request, report)
    containment = incident.containment
    captured = f"Captured {lasting(incident.state, incident.expires_at, incident.minutes)}."
    if incident.state == "capturing" and not incident.in_state("mirrored"):
        captured = "NOTHING is captured now: none of its network interfaces is mirrored. Each sweep tries again."
    if incident.state == "failed":
        captured = "Nothing is captured: the incident failed. Close it to capture with another one."
    return notifications.subject(incident, "joined by another alert"), notifications.text(
        incident,
        f"Another alert about {incident.instance_id} joined this incident. It opens no other.",
        [
            f"Joined:   {report.said}",
            *notifications.attack_lines(report.tactics, report.techniques),
            captured,
            *([_LAST_OF_THE_HOUR] if last else []),
        ],
        [f"Containment: {why or (containment.state if containment else 'not requested')}."],
        [
            "What to run next:",
            f"  tapstack incident show {incident.id}",
            *([f"  {notifications.close_command(incident)}"] if incident.state == "failed" else []),
        ],
    )
