"""All that an account holds, for comparing before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from tapstack.rehearsal.account import Account

Snapshot = dict[str, str]
"""Resources by `service kind id`, each as canonical JSON."""


@dataclass(frozen=True, slots=True)
class _Kind:
    service: str
    operation: str
    path: str
    key: str
    keep: Callable[[dict[str, Any]], bool] = lambda _: True


def _not_terminated(instance: dict[str, Any]) -> bool:
    """AWS shows a terminated instance for an hour; it is gone all the same."""
    return bool(instance["State"]["Name"] != "terminated")


def _not_deleted(share: dict[str, Any]) -> bool:
    return bool(share["status"] != "DELETED")


_KINDS: Final = (
    _Kind("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    _Kind("ec2", "describe_subnets", "Subnets", "SubnetId"),
    _Kind("ec2", "describe_instances", "Reservations.Instances", "InstanceId", _not_terminated),
    _Kind("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    _Kind("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    _Kind("ec2", "describe_addresses", "Addresses", "AllocationId"),
    _Kind("ec2", "describe_volumes", "Volumes", "VolumeId"),
    _Kind("ec2", "describe_traffic_mirror_filters", "TrafficMirrorFilters", "TrafficMirrorFilterId"),
    _Kind("ec2", "describe_traffic_mirror_targets", "TrafficMirrorTargets", "TrafficMirrorTargetId"),
    _Kind("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions", "TrafficMirrorSessionId"),
    _Kind("cloudformation", "describe_stacks", "Stacks", "StackId"),
    _Kind("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    _Kind("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    _Kind("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupARN"),
    _Kind("ram", "get_resource_shares", "resourceShares", "resourceShareArn", _not_deleted),
)
# What changes by itself, or by looking.
_RESTLESS: Final = frozenset({"LastUpdatedTime", "lastUpdatedTime"})


def take_snapshot(account: Account, *, region: str, role_arn: str | None = None) -> Snapshot:
    """Return all that stands in a Region of an account.

    Args:
        account: the rehearsal account.
        region: the Region.
        role_arn: role to assume; its account is looked at. The caller's by default.
    """
    found: Snapshot = {}
    for kind in _KINDS:
        client = account.client(kind.service, region=region, role_arn=role_arn)
        options = {"resourceOwner": "SELF"} if kind.service == "ram" else {}
        for item in _items(getattr(client, kind.operation)(**options), kind.path.split(".")):
            if kind.keep(item):
                found[f"{kind.service} {kind.path.rpartition('.')[2]} {item[kind.key]}"] = _canonical(item)
    return found


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what is new, gone or changed, one line each; empty where all is as it was."""
    lines = [f"left over: {name}" for name in sorted(after.keys() - before.keys())]
    lines += [f"gone: {name}" for name in sorted(before.keys() - after.keys())]
    lines += [f"changed: {name}" for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    return lines


def _items(value: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    if not path:
        yield value
        return
    for item in value.get(path[0], ()):
        yield from _items(item, path[1:])


def _canonical(item: dict[str, Any]) -> str:
    kept = {name: value for name, value in item.items() if name not in _RESTLESS}
    return json.dumps(kept, sort_keys=True, default=str)
