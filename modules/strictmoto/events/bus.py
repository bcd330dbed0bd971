"""Event buses: what may be put on them, and which rules hear of it.

Source: EventBridge API Reference, PutEvents and PutEventsResultEntry; User Guide, "Sending events with PutEvents". The
message of NotAuthorizedForSourceException is what users show.
"""

from __future__ import annotations

import datetime
import json
import uuid
from typing import Any, Final

from moto.events.exceptions import ValidationException
from moto.events.models import events_backends

from strictmoto.events import patterns, transform
from strictmoto.events.delivery import Delivery, Undeliverable, submit
from strictmoto.events.service_events import RESERVED
from strictmoto.events.targets import Sender, reach
from strictmoto.iam.access import account_may, principal_may
from strictmoto.iam.enforcement import Connection
from strictmoto.iam.trust import trusts
from strictmoto.requests.arns import is_somewhere
from strictmoto.requests.documents import read_json
from strictmoto.running import running

SERVICE: Final = "events.amazonaws.com"
_PUT: Final = "events:PutEvents"
MOST_ENTRIES: Final = 10
LARGEST: Final = 1_048_576
"""What the entries of one call hold together, in bytes; 256 KB until January 2026."""


def put(backend: Any, entries: list[dict[str, Any]], *, of_partner: bool = False) -> list[dict[str, Any]]:
    """Put events on buses; return what AWS answers for each.

    Args:
        backend: moto's.
        entries: of the call.
        of_partner: they come by PutPartnerEvents, whose sources are reserved for it.

    Raises:
        ValidationException: too many or too large.
    """
    if not 0 < len(entries) <= MOST_ENTRIES:
        bound = "less than or equal to 10" if entries else "greater than or equal to 1"
        raise ValidationException(
            "1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to satisfy "
            f"constraint: Member must have length {bound}"
        )
    if sum(map(size, entries)) >= LARGEST:
        raise ValidationException("Total size of the entries in the request is over the limit.")
    return [_put_one(backend, entry, of_partner=of_partner) for entry in entries]


def size(entry: dict[str, Any]) -> int:
    """Return the size of an entry as AWS counts it, in bytes."""
    texts = [entry.get("Source"), entry.get("DetailType"), entry.get("Detail"), *(entry.get("Resources") or ())]
    return (14 if entry.get("Time") else 0) + sum(len(str(text).encode()) for text in texts if text)


def _put_one(backend: Any, entry: dict[str, Any], *, of_partner: bool) -> dict[str, Any]:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            said = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": said}
    if entry["Source"].startswith(RESERVED) and not of_partner:
        return {"ErrorCode": "NotAuthorizedForSourceException", "ErrorMessage": "Not authorized for the source."}
    try:
        detail = read_json(entry["Detail"])
    except ValueError:
        detail = None
    if not isinstance(detail, dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    event = _event(
        backend.account_id,
        backend.region_name,
        source=entry["Source"],
        detail_type=entry["DetailType"],
        detail=detail,
        resources=entry.get("Resources") or [],
        moment=entry.get("Time"),
    )
    refused = _deliver_to(entry.get("EventBusName") or "default", backend, event)
    return refused or {"EventId": event["id"]}


def _deliver_to(name: str, backend: Any, event: dict[str, Any]) -> dict[str, str] | None:
    parts = name.split(":")
    if name.startswith("arn:") and (*parts[3:5],) != (backend.region_name, backend.account_id):
        there = events_backends[parts[4]][parts[3]].event_buses if is_somewhere(name) else {}
        other = there.get(name.rpartition("/")[2])
        # Where IAM is enforced, the call as a whole was allowed.
        if other is None or not (running().enforces_iam or account_may(event["account"], _PUT, other.arn)):
            said = f"User is not authorized to perform: events:PutEvents on resource: {name}"
            return {"ErrorCode": "AccessDeniedException", "ErrorMessage": said}
        emit(other, event)
        return None
    emit(backend.describe_event_bus(backend._normalize_event_bus_arn(name)), event)
    return None


def _may_pass_on(bus: Any, sender: Sender) -> bool:
    if sender.role_arn and running().enforces_iam:
        trusted = trusts(sender.role_arn, SERVICE, sender.arn)
        return trusted and principal_may(sender.role_arn, _PUT, bus.arn, connection=Connection.of_service(SERVICE))
    return bool(sender.account == bus.account_id) or account_may(sender.account, _PUT, bus.arn, sender.arn)


def publish(
    account: str,
    region: str,
    *,
    source: str,
    detail_type: str,
    detail: dict[str, Any],
    resources: list[str],
) -> str:
    """Put an event of an AWS service on the default bus of an account and Region; return its id."""
    event = _event(account, region, source=source, detail_type=detail_type, detail=detail, resources=resources)
    emit(events_backends[account][region].describe_event_bus("default"), event)
    return str(event["id"])


def _event(
    account: str,
    region: str,
    *,
    source: str,
    detail_type: str,
    detail: dict[str, Any],
    resources: list[str],
    moment: Any = None,
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": timestamp(moment),
        "region": region,
        "resources": resources,
        "detail": detail,
    }


def timestamp(moment: Any = None) -> str:
    """Return a moment as EventBridge writes it: seconds since 1970 or a text; now by default."""
    if isinstance(moment, str):
        moment = datetime.datetime.fromisoformat(moment)
    elif isinstance(moment, int | float):
        moment = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    moment = (moment or datetime.datetime.now(datetime.UTC)).astimezone(datetime.UTC)
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


def emit(bus: Any, event: dict[str, Any], hops: int = 0) -> None:
    """Let the rules of a bus hear of an event.

    Args:
        bus: moto's.
        event: as EventBridge shows it.
        hops: how often it was passed on to another account or Region; once is all that AWS does.
    """
    for rule in list(bus.rules.values()):
        pattern = rule.event_pattern.get_pattern()
        if rule.state != "DISABLED" and pattern and patterns.matches(pattern, event):
            fire(rule, event, hops)


def fire(rule: Any, event: dict[str, Any], hops: int = 0) -> None:
    """Send an event to all targets of a rule."""
    names = {"arn": rule.arn, "name": rule.name, "ingestion-time": timestamp()}
    for target in list(rule.targets):
        if target["Arn"].endswith(":::"):
            # The rule that moto makes for an archive.
            archive = json.loads(transform.payload(target, event, names))["archive-arn"]
            rule._send_to_events_archive(archive.partition("archive/")[2], event)
            continue
        submit(
            Delivery(
                target=target["Arn"],
                send=_sending(rule, dict(target), event, names, hops),
                body=json.dumps(event),
                attributes={"RULE_ARN": rule.arn},
                service=SERVICE,
                source_arn=rule.arn,
                retry=target.get("RetryPolicy") or {},
                dead_letter_arn=(target.get("DeadLetterConfig") or {}).get("Arn"),
            )
        )


def _sending(rule: Any, target: dict[str, Any], event: dict[str, Any], names: dict[str, str], hops: int) -> Any:
    sender = Sender(SERVICE, rule.arn, target.get("RoleArn"))

    def send(_attempt: int) -> None:
        if ":event-bus/" in target["Arn"]:
            _pass_on(target, event, sender, hops)
        else:
            reach(target, transform.payload(target, event, names), sender)

    return send


def _pass_on(target: dict[str, Any], event: dict[str, Any], sender: Sender, hops: int) -> None:
    """Give an event to another bus, as it is."""
    _, _, _, region, account, resource = target["Arn"].split(":", 5)
    far = (region, account) != (sender.region, sender.account)
    if far and hops:
        kind = "ACCOUNT" if account != sender.account else "REGION"
        raise Undeliverable(f"THIRD_{kind}_HOP_DETECTED", "an event is passed on once only")
    bus = events_backends[account][region].event_buses.get(resource.partition("/")[2])
    if bus is None:
        raise Undeliverable("NO_RESOURCE", f"{target['Arn']} does not exist")
    if far and not sender.role_arn:
        raise Undeliverable("NO_PERMISSIONS", "a bus of another account or Region needs a target with a role")
    if not _may_pass_on(bus, sender):
        who = sender.role_arn or f"account {sender.account}"
        raise Undeliverable("NO_PERMISSIONS", f"{who} may not put events on {target['Arn']}")
    emit(bus, event, hops + far)
