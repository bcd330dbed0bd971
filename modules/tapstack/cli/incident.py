"""`tapstack incident`: open, list, show, extend, contain and close incidents over the API, and explain the policy."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TextIO

from tapstack.cli import incident_containment, incident_packets
from tapstack.cli import incident_view as view
from tapstack.cli.arguments import file_name, given_file, whole_number
from tapstack.cli.incident_api import (
    IncidentApi,
    ServiceError,
    UserError,
    check_url,
    read_token,
    region_of,
    sign_with_credentials,
    sign_with_token,
)
from tapstack.cli.incident_explain import explain
from tapstack.cli.terminal import plain
from tapstack.domain import incidents, regions
from tapstack.domain.arguments import check_range
from tapstack.domain.containment_settings import MODES, REQUESTED
from tapstack.domain.counts import counted
from tapstack.domain.errors import RuleViolation
from tapstack.domain.operations import BY_ID, operation_that_contains
from tapstack.domain.proposals import CHOOSE, URL_VARIABLE
from tapstack.domain.suggestions import about_quotes
from tapstack.settings.load import FILE_VARIABLE

TOKEN_VARIABLE: Final = "TAPSTACK_TOKEN"
POLL_SECONDS: Final = 3.0
_LISTED: Final = 20
"""How many incidents fit on a screen."""
_INTERRUPTED: Final = 130
_MINUTES: Final = f"{incidents.MINUTES[0]} to {incidents.MINUTES[1]}, and at most capture.max_minutes of the deployment"


def add_incident_parser(commands: Any) -> None:
    """Add `incident` and its commands to those of the command line."""
    parser = commands.add_parser(
        "incident", help="open, follow and close incidents", description="Open, follow and close incidents."
    )
    refuse_token(parser)
    actions = parser.add_subparsers(dest="incident", required=True, metavar="ACTION")
    opener = _api_parser(actions, "open", "capture the packets of an instance, or of network interfaces")
    what = opener.add_mutually_exclusive_group(required=True)
    what.add_argument("--instance", metavar="ID", help="all network interfaces of this instance (i-...)")
    what.add_argument("--interface", metavar="ID", nargs="+", action="extend", help="network interfaces (eni-...)")
    opener.add_argument("--reason", required=True, help="text for the timeline; 1 to 1000 characters")
    opener.add_argument("--severity", choices=incidents.SEVERITIES, help=f"{incidents.DEFAULT_SEVERITY} by default")
    opener.add_argument("--technique", metavar="ID", help="MITRE ATT&CK technique, such as T1071 or T1071.004")
    opener.add_argument(
        "--alert-id",
        metavar="ID",
        help="id of the alert in the tool that raised it; it joins an incident that is open about the instance, and "
        "sending it again returns the same incident while that is open",
    )
    opener.add_argument(
        "--minutes",
        type=whole_number(*incidents.MINUTES),
        help=f"how long to capture; {_MINUTES}. The deployment's default otherwise",
    )
    opener.add_argument("--containment", choices=REQUESTED, help="also contain the instance: now, or on approval")
    opener.add_argument(
        "--idempotency-key",
        metavar="KEY",
        help="sending it again within 24 hours returns the same incident; a random one by default",
    )
    incident_containment.add_wait(opener, "it captures or fails")
    lister = _api_parser(actions, "list", "list incidents, the newest first")
    lister.add_argument("--state", choices=incidents.LISTINGS, help=f"{incidents.DEFAULT_LISTING} by default")
    lister.add_argument(
        "--limit",
        type=whole_number(*incidents.PAGE),
        default=_LISTED,
        help=f"{incidents.PAGE[0]} to {incidents.PAGE[1]}; {_LISTED} by default",
    )
    lister.add_argument("--next", metavar="TOKEN", help="continue a list at this token")
    _id_parser(actions, "show", "show an incident with its timeline")
    extender = _id_parser(actions, "extend", "capture for longer")
    extender.add_argument(
        "--minutes",
        type=whole_number(*incidents.MINUTES),
        required=True,
        help=f"how long to capture, from now; {_MINUTES}, for the whole capture",
    )
    incident_packets.add_packets_parser(actions, _id_parser)
    incident_containment.add_parsers(actions, _id_parser)
    closer = _id_parser(
        actions,
        "close",
        "stop capturing and remove what the capture created; a contained instance stays contained (see release)",
    )
    closer.add_argument("--reason", help="text for the timeline")
    explainer = actions.add_parser(
        "explain",
        help="say what the policy does about a GuardDuty finding, and why",
        description="Say what the policy of a deployment file does about a GuardDuty finding, and why. Makes no AWS "
        "calls.",
    )
    explainer.add_argument(
        "finding",
        type=given_file,
        metavar="FINDING.json",
        help="an event, a finding, or the output of get-findings; - for standard input",
    )
    explainer.add_argument(
        "--deployment",
        type=file_name,
        metavar="FILE",
        help=f"the deployment file; ${FILE_VARIABLE} or deployment.yaml by default",
    )
    explainer.add_argument(
        "--site", help="site whose policy decides; by default the one that would receive the finding"
    )
    explainer.add_argument("--json", action="store_true", help="print JSON")


def run_incident(chosen: argparse.Namespace, *, source: TextIO, out: TextIO, err: TextIO) -> int:
    """Run one of the commands.

    Args:
        chosen: the parsed arguments.
        source: standard input, read where `-` is given for a file.
        out: receives the result.
        err: receives progress and errors.

    Returns:
        0; 2 for an error that the user can fix; 1 when the API or the incident failed.
    """
    try:
        if chosen.incident == "explain":
            return explain(
                chosen.finding, chosen.deployment, chosen.site, as_json=chosen.json, source=source, out=out, err=err
            )
        return _ACTIONS[chosen.incident](_Call(chosen, source, out, err))
    except (UserError, RuleViolation) as error:
        print(f"{error}{about_quotes(str(error))}", file=err)
        return 2
    except ServiceError as error:
        print(error, file=err)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"interrupted{str(interrupt) or _after_interrupt(chosen)}", file=err)
        return _INTERRUPTED


def _after_interrupt(chosen: argparse.Namespace) -> str:
    """Return what is said after a command was interrupted: what changes something may have been accepted."""
    if chosen.incident in ("list", "show", "explain", "packets") or getattr(chosen, "dry_run", False):
        return ""
    look = f"show {shlex.quote(chosen.id)}" if "id" in chosen else "list"
    return f". The request may or may not have been accepted, and continues if it was: tapstack incident {look}"


def _api_parser(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    parser.add_argument("--url", help=f"URL of the API (output api_endpoint); ${URL_VARIABLE} by default")
    parser.add_argument(
        "--region", help="Region of the API, needed where its URL does not name it; $AWS_REGION by default"
    )
    parser.add_argument(
        "--token-file",
        type=given_file,
        metavar="FILE",
        help="file with a JSON Web Token to use in place of AWS credentials, - for standard input; "
        f"${TOKEN_VARIABLE} by default",
    )
    refuse_token(parser)
    parser.add_argument("--json", action="store_true", help="print the API's response")
    return parser


def _id_parser(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser = _api_parser(actions, name, what)
    parser.add_argument("id", metavar="ID", help="id of the incident")
    return parser


def refuse_token(parser: argparse.ArgumentParser) -> None:
    """Refuse `--token` and its abbreviations; the message does not show the value."""
    beginnings = ("--token"[:length] for length in range(len("--t"), len("--token") + 1))
    parser.add_argument(*beginnings, nargs="?", action=_RefuseToken, help=argparse.SUPPRESS)


class _RefuseToken(argparse.Action):
    """Refuses a token on the command line; the message does not show it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> NoReturn:
        parser.error(
            "--token is not taken: a command line shows in the list of processes and in the shell's history. "
            f"Give --token-file FILE (- for input), or set ${TOKEN_VARIABLE}"
        )


class _Call:
    """The parsed arguments of a command, and the API that it calls."""

    def __init__(self, chosen: argparse.Namespace, source: TextIO, out: TextIO, err: TextIO) -> None:
        self.chosen = chosen
        self.source = source
        self.out = out
        self.err = err
        given = chosen.url or os.environ.get(URL_VARIABLE)
        if not given:
            raise UserError(f"no address of an API: give --url, or set ${URL_VARIABLE}; it is the output api_endpoint")
        self.url = check_url(given)
        _check_region(chosen.region)
        # The commands that the output proposes have the options that they need.
        file = None if chosen.token_file == "-" else chosen.token_file
        given_options = (("--url", chosen.url), ("--region", chosen.region), ("--token-file", file))
        self.options = "".join(f" {name} {shlex.quote(value)}" for name, value in given_options if value)

    def api(self) -> IncidentApi:
        if self.chosen.token_file is not None:
            sign = sign_with_token(read_token(self.chosen.token_file, self.source))
        elif token := os.environ.get(TOKEN_VARIABLE):
            sign = sign_with_token(token)
        else:
            sign = sign_with_credentials(self.chosen.region or region_of(self.url))
        return IncidentApi(self.url, sign, say=lambda line: print(line, file=self.err, flush=True))

    def show(self, answer: Any, text: Callable[[], str]) -> None:
        print(json.dumps(answer, indent=2) if self.chosen.json else text(), file=self.out, flush=True)

    def follow(self, api: IncidentApi, name: str, minutes: int, *, containment: bool = False) -> Mapping[str, Any]:
        """Print the timeline until mirroring, or a containment or release, has ended or failed; return the incident.

        Args:
            api: where it is.
            name: the id of the incident.
            minutes: how long at most.
            containment: follow the containment; otherwise the capture.

        Raises:
            ServiceError: it takes longer.
        """
        until = time.monotonic() + 60 * minutes
        # Of a capture the timeline begins now.
        seen: int | None = None if containment else 0
        here = f"it continues: tapstack incident show {name}{self.options}"
        try:
            while True:
                found: Mapping[str, Any] = api.get(BY_ID["showIncident"].at(name), holds="id")
                lines = view.timeline(found)
                for line in lines[len(lines) if seen is None else seen :]:
                    print(f"  {line}", file=self.err, flush=True)
                seen = len(lines)
                if (state := view.ongoing(found, containment=containment)) is None:
                    return found
                if time.monotonic() >= until:
                    raise ServiceError(f"{name} is still {state} after {counted(minutes, 'minute')}; {here}")
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"; {here}") from None

    def card(self, found: Mapping[str, Any]) -> str:
        region = self.chosen.region or region_of(self.url) or ""
        return view.card(found, now=incidents.utc_now(), options=self.options, region=region)


def _check_region(region: str | None) -> None:
    """Refuse a `--region` that is on no list: one that is newer than the list is given in $AWS_REGION."""
    if region is None:
        return
    try:
        regions.check_region(region, how_to_accept="set AWS_REGION in place of the option")
    except RuleViolation as violation:
        raise UserError(f"--region {violation}") from None


def _open(call: _Call) -> int:
    chosen = call.chosen
    body: dict[str, Any] = {
        "instance_id": chosen.instance,
        "network_interface_ids": chosen.interface,
        "reason": chosen.reason,
        "severity": chosen.severity,
        "technique": chosen.technique,
        "alert_id": chosen.alert_id,
        "minutes": chosen.minutes,
        "containment": chosen.containment,
    }
    contains = chosen.containment if chosen.containment in MODES else None
    body = {key: value for key, value in body.items() if value is not None}
    # Checked here for better messages; how many minutes the deployment allows, only the API knows.
    incidents.read_request(body, minutes=incidents.MINUTES[0], max_minutes=incidents.MINUTES[1])
    incident_containment.check_wait(chosen.wait)
    key = chosen.idempotency_key if chosen.idempotency_key is not None else str(uuid.uuid4())
    low, high = incidents.IDEMPOTENCY_KEY_LENGTH
    if not (low <= len(key) <= high and key.isascii() and key.isprintable()):
        raise UserError(f"the idempotency key must have {low} to {high} printable ASCII characters")
    api = call.api()
    # With the key, the request can be repeated when its response was lost.
    operation = operation_that_contains(contains, opens=True) if contains else BY_ID["openIncident"]
    answer = api.post(operation.path, body, headers={"Idempotency-Key": key}, repeatable=True)
    found = _incident(answer.get("incident") if isinstance(answer, dict) else None)
    name = incidents.check_incident_id(plain(found.get("id")))
    if chosen.wait is None:
        call.show(answer, lambda: _opened(found, call.options, joined=answer.get("joined") is True))
        return 0
    print(_first_line(found, joined=answer.get("joined") is True), file=call.err, flush=True)
    found = call.follow(api, name, chosen.wait)
    call.show(found, lambda: call.card(found))
    return 1 if found.get("state") == "failed" else 0


def _first_line(found: Mapping[str, Any], *, joined: bool) -> str:
    remark = ", which the alert joined: it is about the same instance" if joined else ""
    return f"{plain(found.get('id'))}  {plain(found.get('state'))}{remark}"


def _opened(found: Mapping[str, Any], options: str, *, joined: bool) -> str:
    return "\n".join(
        [
            _first_line(found, joined=joined),
            "",
            CHOOSE,
            *(f"  {line}" for line in view.next_commands(found, incidents.utc_now(), options)),
        ]
    )


def _list(call: _Call) -> int:
    chosen = call.chosen
    check_range("--limit", chosen.limit, incidents.PAGE)
    query = {"state": chosen.state or incidents.DEFAULT_LISTING, "limit": str(chosen.limit)}
    if chosen.next:
        query["next"] = chosen.next
    answer = call.api().get(BY_ID["listIncidents"].path, query, holds="incidents")
    paging = f" --state {query['state']} --limit {chosen.limit}{call.options}"
    # A list without an incident does not mean that nothing is contained.
    others = "" if query["state"] == "closed" else view.CLOSED_MAY_CONTAIN.format(call.options)
    call.show(answer, lambda: "\n".join(filter(None, (view.listing(answer, options=paging), others))))
    return 0


def _show(call: _Call) -> int:
    name = incidents.check_incident_id(call.chosen.id)
    answer = call.api().get(BY_ID["showIncident"].at(name), holds="id")
    call.show(answer, lambda: call.card(answer))
    return 0


def _extend(call: _Call) -> int:
    name = incidents.check_incident_id(call.chosen.id)
    minutes = incidents.check_minutes(call.chosen.minutes)
    api = call.api()
    before = api.get(BY_ID["showIncident"].at(name), holds="id")
    # The minutes count from now, so a repeated request has the same result.
    answer = api.post(BY_ID["extendIncident"].at(name), {"minutes": minutes}, repeatable=True, holds="id")
    # Before mirroring starts, the end is the earliest time only.
    lasts = "minutes" if incidents.is_before_capture(str(answer.get("state"))) else "expires_at"
    if (same := before.get(lasts)) is not None and answer.get(lasts) == same:
        until = (
            f"until {plain(same)}" if lasts == "expires_at" else f"for {plain(same)} minutes from when mirroring starts"
        )
        print(f"{name} already captures {until}; nothing was changed", file=call.err, flush=True)
    call.show(answer, lambda: call.card(answer))
    return 0


def _close(call: _Call) -> int:
    name = incidents.check_incident_id(call.chosen.id)
    body = {} if call.chosen.reason is None else {"reason": incidents.check_reason(call.chosen.reason)}
    answer = call.api().post(BY_ID["closeIncident"].at(name), body, repeatable=True, holds="id")
    call.show(answer, lambda: call.card(answer))
    return 0


_ACTIONS: Final[Mapping[str, Callable[[_Call], int]]] = {
    "open": _open,
    "list": _list,
    "show": _show,
    "extend": _extend,
    "close": _close,
    "packets": incident_packets.packets,
    "contain": incident_containment.contain,
    "approve": incident_containment.approve,
    "override": incident_containment.override,
    "reject": incident_containment.reject,
    "release": incident_containment.release,
}


def _incident(answer: Any) -> Mapping[str, Any]:
    if isinstance(answer, dict):
        return answer
    raise ServiceError("the answer is no JSON object: is this the address of an incident API?")
