"""JSON Schemas of what the API takes and answers: validation and the OpenAPI document are made from them.

JSON Schema draft 7 is what the validator knows; only words that draft 2020-12, which OpenAPI 3.1
uses, has with the same meaning are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.domain import incidents, packet_watch
from tapstack.domain.containment_settings import MODES
from tapstack.domain.identifiers import NAME_PATTERN, example_of, noun_of, pattern_of
from tapstack.domain.threats import TACTICS
from tapstack.responder.api.containment_schemas import (
    APPROVE,
    CHANGE,
    CONTAIN,
    CONTAINMENT,
    DIFFERENCE,
    DRY_RUN,
    PLAN,
    RELEASE,
    REQUESTED,
    WANTED_BY,
)
from tapstack.responder.api.problems import TITLES

Schema = dict[str, Any]

_KEY_PATTERN: Final = "^[!-~]+$"
_NEXT_PATTERN: Final = "^[A-Za-z0-9_-]{1,128}$"
FORMS: Final = {
    **{
        pattern_of(kind): f"the id of {noun_of(kind)}, of the form {example_of(kind)}"
        for kind in ("instance", "network interface")
    },
    incidents.ID_PATTERN: f"the id of an incident, of the form {incidents.ID_EXAMPLE}",
    incidents.TEXT_PATTERN: "readable text that is not blank, without control characters",
    incidents.TECHNIQUE_PATTERN: "a technique of MITRE ATT&CK, of the form T1071 or T1071.004",
    incidents.ALERT_ID_PATTERN: "printable ASCII characters, without a blank at the beginning or the end",
    _KEY_PATTERN: "printable ASCII characters without a blank",
    _NEXT_PATTERN: "the `next` of the page before, unchanged",
}
"""What each pattern of a request asks for, in words: refusals say it, because a pattern says little to a caller."""


def _text(length: tuple[int, int], pattern: str, description: str) -> Schema:
    return {
        "type": "string",
        "minLength": length[0],
        "maxLength": length[1],
        "pattern": pattern,
        "description": description,
    }


def _time(description: str) -> Schema:
    return {"type": "string", "format": "date-time", "description": description}


def _or_null(schema: Schema) -> Schema:
    kinds = {"type": [schema["type"], "null"]}
    return {**schema, **kinds, **({"enum": [*schema["enum"], None]} if "enum" in schema else {})}


REASON: Final = _text(incidents.REASON_LENGTH, incidents.TEXT_PATTERN, "Why, in words.")
MINUTES: Final[Schema] = {
    "type": "integer",
    "minimum": incidents.MINUTES[0],
    "maximum": incidents.MINUTES[1],
    "description": "How long, in minutes; a deployment may allow less.",
}
_INSTANCE: Final[Schema] = {
    "type": "string",
    "pattern": pattern_of("instance"),
    "description": "The EC2 instance, whose network interfaces are all captured.",
    "examples": ["i-0123456789abcdef0"],
}
_INTERFACES: Final[Schema] = {
    "type": "array",
    "items": {"type": "string", "pattern": pattern_of("network interface"), "examples": ["eni-0123456789abcdef0"]},
    "minItems": incidents.INTERFACES[0],
    "maxItems": incidents.INTERFACES[1],
    "uniqueItems": True,
    "description": "The network interfaces to capture.",
}
_TECHNIQUE: Final[Schema] = {
    "type": "string",
    "pattern": incidents.TECHNIQUE_PATTERN,
    "description": "Technique of MITRE ATT&CK.",
    "examples": ["T1071.004"],
}
_ALERT: Final = _text(
    incidents.ALERT_ID_LENGTH,
    incidents.ALERT_ID_PATTERN,
    "Id of the alert in the tool that raised it. An alert about an instance that has an open incident joins that; "
    "without an alert id the request opens an incident of its own. Sent again, it returns the same incident while that "
    "is open; for something else, and once the incident is closed, it is refused with 409.",
)

OPEN: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reason"],
    "oneOf": [{"required": ["instance_id"]}, {"required": ["network_interface_ids"]}],
    "properties": {
        "instance_id": _INSTANCE,
        "network_interface_ids": _INTERFACES,
        "reason": REASON,
        "severity": {
            "type": "string",
            "enum": list(incidents.SEVERITIES),
            "default": incidents.DEFAULT_SEVERITY,
            "description": "Severity.",
        },
        "technique": _TECHNIQUE,
        "alert_id": _ALERT,
        "minutes": {**MINUTES, "description": "How long to capture; the deployment's own time when omitted."},
        "containment": REQUESTED,
    },
}
# Documented here, checked by the domain, which says why.
_ONLY_INSTANCES_ARE_CONTAINED: Final[Schema] = {
    "if": {"required": ["containment"], "properties": {"containment": {"not": {"const": "none"}}}},
    "then": {"required": ["instance_id"]},
}
EXTEND: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["minutes"],
    "properties": {
        "minutes": {
            **MINUTES,
            "description": "How long to capture from now, or from when mirroring starts, where it has not. Never "
            "shortens a capture. Refused with 400 above the deployment's capture.max_minutes, and with 409 where the "
            "capture would last longer than that, counted from when mirroring started.",
        }
    },
}
CLOSE: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reason": REASON},
}
OVERRIDE: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reason"],
    "properties": {"reason": REASON, "dry_run": DRY_RUN},
}
CONTAIN_PROTECTED: Final = OVERRIDE
REJECT: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"reason": REASON, "dry_run": DRY_RUN},
}
_ID: Final[Schema] = {"type": "string", "pattern": incidents.ID_PATTERN, "examples": [incidents.ID_EXAMPLE]}
INCIDENT_ID: Final = _ID
IDEMPOTENCY_KEY: Final[Schema] = {
    "type": "string",
    "minLength": incidents.IDEMPOTENCY_KEY_LENGTH[0],
    "maxLength": incidents.IDEMPOTENCY_KEY_LENGTH[1],
    "pattern": _KEY_PATTERN,
    "description": "Sent again by the same caller with the same body within 24 hours, it returns the same incident, "
    "open or closed.",
}
STATE: Final[Schema] = {"type": "string", "enum": list(incidents.LISTINGS), "default": incidents.DEFAULT_LISTING}
LIMIT: Final[Schema] = {
    "type": "integer",
    "minimum": incidents.PAGE[0],
    "maximum": incidents.PAGE[1],
    "default": incidents.DEFAULT_PAGE,
}
NEXT: Final[Schema] = {
    "type": "string",
    "pattern": _NEXT_PATTERN,
    "description": "`next` of the page before; opaque.",
}

INTERFACE: Final[Schema] = {
    "type": "object",
    "required": ["network_interface_id", "state", "session_id", "session_number", "owned", "note"],
    "properties": {
        "network_interface_id": {"type": "string"},
        "state": {"type": "string", "enum": list(incidents.INTERFACE_STATES)},
        "session_id": {"type": ["string", "null"], "description": "The traffic mirror session."},
        "session_number": {"type": ["integer", "null"]},
        "owned": {"type": "boolean", "description": "Whether an incident of this deployment made the session."},
        "note": {"type": "string", "description": "Why it waits or is refused, or a remark."},
    },
}
APPLIANCE: Final[Schema] = {
    "type": ["object", "null"],
    "required": ["stack_name", "state", "portal_url", "target_id", "filter_id", "launched_by_us"],
    "properties": {
        "stack_name": {"type": ["string", "null"]},
        "state": {
            "type": "string",
            "enum": list(incidents.APPLIANCE_STATES),
            "description": "`standing`: an existing appliance. The others are of one that an incident launched.",
        },
        "portal_url": {"type": ["string", "null"], "description": "Portal of the appliance, which shows the packets."},
        "target_id": {"type": ["string", "null"]},
        "filter_id": {"type": ["string", "null"]},
        "launched_by_us": {"type": "boolean"},
    },
}
PACKETS: Final[Schema] = {
    "type": ["object", "null"],
    "description": "What is known of the packets. null before mirroring begins.",
    "required": ["state", "since", "seen_at", "missing"],
    "properties": {
        "state": {
            "type": "string",
            "enum": list(packet_watch.STATES),
            "description": "mirroring while sessions exist and nothing is known of packets; packets seen when "
            "CloudWatch counts mirrored packets of every instance, of other sessions on it too; no packets seen when "
            "it counts none for ten minutes or longer.",
        },
        "since": _time("When mirroring began."),
        "seen_at": _or_null(_time("The beginning of the five minutes in which CloudWatch counted the first packets.")),
        "missing": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The instances of which CloudWatch counts none.",
        },
        "counted_from": _or_null(
            _time(
                "The beginning of the first five minutes of CloudWatch that count: after since where a session may "
                "have ended in those of since."
            )
        ),
    },
}
STORED_PACKETS: Final[Schema] = {
    "type": ["object", "null"],
    "description": "Where the packets are that a launched appliance captured; null with an existing appliance.",
    "required": ["state", "snapshots", "until", "keep_days"],
    "properties": {
        "state": {
            "type": "string",
            "enum": list(incidents.STORAGE_STATES),
            "description": "`appliance`: on it. `snapshots`: it is deleted, or about to be, and its volumes are "
            "snapshotted. `deleted`: the time of the snapshots was over. `lost`: it is deleted, and no snapshot was "
            "taken.",
        },
        "snapshots": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["snapshot_id", "volume_id", "size_gib", "encrypted"],
                "properties": {
                    "snapshot_id": {"type": "string"},
                    "volume_id": {"type": "string"},
                    "size_gib": {"type": "integer", "description": "Size of the volume."},
                    "encrypted": {"type": "boolean", "description": "As the volume was."},
                },
            },
        },
        "until": _or_null(_time("When the snapshots are deleted.")),
        "keep_days": {
            "type": ["integer", "null"],
            "description": "For how many days snapshots are kept; null where none are taken before an appliance is "
            "deleted.",
        },
    },
}
_INCIDENT_PROPERTIES: Final[dict[str, Schema]] = {
    "id": _ID,
    "state": {"type": "string", "enum": list(incidents.STATES)},
    "reason": REASON,
    "severity": {"type": "string", "enum": list(incidents.SEVERITIES)},
    "technique": {**_or_null(_TECHNIQUE), "description": "The first of techniques; null where there is none."},
    "techniques": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Of MITRE ATT&CK, those of the request or of the alert that opened it.",
    },
    "tactics": {
        "type": "array",
        "items": {"type": "string", "enum": list(TACTICS)},
        "description": "Likewise: what the alert named, and what the type of a GuardDuty finding stands for.",
    },
    "alert_id": _or_null(_ALERT),
    "source": {
        "type": "string",
        "description": "By which way it was requested: api, or the source of the alert that opened it: guardduty, "
        "securityhub, or a name of response.alerts.sources.",
    },
    "opened_at": _time("When it was opened."),
    "expires_at": _time(
        "When the capture ends by itself. Before mirroring starts, the earliest time: `minutes` count from then."
    ),
    "closed_at": _or_null(_time("When it was closed.")),
    "opened_by": {"type": "string", "description": "ARN, or subject of the token, of the caller who opened it."},
    "minutes": {
        "type": "integer",
        "description": "How long it captures from when mirroring starts: as requested, or longer where it was "
        "extended, or an alert joined, before that.",
    },
    "instance_id": _or_null(_INSTANCE),
    "network_interface_ids": {"type": "array", "items": {"type": "string"}, "description": "As requested."},
    "interfaces": {"type": "array", "items": {"$ref": "#/components/schemas/Interface"}},
    "appliance": {"$ref": "#/components/schemas/Appliance"},
    "instance_state": {
        "type": ["string", "null"],
        "enum": [*incidents.INSTANCE_STATES, None],
        "description": "Of its instance, as the sweeper saw it last, while it captures or is contained. gone: it was "
        "terminated, or did not exist when the capture began. null where it is not known.",
    },
    "packets": {"$ref": "#/components/schemas/Packets"},
    "stored_packets": {"$ref": "#/components/schemas/StoredPackets"},
    "in_place": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Resources of a failed incident that remain.",
    },
    "undo": {"type": ["string", "null"], "description": "The command that deletes what remains."},
    "close_requested": {"type": "boolean"},
    "closed_because": {"type": ["string", "null"], "enum": [*incidents.REASONS_OF_CLOSING, None]},
    "containment": {"$ref": "#/components/schemas/Containment"},
    "containment_modes": {
        "type": "array",
        "items": {"type": "string", "enum": list(MODES)},
        "description": "In which modes its instance can be contained now. Empty where containment is not "
        "configured or is under way, for network interfaces, for an instance that did not exist when the capture "
        "began, and once the incident is closing. Where it is contained, that does what is not done yet, and needs "
        "no approval; where it waits for packets, `now` ends that wait.",
    },
    "containment_failed_in_part": {
        "type": "boolean",
        "description": "Whether its containment failed after changes were started. To contain again goes on as it was "
        "decided, and needs no new approval.",
    },
    "containment_wait_seconds": {
        "type": ["integer", "null"],
        "description": "How long a containment that is decided now waits for packets at most "
        "(containment.wait_for_packets); the instance stays connected meanwhile. null where it does not wait.",
    },
    "extendable_until": _or_null(
        _time(
            "When the capture ends at the latest, extensions included; before mirroring starts, an estimate. "
            "null where it cannot be extended any more."
        )
    ),
}
INCIDENT: Final[Schema] = {
    "type": "object",
    "required": list(_INCIDENT_PROPERTIES),
    "properties": _INCIDENT_PROPERTIES,
}
EVENT: Final[Schema] = {
    "type": "object",
    "required": ["at", "by", "what", "detail"],
    "properties": {
        "at": _time("When."),
        "by": {"type": "string", "description": "Who, or which step."},
        "what": {"type": "string"},
        "detail": {"type": "string"},
    },
}
INCIDENT_WITH_TIMELINE: Final[Schema] = {
    "type": "object",
    "required": [*_INCIDENT_PROPERTIES, "timeline", "wanted_by", "still_exists"],
    "properties": {
        **_INCIDENT_PROPERTIES,
        "timeline": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}},
        "wanted_by": WANTED_BY,
        "still_exists": {
            "type": "array",
            "items": {"type": "string"},
            "description": "What may still exist where its instance is gone, one line each.",
        },
    },
}
RELEASED: Final[Schema] = {
    "type": "object",
    "required": [*_INCIDENT_PROPERTIES, "wanted_by"],
    "properties": {**_INCIDENT_PROPERTIES, "wanted_by": WANTED_BY},
}
OPENED: Final[Schema] = {
    "type": "object",
    "required": ["incident", "links", "joined"],
    "properties": {
        "incident": {"$ref": "#/components/schemas/Incident"},
        "joined": {
            "type": "boolean",
            "description": "Whether the alert joined an incident that was open about the instance, and opened none.",
        },
        "links": {
            "type": "object",
            "required": ["self", "close", "extend"],
            "properties": {name: {"type": "string"} for name in ("self", "close", "extend")},
        },
    },
}
LISTED: Final[Schema] = {
    "type": "object",
    "required": ["incidents"],
    "properties": {
        "incidents": {"type": "array", "items": {"$ref": "#/components/schemas/Incident"}},
        "next": {"type": "string", "description": "Where the next page begins; absent on the last."},
    },
}
PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "enum": [f"urn:tapstack:problem:{kind}" for kind in TITLES]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["where", "problem"],
                "properties": {"where": {"type": "string"}, "problem": {"type": "string"}},
            },
        },
    },
}
GATEWAY_PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "What the gateway itself answers: before a function runs, or where it failed or did not answer.",
    "properties": {"message": {"type": ["string", "null"]}},
}
SOURCE: Final[Schema] = {
    "type": "string",
    "pattern": NAME_PATTERN,
    "description": "Name of a source in `response.alerts.sources`.",
}
WEBHOOK_ID: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "pattern": r"^[!-\-/-~]+$",
    "description": "Sent again with the same id and body, an alert is the same delivery, and its outcome the first "
    "one. Another body is another delivery.",
}
TIMESTAMP: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,12}$"}
SIGNATURE: Final[Schema] = {"type": "string", "minLength": 1}
ALERT: Final[Schema] = {"description": "The alert, as the mapping of its source reads it."}
KEPT: Final[Schema] = {
    "type": "object",
    "required": ["kept", "mapped", "id"],
    "properties": {
        "kept": {"const": True, "description": "It is decided about, also where a function fails meanwhile."},
        "mapped": {
            "type": "boolean",
            "description": "Whether the mapping of the source finds an alert in it; otherwise it is unmatched.",
        },
        "id": {"type": "string", "description": "The id that it was sent with, or was given."},
    },
}
BODIES: Final[Mapping[str, Schema]] = {
    "Open": OPEN,
    "Extend": EXTEND,
    "Close": CLOSE,
    "Contain": CONTAIN,
    "Approve": APPROVE,
    "Override": OVERRIDE,
    "ContainProtected": CONTAIN_PROTECTED,
    "Reject": REJECT,
    "Release": RELEASE,
}
"""What bodies are checked against."""
PARAMETERS: Final[dict[str, Schema]] = {
    "Idempotency-Key": IDEMPOTENCY_KEY,
    "state": STATE,
    "limit": LIMIT,
    "next": NEXT,
}
"""What headers and parameters of the query are checked against."""
COMPONENTS: Final[dict[str, Schema]] = {
    **BODIES,
    "Open": {**OPEN, **_ONLY_INSTANCES_ARE_CONTAINED},
    "Incident": INCIDENT,
    "IncidentWithTimeline": INCIDENT_WITH_TIMELINE,
    "Interface": INTERFACE,
    "Appliance": APPLIANCE,
    "Packets": PACKETS,
    "StoredPackets": STORED_PACKETS,
    "Containment": CONTAINMENT,
    "Plan": PLAN,
    "Change": CHANGE,
    "Difference": DIFFERENCE,
    "Event": EVENT,
    "Opened": OPENED,
    "Released": RELEASED,
    "Listed": LISTED,
    "Alert": ALERT,
    "Kept": KEPT,
    "Problem": PROBLEM,
    "GatewayProblem": GATEWAY_PROBLEM,
}
