"""Events of incidents as Detection Findings of the Open Cybersecurity Schema Framework (OCSF).

One document is valid for releases 1.1.0 (Security Lake's custom sources), 1.6.0 (Security Hub) and 1.8.0: it has what
all of them know, and says 1.6.0.

Source: OCSF schema, class Detection Finding (2004), objects finding_info, attack, cloud, resource_details, observable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

DETECTION_FINDING: Final = 2004
"""The class of what was detected; others are about configuration and vulnerabilities."""
_ACTIVITIES: Final[Mapping[str, tuple[int, str]]] = {"opened": (1, "Create"), "closed": (3, "Close")}
_UPDATE: Final = (2, "Update")
_STATUSES: Final[Mapping[str, tuple[int, str]]] = {"opened": (1, "New"), "closed": (4, "Resolved")}
_IN_PROGRESS: Final = (2, "In Progress")
_SEVERITIES: Final[Mapping[str, tuple[int, str]]] = {
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_RELEASE: Final = "1.6.0"
_ATTACK_RELEASE: Final = "17.1"
_RESOURCE_ID: Final = (10, "Resource UID")
_ADDRESS: Final = (2, "IP Address")


def detection_finding(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of an incident, version 1, as a Detection Finding; `unmapped` has the event itself."""
    incident, what = event["incident"], event["what"]
    activity, activity_name = _ACTIVITIES.get(what, _UPDATE)
    status, status_name = _STATUSES.get(what, _IN_PROGRESS)
    severity, severity_name = _SEVERITIES[event["severity"]]
    return {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": DETECTION_FINDING,
        "class_name": "Detection Finding",
        "type_uid": DETECTION_FINDING * 100 + activity,
        "type_name": f"Detection Finding: {activity_name}",
        "time": _milliseconds(event["time"]),
        "severity_id": severity,
        "severity": severity_name,
        "status_id": status,
        "status": status_name,
        "message": event["message"],
        "metadata": {
            "version": _RELEASE,
            "uid": event["id"],
            "correlation_uid": incident["id"],
            "event_code": what,
            "product": {"name": "Tapstack", "vendor_name": "Tapstack", "uid": "tapstack"},
            "profiles": ["cloud"],
        },
        "finding_info": {
            "uid": incident["id"],
            "title": f"Incident {incident['id']}",
            "desc": incident["reason"],
            "created_time": _milliseconds(incident["opened_at"]),
            "types": ["Packet Capture"],
            "data_sources": ["Traffic Mirroring"],
            **({"src_url": event["links"]["console"]} if event["links"]["console"] else {}),
            **({"related_events": [{"uid": event["alert"]["id"]}]} if event["alert"] else {}),
            **({"attacks": attacks} if (attacks := list(_attacks(event))) else {}),
        },
        "cloud": {
            "provider": "AWS",
            "region": event["region"],
            "account": {
                "uid": event["account_id"],
                "name": event["account_id"],
                "type_id": 10,
                "type": "AWS Account",
            },
        },
        "resources": list(_resources(event)),
        "observables": list(_observables(event)),
        "unmapped": {"tapstack": dict(event)},
    }


def _milliseconds(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _attacks(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield techniques and tactics each by itself: which belongs to which is not known."""
    for technique in event["techniques"]:
        of = technique.partition(".")[0]
        sub = {"sub_technique": {"uid": technique, "name": technique}} if technique != of else {}
        yield {"version": _ATTACK_RELEASE, "technique": {"uid": of, "name": of}, **sub}
    for tactic in event["tactics"]:
        yield {"version": _ATTACK_RELEASE, "tactic": {"uid": tactic["id"], "name": tactic["name"]}}


def _resources(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    entities, region = event["entities"], event["region"]
    if (instance := entities["instance"]) is not None:
        yield {"uid": instance["arn"], "type": "AWS::EC2::Instance", "name": instance["id"], "region": region}
    for one in entities["network_interfaces"]:
        yield {"uid": one["arn"], "type": "AWS::EC2::NetworkInterface", "name": one["id"], "region": region}


def _observables(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for number, resource in enumerate(_resources(event)):
        type_id, type_name = _RESOURCE_ID
        yield {"name": f"resources[{number}].name", "type_id": type_id, "type": type_name, "value": resource["name"]}
    for address in event["entities"]["addresses"]:
        type_id, type_name = _ADDRESS
        yield {
            "name": "unmapped.tapstack.entities.addresses",
            "type_id": type_id,
            "type": type_name,
            "value": address,
        }
