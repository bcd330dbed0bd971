"""Incidents in every state that lasts, the items that they leave in the table, and those of an earlier version.

What is kept of a version has names in place of the ids that AWS gives. The present code does the same in the account of
a test, and then the table gets the items of the earlier version, which mean the same instances and interfaces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tapstack.domain.incidents import as_text, read_request, utc_now
from tapstack.responder.errors import TryAgain
from tapstack.responder.handlers import appliance, capture, containment, incident, prepare, release
from tapstack.responder.incident import opening
from tests.responder.callers import CALLER
from tests.responder.conftest import TABLE, Site
from tests.responder.containment.conftest import Shop, ask_again

ANN = "arn:aws:iam::123456789012:user/ann"
CAPTURING, JOINED, PENDING, BLOCKED, CLOSED, BEGUN, LAUNCHED = (f"inc-20260102T03040{n}-abcdefgh" for n in range(7))
"""The database captured and contained; again, for another alert; web-1 pending; web-2 blocked; the desktop captured,
and closed; the legacy server, whose containment was killed before isolation; one with an appliance of its own."""

_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?=[Z.])")
_SECONDS = {"ttl", "kept_until", "session_since", "launched_at", "released_at", "untracked_at", "restored_at"}
"""Attributes that are times, in seconds of the epoch."""


def step(handler: Any, action: str, name: str, **more: Any) -> dict[str, Any]:
    """Call a function as the workflow does."""
    return dict(json.loads(json.dumps(handler({"action": action, "incident_id": name, **more}, None))))


def opened_as(monkeypatch: pytest.MonkeyPatch, name: str, instance: str, key: str | None = None, **more: Any) -> None:
    """Open an incident that has this id."""
    asked = {"reason": "beaconing", "instance_id": instance, **more}
    request = read_request(asked, minutes=600, max_minutes=1440)
    with monkeypatch.context() as patch:
        patch.setattr("tapstack.responder.store.incidents.new_id", lambda _: name)
        opening.open_incident(request, source="api", by=CALLER, idempotency_key=key)


def captured(name: str) -> None:
    """Come to where the workflow waits."""
    step(prepare.handler, "prepare", name)
    assert step(appliance.handler, "ensure", name) == {"status": "ready"}
    step(capture.handler, "start", name)
    step(incident.handler, "notify", name)
    step(incident.handler, "remaining", name)
    step(incident.handler, "wait", name, token=f"token of {name}")


def contained(name: str) -> None:
    assert step(containment.handler, "contain", name) == {"status": "contained"}
    step(incident.handler, "notify_containment", name)


def play(shop: Shop) -> None:
    """Bring an incident into each state."""
    patch, instances = shop.monkeypatch, shop.company.instances
    shop.set(instance_profile="restrict", snapshots=True)
    opened_as(
        patch,
        CAPTURING,
        shop.database,
        "key-1",
        alert_id="edr-1",
        severity="high",
        technique="T1071",
        containment="now",
    )
    contained(CAPTURING)
    captured(CAPTURING)
    opened_as(patch, JOINED, shop.database, containment="now")
    contained(JOINED)
    captured(JOINED)
    opened_as(patch, PENDING, instances["web-1"], containment="approval")
    step(incident.handler, "decide", PENDING)
    step(incident.handler, "approval", PENDING, token=f"token of {PENDING}")
    opened_as(patch, BLOCKED, instances["web-2"], containment="now")
    contained(BLOCKED)
    [interface] = shop.company.interfaces["web-2"]
    shop.give(interface, shop.company.security_groups["administration"])
    ask_again(BLOCKED)
    assert step(release.handler, "release", BLOCKED) == {"status": "blocked"}
    opened_as(patch, CLOSED, instances["desktop"])
    captured(CLOSED)
    step(capture.handler, "stop", CLOSED)
    step(incident.handler, "close", CLOSED, because="closed")
    opened_as(patch, BEGUN, instances["legacy"], containment="now")
    with patch.context() as killed:
        killed.setattr("tapstack.responder.containment.isolation._Containing._isolate", _killed)
        with pytest.raises(TryAgain):
            step(containment.handler, "contain", BEGUN)


def play_launched(site: Site, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Bring an incident to where its own appliance receives packets; return its instance by name."""
    suspect, _ = site.instance()
    opened_as(monkeypatch, LAUNCHED, suspect)
    step(prepare.handler, "prepare", LAUNCHED)
    for _ in range(5):
        if step(appliance.handler, "ensure", LAUNCHED) == {"status": "ready"}:
            break
    captured(LAUNCHED)
    return {"suspect": suspect}


def _killed(*_: object) -> int:
    raise TryAgain("killed")


def items(site: Site) -> list[dict[str, Any]]:
    """All items of the table."""
    pages = site.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return [item for page in pages for item in page["Items"]]


def ids(site: Site, instances: Mapping[str, str]) -> dict[str, str]:
    """The ids that AWS gave, by a name that is the same in every account.

    Args:
        site: where.
        instances: ids by name.
    """
    ec2 = site.ec2
    networks = {vpc["VpcId"]: vpc["CidrBlock"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    found = {f"network {cidr}": vpc for vpc, cidr in networks.items()}
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        found[f"group {group['GroupName']} of {networks[group['VpcId']]}"] = group["GroupId"]
    sessions = {one["NetworkInterfaceId"]: one["TrafficMirrorSessionId"] for one in site.ours()}
    for name, instance_id in instances.items():
        found[f"instance {name}"] = instance_id
        [reservation] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
        [instance] = reservation["Instances"]
        for interface in instance["NetworkInterfaces"]:
            place = f"{name}.{interface['Attachment']['DeviceIndex']}"
            found[f"interface {place}"] = interface["NetworkInterfaceId"]
            if interface["NetworkInterfaceId"] in sessions:
                found[f"session {place}"] = sessions[interface["NetworkInterfaceId"]]
        for volume in instance["BlockDeviceMappings"]:
            found[f"volume {name}.{volume['DeviceName']}"] = volume["Ebs"]["VolumeId"]
    for group in site.client("elbv2").describe_target_groups()["TargetGroups"]:
        found[f"target group {group['TargetGroupName']}"] = group["TargetGroupArn"]
    for made in ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"]:
        found["target"] = made["TrafficMirrorTargetId"]
    for made in ec2.describe_traffic_mirror_filters()["TrafficMirrorFilters"]:
        found["filter"] = made["TrafficMirrorFilterId"]
    for stack in site.client("cloudformation").describe_stacks()["Stacks"]:
        found[f"stack {stack['StackName']}"] = stack["StackId"]
    return found


def recorded(site: Site, instances: Mapping[str, str]) -> dict[str, Any]:
    """What the present code has written, with names for ids."""
    text = json.dumps(items(site))
    for name, value in sorted(ids(site, instances).items(), key=lambda pair: -len(pair[1])):
        text = text.replace(value, f"<{name}>")
    listed = sorted(json.loads(text), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
    return {"written_at": as_text(utc_now()), "items": listed}


def keep(file: Path, found: dict[str, Any]) -> None:
    """Write what a version leaves in the table."""
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def take_over(site: Site, instances: Mapping[str, str], file: Path) -> None:
    """Give the table the items of an earlier version, as if it had written them just now."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    then = datetime.strptime(kept["written_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    later = utc_now() - then
    text = json.dumps(kept["items"])
    for name, value in ids(site, instances).items():
        text = text.replace(f"<{name}>", value)
    text = _TIME.sub(lambda match: f"{_shifted(match.group(), later):%Y-%m-%dT%H:%M:%S}", text)
    table = site.client("dynamodb")
    for item in items(site):
        table.delete_item(TableName=TABLE, Key={name: item[name] for name in ("pk", "sk")})
    for item in _with_later_seconds(json.loads(text), int(later.total_seconds())):
        table.put_item(TableName=TABLE, Item=item)


def _shifted(text: str, by: timedelta) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S") + by


def _with_later_seconds(kept: list[dict[str, Any]], by: int) -> Iterator[dict[str, Any]]:
    for item in kept:
        yield {
            name: {"N": str(int(value["N"]) + by)} if name in _SECONDS and value.get("N", "0") != "0" else value
            for name, value in item.items()
        }
