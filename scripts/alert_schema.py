"""The published JSON Schema of alerts in the form of the preset `generic`, version 1: what another tool may send.

It only grows: members are added, none is removed, renamed, or given another meaning. Members that are not known are not
looked at.

Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import json
from typing import Any

from tapstack.domain.alert_mappings import SEVERITY_WORDS
from tapstack.domain.alerts import HIGHEST_SEVERITY
from tapstack.domain.identifiers import example_of, pattern_of
from tapstack.domain.threats import TACTICS

Schema = dict[str, Any]
_TECHNIQUE = r"^[Tt][0-9]{4}(\.[0-9]{3})?$"
_ADDRESS = r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(?!$)|$)){4}$"


def schema() -> Schema:
    """Return the schema."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tapstack:schema:alert:1",
        "title": "Alert, version 1",
        "description": "An alert about one EC2 instance, which a policy decides about. Additions only.",
        "type": "object",
        "required": ["version", "alert_id", "severity", "target"],
        "properties": {
            "version": {"const": "1"},
            "alert_id": {
                "type": "string",
                "minLength": 1,
                "description": "What later occurrences of the same alert have, too. Unique within the sender.",
            },
            "severity": {
                "oneOf": [
                    {"type": "string", "enum": list(SEVERITY_WORDS)},
                    {"type": "number", "minimum": 0, "maximum": HIGHEST_SEVERITY},
                ],
                "description": "A word, or a number: medium begins at 4, high at 7, critical at 9.",
            },
            "title": _text("One sentence; the first 300 characters are shown."),
            "type": _text("What the sender calls this kind of alert; rules of the policy match it."),
            "time": {
                "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number", "minimum": 0}],
                "description": "When what it reports was seen last, not when it was detected: ISO 8601, or seconds or "
                "milliseconds of the epoch. Without it the moment counts at which the alert is received.",
            },
            "technique": _one_or_several(
                {"type": "string", "pattern": _TECHNIQUE, "examples": ["T1071.004"]}, "Of MITRE ATT&CK."
            ),
            "tactics": _one_or_several(
                {"type": "string", "enum": [*TACTICS, *TACTICS.values()]}, "Of MITRE ATT&CK, by name or id."
            ),
            "account_id": _id("account", "The account that it is about; the site's by default."),
            "region": _id("region", "The Region that it is about; the site's by default."),
            "target": {
                "type": "object",
                "description": "The instance. All members that are given must agree, otherwise the alert is unmatched.",
                "anyOf": [
                    {"required": ["instance_id"]},
                    {"required": ["instance_arn"]},
                    {"required": ["network_interface_id"]},
                    {"required": ["private_ip", "vpc_id"]},
                ],
                "properties": {
                    "instance_id": _id("instance", "Its id."),
                    "instance_arn": {
                        "type": "string",
                        "pattern": r"^arn:aws(-[a-z]+)*:ec2:[a-z0-9-]+:[0-9]{12}:instance/i-[0-9a-f]+$",
                        "description": "Its ARN, which says account and Region, too.",
                    },
                    "network_interface_id": _id("network interface", "One of its interfaces."),
                    "private_ip": {
                        "type": "string",
                        "pattern": _ADDRESS,
                        "description": "The primary private IPv4 address of an interface of it, with vpc_id.",
                    },
                    "vpc_id": _id("vpc", "The VPC of the address: addresses repeat in other VPCs."),
                },
            },
            "guardduty_finding": {
                "type": "string",
                "minLength": 1,
                "description": "Id or ARN of the GuardDuty finding that the alert passes on: it is then the same alert "
                "as the finding.",
            },
            "archived": {"type": "boolean", "description": "Settled by the sender: operators are only notified."},
        },
    }


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _id(kind: str, description: str) -> Schema:
    return {
        "type": "string",
        "pattern": pattern_of(kind),
        "examples": [example_of(kind).partition(" ")[0].strip('"')],
        "description": description,
    }


def _one_or_several(one: Schema, description: str) -> Schema:
    return {"oneOf": [one, {"type": "array", "items": one, "maxItems": 20}], "description": description}


def render() -> str:
    """Return the schema as the repository has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
