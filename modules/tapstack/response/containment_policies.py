"""The further IAM statements of each function where instances may be contained, as narrow as AWS allows.

A function of the same name in `policies` has the other statements. docs/decisions/0016 has the limits that conditions
cannot express. Sources: the Service Authorization Reference pages of the services named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapstack.domain.containment_settings import ContainmentSettings
from tapstack.domain.iam_documents import Statement
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.domain.table_names import CLOSED, CONTAINED, CONTAINMENT, CONTAINMENTS, INCIDENT, OPEN, PRIOR_STATES
from tapstack.response import policies
from tapstack.response.policies import CHANGE, Permissions

_NOT_OF_INTERFACES: Final = ("AssociatePublicIpAddress", "Description", "EnablePrimaryIpv6", "SourceDestCheck")
_NOT_OF_INSTANCES: Final = (
    "DisableApiStop",
    "EbsOptimized",
    "EnaSupport",
    "InstanceType",
    "Kernel",
    "Ramdisk",
    "SourceDestCheck",
    "SriovNetSupport",
    "UserData",
)
"""Attributes that are never modified, of those that conditions can test: plain values, and objects with a Value alone.

Source: Amazon EC2 User Guide, "Policy structure", "ec2:Attribute condition key".
"""


@dataclass(frozen=True)
class Containable:
    """What a containment may use and change.

    Attributes:
        settings: how instances are contained.
        vpc_ids: the VPCs in scope.
        group_ids: the security groups of containment, the only ones that may be assigned.
        own_roles: pattern of the names of the response's roles, which are never restricted.
    """

    settings: ContainmentSettings
    vpc_ids: Sequence[str]
    group_ids: Sequence[str]
    own_roles: str

    @property
    def attributes(self) -> bool:
        """Whether attributes of the instance are changed."""
        given = self.settings
        return given.termination_protection or given.stop_on_shutdown or given.keep_volumes


def api(permissions: Permissions, containable: Containable) -> list[Statement]:
    """The API requests containment, approves or rejects it, and shows plans; it changes no instance."""
    return [
        policies.items(permissions, "ReadContainments", CONTAINMENT, actions=("GetItem", "Query")),
        _describe_executions(permissions),
        *_inspect(permissions, containable),
    ]


def findings(permissions: Permissions, containable: Containable) -> list[Statement]:
    """The function for findings requests containments, unless the instance was released since."""
    return [
        policies.items(permissions, "ReadContainments", CONTAINMENT, actions=("GetItem",)),
        _describe_executions(permissions),
    ]


def incident(permissions: Permissions, containable: Containable) -> list[Statement]:
    """Lists what is changed already, and which incidents want an instance contained; reads metrics where one waits."""
    waits = containable.settings.wait_for_packets is not None
    return [
        policies.items(permissions, "ReadContainments", CONTAINMENT, actions=("GetItem", "Query")),
        policies.listed(permissions, OPEN, CLOSED, sid="QueryIncidents"),
        *([policies.read_metrics(permissions)] if waits else ()),
    ]


def sweeper(permissions: Permissions, containable: Containable) -> list[Statement]:
    """The sweeper continues requested containments, and reports instances contained without an open incident."""
    return [
        # The containment of a closed incident may be pending.
        policies.listed(permissions, CONTAINED, PRIOR_STATES, CLOSED, sid="ListContainments"),
        policies.items(permissions, "ReadContainments", CONTAINMENT, actions=("GetItem",)),
        policies.describe(permissions, "DescribeSecurityGroups", sid="DescribeQuarantineGroups"),
        policies.task_success(permissions),
    ]


def containment(permissions: Permissions, containable: Containable) -> list[Statement]:
    """Contains an instance: assigns the groups of containment and no others, and protects the evidence."""
    statements = [
        policies.items(permissions, "ReadAndWriteIncidents", INCIDENT, actions=CHANGE),
        _in_one_transaction(permissions),
        policies.items(permissions, "StorePriorState", CONTAINMENT, actions=(*CHANGE, "ConditionCheckItem", "Query")),
        policies.items(permissions, "CountContainments", CONTAINMENTS, actions=("UpdateItem",)),
        *_inspect(permissions, containable, releasing=False),
        _change_interfaces(permissions, containable),
        {
            "Sid": "AssignQuarantineGroups",
            "Effect": "Allow",
            "Action": "ec2:ModifyNetworkInterfaceAttribute",
            "Resource": [
                permissions.place.arn("ec2", f"security-group/{group_id}") for group_id in containable.group_ids
            ],
        },
        *_change_instances(
            permissions, containable, _not_protected(containable), _kept_from(containable), volumes_sid="KeepVolumes"
        ),
    ]
    if containable.settings.auto_scaling.standby:
        statements.append(_auto_scaling(permissions, "EnterStandby"))
    if containable.settings.load_balancers.deregister:
        statements += _balancers(permissions, "DeregisterTargets", "DeregisterInstancesFromLoadBalancer")
    if containable.settings.snapshots:
        statements += _snapshots(permissions)
    if containable.settings.instance_profile:
        statements += _roles(permissions, containable, "RestrictInstanceRole", "PutRolePolicy")
    return statements


def release(permissions: Permissions, containable: Containable) -> list[Statement]:
    """Releases an instance: assigns any group of the VPCs in scope, because any may have been there before."""
    statements = [
        policies.items(permissions, "ReadAndWriteIncidents", INCIDENT, actions=CHANGE),
        _in_one_transaction(permissions),
        policies.items(
            permissions,
            "MarkRestored",
            CONTAINMENT,
            # Without PutItem: a prior state that it could make would be restored.
            actions=("ConditionCheckItem", "GetItem", "Query", "UpdateItem"),
        ),
        *_inspect(permissions, containable, containing=False),
        _change_interfaces(permissions, containable),
        {
            "Sid": "AssignGroupsInScope",
            "Effect": "Allow",
            "Action": "ec2:ModifyNetworkInterfaceAttribute",
            "Resource": permissions.place.arn("ec2", "security-group/*"),
            "Condition": _in_scope(permissions, containable),
        },
        # Also where the instance is protected meanwhile: a contained instance can always be released.
        *_change_instances(permissions, containable, volumes_sid="RestoreVolumes"),
    ]
    if containable.settings.auto_scaling.standby:
        statements.append(_auto_scaling(permissions, "ExitStandby"))
    if containable.settings.load_balancers.deregister:
        statements += _balancers(permissions, "RegisterTargets", "RegisterInstancesWithLoadBalancer")
    if containable.settings.instance_profile:
        statements += _roles(permissions, containable, "RemoveRestriction", "DeleteRolePolicy")
    return statements


def _inspect(
    permissions: Permissions, containable: Containable, *, containing: bool = True, releasing: bool = True
) -> list[Statement]:
    """Inspect resources. Most of these calls have no resource types, so the Region limits them.

    Args:
        permissions: what the functions may use.
        containable: what a containment may do.
        containing: before an instance is contained.
        releasing: before the prior state is restored.
    """
    elsewhere = _describing(permissions, containable, containing=containing)
    statements: list[Statement] = [
        policies.describe(
            permissions,
            "DescribeInstances",
            "DescribeNetworkInterfaces",
            *(["DescribeTrafficMirrorSessions", "DescribeTrafficMirrorTargets"] if containing else []),
            # Whether groups that isolate have rules, which prior groups still exist, and from where an appliance
            # admits mirrored packets.
            "DescribeSecurityGroups",
            sid="DescribeInstances",
        )
    ]
    if read := _read(containable, containing=containing):
        statements.append(
            {
                "Sid": "DescribeInstanceAttributes",
                "Effect": "Allow",
                "Action": "ec2:DescribeInstanceAttribute",
                "Resource": permissions.place.arn("ec2", "instance/*"),
                # IfExists, because AWS does not document whether EC2 gives the attribute of a Describe call to IAM.
                "Condition": {"StringEqualsIgnoreCaseIfExists": {"ec2:Attribute": read}},
            }
        )
    if elsewhere:
        statements.append(
            {
                "Sid": "DescribeLoadBalancersAndAutoScaling",
                "Effect": "Allow",
                "Action": elsewhere,
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:RequestedRegion": permissions.place.region}},
            }
        )
    if containable.settings.instance_profile:
        account = f"arn:{permissions.place.partition}:iam::{permissions.place.account}"
        of_roles = ["iam:GetRolePolicy", *(["iam:GetRole"] if releasing else [])]
        statements.append({"Sid": "ReadRoles", "Effect": "Allow", "Action": of_roles, "Resource": f"{account}:role/*"})
        if containing:
            statements.append(
                {
                    "Sid": "ReadInstanceProfiles",
                    "Effect": "Allow",
                    "Action": "iam:GetInstanceProfile",
                    "Resource": f"{account}:instance-profile/*",
                }
            )
    return statements


def _read(containable: Containable, *, containing: bool) -> list[str]:
    """Return the attributes that are read by a call of their own; others, such as user data, are never read."""
    read = {
        "disableApiTermination": containing or containable.settings.termination_protection,
        "instanceInitiatedShutdownBehavior": containing or containable.settings.stop_on_shutdown,
    }
    return [name for name, is_read in read.items() if is_read]


def _describing(permissions: Permissions, containable: Containable, *, containing: bool) -> list[str]:
    found = []
    if containing:
        found.append("autoscaling:DescribeAutoScalingGroups")
    if containing or containable.settings.auto_scaling.standby:
        found.append("autoscaling:DescribeAutoScalingInstances")
    if containable.settings.load_balancers.deregister:
        found.append("elasticloadbalancing:DescribeLoadBalancers")
    # The targets of an existing appliance's load balancer are appliances.
    behind = containing and permissions.target_id is not None
    if containing and (containable.settings.load_balancers.deregister or behind):
        found.append("elasticloadbalancing:DescribeTargetGroups")
    if containable.settings.load_balancers.deregister or behind:
        found.append("elasticloadbalancing:DescribeTargetHealth")
    return found


def _describe_executions(permissions: Permissions) -> Statement:
    return {
        "Sid": "DescribeExecutions",
        "Effect": "Allow",
        "Action": "states:DescribeExecution",
        "Resource": permissions.place.arn("states", f"execution:{permissions.state_machine}:*"),
    }


def _in_scope(permissions: Permissions, containable: Containable) -> Statement:
    place = permissions.place
    # A shared VPC belongs to another account.
    return {
        "ArnLike": {
            "ec2:Vpc": [f"arn:{place.partition}:ec2:{place.region}:*:vpc/{vpc_id}" for vpc_id in containable.vpc_ids]
        }
    }


def _change_interfaces(permissions: Permissions, containable: Containable) -> Statement:
    return {
        "Sid": "ModifyInterfacesInScope",
        "Effect": "Allow",
        "Action": "ec2:ModifyNetworkInterfaceAttribute",
        "Resource": permissions.place.arn("ec2", "network-interface/*"),
        "Condition": {**_in_scope(permissions, containable), **_none_of(_NOT_OF_INTERFACES)},
    }


def _change_instances(
    permissions: Permissions, containable: Containable, *conditions: Statement, volumes_sid: str
) -> list[Statement]:
    """Modify attributes of instances and of attached interfaces: EC2 evaluates the instance as well.

    No security group is among the resources of ModifyInstanceAttribute: groups cannot be changed that way.
    """
    action = "ec2:ModifyInstanceAttribute"
    statements: list[Statement] = [
        {
            "Sid": "ModifyInstances",
            "Effect": "Allow",
            "Action": ["ec2:ModifyNetworkInterfaceAttribute", *([action] if containable.attributes else [])],
            "Resource": permissions.place.arn("ec2", "instance/*"),
            "Condition": _together(_none_of(_not_modified(containable)), *conditions),
        }
    ]
    if containable.settings.keep_volumes:
        volumes = permissions.place.arn("ec2", "volume/*")
        statements.append({"Sid": volumes_sid, "Effect": "Allow", "Action": action, "Resource": volumes})
    return statements


def _not_modified(containable: Containable) -> list[str]:
    switched_off = {
        "DisableApiTermination": not containable.settings.termination_protection,
        "InstanceInitiatedShutdownBehavior": not containable.settings.stop_on_shutdown,
    }
    return sorted([*_NOT_OF_INSTANCES, *(name for name, is_off in switched_off.items() if is_off)])


def _none_of(attributes: Sequence[str]) -> Statement:
    """A condition: the request modifies none of these attributes, in whichever form it names them."""
    return {
        "Null": {f"ec2:Attribute/{name}": "true" for name in attributes},
        # True as well where the request does not have this key.
        "StringNotEqualsIgnoreCase": {"ec2:Attribute": list(attributes)},
    }


def _kept_from(containable: Containable) -> Statement:
    """A condition: the request protects the evidence; only a release may do the opposite."""
    values = {
        "DisableApiTermination": "true" if containable.settings.termination_protection else None,
        "InstanceInitiatedShutdownBehavior": "stop" if containable.settings.stop_on_shutdown else None,
    }
    given = {f"ec2:Attribute/{name}": value for name, value in values.items() if value}
    return {"StringEqualsIgnoreCaseIfExists": given} if given else {}


def _in_one_transaction(permissions: Permissions) -> Statement:
    """Transactions on a containment and its incident; the request has the keys of both."""
    actions = ("ConditionCheckItem", "UpdateItem")
    return policies.items(permissions, "UpdateContainmentAndIncident", INCIDENT, CONTAINMENT, actions=actions)


def _not_protected(containable: Containable) -> Statement:
    """A condition: the instance is not protected by its id. Tags are none, because two persons may override them."""
    ids = list(containable.settings.protect.instance_ids)
    return {"StringNotEquals": {"ec2:InstanceID": ids}} if ids else {}


def _together(*conditions: Statement) -> Statement:
    """Return one condition of several; no two of them have an operator in common."""
    return {operator: keys for condition in conditions for operator, keys in condition.items()}


def _auto_scaling(permissions: Permissions, action: str) -> Statement:
    return {
        "Sid": action,
        "Effect": "Allow",
        "Action": f"autoscaling:{action}",
        "Resource": permissions.place.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*"),
    }


def _balancers(permissions: Permissions, of_target_groups: str, of_classic: str) -> list[Statement]:
    return [
        {
            "Sid": of_target_groups,
            "Effect": "Allow",
            "Action": f"elasticloadbalancing:{of_target_groups}",
            "Resource": permissions.place.arn("elasticloadbalancing", "targetgroup/*"),
        },
        {
            "Sid": of_classic,
            "Effect": "Allow",
            "Action": f"elasticloadbalancing:{of_classic}",
            "Resource": permissions.place.arn("elasticloadbalancing", "loadbalancer/*"),
        },
    ]


def _snapshots(permissions: Permissions) -> list[Statement]:
    # ARNs of snapshots have no account.
    snapshots = f"arn:{permissions.place.partition}:ec2:{permissions.place.region}::snapshot/*"
    return [
        policies.describe(permissions, "DescribeSnapshots", sid="DescribeSnapshots"),
        {
            "Sid": "CreateSnapshots",
            "Effect": "Allow",
            "Action": "ec2:CreateSnapshots",
            "Resource": [permissions.place.arn("ec2", "instance/*"), permissions.place.arn("ec2", "volume/*")],
        },
        {
            "Sid": "CreateTaggedSnapshots",
            "Effect": "Allow",
            "Action": "ec2:CreateSnapshots",
            "Resource": snapshots,
            "Condition": {
                "StringEquals": {
                    f"aws:RequestTag/{TAG_DEPLOYMENT}": permissions.deployment,
                    f"aws:RequestTag/{TAG_SITE}": permissions.site,
                }
            },
        },
        {
            "Sid": "TagSnapshots",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": snapshots,
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}},
        },
    ]


def _roles(permissions: Permissions, containable: Containable, sid: str, action: str) -> list[Statement]:
    """Deny the response's own roles: no condition can test the document of a policy that a function writes."""
    return [
        {
            "Sid": sid,
            "Effect": "Allow",
            "Action": f"iam:{action}",
            "Resource": permissions.place.role_arn("*"),
        },
        {
            "Sid": "DenyOwnRoles",
            "Effect": "Deny",
            "Action": f"iam:{action}",
            "Resource": permissions.place.role_arn(containable.own_roles),
        },
        {
            # Every role of a response has the tags of its deployment; the roles of instances have no such tags.
            "Sid": "DenyResponseRoles",
            "Effect": "Deny",
            "Action": f"iam:{action}",
            "Resource": permissions.place.role_arn("*"),
            "Condition": {"Null": {f"aws:ResourceTag/{TAG_DEPLOYMENT}": "false"}},
        },
    ]
