"""The sweeper: it corrects what other functions missed, every `SWEEP_MINUTES` minutes.

It deletes sessions that no incident needs, modifies those whose mirror target was deleted, restarts incidents
without an execution, and watches whether packets are mirrored. It changes only resources that incidents of this
deployment and site created.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from tapstack.domain.appliance_settings import ExistingAppliance
from tapstack.domain.incidents import as_time, utc_now
from tapstack.responder.appliance import instances, snapshots
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.appliance.mirror_target import current_mirror_target
from tapstack.responder.aws.errors import reporting, said_by
from tapstack.responder.aws.parallel import each
from tapstack.responder.capture import attachments, packet_notices, places, repair, sessions, watch
from tapstack.responder.capture.sessions import Described
from tapstack.responder.containment import attachments as containment_attachments
from tapstack.responder.containment import audit, quarantine
from tapstack.responder.environment import environment
from tapstack.responder.incident import steps as incident_steps
from tapstack.responder.observability import logger
from tapstack.responder.outbound import executions, notifications, telemetry
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import captures, incidents, notified, retention
from tapstack.responder.store.captures import Capture
from tapstack.responder.store.incidents import Incident
from tapstack.responder.store.records import Task

START_WITHIN: Final = timedelta(minutes=5)
"""How long an incident, or its containment, may be without an execution before the sweeper starts one; and a capture
without its notification before the sweeper notifies."""
TRIES: Final = 10
"""How many executions the sweeper starts for an incident, to close and to contain; then operators must inspect it."""


@dataclass(slots=True)
class Report:
    """The corrections of a sweep, a line each."""

    deleted: list[str] = field(default_factory=list)
    retargeted: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    """Sessions that others deleted or changed."""
    places: list[str] = field(default_factory=list)
    """Interfaces that waited, and are mirrored."""
    started: list[str] = field(default_factory=list)
    appliance: list[str] = field(default_factory=list)
    packets: list[str] = field(default_factory=list)
    """Incidents whose packets were seen, or of which none were."""
    snapshots: list[str] = field(default_factory=list)
    unknown_sessions: list[str] = field(default_factory=list)
    """Sessions with the tags of this deployment that no incident created: neither used nor deleted."""
    audit: list[str] = field(default_factory=list)
    """Containments that operators should inspect; the sweeper does not change them."""
    instances: list[str] = field(default_factory=list)
    """Interfaces that were attached, and instances that were stopped, started or terminated."""
    delivered: list[str] = field(default_factory=list)
    """Notifications that were not delivered before."""
    problems: list[str] = field(default_factory=list)

    def add(self, kind: list[str], done: Iterable[str], problems: Iterable[str]) -> None:
        """Add what a part corrected to one of the kinds above, and what it could not."""
        kind += done
        self.problems += problems

    def counts(self) -> dict[str, int]:
        """Return the number of corrections of each kind."""
        return {name: len(getattr(self, name)) for name in self.__slots__}

    def as_dict(self) -> dict[str, list[str]]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def as_event(self) -> dict[str, Any]:
        """Return it as subscribers get it: as many of its lines as an event holds, and how many are `left_out`."""
        every = [(name, line) for name, lines in self.as_dict().items() for line in lines]
        fits, left_out = notifications.fitting(every)
        return {name: [line for its, line in fits if its == name] for name in self.__slots__} | {"left_out": left_out}


def sweep(report: Report | None = None) -> Report:
    """Correct what other functions missed, and publish an event if there was anything.

    A part that fails is one of the `problems`; the other parts still run.

    Args:
        report: gets what is done, also where an error is raised; a new one by default.

    Raises:
        Exception: of the first part that failed with an error that is none of AWS: a defect, of which the alarm on
            errors of the function notifies.
    """
    report, defects = Report() if report is None else report, list[Exception]()
    parts: tuple[Callable[[Report], None], ...] = (
        _executions,
        _decisions,
        _sessions,
        _captures,
        _repair,
        _attachments,
        _places,
        _started,
        _appliance,
        _packets,
        _snapshots,
        _containments,
        _undelivered,
        _telemetry,
        _lifetimes,
    )
    for part in parts:
        name = part.__name__.strip("_")
        try:
            with reporting(report.problems, name):
                part(report)
        except Exception as error:
            logger.exception("a part of the sweep failed", part=name)
            report.problems.append(f"{name}: {type(error).__name__}: {said_by(error)}")
            defects.append(error)
    if any(report.as_dict().values()):
        # One that the bus does not take is dropped: the log has the report, and the next sweep has an event of its own.
        with reporting(report.problems, "event"):
            notifications.emit_or_raise(notifications.SWEEP_EVENT, report.as_event())
    if defects:
        raise defects[0]
    return report


def _executions(report: Report) -> None:
    """Start an execution for incidents that have none."""
    for incident in incidents.listed("open"):
        arn = incident.execution_arn
        expired = as_time(incident.expires_at) <= utc_now()
        if arn is None:
            if utc_now() - as_time(incident.opened_at) >= START_WITHIN:
                # Its minutes count from when mirroring starts: none of them is over, however late that is.
                executions.start(incident.id, "close" if incident.close_requested else "capture")
                report.started.append(f"{incident.id}: it had no execution")
            continue
        if incident.state == "failed" and not (expired or incident.close_requested):
            continue  # operators decide; what remains is deleted when the incident expires
        if len(incident.execution_arns) < TRIES and not executions.is_running(arn):
            # By their number: an execution that was stopped from outside has not recorded that it failed.
            executions.start(incident.id, "close", attempt=len(incident.execution_arns))
            report.started.append(f"{incident.id}: its execution had ended")


def _decisions(report: Report) -> None:
    """Continue requested containments that have no execution, and apply the default after a deadline.

    Releases are not continued: their flags are in the input of the execution that has ended, so operators must request
    them again.
    """
    # Without containment the function lacks the permission to read executions.
    if environment().containment is None:
        return
    # The listing is eventually consistent.
    found = incidents.get_all(incident.id for incident in incidents.with_ongoing_containment())
    for incident in found.values():
        state = incident.containment_state
        task: Task = "release" if state == "releasing" else "contain"
        if state not in incidents.ONGOING_CONTAINMENT or _requested_just_now(incident):
            continue
        executions.end_approval_wait(incident)
        if executions.is_under_way(incident, task):
            continue
        if state == "releasing":
            report.audit.append(f"{incident.id} is releasing, and no execution does it: release it again")
        elif incident.contain_runs - incident.contain_runs_before >= TRIES:
            report.audit.append(f"{incident.id} is {state}, and its executions end without doing it")
        elif executions.start_anew(incident, task):
            report.started.append(f"{incident.id}: its containment was {state}, and no execution did it")


def _requested_just_now(incident: Incident) -> bool:
    """Return whether the function that recorded the request may be about to start the execution."""
    containment = incident.requested_containment
    asked_at = containment.released_at if containment.state == "releasing" else containment.asked_at
    return utc_now() - as_time(str(asked_at)) < START_WITHIN


def _sessions(report: Report) -> None:
    """Delete sessions that no incident needs; modify the others to the present mirror target."""
    found = sessions.of_this_deployment()
    held = captures.get_all(session["NetworkInterfaceId"] for session in found)
    known = _incidents_of(held.values())
    live, unknown = [], []
    for session in found:
        verdict = _verdict(session, held.get(session["NetworkInterfaceId"]), known)
        if verdict == "needed":
            live.append(session)
        elif verdict == "unknown":
            unknown.append(session)
        elif verdict == "orphan" and sessions.delete(session["TrafficMirrorSessionId"]):
            report.deleted.append(_named(session))
        # The next part handles captures of closed incidents, and those that are ending.
    report.unknown_sessions += map(_named, unknown)
    _retarget(live, held, known, report)
    repair.report_unknown(unknown)


def _verdict(session: Described, capture: Capture | None, known: dict[str, Incident]) -> str:
    if capture is None or not sessions.is_known(session, capture):
        # The session of an appliance that is being launched is recorded when its stack is complete.
        return "stack" if repair.is_of_stack(session) else "unknown"
    session_id = session["TrafficMirrorSessionId"]
    used = capture.session_id in (session_id, None) and session_id not in capture.ended_sessions
    if (used and capture.holders) or capture.ending:
        return "needed" if any(is_live(holder, known) for holder in capture.holders) else "ends"
    return "orphan"


def is_live(incident_id: str, known: dict[str, Incident]) -> bool:
    """Return whether an incident may still need what it holds: it exists and is not closed."""
    return incident_id in known and known[incident_id].state != "closed"


def _retarget(
    live: list[Described], held: Mapping[str, Capture], known: Mapping[str, Incident], report: Report
) -> None:
    """Modify sessions to the present mirror target."""
    to = current_mirror_target()
    if to is None:
        return
    outdated = [session for session in live if not repair.goes_to(session, to)]

    def modify(session: Described) -> None:
        holders = repair.known_holders(held[session["NetworkInterfaceId"]], known)
        with reporting(report.problems, _named(session)):
            if repair.redirect(session, to, holders):
                report.retargeted.append(_named(session))

    each(modify, outdated)


def _captures(report: Report) -> None:
    """Release captures of closed incidents, and finish those that are ending."""
    held = captures.listed()
    known = _incidents_of(held)
    to_end = []
    for capture in held:
        dead = [holder for holder in capture.holders if holder in known and not is_live(holder, known)]
        # The incident is deleted: nothing else would release the capture.
        dead += [holder for holder in capture.holders if holder not in known]
        now: Capture | None = capture
        if dead:
            now = captures.release(capture.network_interface_id, dead, capture.where)
        elif not capture.holders and not capture.ending:
            now = captures.end(capture)
        if now is not None and now.ending:
            to_end.append(now)
    if to_end:
        left = sessions.finish(to_end)
        ended = [capture for capture in to_end if capture.session_id not in left]
        report.deleted += [f"{c.session_id or 'capture'} on {c.network_interface_id}" for c in ended]
        report.problems += map(notifications.untagged, left)


def _repair(report: Report) -> None:
    """Make again the sessions that others deleted, and undo what they changed."""
    done = repair.repair()
    report.add(report.repaired, done.done, done.problems)


def _places(report: Report) -> None:
    """Mirror what waited, and notify of what gave its place."""
    done = repair.mirror_waiting()
    report.add(report.places, done.done, done.problems)
    for incident in incidents.listed("open"):
        with reporting(report.problems, incident.id):
            places.notify_of_displacements(incident)


def _started(report: Report) -> None:
    """Notify that mirroring has started, where the workflow did not: it goes on whatever its step fails with."""
    for incident in incidents.listed("open"):
        if incident.state != "capturing" or incident.close_requested:
            continue
        with reporting(report.problems, incident.id):
            late = utc_now() - watch.begun_at(incident) >= START_WITHIN
            if late and not notified.is_notified(incident, notifications.STARTED):
                incident_steps.notify(incident.id, tries=0)
                report.delivered.append(f"{incident.id}: that mirroring has started")


def _attachments(report: Report) -> None:
    """Mirror interfaces that were attached later, and record what became of the instances."""
    report.add(report.instances, *attachments.follow())


def _appliance(report: Report) -> None:
    """Release the appliance for closed incidents; retire it when no incident has needed it for long enough."""
    now = stored.get()
    if now.state == "absent":
        return
    known = incidents.get_all(now.holders)
    if dead := [holder for holder in now.holders if not is_live(holder, known)]:
        now = stored.release(dead)
        report.appliance.append(f"released for {', '.join(sorted(dead))}")
    idle = now.state in ("ready", "launching", "resuming")
    if now.state == "retiring" or (idle and appliance_steps.overdue(now)):
        status = appliance_steps.retire_unneeded(again=True)
        report.appliance.append("stays: its packets are not kept yet" if status == "kept" else f"retired: {status}")
    elif now.state == "ready" and now.holders:
        _idle_appliance(now.holders, report)


def _idle_appliance(holders: Iterable[str], report: Report) -> None:
    """Notify the incidents that use a launched appliance where it does not run."""
    settings = environment().appliance
    found = None if isinstance(settings, ExistingAppliance) else instances.idle(settings)
    if found is None:
        return
    report.appliance.append(found.said)
    mark = f"appliance {found.mark}"
    for incident in incidents.get_all(holders).values():
        if incident.state == "closed" or notified.is_notified(incident, mark):
            continue
        with reporting(report.problems, incident.id):
            incidents.add_event(incident.id, "sweeper", "appliance stopped", found.said)
            notice = packet_notices.appliance_stopped(incident, found.said, found.commands)
            notifications.notify_once(incident, "appliance stopped", *notice, once=mark)


def _snapshots(report: Report) -> None:
    """Notify about the snapshots of appliances, and delete those whose time is over."""
    settings = environment().appliance
    if isinstance(settings, ExistingAppliance):
        return
    now = stored.get()
    current = snapshots.retirement_of(settings, now) if now.state == "retiring" else None
    report.add(report.snapshots, *snapshots.supervise(current))


def _packets(report: Report) -> None:
    """Record whether packets are seen, and warn where none are."""
    report.add(report.packets, *watch.watch())


def _containments(report: Report) -> None:
    """Have interfaces isolated that were attached later, and audit the containments; only operators release."""
    if environment().containment is not None:
        report.add(report.instances, *containment_attachments.isolate())
        report.audit += audit.findings()
        report.audit += quarantine.check()


def _undelivered(report: Report) -> None:
    """Deliver the notifications that were not delivered before."""
    report.add(report.delivered, *notifications.deliver())


def _telemetry(report: Report) -> None:
    """Emit what happened to incidents, where a function was killed before it did, or this sweep found it."""
    # The listings are eventually consistent; what this sweep has found is of open incidents.
    found = {one.id for one in incidents.listed("open")} | {one.id for one in incidents.with_unemitted()}
    for incident in incidents.get_all(found).values():
        try:
            telemetry.emit_recorded(incident)
        except Exception as error:
            # Whatever is wrong with one incident, the events of the others are not kept back by it.
            logger.exception("an incident's telemetry could not be emitted", incident=incident.id)
            report.problems.append(f"telemetry: {incident.id}: {type(error).__name__}: {said_by(error)}")


def _lifetimes(report: Report) -> None:
    """Keep what belongs to an incident as long as the incident; that is no correction, and not reported."""
    retention.keep_belongings()


def _incidents_of(held: Iterable[Capture]) -> dict[str, Incident]:
    return incidents.get_all({holder for capture in held for holder in capture.holders})


def _named(session: Described) -> str:
    return f"{session['TrafficMirrorSessionId']} on {session['NetworkInterfaceId']}"
