"""All that an account holds, for comparing before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from strictmoto.account import Account

Snapshot = dict[str, str]
"""Resources by `service kind id`, each as canonical JSON."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Something that an account holds.

    Attributes:
        service: boto3's name of it.
        operation: that lists them.
        path: where the answer has them.
        key: what names one; empty where the answer has only names.
        options: of the operation.
        keep: says which of them count.
    """

    service: str
    operation: str
    path: str
    key: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    keep: Callable[[Any], bool] = lambda _: True


def _not_terminated(instance: dict[str, Any]) -> bool:
    """AWS shows a terminated instance for an hour; it is gone all the same."""
    return bool(instance["State"]["Name"] != "terminated")


def _not_deleted(item: dict[str, Any]) -> bool:
    return str(item.get("status", item.get("State"))).lower() != "deleted"


_KINDS: Final = (
    _Kind("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    _Kind("ec2", "describe_subnets", "Subnets", "SubnetId"),
    _Kind("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    _Kind("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    _Kind("ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId", keep=_not_deleted),
    _Kind("ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", keep=_not_deleted),
    _Kind("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    _Kind("ec2", "describe_instances", "Reservations.Instances", "InstanceId", keep=_not_terminated),
    _Kind("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    _Kind("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    _Kind("ec2", "describe_addresses", "Addresses", "AllocationId"),
    _Kind("ec2", "describe_volumes", "Volumes", "VolumeId"),
    _Kind("ec2", "describe_snapshots", "Snapshots", "SnapshotId", {"OwnerIds": ["self"]}),
    _Kind("ec2", "describe_iam_instance_profile_associations", "IamInstanceProfileAssociations", "AssociationId"),
    _Kind("ec2", "describe_traffic_mirror_filters", "TrafficMirrorFilters", "TrafficMirrorFilterId"),
    _Kind("ec2", "describe_traffic_mirror_targets", "TrafficMirrorTargets", "TrafficMirrorTargetId"),
    _Kind("ec2", "describe_traffic_mirror_sessions", "TrafficMirrorSessions", "TrafficMirrorSessionId"),
    _Kind("cloudformation", "describe_stacks", "Stacks", "StackId"),
    _Kind("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    _Kind("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    _Kind("elb", "describe_load_balancers", "LoadBalancerDescriptions", "LoadBalancerName"),
    _Kind("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupARN"),
    _Kind("ram", "get_resource_shares", "resourceShares", "resourceShareArn", {"resourceOwner": "SELF"}, _not_deleted),
    _Kind("lambda", "list_functions", "Functions", "FunctionArn"),
    _Kind("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    _Kind("stepfunctions", "list_state_machines", "stateMachines", "stateMachineArn"),
    _Kind("apigatewayv2", "get_apis", "Items", "ApiId"),
    _Kind("dynamodb", "list_tables", "TableNames"),
    _Kind("events", "list_event_buses", "EventBuses", "Arn"),
    _Kind("events", "list_rules", "Rules", "Arn"),
    _Kind("scheduler", "list_schedules", "Schedules", "Arn"),
    _Kind("sns", "list_topics", "Topics", "TopicArn"),
    _Kind("sqs", "list_queues", "QueueUrls"),
    _Kind("s3", "list_buckets", "Buckets", "Name"),
    _Kind("secretsmanager", "list_secrets", "SecretList", "ARN"),
    _Kind("logs", "describe_log_groups", "logGroups", "arn"),
    _Kind("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmArn"),
    _Kind("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    _Kind("iam", "list_roles", "Roles", "Arn"),
    _Kind("iam", "list_policies", "Policies", "Arn", {"Scope": "Local"}),
    _Kind("iam", "list_users", "Users", "Arn"),
    _Kind("iam", "list_instance_profiles", "InstanceProfiles", "Arn"),
)
# What changes by itself, or by reading it; and with the values of a secret, which are not compared.
_RESTLESS: Final = frozenset(
    {"LastUpdatedTime", "lastUpdatedTime", "RoleLastUsed", "storedBytes"}
    | {"LastAccessedDate", "LastChangedDate", "SecretVersionsToStages"}
)


def take_snapshot(
    account: Account,
    *,
    region: str,
    role_arn: str | None = None,
    services: Collection[str] | None = None,
    without: Collection[str] = (),
) -> Snapshot:
    """Return all that stands in a Region of an account.

    Args:
        account: that runs.
        region: the Region.
        role_arn: role to assume; its account is looked at. The caller's by default.
        services: only what these have, by boto3's names; everything by default.
        without: kinds that are left out, such as `Snapshots`.
    """
    found: Snapshot = {}
    for kind in _KINDS:
        if (services is not None and kind.service not in services) or kind.path in without:
            continue
        client = account.client(kind.service, region=region, role_arn=role_arn)
        for page in _pages(client, kind):
            for item in _items(page, kind.path.split(".")):
                if kind.keep(item):
                    name = item[kind.key] if kind.key else item
                    found[f"{kind.service} {kind.path.rpartition('.')[2]} {name}"] = _canonical(item)
    keys = _customer_keys(account.client("kms", region=region, role_arn=role_arn))
    for key in keys if services is None or "kms" in services else ():
        found[f"kms Keys {key['Arn']}"] = _canonical(key)
    return found


def _customer_keys(kms: Any) -> Iterator[dict[str, Any]]:
    """Customer-managed keys: AWS makes some of its own when they are first used, and moto calls them a customer's."""
    aliases = [alias for page in kms.get_paginator("list_aliases").paginate() for alias in page["Aliases"]]
    of_aws = {alias.get("TargetKeyId") for alias in aliases if alias["AliasName"].startswith("alias/aws/")}
    for page in kms.get_paginator("list_keys").paginate():
        for listed in page["Keys"]:
            key = kms.describe_key(KeyId=listed["KeyId"])["KeyMetadata"]
            # KMS deletes no key at once: after a week at the earliest.
            if key["KeyState"] != "PendingDeletion" and key["KeyId"] not in of_aws:
                yield key


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what is new, gone or changed, one line each; empty where all is as it was."""
    lines = [f"left over: {name}" for name in sorted(after.keys() - before.keys())]
    lines += [f"gone: {name}" for name in sorted(before.keys() - after.keys())]
    lines += [f"changed: {name}" for name in sorted(before.keys() & after.keys()) if before[name] != after[name]]
    return lines


def _pages(client: Any, kind: _Kind) -> Iterable[Any]:
    if client.can_paginate(kind.operation):
        return client.get_paginator(kind.operation).paginate(**kind.options)  # type: ignore[no-any-return]
    return [getattr(client, kind.operation)(**kind.options)]


def _items(value: Any, path: list[str]) -> Iterator[Any]:
    if not path:
        yield value
        return
    for item in value.get(path[0], ()):
        yield from _items(item, path[1:])


def _canonical(item: Any) -> str:
    kept = {k: v for k, v in item.items() if k not in _RESTLESS} if isinstance(item, dict) else item
    return json.dumps(kept, sort_keys=True, default=str)
