"""Notifications to operators by SNS, events to subscribers by EventBridge: what happened, what to run next.

Sources: Amazon SNS API Reference, Publish (a subject has up to 100 printable ASCII
characters, a message 256 KB); Amazon EventBridge API Reference, PutEvents.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from tapstack.domain.console import execution_page, instance_page
from tapstack.domain.containment import tags_word
from tapstack.domain.counts import counted
from tapstack.domain.incidents import SWEEP_MINUTES, as_time, extend_command, utc_now
from tapstack.domain.outside_text import LONG, one_line, quoted, word
from tapstack.domain.own_names import EVENT_SOURCE, NOTIFICATIONS_UNDELIVERED
from tapstack.domain.packet_basics import PORTAL_USER, password_command
from tapstack.domain.packet_watch import WARN_AFTER
from tapstack.domain.proposals import (
    CHOOSE,
    GOES_ON,
    SKIP_WAIT,
    URL_VARIABLE,
    close_effect,
    contain_commands,
    pending_commands,
    proposal,
)
from tapstack.domain.stored_packets import where_stored
from tapstack.responder.aws.clients import DELIVERING_SECONDS, deliver_anew, delivering
from tapstack.responder.aws.errors import is_transient, said_by
from tapstack.responder.environment import environment
from tapstack.responder.errors import TryAgain, is_refusal, without_name
from tapstack.responder.observability import count, logger
from tapstack.responder.store import incidents, notified, undelivered
from tapstack.responder.store.incidents import Incident, IncidentContainment, IncidentInterface
from tapstack.responder.store.undelivered import Undelivered

T = TypeVar("T")
INCIDENT_EVENT: Final = "Tapstack Incident"
FINDING_EVENT: Final = "Tapstack Finding"
ALERT_EVENT: Final = "Tapstack Alert"
SWEEP_EVENT: Final = "Tapstack Sweep"
NOTIFIED_IN_AN_HOUR: Final = 12
"""How many notifications that change nothing operators get of one origin within a clock hour: a flood would hide what
matters."""
_ERRORS: Final = (BotoCoreError, ClientError, TryAgain)
"""What a topic, or the bus, may answer that does not take what it is sent."""
TRIED_AGAIN: Final = 8
"""How often a step of the workflow is tried again after a transient error of its notification, before that is left to
the sweeper: below what the workflow retries (`response.states`), so that no step fails because of it."""
DELIVER_SECONDS: Final = DELIVERING_SECONDS
"""How long a sweep, which has 300 seconds, goes on with what was not delivered before; the rest is the next one's."""
READDRESSED_AFTER: Final = timedelta(minutes=15)
"""How old a notification is before it goes to another topic: longer than a deploy takes to update all functions."""
STARTED: Final = "capturing"
"""What operators are notified of when mirroring has started."""
_SUBJECT: Final = 100
RUN_FIRST: Final = "Run first:"
_LEFT_OUT: Final = "..."
_SITE: Final = 12
"""So much of the name of a site the subject of an incident has room for, whatever else it says."""
_NONE_FOR: Final = int(WARN_AFTER.total_seconds()) // 60
_MESSAGE_BYTES: Final = 262_144
_ENTRIES_BYTES: Final = 131_072
"""Of the entries of an event, which has 256 KB at most, as JSON. The record of an outcome has the same: 400 KB."""


def notify_once(
    incident: Incident,
    what: str,
    subject: str,
    text: str,
    *,
    once: str | None = None,
    to_operators: bool = True,
    tries: int = 0,
) -> bool:
    """Notify operators and subscribers of an incident, once for each `what`, or for each `once` where that is given.

    What does not arrive the sweeper delivers later: nothing fails because of a notification, and nothing that was done
    or decided is left undone because of one. A service that does not answer is waited for once in an invocation
    (`aws.clients.delivering`): time is left to keep what failed. A function that is killed before the notification is
    recorded sends it again. Without `to_operators` subscribers alone are notified. `tries` is how often the caller
    tries again after a transient error: steps of the workflow do within seconds, and no other caller is sure to be
    called as often. Return whether this call notified.

    Raises:
        ClientError, BotoCoreError, TryAgain: a transient error, where tries are left.
    """
    mark = once or what
    taken = notified.taken_by(incident, mark)
    if taken is None:
        return False
    every = _to_topics(subject, text) if to_operators else []
    every.append(_event(INCIDENT_EVENT, {"what": what, **incident.where.as_dict(), **incidents.shown(incident)}))
    left = [one for one in every if one.destination not in taken]
    failed = _deliver_each(left)
    transient = next((error for error in failed.values() if isinstance(error, TryAgain) or is_transient(error)), None)
    now = {one.destination for one in left if one not in failed}
    if transient is not None and tries and notified.may_try_again(incident.id, mark, now, most=tries):
        raise transient
    if failed and notified.is_notified(incident, mark):
        # Another function has published it meanwhile, and has kept what failed there.
        return False
    for one, error in failed.items():
        _keep(one, error)
    notified.mark_notified(incident.id, mark)
    return True


def publish(subject: str, text: str) -> None:
    """Publish a notification to operators, to each topic; to one that does not take it, the sweeper delivers it."""
    for one, error in _publish(subject, text).items():
        _keep(one, error)


def publish_to_any(subject: str, text: str) -> None:
    """Publish, as `publish`, what operators must know before something is deleted.

    Raises:
        ClientError, BotoCoreError, TryAgain: no topic took it; that of the first one. Nothing is left to the sweeper
            then.
    """
    failed = _publish(subject, text)
    if failed and len(failed) == len(environment().topic_arns):
        one, error = next(iter(failed.items()))
        _count_failure(one.destination, error)
        raise error
    for one, error in failed.items():
        _keep(one, error)


def _publish(subject: str, text: str) -> dict[Undelivered, Exception]:
    """Return what topics did not take, with their errors."""
    return _deliver_each(_to_topics(subject, text))


def _to_topics(subject: str, text: str) -> list[Undelivered]:
    topics = environment().topic_arns
    return [Undelivered(topic_arn, subject, text, topics) for topic_arn in topics]


def _deliver_each(every: Iterable[Undelivered]) -> dict[Undelivered, Exception]:
    """Return what was not taken, with the errors."""
    failed = dict[Undelivered, Exception]()
    for one in every:
        try:
            _deliver(one)
        except _ERRORS as error:
            failed[one] = error
    return failed


def _deliver(one: Undelivered) -> None:
    if one.destination == environment().event_bus:
        _put_event(one)
    else:
        _send(one.destination, one.subject, one.text)


def _send(topic_arn: str, subject: str, text: str) -> None:
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in subject)
    with delivering("sns") as sns:
        sns.publish(TopicArn=topic_arn, Subject=plain[:_SUBJECT], Message=_within_limit(text))


def _keep(one: Undelivered, error: Exception) -> None:
    """Leave it to the sweeper."""
    _count_failure(one.destination, error)
    undelivered.keep(one)


def _count_failure(destination: str, error: Exception) -> None:
    """Count, for an alarm, what a topic, or the bus, does not take."""
    logger.warning({"message": "a notification is not delivered", "destination": destination, "why": said_by(error)})
    count(NOTIFICATIONS_UNDELIVERED)


def deliver() -> tuple[list[str], list[str]]:
    """Deliver what was not delivered, the oldest first, for up to `DELIVER_SECONDS`.

    A topic that does not take one gets no further one in this sweep: it would refuse each of them. What was kept for
    one that was taken out of the deployment since goes to those that were added, or waits until one is.

    Returns:
        A line for each that was delivered, and one for each topic, or bus, that does not take any, or is gone.
    """
    named, began = environment(), time.monotonic()
    # Of this no other part of the sweep takes away time.
    deliver_anew()
    there = {*named.topic_arns, named.event_bus}
    lines, failed, waiting = list[str](), dict[str, Exception](), dict[str, list[Undelivered]]()
    # Before anything is delivered: a sweep that is killed in between delivers nothing twice.
    for one in (one for one in undelivered.listed() if one.destination not in there):
        if time.monotonic() - began >= DELIVER_SECONDS:
            break
        # Another function may have been deployed before this one: then it is this one that does not know the topic.
        if one.since is not None and utc_now() - as_time(one.since) < READDRESSED_AFTER:
            continue
        if not _readdress(one):
            waiting.setdefault(one.destination, []).append(one)
    for one in (one for one in undelivered.listed() if one.destination in there):
        if time.monotonic() - began >= DELIVER_SECONDS:
            break
        if one.destination not in failed:
            try:
                # An event has the time that it is of.
                _deliver(one if one.destination == named.event_bus else _late(one))
            except _ERRORS as error:
                _count_failure(one.destination, error)
                failed[one.destination] = error
            else:
                undelivered.forget(one)
                lines.append(f"{one.subject}: to {one.destination}, since {one.since}")
    for _ in waiting:
        # The alarm lasts as well while they wait for a topic, and may end with none.
        count(NOTIFICATIONS_UNDELIVERED)
    problems = [f"{destination}: {said_by(error)}" for destination, error in failed.items()]
    problems += [
        f"{destination}, which is not notified any more: {counted(len(those), 'notification')} "
        f"{'waits' if len(those) == 1 else 'wait'} for a topic in its place, until "
        f"{max(str(one.until) for one in those)}"
        for destination, those in waiting.items()
    ]
    return lines, problems


def _readdress(one: Undelivered) -> bool:
    """Keep for topics that were added since what was for one that is gone; return whether there are any.

    Those that were there before took it, or have it kept for them. Where there are none, it stays as it is: the right
    topic may be added after the wrong one was taken out. An event is for the bus alone.
    """
    now = environment().topic_arns
    added = [topic_arn for topic_arn in now if topic_arn not in one.topics] if one.topics else []
    # The one that is gone has not got it, if it should come back.
    topics = tuple({*one.topics, *now} - {one.destination})
    for topic_arn in added:
        undelivered.keep(replace(one, destination=topic_arn, topics=topics))
    if added:
        undelivered.forget(one)
    return bool(added)


def _late(one: Undelivered) -> Undelivered:
    """Return a notification that says that it is late."""
    said = f"This notification is of {one.since}, and could not be delivered then: what it says may have changed."
    return replace(one, text=f"{said}\n\n{one.text}")


def _within_limit(text: str) -> str:
    """Return as much of a text as one notification holds."""
    if len(text.encode()) <= _MESSAGE_BYTES:
        return text
    said = "\n... (the rest is left out: it is more than a notification holds)\n"
    return text.encode()[: _MESSAGE_BYTES - len(said)].decode(errors="ignore") + said


def fitting(entries: Iterable[T], *, within: int = _ENTRIES_BYTES) -> tuple[list[T], int]:
    """Return the first entries of an event, as many as it holds, and how many are left out.

    Args:
        entries: as JSON has them.
        within: bytes.
    """
    fits, left_out = [], 0
    for entry in entries:
        within -= len(json.dumps(entry)) + len(", ")
        if within < 0:
            left_out += 1
        else:
            fits.append(entry)
    return fits, left_out


def emit(detail_type: str, detail: dict[str, Any]) -> None:
    """Publish an event to subscribers; one that the bus does not take, the sweeper delivers."""
    for one, error in _deliver_each([_event(detail_type, detail)]).items():
        _keep(one, error)


def emit_or_raise(detail_type: str, detail: dict[str, Any]) -> None:
    """Publish, as `emit`, an event that the sweeper does not deliver.

    Raises:
        ClientError, BotoCoreError, TryAgain: the bus did not take it.
    """
    _put_event(_event(detail_type, detail))


def _event(detail_type: str, detail: dict[str, Any]) -> Undelivered:
    """Return an event with what all events say: of which deployment, site, account and Region it is."""
    named = environment()
    placed = {"deployment": named.deployment, "site": named.site, **named.home.as_dict(), **detail}
    return Undelivered(named.event_bus, detail_type, json.dumps(placed))


def _put_event(one: Undelivered) -> None:
    entry = {
        "Source": EVENT_SOURCE,
        "DetailType": one.subject,
        "Detail": one.text,
        "EventBusName": one.destination,
        **({} if one.since is None else {"Time": as_time(one.since)}),
    }
    with delivering("events") as events:
        answer = events.put_events(Entries=[entry])
    if answer.get("FailedEntryCount"):
        raise TryAgain(f"the event bus did not take the event: {quoted(answer['Entries'][0].get('ErrorMessage', ''))}")


def capturing(incident: Incident) -> tuple[str, str]:
    """Return subject and text: mirroring has started."""
    mirrored = incident.in_state("mirrored")
    return subject(incident, "mirroring started"), text(
        incident,
        f"Traffic mirror sessions of {_suspect(incident)} exist until {incident.expires_at}. The appliance shows "
        f"whether packets arrive. A warning follows where CloudWatch counts none for {_NONE_FOR} minutes.",
        ["Mirrored:", *(_mirrored(item) for item in mirrored)],
        _not_mirrored("Not mirrored:", incident.in_state("refused")),
        _not_mirrored(f"Not mirrored yet; tried again every {SWEEP_MINUTES} minutes:", incident.in_state("waiting")),
        _where(incident),
        _undone(incident),
        [
            CHOOSE,
            f"  {proposal(incident.id, 'show')}",
            f"  {_extension(incident)}",
            f"  {close_command(incident)}",
            *_proposals(incident, _of_containment(incident)),
        ],
    )


def _undone(incident: Incident) -> list[str]:
    """Return the line about a containment that is pending, waits for packets, or failed; else none."""
    containment = incident.containment
    if containment is None:
        return []
    if containment.state == "failed" and containment.released_at is None:
        how = "was REFUSED" if is_refusal(containment.failure or "") else "FAILED"
        part = " in part" if containment.changed else ""
        return [f"The containment of {incident.instance_id} {how}{part}: {without_name(containment.failure or '')}"]
    if containment.waits_for_packets:
        return [
            f"{incident.instance_id} is NOT contained yet: that waits for packets until {containment.packets_until}, "
            "at most. The attacker is still connected."
        ]
    if containment.state != "pending":
        return []
    then = "it is contained" if containment.default == "contain" else "it is not contained"
    return [f"A containment of {incident.instance_id} is still PENDING until {containment.deadline}; then {then}."]


def _of_containment(incident: Incident) -> list[str]:
    """Return the commands for the containment of an incident whose instance is not contained."""
    containment, modes = incident.containment, incidents.containment_modes(incident)
    if containment is not None and containment.waits_for_packets:
        return [*([SKIP_WAIT] if "now" in modes else []), "reject"]
    if containment is not None and containment.state == "pending":
        return list(pending_commands(overrides=bool(containment.overridden_tags)))
    if incident.containment_state in incidents.WANTED_CONTAINMENT:
        return []
    if incident.failed_in_part:
        # None needs an approval, and none waits.
        return contain_commands(modes[:1])
    return contain_commands(modes, wait=incidents.containment_wait(incident))


def _proposals(incident: Incident, commands: Iterable[str]) -> list[str]:
    wait = incidents.containment_wait(incident)
    goes_on = GOES_ON if incident.failed_in_part else None
    return [
        f"  {proposal(incident.id, one, effect=goes_on if one.startswith('contain ') else None, wait=wait)}"
        for one in commands
    ]


def close_command(incident: Incident) -> str:
    """Return the command that closes an incident, with its effect: also on a containment that is not done yet."""
    containment, does = incident.containment, None
    if incident.state == "failed":
        does = "deletes what remains" if incident.in_place else "closes the incident"
    waits = containment is not None and containment.waits_for_packets
    effect = close_effect(incident.containment_state, waits_for_packets=waits, does=does)
    return proposal(incident.id, "close", effect=effect)


def _extension(incident: Incident) -> str:
    """Return the command that extends the capture, or why it cannot be extended."""
    end = incidents.latest_end(incident)
    return extend_command(incident.id, incident.state, utc_now(), incident.expires_at, end)


def _pending(incident: Incident) -> list[str]:
    """Return the lines about a containment that is pending; none where none is."""
    if incident.containment_state != "pending":
        return []
    return [*_undone(incident), CHOOSE, *_proposals(incident, _of_containment(incident))]


def closed(incident: Incident, still_contained: list[str]) -> tuple[str, str]:
    """Return subject and text: the incident is closed.

    Args:
        incident: that is closed.
        still_contained: lines about an instance that stays contained.
    """
    why = {"expired": ": it expired", "closed": " by a command"}.get(incident.closed_because or "", "")
    left = [item for item in incident.in_state("ended") if item.session_id and _LOST_TAGS in item.note]
    rest = "Some of its sessions REMAIN, and are billed" if left else "It captures nothing any more"
    pending = _pending(incident)
    said = ", containment NOT RELEASED" if still_contained else ", containment PENDING" if pending else ""
    return subject(incident, f"closed{said}"), text(
        incident,
        f"The incident was closed{why}. {rest}; sessions shared with other incidents continue.",
        [f"  {item.network_interface_id}: {item.note}" for item in left],
        _packets(incident),
        still_contained,
        pending,
        _where(incident),
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


_LOST_TAGS: Final = "has lost the tags of this deployment, and stays until it is deleted"


def untagged(session_id: str) -> str:
    """Return what is to be done about a session that has lost our tags: no function may delete it."""
    return (
        f"{session_id} {_LOST_TAGS}: "
        f"aws ec2 delete-traffic-mirror-session --region {environment().home.region} "
        f"--traffic-mirror-session-id {session_id}"
    )


def _packets(incident: Incident) -> list[str]:
    """Return what is known of the packets of an incident that captured."""
    found = incident.packets
    if found is None:
        return []
    if found.state == "packets seen":
        return [f"Packets were seen from {found.seen_at}."]
    if found.state == "no packets seen":
        return [f"NO PACKETS were seen of {', '.join(found.missing)}."]
    return ["Whether packets were mirrored is not known: the appliance shows what arrived."]


def evidence(incident: Incident) -> list[str]:
    """Return what is known of the packets of an incident that captures, and where they are."""
    found = incident.packets
    if found is None:
        known = ["Nothing is captured yet: tapstack incident show says when packets are seen."]
    elif not incident.in_state("mirrored"):
        known = ["NOTHING is mirrored now.", *_packets(incident)]
    elif found.state == "mirroring":
        known = ["It is mirrored. Whether packets arrive is not known yet."]
    else:
        known = _packets(incident)
    return ["Evidence:", *(f"  {line}" for line in known), *_where(incident)]


def failed(incident: Incident, failure: str, still_contained: list[str]) -> tuple[str, str]:
    """Return subject and text: the incident failed, and what is still in place.

    Args:
        incident: that failed.
        failure: the error, in one line.
        still_contained: lines about an instance that is contained.
    """
    in_place = incident.in_place
    return subject(incident, "FAILED"), text(
        incident,
        f"The capture failed: {failure}",
        ["Still in place:", *(f"  {item}" for item in in_place)]
        if in_place
        else ["No mirror session and no appliance of this incident remains."],
        _where(incident),
        ["What to run next, to delete what remains:", f"  {close_command(incident)}"]
        if in_place
        else ["What to run next:", f"  tapstack incident show {incident.id}"],
        still_contained,
        _pending(incident),
    )


def cleanup_failed(incident: Incident, failure: str) -> tuple[str, str]:
    """Return subject and text: the incident is closed, but the appliance could not be retired."""
    return subject(incident, "closed, appliance not deleted"), text(
        incident,
        f"The incident is closed and captures nothing, but a later step failed: {failure}",
        [f"The appliance may still exist, and cost money. The sweeper tries again every {SWEEP_MINUTES} minutes."],
        ["What to run next:", f"  tapstack incident show {incident.id}"],
    )


def subject(incident: Incident, what: str) -> str:
    """Return the subject of a message about an incident."""
    said, site = f"{incident.severity} {incident.id}: {what}", environment().site
    # The end says the most, `BUT STILL CONNECTED` for example: what SNS would not take is left out of the site.
    room = max(_SUBJECT - len(_headed("", said)), _SITE)
    return _headed(site if len(site) <= room else f"{site[: room - len(_LEFT_OUT)]}{_LEFT_OUT}", said)


def headed(what: str) -> str:
    """Return a subject that begins with the name of the site; SNS may take less of its end than others wrote there."""
    return _headed(environment().site, what)


def _headed(site: str, what: str) -> str:
    return f"[tapstack {site}] {what}"


def _suspect(incident: Incident) -> str:
    return str(incident.instance_id or ", ".join(incident.network_interface_ids))


def text(incident: Incident, first: str, *parts: list[str]) -> str:
    """Return a message about an incident.

    Args:
        incident: what it is about.
        first: its first line.
        *parts: lines that belong together; empty ones are left out.
    """
    about = [
        first,
        "",
        f"Reason:   {quoted(incident.reason, LONG)}",
        f"Severity: {incident.severity}",
        *attack_lines(incident.tactics, incident.techniques),
        *([f"Alert:    {word(incident.alert_id)}"] if incident.alert_id else []),
        f"Opened:   {incident.opened_at} by {word(incident.opened_by)}",
        f"Account:  {incident.where.account_id}, {incident.where.region}",
        *address(),
        *_pages(incident),
        *_stored_packets(incident),
        *_protection(incident),
    ]
    # No line break within a line: messages of AWS and names of others can stand in any of them.
    lines = [*about, *(line for part in parts if part for line in ("", *part))]
    return "\n".join(map(one_line, lines)) + "\n"


def address() -> list[str]:
    """Return the lines by which the commands of a notification find the API; none where its address is not known."""
    url = environment().api_url
    # Lines of its own, so that a shell takes a copied one.
    return [RUN_FIRST, f"  export {URL_VARIABLE}={url}"] if url else []


def attack_lines(tactics: Sequence[str], techniques: Sequence[str]) -> list[str]:
    """Return all tactics and techniques of MITRE ATT&CK of an alert, a line each; none where it has none."""
    return [
        *([f"Tactics:  {' and '.join(tactics)}"] if tactics else []),
        *([f"ATT&CK:   {', '.join(techniques)}"] if techniques else []),
    ]


def _pages(incident: Incident) -> list[str]:
    """Return the console's pages of the instance and of the latest execution, which only show them."""
    region, arn = incident.where.region, incident.execution_arn
    pages = {
        "Console: ": instance_page(region, incident.instance_id) if incident.instance_id else None,
        "Workflow:": execution_page(region, arn) if arn else None,
    }
    return [f"{what} {page}" for what, page in pages.items() if page is not None]


def _protection(incident: Incident) -> list[str]:
    """Return a line where a containment overrides what protects the instance, or the other person that approves it."""
    containment = incident.containment
    if containment is None:
        return []
    if not containment.overridden_tags:
        return _without_another_person(containment)
    settings = environment().containment
    asked = f"requested by {word(containment.asked_by)}: {quoted(containment.override_reason, LONG)}"
    if containment.decision not in ("approved", "overridden"):
        return [f"Override: PROTECTED by its {tags_word(containment.overridden_tags)}. An override was {asked}"]
    alone = "" if settings is None or settings.approval.other_person else " (approval.other_person is off)"
    return [
        f"Override: PROTECTION OVERRIDDEN: its {tags_word(containment.overridden_tags)}, approved by "
        f"{word(str(containment.decided_by))}{alone}, {asked}"
    ]


def _without_another_person(containment: IncidentContainment) -> list[str]:
    if containment.decision != "overridden":
        return []
    # An earlier version recorded no reason but in the timeline.
    why = f": {quoted(containment.decision_reason, LONG)}" if containment.decision_reason else ""
    return [f"Override: approved WITHOUT ANOTHER PERSON by {word(str(containment.decided_by))}{why}"]


def _stored_packets(incident: Incident) -> list[str]:
    packets = incidents.stored_packets(incident)
    return [f"Stored:   {where_stored(packets)}"] if packets else []


def _mirrored(item: IncidentInterface) -> str:
    return f"  {item.network_interface_id} by {item.session_id}" + (f": {item.note}" if item.note else "")


def _not_mirrored(heading: str, entries: list[IncidentInterface]) -> list[str]:
    return [heading, *(f"  {item.network_interface_id}: {item.note}" for item in entries)] if entries else []


def _where(incident: Incident) -> list[str]:
    appliance = incidents.appliance_now(incident)
    if appliance is None or not appliance.portal_url:
        return []
    lines = ["Portal:", f"  {appliance.portal_url}"]
    if appliance.launched_by_us and appliance.stack_name:
        command = password_command(appliance.stack_name, incident.where.region)
        lines += [f"  user {PORTAL_USER}; this shows its first password, if it was not changed:", f"  {command}"]
    return lines
