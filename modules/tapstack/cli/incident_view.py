"""Incidents as text: all of one, or a table of many."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tapstack.cli.incident_plan_view import advice
from tapstack.cli.terminal import plain, shortened, table
from tapstack.domain.containment import difference_line, isolation_gap, tags_word
from tapstack.domain.containment_release import refusals
from tapstack.domain.containment_settings import MODES
from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import (
    WITH_A_REASON,
    as_time,
    can_be_extended,
    extend_command,
    is_before_capture,
    lasting,
)
from tapstack.domain.outside_text import LONG, quoted, word
from tapstack.domain.packet_basics import PORTAL_USER, password_command
from tapstack.domain.proposals import (
    CHOOSE,
    DOES_THE_REST,
    GOES_ON,
    LEAVES_REFUSED,
    SKIP_WAIT,
    close_effect,
    contain_commands,
    pending_commands,
    proposal,
)
from tapstack.domain.stored_packets import where_stored

Incident = Mapping[str, Any]
_REASON_WIDTH: Final = 50
_NOTE_WIDTH: Final = 80
_LABEL: Final = 10
"""Characters of the longest label of a card."""
_WORDS: Final = {
    "pending": "pending approval, NOT contained",
    "standing": "existing",
    "blocked": "release blocked: changed outside Tapstack",
    "containing": "containing, NOT contained yet",
    "releasing": "releasing, not released yet",
    "released": "released for this incident",
}
_REFUSED: Final = "release not completed: AWS refuses a part of it"
_WAITS_FOR_PACKETS: Final = "waiting for packets, NOT contained: the attacker is still connected"
_LEFT_CHANGED: Final = "rejected, but what was changed before is NOT restored"
_TRIED_AGAIN: Final = "contained; what was not done is tried again"
_NOT_CONTAINED: Final = "not contained: "
_NO_ANSWER: Final = f"{_NOT_CONTAINED}there was no answer before the deadline"
_WITHDRAWN: Final = f"{_NOT_CONTAINED}a release of the instance withdrew it"
_STARTED: Final = {
    "containing": "being changed",
    "failed": "started",
}
"""What is said of recorded changes in these states: they are recorded before they begin."""


def card(incident: Incident, *, now: datetime, options: str = "", region: str = "") -> str:
    """Return an incident as text, with the commands to run next.

    Args:
        incident: the API's response; lines about what it lacks are left out.
        now: the current time, from which the time that is left is computed.
        options: added to the next commands, such as ` --url https://...`.
        region: of the deployment, where it is known.
    """
    name = plain(incident.get("id"))
    severity = plain(incident.get("severity"))
    state = f"{plain(incident.get('state'))}{', close requested' if _is_ending(incident) else ''}"
    lines = [f"{name}  {state}{f', severity {severity}' if severity else ''}"]
    lines += [f"  {label:<{_LABEL}} {text}" for label, text in _facts(incident, now, region) if text]
    lines += _block([f"  {plain(line)}" for line in _list(incident, "still_exists")], "  still exists")
    lines += _block(_interfaces(incident))
    lines += _block(_containment(incident), "  containment")
    lines += _block([f"  {line}" for line in timeline(incident)], "  timeline")
    lines += _block([f"  {plain(entry)}" for entry in _list(incident, "in_place")], "  still in place")
    others = [f"  {plain(one.get('note'))}" for one in _entries(incident, "wanted_by")]
    lines += _block(others, "  other incidents that contain it, or have requested it")
    lines += _block(
        [f"  {line}" for line in next_commands(incident, now, options)], f"  {CHOOSE.lower().removesuffix(':')}"
    )
    return "\n".join(lines)


def ongoing(incident: Incident, *, containment: bool = False) -> str | None:
    """Return the state of a capture that has not begun yet, or of a containment or release that has not ended.

    None where there is nothing to wait for.
    """
    if containment:
        found = _mapping(incident, "containment")
        state = found.get("state")
        goes_on = state == "contained" and found.get("isolating")
        return plain(state) if goes_on or state in ("pending", "containing", "releasing") else None
    state = incident.get("state")
    return plain(state) if is_before_capture(str(state)) else None


def isolation_shortfall(incident: Incident) -> str:
    """Return in which way a containment that has ended leaves the instance connected; empty where it does not."""
    found = _mapping(incident, "containment")
    state, said = found.get("state"), _state_of(found)
    if state == "blocked":
        return said
    if state != "contained":
        return f"NOT contained: {said.removeprefix(_NOT_CONTAINED)}" if said else "NOT contained"
    if isolation_gap(map(str, _list(found, "not_done"))):
        return said
    # What was attached since could not be isolated.
    return f"contained, but {plain(failure)}" if (failure := found.get("failure")) else ""


def timeline(incident: Incident, start: int = 0) -> list[str]:
    """Return a line for each entry of the timeline from number `start`, 0 the first."""
    return [_timeline_line(entry) for entry in _entries(incident, "timeline")[start:]]


def next_commands(incident: Incident, now: datetime, options: str = "") -> list[str]:
    """Return the commands that can be run for an incident now: alternatives, each with its effect as a comment.

    Args:
        incident: the API's response.
        now: the current time.
        options: that each command needs, with a space before each.
    """
    name, state = shlex.quote(plain(incident.get("id"))), incident.get("state")
    containment, wait = _mapping(incident, "containment"), _wait(incident)
    of_containment = [
        proposal(name, command, options, effect=effect, wait=wait)
        for command, effect in _of_containment(incident).items()
    ]

    def closes(does: str | None = None) -> str:
        return close_effect(containment.get("state"), waits_for_packets=_waits_for_packets(containment), does=does)

    if state == "closed":
        return of_containment
    if state == "failed":
        remains = "deletes what remains" if _list(incident, "in_place") else "closes the incident"
        return [proposal(name, "close", options, effect=closes(remains)), *of_containment]
    show = proposal(name, "show", options)
    if not can_be_extended(str(state)) or _is_ending(incident):
        return [show, *of_containment]
    return [
        show,
        *_extension(incident, name, now, options),
        proposal(name, "close", options, effect=closes()),
        *of_containment,
    ]


def _wait(incident: Incident) -> int | None:
    """Return how many seconds a containment that is decided now waits for packets at most; None where it does not."""
    # An API of an earlier version does not say it.
    wait = incident.get("containment_wait_seconds")
    return wait if isinstance(wait, int) else None


def _of_containment(incident: Incident) -> dict[str, str | None]:
    """Return the commands for the containment of an incident, each with its effect where that is another than usual."""
    containment = _mapping(incident, "containment")
    state, differences = containment.get("state"), _entries(containment, "differences")
    modes = [mode for mode in MODES if mode in _list(incident, "containment_modes")]
    if _waits_for_packets(containment):
        return {**dict.fromkeys([SKIP_WAIT] if "now" in modes else []), "reject": None}
    left = {"release": None} if _is_left_changed(containment) else {}
    if state == "pending":
        # A command that closes the incident rejects it; its expiry does not.
        answers = () if incident.get("close_requested") else pending_commands(overrides=bool(_overrides(containment)))
        return {**dict.fromkeys(answers), **left}
    found: dict[str, str | None] = {}
    if modes:
        found["contain --dry-run" if "approval" in modes else "contain --mode now --dry-run"] = None
    if state == "contained":
        again = {f"contain --mode {mode}": DOES_THE_REST for mode in modes[:1]}
        return {**found, **again, "release --dry-run": None, "release": None}
    if state == "blocked":
        refused = refusals(differences)
        # Where there is advice, overwriting does not help.
        useful = ["release --overwrite"] if not any(map(advice, differences)) else []
        commands = dict.fromkeys(["release --dry-run", *(["release"] if refused else []), *useful])
        return {**commands, "release --keep": LEAVES_REFUSED if refused else None}
    if incident.get("containment_failed_in_part"):
        found |= {f"contain --mode {mode}": GOES_ON for mode in modes[:1]}
    else:
        found |= dict.fromkeys(contain_commands(modes, wait=_wait(incident)))
    return {**found, **left}


def _is_left_changed(containment: Mapping[str, Any]) -> bool:
    """Return whether something was changed before, which neither a new request nor its rejection restores."""
    return containment.get("state") in ("pending", "rejected", "failed") and bool(_list(containment, "changed"))


def _extension(incident: Incident, name: str, now: datetime, options: str) -> list[str]:
    """Return the command that extends the capture, or the reason why it cannot be extended; nothing where it closes."""
    expires_at, latest = plain(incident.get("expires_at")), plain(incident.get("extendable_until"))
    if not latest:
        return []
    try:
        # The minutes count from when mirroring starts, however long that takes.
        state = str(incident.get("state"))
        begins = as_time(plain(incident.get("opened_at"))) if is_before_capture(state) else now
        return [extend_command(name, state, begins, expires_at, latest, options)]
    except RuleViolation:
        return []


CLOSED_MAY_CONTAIN: Final = (
    "closed incidents may still contain their instances: tapstack incident list --state closed{}"
)
"""With the options of the command that was given."""


def listing(answer: Mapping[str, Any], *, options: str = "") -> str:
    """Return a table of incidents, with the command that shows more."""
    incidents = _entries(answer, "incidents")
    rows = [
        [
            plain(incident.get("id")),
            plain(incident.get("state")),
            plain(incident.get("severity")),
            plain(incident.get("closed_at")) or plain(incident.get("expires_at")),
            shortened(_subject(incident)[1], 30),
            _containment_word(incident),
            quoted(str(incident.get("reason", "")), _REASON_WIDTH),
        ]
        for incident in incidents
    ]
    if not rows:
        return "no incidents"
    # A list has either open incidents or closed ones.
    ended = "CLOSED" if incidents[0].get("closed_at") else "UNTIL"
    lines = table(["INCIDENT", "STATE", "SEVERITY", ended, "INSTANCE/INTERFACE", "CONTAINMENT", "REASON"], rows)
    if following := plain(answer.get("next")):
        lines += ["", f"there are more: tapstack incident list{options} --next {shlex.quote(following)}"]
    return "\n".join(lines)


def _containment_word(incident: Incident) -> str:
    """Return the state of a containment in a word, with the deadline of a pending one; - where there is none."""
    found = _mapping(incident, "containment")
    state = plain(found.get("state"))
    deadline = plain(found.get("deadline")) if state == "pending" else ""
    return _joined(" until ", state, deadline) or "-"


def _containment(incident: Incident) -> list[str]:
    found = _mapping(incident, "containment")
    if not found:
        return []
    by, at = _word(found.get("decided_by")), plain(found.get("decided_at"))
    decided = _joined(" by ", plain(found.get("decision")), by)
    if found.get("decision") == "default":
        decided = f"by {plain(found.get('decided_by'))}: there was no answer"
    decided = _joined(": ", decided, _quoted(found.get("decision_reason")))
    differences = _entries(found, "differences")
    refused = bool(refusals(differences))
    state = str(found.get("state"))
    facts: list[tuple[str, str]] = [
        ("state", _state_of(found)),
        ("requested", _joined(" by ", plain(found.get("asked_at")), _word(found.get("asked_by")))),
        ("overrides", _overrides(found)),
        ("approval deadline", _deadline(found)),
        ("decided", _joined(" ", at, decided)),
        ("packets", _packets_wait(found)),
        (
            "released" if state == "released" else "release requested",
            _joined(" by ", plain(found.get("released_at")), _word(found.get("released_by"))),
        ),
        ("failed", plain(found.get("failure"))),
        *((_changed_label(found), plain(line)) for line in _list(found, "changed")),
        *(("not done", plain(line)) for line in _list(found, "not_done")),
        *(("not restored", plain(line)) for line in _list(found, "not_restored")),
        *(("refused" if refused else "changed outside", plain(difference_line(entry))) for entry in differences),
    ]
    shown = [(label, text) for label, text in facts if text]
    width = max(_LABEL, *(len(label) for label, _ in shown)) if shown else _LABEL
    return [f"  {label:<{width}} {text}" for label, text in shown]


def _state_of(found: Mapping[str, Any]) -> str:
    """Return the state of a containment in words."""
    state = str(found.get("state"))
    if state == "blocked" and refusals(_entries(found, "differences")):
        return _REFUSED
    if _waits_for_packets(found):
        return _WAITS_FOR_PACKETS
    if state == "rejected" and _is_left_changed(found):
        return _LEFT_CHANGED
    if state == "rejected" and found.get("decision") == "default":
        return _NO_ANSWER
    if state == "rejected" and found.get("decided_by") == "release":
        return _WITHDRAWN
    if state == "contained" and (gap := isolation_gap(map(str, _list(found, "not_done")))):
        return f"contained, {gap}: see not done"
    if state == "contained" and found.get("isolating"):
        return _TRIED_AGAIN
    return _WORDS.get(state, plain(found.get("state")))


def _changed_label(found: Mapping[str, Any]) -> str:
    """Return what is said of the changes that are recorded: before they begin, and until they are restored."""
    if _is_left_changed(found) and (found.get("state") != "failed" or found.get("released_at")):
        return "not restored yet"
    return _STARTED.get(str(found.get("state")), "changed")


def _overrides(found: Mapping[str, Any]) -> str:
    """Return which protection it overrides, and why; nothing where it overrides none."""
    tags = [plain(tag) for tag in _list(found, "overridden_tags")]
    return f"PROTECTION by its {tags_word(tags)}: {_quoted(found.get('override_reason'))}" if tags else ""


def _waits_for_packets(found: Mapping[str, Any]) -> bool:
    return found.get("state") == "containing" and bool(found.get("packets_until")) and not found.get("packets_wait")


def _packets_wait(found: Mapping[str, Any]) -> str:
    """Return until when the containment waits for packets, or what came of that."""
    if _waits_for_packets(found):
        return f"waited for until {plain(found.get('packets_until'))}; then it is contained in any case"
    return plain(found.get("packets_wait"))


def _deadline(found: Mapping[str, Any]) -> str:
    if found.get("state") != "pending":
        return ""
    default = {"contain": "contained", "leave": "not contained"}.get(str(found.get("default")), "")
    return _joined(", then it is ", plain(found.get("deadline")), default)


def _facts(incident: Incident, now: datetime, region: str) -> list[tuple[str, str]]:
    appliance = _mapping(incident, "appliance")
    state = _WORDS.get(str(appliance.get("state")), plain(appliance.get("state")))
    stack = plain(appliance.get("stack_name"))
    opened = _joined(" by ", plain(incident.get("opened_at")), _word(incident.get("opened_by")))
    alert = _word(incident.get("alert_id"))
    source = _joined(", ", plain(incident.get("source")), alert and f"alert {alert}")
    return [
        ("reason", _quoted(incident.get("reason"))),
        _instance(incident),
        ("tactics", ", ".join(map(plain, _list(incident, "tactics")))),
        # An API of an earlier version has the first one only.
        ("technique", ", ".join(map(plain, _list(incident, "techniques"))) or plain(incident.get("technique"))),
        ("opened", f"{opened} ({source})" if opened and source else opened),
        _end(incident, now),
        ("packets", _packets(incident)),
        ("portal", plain(appliance.get("portal_url"))),
        *_login(appliance, region),
        ("appliance", f"{state} ({stack})" if state and stack else state),
        ("stored", where_stored(stored) if (stored := _mapping(incident, "stored_packets")) else ""),
    ]


def _packets(incident: Incident) -> str:
    """Return what is known of the packets; nothing before mirroring begins."""
    found = _mapping(incident, "packets")
    if not found:
        return ""
    state, since = plain(found.get("state")), plain(found.get("since"))
    seen = f"seen, the first in the five minutes from {plain(found.get('seen_at'))}" if state == "packets seen" else ""
    mirrored = any(one.get("state") == "mirrored" for one in _entries(incident, "interfaces"))
    if incident.get("state") == "capturing" and not mirrored:
        return _joined("; before, they were ", "NOTHING is mirrored now", seen)
    if seen:
        return seen
    if state == "no packets seen":
        missing = ", ".join(plain(one) for one in _list(found, "missing"))
        return f"NONE SEEN{f' of {missing}' if missing else ''} since {since}: the timeline has likely causes"
    if incident.get("state") != "capturing":
        return "not known whether any were mirrored: the appliance shows what arrived"
    return f"{state} since {since}; whether packets are mirrored is not known yet"


def _login(appliance: Mapping[str, Any], region: str) -> list[tuple[str, str]]:
    """Return user and password of the portal of a launched appliance that is running."""
    stack = plain(appliance.get("stack_name"))
    if not (appliance.get("launched_by_us") and appliance.get("portal_url") and stack):
        return []
    if appliance.get("state") != "ready":
        return []
    return [("user", f"{PORTAL_USER}; its first password: {password_command(stack, region)}")]


def _end(incident: Incident, now: datetime) -> tuple[str, str]:
    if closed := plain(incident.get("closed_at")):
        because = plain(incident.get("closed_because"))
        return "closed", f"{closed}{f', because it was {because}' if because in ('closed', 'expired') else ''}"
    until = plain(incident.get("expires_at"))
    if incident.get("state") == "failed" and not _list(incident, "in_place"):
        return "until", ""
    if _is_ending(incident):
        return "until", "its sessions are deleted, which takes some seconds"
    state, minutes = str(incident.get("state")), incident.get("minutes")
    if is_before_capture(state) and isinstance(minutes, int):
        return "lasts", lasting(state, until, minutes)
    try:
        left = int((as_time(until) - now).total_seconds()) // 60
    except RuleViolation:
        return "until", until
    return "until", f"{until} ({_in(left)})"


def _is_ending(incident: Incident) -> bool:
    """Whether closing has been requested and has not begun."""
    return bool(incident.get("close_requested")) and can_be_extended(str(incident.get("state")))


def _in(minutes: int) -> str:
    if minutes < 0:
        return "over"
    hours, rest = divmod(minutes, 60)
    return f"in {hours} h {rest} min" if hours else f"in {rest} min"


def _subject(incident: Incident) -> tuple[str, str]:
    """Return what is captured, and what that is called."""
    if instance := plain(incident.get("instance_id")):
        return "instance", instance
    interfaces = [plain(interface) for interface in _list(incident, "network_interface_ids")]
    if len(interfaces) == 1:
        return "interface", interfaces[0]
    return "interfaces", f"{len(interfaces)} interfaces" if interfaces else ""


def _instance(incident: Incident) -> tuple[str, str]:
    """Return what is captured, and of an instance whether it exists no longer, or is stopped."""
    label, subject = _subject(incident)
    said = {"gone": " IS GONE: it was terminated, or did not exist", "stopped": ", which is stopped"}
    return label, f"{subject}{said.get(str(incident.get('instance_state')), '')}" if label == "instance" else subject


def _interfaces(incident: Incident) -> list[str]:
    rows = [
        [
            plain(interface.get("network_interface_id")),
            plain(interface.get("state")),
            plain(interface.get("session_id")) or "-",
            plain(interface.get("session_number")) or "-",
            plain(interface.get("note")),
        ]
        for interface in _entries(incident, "interfaces")
    ]
    return table(["INTERFACE", "STATE", "SESSION", "NUMBER", "NOTE"], rows, "  ", widest=_NOTE_WIDTH) if rows else []


def _block(lines: Sequence[str], title: str | None = None) -> list[str]:
    if not lines:
        return []
    return ["", *([title] if title else []), *(f"  {line}" if title else line for line in lines)]


def _timeline_line(entry: Mapping[str, Any]) -> str:
    by = _word(entry.get("by"))
    at, what = plain(entry.get("at")), plain(entry.get("what"))
    detail = (_quoted if what in WITH_A_REASON else plain)(entry.get("detail"))
    return _joined("  ", at, what, detail if detail != what else "", by and f"({by})")


def _quoted(value: Any) -> str:
    return quoted(value, LONG) if value else ""


def _word(value: Any) -> str:
    return word(str(value)) if value else ""


def _joined(separator: str, *parts: str) -> str:
    return separator.join(part for part in parts if part)


def _list(holder: Mapping[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    return value if isinstance(value, list) else []


def _entries(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    return [entry for entry in _list(holder, key) if isinstance(entry, dict)]


def _mapping(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}
