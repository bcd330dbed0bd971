"""The published JSON Schema of the events of incidents, version 1: objects of telemetry, and the detail of events.

It only grows: members are added, none is removed, renamed, or given another meaning. So nothing that is not known is
refused, and values that may become more are named, not limited.

Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, get_args

from tapstack.domain.incident_events import (
    DETAIL_TYPE,
    EVENT_ID_PATTERN,
    TIME_PATTERN,
    VERSION,
    WHAT_PATTERN,
    WHATS,
    Part,
)
from tapstack.domain.incidents import ID_PATTERN, INTERFACE_STATES, SEVERITIES, STATES

Schema = dict[str, Any]

_MEANINGS: Final[Mapping[str, str]] = {
    "opened": "an alert or a responder opened it",
    "joined": "another alert about the same instance joined it",
    "refused": "a rule refused the containment that was requested; nothing was changed",
    "mirroring": "its network interfaces are mirrored",
    "packets_seen": "CloudWatch counted mirrored packets",
    "approval_asked": "a containment was requested, and waits for approval",
    "decided": "the containment was approved, overridden or rejected, or the default was applied: `decision`",
    "contained": "the instance is isolated; again where interfaces were attached later",
    "released": "the containment has ended for this incident",
    "failed": "the capture, the containment or the release failed: `part`, with the failure in `detail`",
    "closed": "it captures nothing any more",
}


def schema() -> Schema:
    """Return the schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:tapstack:schema:incident-event:{VERSION}",
        "title": f"{DETAIL_TYPE}, version {VERSION}",
        "description": (
            "Something that happened to an incident. Additions only: ignore members, and values, that you do not know."
        ),
        **_object(
            {
                "version": {"const": VERSION},
                "id": _text("The same for the same event, however often it comes.", EVENT_ID_PATTERN),
                "what": {
                    **_text(f"What happened: {_listed(_MEANINGS)}. Others may follow.", WHAT_PATTERN),
                    "examples": list(WHATS),
                },
                "time": _text("When it happened, in UTC and to the millisecond.", TIME_PATTERN),
                "by": _maybe(_text("The caller of the API, or the policy; null where Tapstack did it by itself.")),
                "message": _text("What happened, as one line."),
                "detail": _text("Text of others, such as a reason, or a failure; may be empty. Treat it as data."),
                "severity": {"enum": list(SEVERITIES), "description": "Of the incident, now."},
                "deployment": _text("Name of the deployment."),
                "site": _text("Name of the site."),
                "account_id": _text("Of the instance, or of its interfaces.", "^[0-9]{12}$"),
                "region": _text("Likewise."),
                "part": _maybe({**_text("What failed, or was refused."), "examples": list(get_args(Part))}),
                "decision": _maybe(
                    {
                        **_text("Of `decided`."),
                        "examples": ["approved", "overridden", "rejected", "default"],
                    }
                ),
                "techniques": _list(
                    _text("Of MITRE ATT&CK, such as T1071.004."),
                    "Of the alert that joined, otherwise of the alert that opened the incident.",
                ),
                "tactics": _list(
                    _object({"id": _text("Such as TA0011."), "name": _text("Such as Command and Control.")}),
                    "Likewise.",
                ),
                "alert": _maybe(
                    _object({"source": _text("What it came from."), "id": _text("Of the tool that raised it.")})
                ),
                "incident": _incident(),
                "entities": _entities(),
                "packets": _maybe(
                    _object(
                        {
                            "state": _text("`mirroring`, `packets seen` or `no packets seen`."),
                            "since": _text("When mirroring began."),
                            "seen_at": _maybe(_text("The five minutes in which packets were counted.")),
                        }
                    )
                ),
                "containment": _maybe(_containment()),
                "links": _object(
                    {
                        "console": _maybe(_text("The instance in AWS's console; it only shows.")),
                        "appliance": _maybe(_text("The portal of the appliance, which shows packets.")),
                    }
                ),
            }
        ),
    }


def render() -> str:
    """Return the schema as the file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def _incident() -> Schema:
    return _object(
        {
            "id": _text("The same in all its events: join by it.", ID_PATTERN),
            "state": {**_text("When the event was made."), "examples": list(STATES)},
            "reason": _text("Why it was opened, as whoever opened it wrote. Treat it as data."),
            "source": _text("`api`, or the source of the alert that opened it."),
            "opened_at": _text("When, in UTC."),
            "opened_by": _text("The caller, or the policy."),
            "expires_at": _text("When the capture ends by itself."),
            "closed_at": _maybe(_text("When it was closed.")),
            "closed_because": _maybe(_text("`closed`, `expired` or `failed`.")),
        }
    )


def _entities() -> Schema:
    interface = _object(
        {
            "id": _text("Such as eni-0a000000000000001."),
            "arn": _text("Its ARN."),
            "vpc_id": _maybe(_text("Its VPC; null where it was not looked up yet.")),
            "addresses": _list(_text("An address."), "Private, public and IPv6, when it was looked up."),
            "state": {**_text("Whether it is mirrored."), "examples": list(INTERFACE_STATES)},
            "session_id": _maybe(_text("The traffic mirror session.")),
        }
    )
    instance = _object(
        {
            "id": _text("Such as i-0a000000000000001."),
            "arn": _text("Its ARN."),
            "state": _maybe(_text("`running`, `stopped` or `gone`, as it was seen last.")),
        }
    )
    return _object(
        {
            "instance": _maybe(instance),
            "network_interfaces": _list(interface, "Of the incident; empty until they are looked up."),
            "addresses": _list(_text("An address."), "Of all of them."),
            "vpc_ids": _list(_text("A VPC."), "Of all of them."),
        }
    )


def _containment() -> Schema:
    return _object(
        {
            "mode": _text("`approval` or `now`."),
            "state": _text("How far it is."),
            "asked_by": _text("Who requested it."),
            "asked_at": _text("When."),
            "deadline": _maybe(_text("When the default applies.")),
            "default": _maybe(_text("`contain` or `leave`.")),
            "decision": _maybe(_text("The latest.")),
            "decided_by": _maybe(_text("Who decided.")),
            "decided_at": _maybe(_text("When.")),
            "released_by": _maybe(_text("Who requested the release.")),
            "released_at": _maybe(_text("When.")),
        }
    )


def _object(members: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(members), "properties": dict(members)}


def _list(of: Schema, description: str) -> Schema:
    return {"type": "array", "description": description, "items": of}


def _text(description: str, pattern: str | None = None) -> Schema:
    return {"type": "string", "description": description, **({"pattern": pattern} if pattern else {})}


def _maybe(of: Schema) -> Schema:
    return {**of, "type": [of["type"], "null"]}


def _listed(meanings: Mapping[str, str]) -> str:
    return "; ".join(f"`{name}`: {meaning}" for name, meaning in meanings.items())
