"""Findings to test with, in the forms that GuardDuty gives them."""

import copy
import json
from pathlib import Path
from typing import Any

_FILES = Path(__file__).parent / "guardduty"

DETAIL: dict[str, Any] = {
    "schemaVersion": "2.0",
    "accountId": "111122223333",
    "region": "eu-central-1",
    "partition": "aws",
    "id": "60c1f0f2a5e94b1c8f5f0e6d7c8b9a01",
    "arn": "arn:aws:guardduty:eu-central-1:111122223333:detector/d/finding/60c1f0f2a5e94b1c8f5f0e6d7c8b9a01",
    "type": "UnauthorizedAccess:EC2/TorClient",
    "resource": {
        "resourceType": "Instance",
        "instanceDetails": {
            "instanceId": "i-0a000000000000001",
            "instanceType": "m5.large",
            "platform": None,
            "networkInterfaces": [
                {"networkInterfaceId": "eni-0a000000000000001", "vpcId": "vpc-0a1b2c3d4e5f60718"},
                {"networkInterfaceId": "eni-0a000000000000002", "vpcId": "vpc-0a1b2c3d4e5f60718"},
            ],
            "tags": [{"key": "tier", "value": "web"}, {"key": "empty", "value": ""}],
        },
    },
    "service": {
        "serviceName": "guardduty",
        "resourceRole": "ACTOR",
        "additionalInfo": {"value": "{}", "type": "default"},
        "eventFirstSeen": "2026-01-02T03:04:05Z",
        "eventLastSeen": "2026-01-02T04:04:05Z",
        "archived": False,
        "count": 3,
    },
    "severity": 8,
    "title": "EC2 instance i-0a000000000000001 is communicating with a Tor entry node.",
}


def detail(**changes: Any) -> dict[str, Any]:
    """A finding as EventBridge has it; `service__count=1` changes service.count, and None takes a key away."""
    made = copy.deepcopy(DETAIL)
    for name, value in changes.items():
        *path, key = name.split("__")
        holder = made
        for part in path:
            holder = holder[part]
        if value is None:
            del holder[key]
        else:
            holder[key] = value
    return made


def event(**changes: Any) -> dict[str, Any]:
    """The event that EventBridge delivers."""
    return {
        "version": "0",
        "id": "cd2d702e-ab31-411b-9344-793ce56b1bc7",
        "detail-type": "GuardDuty Finding",
        "source": "aws.guardduty",
        "account": "111122223333",
        "time": "2026-01-02T04:05:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": detail(**changes),
    }


def as_the_api_writes_it(value: Any) -> Any:
    """The same with keys that begin in upper case."""
    if isinstance(value, dict):
        return {key[:1].upper() + key[1:]: as_the_api_writes_it(inner) for key, inner in value.items()}
    return [as_the_api_writes_it(item) for item in value] if isinstance(value, list) else value


def document(name: str) -> Any:
    """A whole document as it arrives: most are events of GuardDuty, others are taken for such."""
    return json.loads((_FILES / f"{name}.json").read_text(encoding="utf-8"))
