"""Incidents: their states, their limits, and the request that opens one.

One place for the API, the functions and the command line. Times are UTC, to the second.

Sources: AWS Step Functions Developer Guide, "Quotas" (an execution's name: 1 to 80
characters); MITRE ATT&CK, "Techniques" (the form of their ids).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, get_args

from tapstack.domain.arguments import check_range
from tapstack.domain.containment_settings import REQUESTED, Requested
from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_identifier
from tapstack.domain.tokens import is_token

State = Literal["opening", "launching", "capturing", "closing", "closed", "failed"]
Severity = Literal["low", "medium", "high", "critical"]
Source: TypeAlias = str
"""By which way an incident was requested: `api`, or the source of the alert that a policy decided about."""
Because = Literal["closed", "expired", "failed"]
InterfaceState = Literal["eligible", "mirrored", "waiting", "refused", "ended"]
"""`eligible` until it is mirrored or refused; `refused` where it cannot be mirrored, or where none is and the incident
fails; `waiting` where the incident captures, and the mirror target has no place for this one, or AWS accepts no session
of it: each sweep tries again; `ended` once the incident no longer mirrors it."""
Listing = Literal["open", "closed"]
ApplianceState = Literal["standing", "launching", "ready", "retiring", "gone", "failed"]
"""`standing` where it exists already; the others are of a launched one."""
InstanceState = Literal["running", "stopped", "gone"]
StorageState = Literal["appliance", "snapshots", "deleted", "lost"]
"""Where the packets of a launched appliance are: on it, or in snapshots of its volumes, which are `deleted` at their
time; `lost`: it was gone before there were snapshots."""

STATES: Final[tuple[State, ...]] = get_args(State)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
LISTINGS: Final[tuple[Listing, ...]] = get_args(Listing)
SWEEP_MINUTES: Final = 15
"""How often the sweeper compares incidents with AWS."""
DEFAULT_LISTING: Final[Listing] = "open"
PAGE: Final = (1, 100)
DEFAULT_PAGE: Final = 25
"""How many incidents a page of the API has."""
REASONS_OF_CLOSING: Final[tuple[Because, ...]] = get_args(Because)
APPLIANCE_STATES: Final[tuple[ApplianceState, ...]] = get_args(ApplianceState)
INSTANCE_STATES: Final[tuple[InstanceState, ...]] = get_args(InstanceState)
STORAGE_STATES: Final[tuple[StorageState, ...]] = get_args(StorageState)
INTERFACE_STATES: Final[tuple[InterfaceState, ...]] = get_args(InterfaceState)
DEFAULT_SEVERITY: Final[Severity] = "medium"
API: Final[Source] = "api"

ID_PATTERN: Final = r"^inc-[0-9]{8}T[0-9]{6}-[0-9a-z]{8}$"
ID_EXAMPLE: Final = "inc-20260102T030405-k3v9x0ab"
TECHNIQUE_PATTERN: Final = r"^T[0-9]{4}(\.[0-9]{3})?$"
# Text goes into messages, tags and terminals: no control characters, line breaks and tabs excepted, and not blank.
# Written so that every dialect of regular expressions takes it, and none goes back: blanks, a mark, anything.
_UNREADABLE: Final = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069"
_BLANK: Final = r"\t\n\r \u00a0\u00ad\u1680\u2000-\u200f\u202f\u205f-\u2064\u3000\ufeff"
TEXT_PATTERN: Final = f"^[{_BLANK}]*[^{_UNREADABLE}{_BLANK}][^{_UNREADABLE}]*$"
# Half of a pair is no character; JSON can write it all the same.
_HALF_A_CHARACTER: Final = re.compile("[\ud800-\udfff]")
ALERT_ID_PATTERN: Final = r"^[!-~]([ -~]*[!-~])?$"
REASON_LENGTH: Final = (1, 1000)
ALERT_ID_LENGTH: Final = (1, 256)
IDEMPOTENCY_KEY_LENGTH: Final = (1, 128)
_EXTENSION_MINUTES: Final = 60
"""By how many minutes a capture is proposed to become longer; less where less is possible."""
MINUTES: Final = (1, 10080)
"""A minute to a week; a deployment may allow less."""
INTERFACES: Final = (1, 100)
"""Network interfaces in one request."""

WITH_A_REASON: Final = frozenset(
    {"opened", "close requested", "containment approved", "containment overridden", "containment rejected"}
)
"""Entries of the timeline whose detail is what a caller wrote."""

TAG_INCIDENT: Final = "tapstack:incident"
TAG_EXPIRES: Final = "tapstack:expires"
TAG_DEPLOYMENT: Final = "tapstack:deployment"
TAG_SITE: Final = "tapstack:site"

_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""What is before it is how programs write that there is no time: the year 1, or 1970."""
_ENDED: Final = frozenset({"closing", "closed", "failed"})

_BEFORE: Final[Mapping[State, tuple[State, ...]]] = {
    "opening": (),
    "launching": ("opening", "launching"),
    "capturing": ("opening", "launching", "capturing"),
    "closing": ("opening", "launching", "capturing", "closing", "failed"),
    "closed": ("opening", "launching", "capturing", "closing", "failed"),
    "failed": ("opening", "launching", "capturing", "closing", "failed"),
}


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What a caller requests: packets of an instance, or of network interfaces, for a while.

    Attributes:
        reason: why, in words; 1 to 1000 characters.
        minutes: how long to capture, 1 to 10080 and at most what the deployment allows.
        instance_id: whose interfaces are all captured; none where interfaces are named.
        network_interface_ids: 1 to 100, each once; empty where an instance is named.
        severity: how bad it is.
        technique: of MITRE ATT&CK, such as T1071 or T1071.004.
        alert_id: of the tool that raised the alert; sent again, it returns the incident that it opened.
        containment: whether the instance is contained as well: `none`, `approval` or `now`.
    """

    reason: str
    minutes: int
    instance_id: str | None = None
    network_interface_ids: tuple[str, ...] = ()
    severity: Severity = DEFAULT_SEVERITY
    technique: str | None = None
    alert_id: str | None = None
    containment: Requested = "none"

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            RuleViolation: the first that is wrong.
        """
        check_reason(self.reason)
        check_minutes(self.minutes)
        if (self.instance_id is None) == (not self.network_interface_ids):
            raise RuleViolation("exactly one of instance_id and network_interface_ids must be given")
        if self.instance_id is not None:
            _check_literal_id("instance", self.instance_id)
        elif len(set(self.network_interface_ids)) != len(self.network_interface_ids):
            raise RuleViolation("network_interface_ids must name each interface once")
        elif len(self.network_interface_ids) > INTERFACES[1]:
            raise RuleViolation(
                f"network_interface_ids must name {INTERFACES[0]} to {INTERFACES[1]} interfaces, "
                f"got {len(self.network_interface_ids)}"
            )
        for interface in self.network_interface_ids:
            _check_literal_id("network interface", interface)
        if self.severity not in SEVERITIES:
            raise RuleViolation(f"severity must be one of {', '.join(SEVERITIES)}, got {self.severity!r}")
        if self.technique is not None and not re.fullmatch(TECHNIQUE_PATTERN, self.technique):
            raise RuleViolation(f"technique must have the form T1071 or T1071.004, got {self.technique!r}")
        if self.alert_id is not None:
            _check_text("alert_id", self.alert_id, ALERT_ID_LENGTH, ALERT_ID_PATTERN)
        if self.containment not in REQUESTED:
            raise RuleViolation(f"containment must be one of {', '.join(REQUESTED)}, got {self.containment!r}")
        if self.containment != "none" and self.instance_id is None:
            raise RuleViolation("containment needs instance_id: an instance is contained, not an interface")


def read_request(body: Mapping[str, Any], *, minutes: int, max_minutes: int) -> OpenRequest:
    """Read the body of a request to open an incident, whose shape has been checked.

    Args:
        body: as JSON has it.
        minutes: of capture, where the body names none.
        max_minutes: that this deployment allows.

    Raises:
        RuleViolation: a value that is wrong by itself or beside another.
    """
    asked = dict(body)
    if "network_interface_ids" in asked:
        asked["network_interface_ids"] = tuple(asked["network_interface_ids"])
    request = OpenRequest(**{"minutes": minutes, **asked})
    check_minutes(request.minutes, most=max_minutes)
    return request


def check_minutes(value: int, *, most: int = MINUTES[1]) -> int:
    """Return `value` when it is a whole number of minutes from 1 to `most`, which a deployment may lower."""
    check_range("minutes", value, (MINUTES[0], most), " (capture.max_minutes)" if most < MINUTES[1] else "")
    return int(value)


def highest(*severities: Severity) -> Severity:
    """Return the highest of some severities."""
    return max(severities, key=SEVERITIES.index)


def is_less_severe(severity: Severity, than: Severity) -> bool:
    """Return whether a severity is lower than another one."""
    return SEVERITIES.index(severity) < SEVERITIES.index(than)


def check_incident_id(value: str) -> str:
    """Return `value` when it has the form of an incident's id."""
    if not re.fullmatch(ID_PATTERN, value, re.ASCII):
        raise RuleViolation(f"{value!r} is not the id of an incident: expected the form {ID_EXAMPLE}")
    return value


def new_id(now: datetime) -> str:
    """Return a new incident id: it sorts by time, and names the execution and the tags."""
    return f"inc-{now:%Y%m%dT%H%M%S}-" + "".join(secrets.choice(_ALPHABET) for _ in range(8))


def may_become(state: State) -> tuple[State, ...]:
    """Return the states from which an incident may come into `state`, itself included: steps are repeated."""
    return _BEFORE[state]


def can_be_extended(state: str) -> bool:
    """Return whether the capture can still be made longer."""
    return state not in _ENDED


def is_before_capture(state: str) -> bool:
    """Return whether mirroring has not started yet: the minutes of the capture count from when it does."""
    return state in ("opening", "launching")


def lasting(state: str, expires_at: str, minutes: int) -> str:
    """Return until when a capture lasts, in words; for how long, before mirroring starts.

    Args:
        state: of the incident.
        expires_at: when the capture ends.
        minutes: how long it lasts from when mirroring starts.
    """
    return (
        f"for {counted(minutes, 'minute')} from when mirroring starts"
        if is_before_capture(state)
        else f"until {expires_at}"
    )


def utc_now() -> datetime:
    """Return the time, in UTC and to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def as_text(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC, such as 2026-01-02T03:04:05Z."""
    # Not strftime: it may write a year before 1000 without its zeros.
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def as_time(text: str) -> datetime:
    """Read what `as_text` wrote.

    Raises:
        RuleViolation: it has another form.
    """
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise RuleViolation(f"{text!r} is no time: expected the form 2026-01-02T03:04:05Z") from None


def as_moment(text: str | None) -> datetime | None:
    """Return a time that others wrote in ISO 8601, in UTC where it names no zone; None where there is none."""
    try:
        found = datetime.fromisoformat(text or "")
        moment = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= EARLIEST else None


def expiry(now: datetime, minutes: int) -> datetime:
    """Return when a capture of that many minutes ends."""
    return now + timedelta(minutes=minutes)


def minutes_left(now: datetime, expires_at: str, latest: str) -> int:
    """Return for how many minutes from now a capture can be extended at most; 0 where none would make it longer.

    Args:
        now: the time.
        expires_at: when the capture ends.
        latest: when it ends at the latest, extensions included.

    Raises:
        RuleViolation: a time is of another form than `as_text` writes.
    """
    left = (as_time(latest) - now) // timedelta(minutes=1)
    return left if left > 0 and expiry(now, left) > as_time(expires_at) else 0


def extend_command(incident_id: str, state: str, now: datetime, expires_at: str, latest: str, options: str = "") -> str:
    """Return the command that makes a capture longer, or a comment that says why there is none.

    Args:
        incident_id: which incident.
        state: of the incident.
        now: the time from which the minutes of an extension count; before mirroring starts, when it was opened.
        expires_at: likewise.
        latest: likewise.
        options: that the command needs, with a space before each.
    """
    left = minutes_left(now, expires_at, latest)
    if not left:
        return f"# it cannot be extended: a capture lasts until {latest} at most (capture.max_minutes)"
    wanted = expiry(max(as_time(expires_at), now), _EXTENSION_MINUTES) - now
    minutes = min(left, wanted // timedelta(minutes=1))
    end = as_text(expiry(now, minutes))
    # The minutes count from when the command is run.
    said = lasting(state, end, minutes) if is_before_capture(state) else f"until {end}, if it is run now"
    return f"tapstack incident extend {incident_id} --minutes {minutes}{options}  # captures {said}"


def undo_command(incident_id: str) -> str:
    """Return the command that deletes what a failed incident left."""
    return f"tapstack incident close {incident_id}"


def check_reason(value: str) -> str:
    """Return `value` when it can be the reason of what a responder does: 1 to 1000 readable characters."""
    _check_text("reason", value, REASON_LENGTH, TEXT_PATTERN)
    return value


def _check_text(what: str, value: str, length: tuple[int, int], pattern: str) -> None:
    low, high = length
    if not isinstance(value, str) or not low <= len(value) <= high:
        raise RuleViolation(f"{what} must have {low} to {high} characters")
    if not re.fullmatch(pattern, value) or _HALF_A_CHARACTER.search(value):
        raise RuleViolation(f"{what} must be readable text that is not blank, without control characters")


def _check_literal_id(kind: str, value: str) -> None:
    # A token passes for any id where Terraform will fill it in; here no value replaces it.
    if is_token(value):
        article = "an" if kind == "instance" else "a"
        raise RuleViolation(f"{value!r} is not the id of {article} {kind}")
    check_identifier(kind, value)
