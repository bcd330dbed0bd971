"""`tapstack incident contain|approve|override|reject|release`: contain an instance, decide about that, release it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TextIO

from tapstack.cli import incident_plan_view as view
from tapstack.cli.arguments import whole_number
from tapstack.cli.incident_api import IncidentApi, UserError
from tapstack.cli.incident_view import isolation_shortfall
from tapstack.domain import containment_settings, incidents
from tapstack.domain.arguments import check_range
from tapstack.domain.operations import BY_ID, Operation, operation_that_contains

AddParser = Callable[[Any, str, str], argparse.ArgumentParser]
WAIT_MINUTES: Final = 45
"""An appliance's first start takes ten minutes; the creation of its stack fails after 30."""
_FLAGS: Final = ("overwrite", "keep", "all")
_CONTAINED: Final = "it is contained, rejected or failed (exit code 1 unless it is contained and isolated)"


class Call(Protocol):
    """The parsed arguments of a command, and the API that it calls."""

    chosen: argparse.Namespace
    options: str
    err: TextIO

    def api(self) -> IncidentApi:
        """Return the API."""

    def follow(self, api: IncidentApi, name: str, minutes: int, *, containment: bool = False) -> Mapping[str, Any]:
        """Print the timeline until the containment or the release has ended or failed; return the incident."""

    def show(self, answer: Any, text: Callable[[], str]) -> None:
        """Print the response as JSON or as text, as the user chose."""

    def card(self, found: Mapping[str, Any]) -> str:
        """Return an incident as text."""


def add_parsers(actions: Any, add: AddParser) -> None:
    """Add the commands.

    Args:
        actions: argparse's subparsers of `tapstack incident`.
        add: adds the parser of a command for one incident: `actions`, name, description.
    """
    container = _parser(actions, add, "contain", "contain the instance, now or on approval", wait=_CONTAINED)
    container.add_argument(
        "--mode", choices=containment_settings.MODES, help="approval by default; now needs a separate permission"
    )
    container.add_argument(
        "--override-protection",
        action="store_true",
        help="request the containment of an instance that a tag protects: needs a separate permission, and another "
        "person must approve it. Not to be confused with the command override, which replaces that person",
    )
    container.add_argument(
        "--skip-wait",
        action="store_true",
        help="with --mode now: do not wait for packets to be seen, and end such a wait (wait_for_packets)",
    )
    container.add_argument("--reason", help="with --override-protection: why, as text for the timeline")
    _parser(actions, add, "approve", "approve a pending containment", wait=_CONTAINED)
    overrider = _parser(
        actions,
        add,
        "override",
        "approve a pending containment without another person, also your own request; needs a separate permission. Not "
        "for an instance that a tag protects: contain --override-protection",
        wait=_CONTAINED,
    )
    overrider.add_argument("--reason", required=True, help="why no other person approves it: text for the timeline")
    rejecter = _parser(actions, add, "reject", "reject a pending containment")
    rejecter.add_argument("--reason", help="text for the timeline")
    releaser = _parser(
        actions,
        add,
        "release",
        "restore what containment changed: this reconnects the instance",
        wait="it is released, blocked or failed",
    )
    either = releaser.add_mutually_exclusive_group()
    either.add_argument(
        "--overwrite",
        action="store_true",
        help="restore the prior state, and discard what was changed outside Tapstack since",
    )
    either.add_argument("--keep", action="store_true", help="keep what was changed outside Tapstack")
    releaser.add_argument(
        "--all",
        action="store_true",
        help="release the instance for all incidents that contain it, and reject what is pending for it",
    )


def add_wait(parser: argparse.ArgumentParser, ends: str) -> None:
    """Add `--wait`: without it, a command returns once its request is recorded."""
    parser.add_argument(
        "--wait",
        nargs="?",
        type=whole_number(0, incidents.MINUTES[1]),
        const=WAIT_MINUTES,
        metavar="MINUTES",
        help=f"follow it until {ends}, {WAIT_MINUTES} minutes at most by default. Without it the command returns "
        "once the request is recorded",
    )


def check_wait(minutes: int | None) -> None:
    """Refuse a `--wait` that is out of range."""
    if minutes is not None:
        check_range("--wait", minutes, (0, incidents.MINUTES[1]))


def _parser(actions: Any, add: AddParser, name: str, what: str, *, wait: str = "") -> argparse.ArgumentParser:
    parser = add(actions, name, what)
    parser.add_argument("--dry-run", action="store_true", help="change nothing; show exactly what would change")
    if wait:
        add_wait(parser, wait)
    else:
        parser.set_defaults(wait=None)
    return parser


def contain(call: Call) -> int:
    """Contain the instance."""
    if call.chosen.skip_wait and call.chosen.mode != "now":
        raise UserError("--skip-wait goes with --mode now")
    if call.chosen.override_protection:
        if call.chosen.mode == "now":
            raise UserError("--override-protection needs an approval by another person: leave --mode now out")
        if call.chosen.reason is None:
            raise UserError("--override-protection needs --reason: it is shown to whoever approves")
        return _post(call, BY_ID["containProtected"], {"reason": call.chosen.reason}, contains=True)
    if call.chosen.reason is not None:
        raise UserError("contain takes --reason only with --override-protection")
    # Containing at once needs a separate permission, and so has a path of its own.
    operation = operation_that_contains(call.chosen.mode or "approval", opens=False)
    return _post(call, operation, {"skip_wait": True} if call.chosen.skip_wait else {}, contains=True)


def approve(call: Call) -> int:
    """Approve a pending containment."""
    return _post(call, BY_ID["approveContainment"], {}, contains=True)


def override(call: Call) -> int:
    """Approve a pending containment without another person."""
    return _post(call, BY_ID["overrideApproval"], {"reason": call.chosen.reason}, contains=True)


def reject(call: Call) -> int:
    """Reject a pending containment."""
    return _post(call, BY_ID["rejectContainment"], {} if call.chosen.reason is None else {"reason": call.chosen.reason})


def release(call: Call) -> int:
    """Restore the prior state."""
    return _post(call, BY_ID["releaseIncident"], {name: True for name in _FLAGS if getattr(call.chosen, name)})


def _post(call: Call, operation: Operation, body: dict[str, Any], *, contains: bool = False) -> int:
    name = incidents.check_incident_id(call.chosen.id)
    if "reason" in body:
        # Before a token or credentials are asked for.
        incidents.check_reason(body["reason"])
    dry_run = {"dry_run": True} if call.chosen.dry_run else {}
    check_wait(call.chosen.wait)
    if dry_run and call.chosen.wait is not None:
        raise UserError("--wait does not go with --dry-run, which changes nothing")
    api = call.api()
    # A repeated request changes nothing further, so each is retried when its response was lost.
    answer = api.post(operation.at(name), {**body, **dry_run}, repeatable=True, holds="changes" if dry_run else "id")
    what = operation.path.rpartition("/")[2]
    if call.chosen.wait is not None:
        answer = call.follow(api, name, call.chosen.wait, containment=True)
    call.show(answer, lambda: view.plan(answer, what=what) if dry_run else call.card(answer))
    if call.chosen.wait is None:
        return 0
    if contains:
        if shortfall := isolation_shortfall(answer):
            print(f"{name}: {shortfall}", file=call.err, flush=True)
        return 1 if shortfall else 0
    return 1 if (answer.get("containment") or {}).get("state") in ("failed", "blocked") else 0
