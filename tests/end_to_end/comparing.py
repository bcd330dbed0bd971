"""What containments and captures may change of an account, for comparing before and after."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from strictmoto.account import REGION, Account
from strictmoto.testing.snapshot import Snapshot, take_snapshot
from tapstack.domain.evidence_settings import TAG_APPLIANCE
from tapstack.domain.incidents import TAG_EXPIRES
from tapstack.responder.containment.changes.snapshots import TAG_CONTAINMENT

_TOUCHED: Final = ("ec2", "cloudformation", "autoscaling", "elb", "elbv2")
_ATTRIBUTES: Final = {
    "disableApiTermination": "DisableApiTermination",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
}


def all_resources(account: Account) -> Snapshot:
    """Return all resources, with what needs calls of its own: attributes, targets and role policies."""
    # Those of volumes are looked at apart.
    taken = take_snapshot(account, region=REGION, services=_TOUCHED, without=["Snapshots"])
    # An incident that shared a session may leave its own time on it, which is not read while another incident holds it.
    found = {name: _without_expiry(text) if "TrafficMirrorSessions" in name else text for name, text in taken.items()}
    return {**found, **dict(_attributes_of(account, taken))}


def delete_evidence(account: Account) -> Iterator[str]:
    """Delete the snapshots of containments and appliances, which stay; yield which containments took more than once."""
    ec2 = account.client("ec2")
    of_appliances = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": [TAG_APPLIANCE]}])
    for snapshot in of_appliances["Snapshots"]:
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    taken = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag-key", "Values": [TAG_CONTAINMENT]}])
    counts: Counter[tuple[str, str]] = Counter()
    for snapshot in taken["Snapshots"]:
        tags = {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}
        counts[(tags[TAG_CONTAINMENT], snapshot["VolumeId"])] += 1
        ec2.delete_snapshot(SnapshotId=snapshot["SnapshotId"])
    yield from (f"{count} snapshots of {volume} for {of}" for (of, volume), count in counts.items() if count > 1)


def _attributes_of(account: Account, taken: Snapshot) -> Iterator[tuple[str, str]]:
    ec2, elbv2, iam = (account.client(service) for service in ("ec2", "elbv2", "iam"))
    for name in taken:
        service, kind, of = name.split(" ", 2)
        if (service, kind) == ("ec2", "Instances"):
            for attribute, member in _ATTRIBUTES.items():
                answer = ec2.describe_instance_attribute(InstanceId=of, Attribute=attribute)
                yield f"{name} {attribute}", str(answer[member]["Value"])
        elif (service, kind) == ("elbv2", "TargetGroups"):
            health = elbv2.describe_target_health(TargetGroupArn=of)["TargetHealthDescriptions"]
            yield f"{name} targets", str(sorted((item["Target"]["Id"], item["Target"]["Port"]) for item in health))
    for role in _of_instances(iam):
        policies = iam.list_role_policies(RoleName=role)["PolicyNames"]
        yield f"iam Roles {role} policies", str(sorted(policies))


def _of_instances(iam: Any) -> set[str]:
    profiles = iam.list_instance_profiles()["InstanceProfiles"]
    return {role["RoleName"] for profile in profiles for role in profile["Roles"]}


def _without_expiry(text: str) -> str:
    session = json.loads(text)
    session["Tags"] = [tag for tag in session.get("Tags", []) if tag["Key"] != TAG_EXPIRES]
    return json.dumps(session, sort_keys=True)
