"""What each function may do: IAM statements, as narrow as AWS lets them be.

Sources: the Service Authorization Reference pages of the services named ("Actions, resources, and
condition keys for ..."). Describe calls of EC2 know no resource, so the Region limits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapstack.capture.place import Place
from tapstack.domain.evidence_settings import TAG_APPLIANCE
from tapstack.domain.iam_documents import Statement
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_EXPIRES, TAG_INCIDENT, TAG_SITE
from tapstack.domain.own_names import EVENT_SOURCE, STACK_NAME_TAG
from tapstack.domain.table_names import (
    APPLIANCE,
    CAPTURE,
    CAPTURES,
    CLOSED,
    INCIDENT,
    INSTANCE,
    KEPT_SNAPSHOTS,
    OPEN,
    REQUEST,
    SNAPSHOTS,
    TO_DELIVER,
    UNDELIVERED,
    all_of,
)
from tapstack.domain.telemetry import UNMATCHED, LandingBucket

CHANGE: Final = ("GetItem", "PutItem", "UpdateItem")
"""To read and change items. A transaction needs the permissions of its operations, and none of its own."""
_OPENING: Final = (INCIDENT, INSTANCE, REQUEST)
"""What the transaction has that opens or joins an incident: it, the list of its instance, the keys of the request."""
_PLACES: Final = (INCIDENT, CAPTURE)
"""What the transaction has that takes a place at the mirror target: a capture, and the incidents."""


@dataclass(frozen=True)
class Template:
    """A CloudFormation template in S3.

    Attributes:
        url: its address.
        object_name: its bucket and its key.
        reading: the action that reads it.
    """

    url: str
    object_name: str
    reading: str = "s3:GetObject"


@dataclass(frozen=True)
class LaunchedStack:
    """The CloudFormation stack that may be launched.

    Attributes:
        name: of the stack.
        template: the only one that it may be created from.
        role_arn: the only role that may be passed to CloudFormation.
        keeps_packets: whether its volumes are snapshotted before it is deleted.
    """

    name: str
    template: Template
    role_arn: str
    keeps_packets: bool = False


@dataclass(frozen=True)
class Permissions:
    """What the functions of a response have permissions on.

    Attributes:
        place: account and Region.
        deployment: name of the deployment, a tag of every resource.
        site: name of the site, likewise.
        table_arn: the table.
        index_arn: its index.
        topic_arns: the topics that notifications are published to.
        event_bus: the name of the bus that events are put on.
        state_machine: name of the workflow.
        target_id: the mirror target; none where the appliance is launched, whose stack has one.
        filter_id: the mirror filter, likewise.
        stack: the appliance that may be launched; none where one exists.
        asks_for_interfaces: whether alerts may name an interface or an address, whose instance EC2 is asked for.
        landing: the bucket that unmatched alerts are kept in; none where there is none.
        alert_queue_arn: the queue that alerts of other tools wait in; none where there are none.
        alert_secret_arns: what their senders sign with.
    """

    place: Place
    deployment: str
    site: str
    table_arn: str
    index_arn: str
    topic_arns: Sequence[str]
    event_bus: str
    state_machine: str
    target_id: str | None = None
    filter_id: str | None = None
    stack: LaunchedStack | None = None
    asks_for_interfaces: bool = False
    landing: LandingBucket | None = None
    alert_queue_arn: str | None = None
    alert_secret_arns: Sequence[str] = ()

    @property
    def state_machine_arn(self) -> str:
        """The ARN that the workflow will have: it names its functions, so they cannot refer to it."""
        return self.place.arn("states", f"stateMachine:{self.state_machine}")


def api(permissions: Permissions) -> list[Statement]:
    """The API: opens, lists, extends and closes incidents, and notifies of alerts that join one."""
    return [
        items(permissions, "ReadAndWriteIncidents", *_OPENING, actions=(*CHANGE, "Query")),
        listed(permissions, OPEN, CLOSED, sid="QueryIncidents"),
        _start_execution(permissions),
        task_success(permissions),
        *_publish(permissions),
    ]


def findings(permissions: Permissions) -> list[Statement]:
    """The function for alerts: opens incidents, joins open ones, or only notifies; keeps what is unmatched."""
    interfaces = ("DescribeNetworkInterfaces",) if permissions.asks_for_interfaces else ()
    return [
        items(permissions, "ReadAndWriteIncidents", *_OPENING, actions=CHANGE),
        listed(permissions, OPEN, sid="QueryIncidents"),
        _start_execution(permissions),
        task_success(permissions),
        describe(permissions, "DescribeInstances", *interfaces, sid="DescribeInstances"),
        *(_keep_unmatched(permissions.place, permissions.landing) if permissions.landing else ()),
        *([_receive_alerts(permissions.alert_queue_arn)] if permissions.alert_queue_arn else ()),
        *_publish(permissions),
    ]


def alerts(permissions: Permissions) -> list[Statement]:
    """Verifies alerts of other tools and keeps them: it has no other right, because callers reach it unknown."""
    keep: Statement = {
        "Sid": "KeepAlerts",
        "Effect": "Allow",
        "Action": "sqs:SendMessage",
        "Resource": permissions.alert_queue_arn,
    }
    if not permissions.alert_secret_arns:
        return [keep]
    read: Statement = {
        "Sid": "ReadSecrets",
        "Effect": "Allow",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": list(permissions.alert_secret_arns),
    }
    return [keep, read]


def _receive_alerts(queue_arn: str) -> Statement:
    return {
        "Sid": "ReceiveAlerts",
        "Effect": "Allow",
        "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        "Resource": queue_arn,
    }


def _keep_unmatched(place: Place, landing: LandingBucket) -> list[Statement]:
    put: Statement = {
        "Sid": "KeepUnmatchedAlerts",
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": f"arn:{place.partition}:s3:::{landing.bucket_name}/{UNMATCHED}*",
    }
    if landing.key_arn is None:
        return [put]
    encrypt: Statement = {
        "Sid": "EncryptUnmatchedAlerts",
        "Effect": "Allow",
        "Action": "kms:GenerateDataKey",
        "Resource": landing.key_arn,
        "Condition": place.via_s3,
    }
    return [put, encrypt]


def prepare(permissions: Permissions) -> list[Statement]:
    """Finds the interfaces of an incident, and those that AWS cannot mirror."""
    # The stack of an appliance creates a session itself, for which a free session number is needed.
    numbers = ("DescribeTrafficMirrorSessions",) if permissions.stack else ()
    return [
        items(permissions, "ReadAndWriteIncidents", INCIDENT, actions=CHANGE),
        describe(permissions, "DescribeInstances", "DescribeNetworkInterfaces", *numbers),
    ]


def appliance(permissions: Permissions) -> list[Statement]:
    """Launches and deletes the appliance."""
    if permissions.stack is None:
        # It records the existing appliance in the incident; there is nothing to launch or release.
        return [
            items(permissions, "RecordApplianceInIncident", INCIDENT, actions=("GetItem", "UpdateItem")),
            items(permissions, "UpdateApplianceItem", APPLIANCE, actions=("UpdateItem",)),
        ]
    return [
        items(permissions, "ReadAndWriteIncidents", INCIDENT, actions=CHANGE),
        items(permissions, "ReserveAppliance", APPLIANCE, actions=("GetItem", "UpdateItem")),
        # The session that the stack creates is recorded as a capture.
        items(permissions, "RecordApplianceSession", CAPTURE, actions=("UpdateItem",)),
        describe(
            permissions,
            *(("DescribeInstances",) if permissions.stack.keeps_packets else ()),
            "DescribeTrafficMirrorFilters",
            "DescribeTrafficMirrorTargets",
        ),
        *_launch(permissions, permissions.stack),
        *_retire(permissions, permissions.stack),
        {
            "Sid": "ReadStackEvents",
            "Effect": "Allow",
            "Action": "cloudformation:DescribeStackEvents",
            "Resource": _stack_arn(permissions, permissions.stack),
        },
        *_keep_packets(permissions, permissions.stack, "StopInstances", "StartInstances"),
    ]


def capture(permissions: Permissions) -> list[Statement]:
    """Starts, extends and stops mirroring."""
    return [
        items(permissions, "ReadAndWriteIncidentsAndCaptures", *_PLACES, actions=CHANGE),
        items(permissions, "ReadCaptures", CAPTURE, actions=("BatchGetItem",)),
        *_read_appliance(permissions),
        describe(permissions, "DescribeTrafficMirrorSessions", sid="DescribeSessions"),
        *_create_sessions(permissions),
        _delete_sessions(permissions),
        *_tag_sessions(permissions),
    ]


def incident(permissions: Permissions) -> list[Statement]:
    """Closes an incident when it expires or is to be closed, and notifies."""
    return [
        items(permissions, "ReadAndWriteIncidents", INCIDENT, INSTANCE, actions=CHANGE),
        items(permissions, "ReadCaptures", CAPTURE, actions=("BatchGetItem",)),
        items(permissions, "ReadAppliance", APPLIANCE, actions=("GetItem",)),
        task_success(permissions),
        *_publish(permissions),
    ]


def sweeper(permissions: Permissions) -> list[Statement]:
    """Deletes sessions without an incident, makes again what others deleted or changed, and watches for packets."""
    return [
        items(permissions, "UpdateIncidentsAndCaptures", *_PLACES, actions=("BatchGetItem", *CHANGE)),
        # Timelines, and the marks of notifications, are kept as long as their incident.
        items(permissions, "ReadTimelines", INCIDENT, actions=("Query",)),
        items(
            permissions,
            "UpdateApplianceItem",
            APPLIANCE,
            actions=("GetItem", "UpdateItem") if permissions.stack else ("GetItem",),
        ),
        listed(
            permissions,
            OPEN,
            CLOSED,
            CAPTURES,
            TO_DELIVER,
            *((KEPT_SNAPSHOTS,) if permissions.stack else ()),
            sid="QueryIncidentsAndCaptures",
        ),
        describe(permissions, "DescribeTrafficMirrorSessions", sid="DescribeSessions"),
        *_create_sessions(permissions),
        _delete_sessions(permissions),
        *_modify_sessions(permissions),
        *_tag_sessions(permissions),
        _start_execution(permissions),
        {
            "Sid": "DescribeExecutions",
            "Effect": "Allow",
            "Action": "states:DescribeExecution",
            "Resource": permissions.place.arn("states", f"execution:{permissions.state_machine}:*"),
        },
        describe(permissions, "DescribeInstances", "DescribeNetworkInterfaces", sid="DescribeInstances"),
        read_metrics(permissions),
        *_publish(permissions),
        *(_retire_and_keep(permissions, permissions.stack) if permissions.stack else ()),
    ]


def basics(place: Place, *, log_group_arn: str, key_arn: str) -> list[Statement]:
    """Return the statements of every function: for its log, its traces, and the key."""
    return [
        {
            "Sid": "WriteLogs",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{log_group_arn}:*",
        },
        {
            # These actions of X-Ray have no resource types.
            "Sid": "WriteTraces",
            "Effect": "Allow",
            "Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": place.region}},
        },
        {
            "Sid": "UseKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key_arn,
        },
    ]


def send_to(queue_arn: str) -> Statement:
    """Return the statement with which Lambda, or the Scheduler, sends failed events to the dead-letter queue."""
    return {"Sid": "SendToDeadLetterQueue", "Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue_arn}


def items(permissions: Permissions, sid: str, *beginnings: str, actions: Sequence[str]) -> Statement:
    """Allow actions on items by the beginning of their partition key, as `domain.table_names` has it."""
    keys = [beginning if beginning == APPLIANCE else all_of(beginning) for beginning in beginnings]
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in actions],
        "Resource": permissions.table_arn,
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}},
    }


def _read_appliance(permissions: Permissions) -> list[Statement]:
    """Read the launched appliance; an existing one is in the environment of the function."""
    return [] if permissions.stack is None else [items(permissions, "ReadAppliance", APPLIANCE, actions=("GetItem",))]


def _stack_arn(permissions: Permissions, stack: LaunchedStack) -> str:
    return permissions.place.arn("cloudformation", f"stack/{stack.name}/*")


def _launch(permissions: Permissions, stack: LaunchedStack) -> list[Statement]:
    return [
        {
            # The required capabilities are read before the stack is created.
            "Sid": "ReadTemplateSummary",
            "Effect": "Allow",
            "Action": "cloudformation:GetTemplateSummary",
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudformation:TemplateUrl": stack.template.url}},
        },
        {
            # CloudFormation reads it with the permissions of the caller, also where the stack has a role. The bucket
            # belongs to another account, and both accounts must allow it, even where the bucket is public.
            "Sid": "ReadTemplate",
            "Effect": "Allow",
            "Action": stack.template.reading,
            "Resource": f"arn:{permissions.place.partition}:s3:::{stack.template.object_name}",
        },
        {
            "Sid": "CreateApplianceStack",
            "Effect": "Allow",
            "Action": "cloudformation:CreateStack",
            "Resource": _stack_arn(permissions, stack),
            "Condition": {
                "StringEquals": {
                    "cloudformation:TemplateUrl": stack.template.url,
                    "cloudformation:RoleArn": stack.role_arn,
                    f"aws:RequestTag/{TAG_DEPLOYMENT}": permissions.deployment,
                    f"aws:RequestTag/{TAG_SITE}": permissions.site,
                }
            },
        },
        {
            "Sid": "PassStackRole",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": stack.role_arn,
            "Condition": {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}},
        },
    ]


def _retire(permissions: Permissions, stack: LaunchedStack) -> list[Statement]:
    return [
        {
            # CloudFormation deletes the stack with the role of its creation, which is not passed again.
            "Sid": "DeleteApplianceStack",
            "Effect": "Allow",
            "Action": "cloudformation:DeleteStack",
            "Resource": _stack_arn(permissions, stack),
            "Condition": _our_tags(permissions),
        },
        {
            "Sid": "DescribeApplianceStack",
            "Effect": "Allow",
            "Action": ["cloudformation:DescribeStackResources", "cloudformation:DescribeStacks"],
            "Resource": _stack_arn(permissions, stack),
        },
    ]


def _retire_and_keep(permissions: Permissions, stack: LaunchedStack) -> list[Statement]:
    """Retire the appliance, and delete snapshots whose time is over, also where no new ones are taken any more."""
    return [
        *_retire(permissions, stack),
        *_keep_packets(permissions, stack, "StopInstances"),
        *(
            ()
            if stack.keeps_packets
            else (
                items(permissions, "RecordSnapshots", SNAPSHOTS, actions=("GetItem", "UpdateItem")),
                describe(permissions, "DescribeSnapshots", sid="DescribeSnapshots"),
            )
        ),
        {
            "Sid": "DeleteOwnSnapshots",
            "Effect": "Allow",
            "Action": "ec2:DeleteSnapshot",
            "Resource": _snapshots(permissions),
            "Condition": {**_our_tags(permissions), "Null": {f"aws:ResourceTag/{TAG_APPLIANCE}": "false"}},
        },
    ]


def _keep_packets(permissions: Permissions, stack: LaunchedStack, *changes: str) -> list[Statement]:
    """Stop the appliance, and take snapshots of its volumes.

    Only instances that CloudFormation made for this stack, or for one that is nested in it: CloudFormation alone
    can set its tags. The volumes that an image brings have no tags, so the instance alone limits whose volumes are
    meant.
    """
    if not stack.keeps_packets:
        return []
    of_stack = {
        **_our_tags(permissions),
        "StringLike": {f"aws:ResourceTag/{STACK_NAME_TAG}": [stack.name, f"{stack.name}-*"]},
    }
    return [
        items(permissions, "RecordSnapshots", SNAPSHOTS, actions=("GetItem", "UpdateItem")),
        describe(permissions, "DescribeSnapshots", sid="DescribeSnapshots"),
        {
            "Sid": "StopAppliance",
            "Effect": "Allow",
            "Action": [f"ec2:{change}" for change in changes],
            "Resource": permissions.place.arn("ec2", "instance/*"),
            "Condition": of_stack,
        },
        {
            "Sid": "SnapshotAppliance",
            "Effect": "Allow",
            "Action": "ec2:CreateSnapshots",
            "Resource": permissions.place.arn("ec2", "instance/*"),
            "Condition": of_stack,
        },
        {
            "Sid": "SnapshotVolumes",
            "Effect": "Allow",
            "Action": "ec2:CreateSnapshots",
            "Resource": permissions.place.arn("ec2", "volume/*"),
        },
        {
            "Sid": "CreateTaggedSnapshots",
            "Effect": "Allow",
            "Action": "ec2:CreateSnapshots",
            "Resource": _snapshots(permissions),
            "Condition": {
                "StringEquals": {
                    f"aws:RequestTag/{TAG_DEPLOYMENT}": permissions.deployment,
                    f"aws:RequestTag/{TAG_SITE}": permissions.site,
                },
                "Null": {f"aws:RequestTag/{TAG_APPLIANCE}": "false"},
            },
        },
        {
            "Sid": "TagSnapshots",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": _snapshots(permissions),
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}},
        },
    ]


def _snapshots(permissions: Permissions) -> str:
    # ARNs of snapshots have no account.
    return f"arn:{permissions.place.partition}:ec2:{permissions.place.region}::snapshot/*"


def _our_tags(permissions: Permissions) -> Statement:
    return {
        "StringEquals": {
            f"aws:ResourceTag/{TAG_DEPLOYMENT}": permissions.deployment,
            f"aws:ResourceTag/{TAG_SITE}": permissions.site,
        }
    }


def listed(permissions: Permissions, *listings: str, sid: str) -> Statement:
    """Allow a query of the index by listing."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": "dynamodb:Query",
        "Resource": permissions.index_arn,
        "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": list(listings)}},
    }


def _start_execution(permissions: Permissions) -> Statement:
    return {
        "Sid": "StartExecution",
        "Effect": "Allow",
        "Action": "states:StartExecution",
        "Resource": permissions.state_machine_arn,
    }


def task_success(permissions: Permissions) -> Statement:
    """Allow ending the wait of an execution."""
    return {
        "Sid": "SendTaskSuccess",
        "Effect": "Allow",
        "Action": "states:SendTaskSuccess",
        "Resource": permissions.state_machine_arn,
    }


def _publish(permissions: Permissions) -> list[Statement]:
    return [
        {
            "Sid": "PublishNotifications",
            "Effect": "Allow",
            "Action": "sns:Publish",
            "Resource": list(permissions.topic_arns),
        },
        _put_events(permissions),
        # What is not delivered is kept.
        items(permissions, "KeepUndelivered", UNDELIVERED, actions=("UpdateItem",)),
    ]


def read_metrics(permissions: Permissions) -> Statement:
    """Allow what the watch on packets reads. This action of CloudWatch has no resource types."""
    return {
        "Sid": "ReadMetrics",
        "Effect": "Allow",
        "Action": "cloudwatch:GetMetricData",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:RequestedRegion": permissions.place.region}},
    }


def _put_events(permissions: Permissions) -> Statement:
    return {
        "Sid": "PutEvents",
        "Effect": "Allow",
        "Action": "events:PutEvents",
        "Resource": permissions.place.arn("events", f"event-bus/{permissions.event_bus}"),
        "Condition": {"StringEquals": {"events:source": EVENT_SOURCE}},
    }


def describe(permissions: Permissions, *actions: str, sid: str = "DescribeNetworkResources") -> Statement:
    """Allow Describe calls of EC2 in this Region."""
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"ec2:{action}" for action in actions],
        "Resource": "*",
        "Condition": {"StringEquals": {"ec2:Region": permissions.place.region}},
    }


def _create_sessions(permissions: Permissions) -> list[Statement]:
    """Create sessions: of their four resources, each is named or must have the deployment's tags."""
    return [
        {
            "Sid": "UseMirrorSource",
            "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorSession",
            "Resource": permissions.place.arn("ec2", "network-interface/*"),
        },
        {
            "Sid": "MirrorToAppliance",
            "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorSession",
            **_destinations(permissions),
        },
        {
            "Sid": "CreateTaggedSessions",
            "Effect": "Allow",
            "Action": "ec2:CreateTrafficMirrorSession",
            "Resource": permissions.place.arn("ec2", "traffic-mirror-session/*"),
            "Condition": _our_request(permissions),
        },
    ]


def _destinations(permissions: Permissions) -> Statement:
    """The target and the filter that sessions may use: the configured ones, or those of the launched stack."""
    if permissions.target_id is not None and permissions.filter_id is not None:
        return {
            # The target may belong to another account that shares it.
            "Resource": [
                f"arn:{permissions.place.partition}:ec2:{permissions.place.region}:*:traffic-mirror-target/{permissions.target_id}",
                permissions.place.arn("ec2", f"traffic-mirror-filter/{permissions.filter_id}"),
            ],
        }
    return {
        # CloudFormation gives the tags of a stack to its resources.
        "Resource": [
            permissions.place.arn("ec2", "traffic-mirror-target/*"),
            permissions.place.arn("ec2", "traffic-mirror-filter/*"),
        ],
        "Condition": _our_tags(permissions),
    }


def _our_sessions(permissions: Permissions) -> Statement:
    """A condition: sessions that an incident of this deployment and site created; others lack a tag."""
    return {**_our_tags(permissions), "Null": {f"aws:ResourceTag/{TAG_INCIDENT}": "false"}}


def _our_request(permissions: Permissions) -> Statement:
    """A condition: requests that tag what they create for this deployment and site, and with no other keys."""
    return {
        "StringEquals": {
            f"aws:RequestTag/{TAG_DEPLOYMENT}": permissions.deployment,
            f"aws:RequestTag/{TAG_SITE}": permissions.site,
        },
        "Null": {f"aws:RequestTag/{TAG_INCIDENT}": "false", f"aws:RequestTag/{TAG_EXPIRES}": "false"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["Name", TAG_INCIDENT, TAG_EXPIRES, TAG_DEPLOYMENT, TAG_SITE]},
    }


def _delete_sessions(permissions: Permissions) -> Statement:
    return {
        "Sid": "DeleteSessions",
        "Effect": "Allow",
        "Action": "ec2:DeleteTrafficMirrorSession",
        "Resource": permissions.place.arn("ec2", "traffic-mirror-session/*"),
        "Condition": _our_sessions(permissions),
    }


def _modify_sessions(permissions: Permissions) -> list[Statement]:
    return [
        {
            "Sid": "ModifySessions",
            "Effect": "Allow",
            "Action": "ec2:ModifyTrafficMirrorSession",
            "Resource": permissions.place.arn("ec2", "traffic-mirror-session/*"),
            "Condition": _our_sessions(permissions),
        },
        {
            "Sid": "UseMirrorTarget",
            "Effect": "Allow",
            "Action": "ec2:ModifyTrafficMirrorSession",
            **_destinations(permissions),
        },
    ]


def _tag_sessions(permissions: Permissions) -> list[Statement]:
    sessions = permissions.place.arn("ec2", "traffic-mirror-session/*")
    return [
        {
            "Sid": "TagSessions",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": sessions,
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateTrafficMirrorSession"}},
        },
        {
            # Not the tags of deployment and site: with those, any session could be taken over.
            "Sid": "RetagSessions",
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": sessions,
            "Condition": {
                **_our_sessions(permissions),
                "ForAllValues:StringEquals": {"aws:TagKeys": ["Name", TAG_INCIDENT, TAG_EXPIRES]},
            },
        },
    ]
