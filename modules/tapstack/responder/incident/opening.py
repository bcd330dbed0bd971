"""Opens incidents, once for each request and each alert, or lets an alert join one; ensures that the execution runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tapstack.domain.callers import Caller
from tapstack.domain.containment_settings import Mode, Requested, contain_command
from tapstack.domain.incident_events import RECORDED_AT_MOST, Occurrence, recorded
from tapstack.domain.incidents import OpenRequest, Source
from tapstack.responder.containment import requests as containment_requests
from tapstack.responder.environment import environment
from tapstack.responder.errors import Conflict
from tapstack.responder.incident import joining
from tapstack.responder.incident.joining import Report
from tapstack.responder.outbound import executions, telemetry
from tapstack.responder.store import alerts, incidents, requests
from tapstack.responder.store import opening as store
from tapstack.responder.store.alerts import DeliveryOutcome, Did
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.opening import Known, RequestKey
from tapstack.responder.store.retry import retried


class KeyReused(Exception):  # noqa: N818
    """The Idempotency-Key was sent before, with another request."""


class AlertTaken(Conflict):
    """The alert's incident does not match the request: it captures other interfaces, is closed, or has no containment.

    Attributes:
        incident: the incident of the alert.
    """

    def __init__(
        self,
        incident: Incident,
        alert_id: str | None,
        why: str,
        do: str = "send this request with another alert_id, or without",
    ) -> None:
        super().__init__(f"alert_id {alert_id} belongs to incident {incident.id}, which {why}: {do}")
        self.incident = incident


@dataclass(frozen=True, slots=True)
class Opened:
    """What a request came to.

    Attributes:
        incident: of the request; none where it opens none, and there is none to join.
        how: `opened` by this request; `joined`, which was open about the instance; `updated`, where the alert's
            incident took over something new; or `same`, where the request had it already, and nothing changed. Of a
            delivery that comes again, what it did the first time.
        containment: that was requested when it was opened.
    """

    incident: Incident | None
    how: Did | Literal["same"]
    containment: Requested = "none"


def open_incident(
    request: OpenRequest,
    *,
    source: Source,
    by: Caller,
    idempotency_key: str | None = None,
    report: Report | None = None,
) -> Opened:
    """Open an incident, join the one that is open about the instance, or return the one that the same key or alert has.

    A request without an alert id opens an incident of its own: whoever sent it decided so. One for network interfaces
    joins no other. Whatever was interrupted before is completed: the incident's execution runs.

    Args:
        request: what is requested.
        source: how it came in.
        by: who requests it.
        idempotency_key: of the request; a caller that repeats the request sends it again.
        report: what the alert reports; by default what the request says.

    Raises:
        KeyReused: the key was sent before, with another request.
        AlertTaken: the alert's incident captures other interfaces, is closed or closing, or was opened without the
            requested containment. A finding whose incident is closed opens another one, where its activity went on.
        Conflict: containment is requested, and not configured, or not in this mode.
        TryAgain: the execution could not be started. The incident exists; the same request starts the execution.
    """
    if request.containment != "none":
        containment_requests.allowed(request.containment)
    opening = _Opening(request, source, by, idempotency_key, report or joining.report_of(request))
    opened = retried(opening.attempt, "others open the same incident")
    if opened.how == "same":
        opened = opening.done_before() or opened
    if opened.incident is not None:
        telemetry.settle(opened.incident)
    return opened


@dataclass(frozen=True, slots=True)
class _Opening:
    request: OpenRequest
    source: Source
    by: Caller
    idempotency_key: str | None
    report: Report

    def attempt(self) -> Opened | None:
        """Return what the request came to; None where others wrote first."""
        known = {key: store.find(key) for key in self._keys()}
        if (before := self._before(known)) is not None:
            return self._followed(before)
        if before is None and self._is_silent(known):
            return Opened(self._of_alert(known), "same")
        named = {key: found.incident_id if found else None for key, found in known.items()}
        only_after, beside = None, frozenset[str]()
        if self.request.alert_id is not None and self.request.instance_id is not None:
            where = (self.request.instance_id, environment().home)
            there = store.of_instance(*where)
            joined = joining.to_join(there.incidents, self.report)
            if joined is None or joined.state == "failed":
                joined = joining.to_join((*there.incidents, *store.unlisted(*where, there.listed)), self.report)
            if joined is not None:
                return self._join(joined, named, is_listed=joined.id in there.listed)
            only_after, beside = there.listed, there.failed
        return self._put(named, only_after, beside) if self.report.opens else Opened(None, "same")

    def done_before(self) -> Opened | None:
        """Return what this delivery did before it came again; None where it did nothing, or is known by nothing."""
        if not self.report.delivery:
            return None
        outcome = alerts.outcome_of(self.report.delivery, self.request.alert_id, self.request.instance_id)
        if outcome is None or (incident := incidents.read(outcome.incident_id)) is None:
            return None
        return Opened(incident, outcome.how, outcome.containment)

    def _recorded(self, incident: Incident, how: Did, containment: Requested = "none") -> list[dict[str, Any]]:
        """Return what is written with a change for `done_before`."""
        if not self.report.delivery:
            return []
        outcome = DeliveryOutcome(incident.id, how, containment)
        return [alerts.recorded(self.report.delivery, self.request.alert_id, self.request.instance_id, outcome)]

    def _keys(self) -> list[RequestKey]:
        text = json.dumps(asdict(self.request), sort_keys=True)
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        keys = []
        if self.idempotency_key is not None:
            scope = store.caller_scope(self.by.name)
            keys.append(RequestKey("idempotency-key", self.idempotency_key, scope, fingerprint))
        if self.request.alert_id is not None:
            scope = store.alert_scope(self.source, environment().home, self.request.instance_id)
            keys.append(RequestKey("alert", self.request.alert_id, scope, fingerprint))
        return keys

    def _before(self, known: Mapping[RequestKey, Known | None]) -> Incident | None:
        """Return the incident of one of the keys; None where none has one, or a finding's captures nothing any more."""
        for key, found in known.items():
            if found is None or found.incident is None:
                continue
            if key.kind == "idempotency-key":
                if found.fingerprint != key.fingerprint:
                    raise KeyReused(f"this Idempotency-Key opened {found.incident_id} with another request")
                return found.incident
            if self.report.of_policy:
                return found.incident if joining.stays_with(found.incident, self.report) else None
            _check_same(found.incident, self.request)
            return found.incident
        return None

    @staticmethod
    def _of_alert(known: Mapping[RequestKey, Known | None]) -> Incident | None:
        return next((found.incident for key, found in known.items() if key.kind == "alert" and found), None)

    def _is_silent(self, known: Mapping[RequestKey, Known | None]) -> bool:
        """Return whether a finding had its incident, which is closed or closing, and nothing happened since."""
        before = self._of_alert(known)
        return before is not None and not self.report.is_newer_than(incidents.ended_at(before))

    def _followed(self, incident: Incident) -> Opened | None:
        """Return the incident that the request has already, with what an update of a finding changes."""
        has_joined = joining.has_joined(incident, self.request, self.source)
        if has_joined and incidents.is_open(incident):
            if not joining.is_complete(incident, self.request, self.source):
                joining.complete(incident, self.request, self.report, source=self.source)
                return Opened(incident, "joined")
        else:
            _ensure_running(incident)
        if not self.report.of_policy:
            return Opened(incident, "joined" if has_joined else "same")
        changes = joining.effect_of_update(incident, self.request, self.report, by=self.by)
        if changes is None:
            # An earlier delivery may have been interrupted after it approved. An execution that has ended is started
            # again by the sweeper only, which counts how often: a finding may be updated for months.
            executions.end_approval_wait(incident)
            return Opened(incident, "same")
        if not store.join(
            incident,
            changes.joining,
            {},
            by=self.by.name,
            entries=changes.entries,
            is_listed=True,
            besides=self._recorded(incident, "updated"),
        ):
            return None
        changed = incidents.get(incident.id)
        joining.proceed(changed, incident)
        return Opened(changed, "updated")

    def _join(self, incident: Incident, keys: Mapping[RequestKey, str | None], *, is_listed: bool) -> Opened | None:
        changes = joining.effect(incident, self.request, self.report, by=self.by)
        request = self.request
        alert = telemetry.alert(self.source, request.alert_id, self.report.techniques, self.report.tactics)
        joined = Occurrence("joined", by=self.by.name, detail=self.report.said, facts={"alert": alert})
        if not store.join(
            incident,
            changes.joining,
            keys,
            by=self.by.name,
            entries=changes.entries,
            is_listed=is_listed,
            occurrences=[joined] if len(incident.unemitted) < RECORDED_AT_MOST else [],
            besides=[
                *self._recorded(incident, "joined"),
                *joining.of_change(incident, changes.joining, request, self.source),
            ],
        ):
            return None
        changed = incidents.get(incident.id)
        _ensure_running(changed)
        joining.complete(changed, self.request, self.report, source=self.source, before=incident)
        return Opened(changed, "joined")

    def _put(
        self, keys: Mapping[RequestKey, str | None], only_after: frozenset[str] | None, beside: frozenset[str]
    ) -> Opened | None:
        incident, entries = self._new()
        requested = incident.containment.mode if incident.containment else "none"
        recorded = self._recorded(incident, "opened", requested)
        if not store.put(incident, keys, only_after=only_after, beside=beside, entries=entries, besides=recorded):
            return None
        _ensure_running(incident)
        return Opened(incident, "opened", requested)

    def _new(self) -> tuple[Incident, list[tuple[str, str]]]:
        """Return a new incident, and further entries of its timeline."""
        incident = incidents.new(
            self.request,
            source=self.source,
            opened_by=self.by.name,
            techniques=self.report.techniques,
            tactics=self.report.tactics,
        )
        opened = Occurrence("opened", detail=incident.reason)
        incident = replace(incident, unemitted=tuple(recorded([opened])))
        if self.request.containment == "none":
            return incident, []
        if (why := joining.why_not_contained(incident, self.request, self.report)) is not None:
            return incident, [("remark", why)]
        containment = containment_requests.record(None, self.request.containment, self.by, as_of=self.report.as_of)
        asked = ("containment requested", containment_requests.asked_words(containment))
        happened = recorded([opened, *requests.asked_for_approval(containment)])
        return replace(incident, containment=containment, contain_runs=1, unemitted=tuple(happened)), [asked]


def _check_same(incident: Incident, request: OpenRequest) -> None:
    """Refuse an alert whose incident does not match the request."""
    asked = request.instance_id, set(request.network_interface_ids)
    if asked != (incident.instance_id, set(incident.network_interface_ids)):
        captured = incident.instance_id or ", ".join(incident.network_interface_ids)
        raise AlertTaken(incident, request.alert_id, f"captures {captured}")
    if incident.state in ("closing", "closed") or incident.close_requested:
        raise AlertTaken(incident, request.alert_id, "is closed" if incident.state == "closed" else "is closing")
    if request.containment != "none" and not _is_requested(incident, request.containment):
        why, do = "was opened without containment", contain_command(incident.id, request.containment)
        if (state := incident.containment_state) is not None:
            why = f"does not contain {incident.instance_id} by this request, because its containment is {state}"
            do = f"once that has ended, {do}" if state in ("releasing", "blocked") else do
            do = f"tapstack incident approve {incident.id}" if state == "pending" else do
        raise AlertTaken(incident, request.alert_id, why, do)


def _is_requested(incident: Incident, mode: Mode) -> bool:
    """Return whether what a request asks for is requested already: sent again, it requests nothing anew.

    Its response may have been lost. Where others have answered since, or it failed, a new decision is a command.
    """
    state = incident.containment_state
    return state in incidents.WANTED_CONTAINMENT or (state == "pending" and mode == "approval")


def _ensure_running(incident: Incident) -> None:
    if not incident.execution_arns and incident.state == "opening":
        if incident.containment_state in ("pending", "containing"):
            executions.ensure(incident, "contain")
        executions.start(incident.id)
