"""The published JSON Schema of the manifests of recorded packets, version 1.

It only grows: members are added, none is removed, renamed, or given another meaning. So nothing that is not known is
refused.

Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
from typing import Any

from tapstack.domain.identifiers import NAME_PATTERN
from tapstack.domain.incidents import ID_PATTERN
from tapstack.packets.storage import FILE_PATTERN, MAX_INTERFACES, RECORDER_PATTERN, TIME_PATTERN, VERSION, VNIS

Schema = dict[str, Any]


def schema() -> Schema:
    """Return the schema."""
    interface = {
        "type": "object",
        "properties": {
            "network_interface_id": _text("Its id.", "^eni-(?:[0-9a-f]{8}|[0-9a-f]{17})$"),
            "vni": {**_number("Of the VXLAN copies of its packets.", VNIS[0]), "maximum": VNIS[1]},
            "session_id": _text("The traffic mirror session that made the copies."),
            "address": _text("That the copies come from: its primary one."),
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:tapstack:schema:recorded-packets:{VERSION}",
        "title": f"Manifest of recorded packets, version {VERSION}",
        "description": (
            "What is known of a file of recorded packets; a member that is not there is not known. Additions only: "
            "ignore members that you do not know."
        ),
        "type": "object",
        "required": [
            *("version", "file", "account_id", "region", "recorder", "number", "first_packet_at", "last_packet_at"),
            *("packets", "size", "sha256", "interfaces"),
        ],
        "properties": {
            "version": {"const": VERSION},
            "file": _text("Name of the file, which is beside the manifest.", FILE_PATTERN),
            "account_id": _text("Of the network interfaces.", "^[0-9]{12}$"),
            "region": _text("Likewise."),
            "vpc_id": _text("Likewise.", "^vpc-(?:[0-9a-f]{8}|[0-9a-f]{17})$"),
            "site": _text("Name of the site of the deployment.", NAME_PATTERN),
            "incident": _text("Id of the incident that it was recorded for.", ID_PATTERN),
            "recorder": _text("What recorded it; another one after each start.", RECORDER_PATTERN),
            "number": _number("Of the file, counted by its recorder.", 1),
            "first_packet_at": _text("Time of the earliest packet, in UTC and nanoseconds.", TIME_PATTERN),
            "last_packet_at": _text("Of the latest one.", TIME_PATTERN),
            "packets": _number("How many packets are in it.", 1),
            "dropped": _number("How many came besides, and were not recorded.", 0),
            "size": _number("Bytes of the file, as it is kept.", 1),
            "sha256": _text("Of the file, as it is kept.", "^[0-9a-f]{64}$"),
            "vxlan_port": _number(
                "UDP port of the copies; where it is not there, packets are as the interface had them.", 1
            ),
            "interfaces": {
                "type": "array",
                "maxItems": MAX_INTERFACES,
                "items": interface,
                "description": "Of which packets may be in it; empty where that is not known.",
            },
            "problem": _text("How the file ends inside a packet, or is damaged."),
        },
    }


def render() -> str:
    """Return the schema as the file has it."""
    return json.dumps(schema(), indent=2) + "\n"


def _text(description: str, pattern: str = "") -> Schema:
    return {"type": "string", "description": description, **({"pattern": pattern} if pattern else {})}


def _number(description: str, least: int) -> Schema:
    return {"type": "integer", "minimum": least, "description": description}
