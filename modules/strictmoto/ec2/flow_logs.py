"""Flow logs: what they are made of, and whether their bucket takes them.

What delivers them is delivery.logs.amazonaws.com. Where the policy of the bucket does not let it, and whoever makes the
flow logs owns the bucket and may read and put its policy, AWS adds the two statements itself, as done here; else it
refuses. Without enforcement of IAM nothing is asked and nothing added.

Sources: Amazon EC2 API Reference, CreateFlowLogs (TrafficType is required for all but transit gateways and Cloud WAN;
LogDestination may be arn:aws:s3:::my_bucket/my_subfolder/, not with AWSLogs as the folder; the defaults of
DestinationOptionsRequest); Amazon VPC User Guide, "Flow log records" (fields), "Amazon S3 bucket permissions for flow
logs", "Required key policy for use with SSE-KMS buckets", "Troubleshoot VPC Flow Logs" (the texts of what is refused);
CloudWatch Logs User Guide, "Logs sent to Amazon S3" (statements are appended; the VPC guide says that the policy is
overwritten). Inferred: the codes for AWSLogs, formats and values, and that a Sid that is taken gets a number.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Final

from moto.ec2.exceptions import InvalidDependantParameterTypeError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models.flow_logs import FlowLogs as _FlowLogs
from moto.ec2.responses.flow_logs import FlowLogs as _Response

from strictmoto.ec2.mirroring.errors import invalid, missing, refuse
from strictmoto.identity.behalf import BEHALF, Behalf
from strictmoto.identity.callers import CALLER
from strictmoto.requests.calls import Call
from strictmoto.s3.deliveries import Delivery, NotDelivered, bucket_named, default_encryption, owner_of

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response
FlowLogs: Any = _FlowLogs

SERVICE: Final = "delivery.logs.amazonaws.com"
ACL: Final = "bucket-owner-full-control"
_WITH_TRAFFIC_TYPE: Final = ("VPC", "Subnet", "NetworkInterface")
_RESERVED: Final = "AWSLogs"
_UNCHECKED: Final = "kinesis-data-firehose"
"""A kind of destination that moto takes as it is given."""
_BUCKET: Final = re.compile(r"arn:aws[\w-]*:s3:::(?P<bucket>[^/:]+)(?P<folder>/.*)?")
_VALUES: Final = {
    "LogDestinationType": ("cloud-watch-logs", "s3", "kinesis-data-firehose"),
    "TrafficType": ("ACCEPT", "REJECT", "ALL"),
}
_DEFAULTS: Final = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False}
_OPTIONS: Final[ContextVar[dict[str, Any] | None]] = ContextVar("_OPTIONS", default=None)
"""Of the call that is answered: moto's backend has no parameter for them."""
_FILE_FORMATS: Final = ("plain-text", "parquet")
_FIELD: Final = re.compile(r"\$\{([a-z-]+)\}")
DEFAULT: Final = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
)
"""What a record has by default: the fields of version 2."""
_LATER: Final[Mapping[int, tuple[str, ...]]] = {
    3: ("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr"),
    4: ("region", "az-id", "sublocation-type", "sublocation-id"),
    5: ("pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path"),
    7: (
        *("ecs-cluster-arn", "ecs-cluster-name", "ecs-container-instance-arn", "ecs-container-instance-id"),
        *("ecs-container-id", "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn"),
        *("ecs-task-arn", "ecs-task-id"),
    ),
    8: ("reject-reason",),
    9: ("resource-id",),
    10: ("encryption-status",),
}
FIELDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(DEFAULT, 2),
    **{name: version for version, names in _LATER.items() for name in names},
}
"""What a record of a VPC, a subnet or an interface may have, and the version that brought it."""


def install() -> None:
    """Make, keep and refuse them so."""
    answer, create = Response.create_flow_logs, EC2Backend.create_flow_logs
    asked = inspect.signature(create)
    FlowLogs.destination_options = None

    @functools.wraps(answer)
    def create_flow_logs(self: Any) -> Any:
        if self._get_param("ResourceType") in _WITH_TRAFFIC_TYPE and self._get_param("TrafficType") is None:
            raise missing("TrafficType")
        _check_values(self)
        options = self._get_param("DestinationOptions")
        if options is not None:
            options = {**_DEFAULTS, **options}
            if options["FileFormat"] not in _FILE_FORMATS:
                raise _no_value("FileFormat", options["FileFormat"])
        token = _OPTIONS.set(options)
        try:
            return answer(self)
        finally:
            _OPTIONS.reset(token)

    @functools.wraps(create)
    def create_for_destination(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = asked.bind(self, *args, **kwargs)
        given = bound.arguments
        options = _OPTIONS.get()
        if given["log_destination_type"] != "s3" or not given["log_destination"]:
            made, unsuccessful = create(*bound.args, **bound.kwargs)
        else:
            made, unsuccessful = _create_for_bucket(self, create, bound, options)
        for one in made:
            one.destination_options = options
        return made, unsuccessful

    Response.create_flow_logs = create_flow_logs
    EC2Backend.create_flow_logs = create_for_destination


def fields_of(text: str) -> list[str]:
    """Return the names of the fields of a format, in their order; empty for what is no field."""
    return [found[1] if (found := _FIELD.fullmatch(one)) else "" for one in text.split(" ")]


def folder_of(destination: str) -> tuple[str, str]:
    """Return the bucket of a destination and what its keys begin with, which is empty or ends with a slash."""
    found = _BUCKET.fullmatch(destination)
    if found is None:
        raise invalid(f"LogDestination {destination} is not the ARN of a bucket, or of a folder in one")
    folder = (found["folder"] or "").strip("/")
    return found["bucket"], f"{folder}/" if folder else ""


def account_folder(account: str, options: dict[str, Any] | None) -> str:
    """Return the folder of an account's files, below that of the destination."""
    hive = (options or _DEFAULTS)["HiveCompatiblePartitions"]
    return f"{_RESERVED}/aws-account-id={account}/" if hive else f"{_RESERVED}/{account}/"


def delivery_to(bucket: str, backend: Any) -> Delivery:
    """Return how flow logs of an account and a Region get into a bucket.

    Args:
        bucket: its name.
        backend: moto's of the account and the Region.
    """
    source = f"arn:{backend.partition}:logs:{backend.region_name}:{backend.account_id}:delivery:vpcflowlogs"
    return Delivery(SERVICE, source, bucket, acl=ACL)


def _check_values(response: Any) -> None:
    for name, values in _VALUES.items():
        if (given := response._get_param(name)) is not None and given not in values:
            raise _no_value(name, given)
    text = response._get_param("LogFormat")
    if text is None or response._get_param("ResourceType") not in _WITH_TRAFFIC_TYPE:
        return
    if not all(name in FIELDS for name in fields_of(text)):
        raise refuse(
            "InvalidParameter", f"1 validation error detected: Value '{text}' at 'logFormat' has an invalid format"
        )


def _no_value(name: str, given: Any) -> Any:
    return invalid(f"Value ({given}) for parameter {name} is invalid.")


def _create_for_bucket(self: Any, create: Any, bound: Any, options: dict[str, Any] | None) -> Any:
    given = bound.arguments
    if given["log_group_name"] is not None:
        raise InvalidDependantParameterTypeError("LogDestination", "cloud-watch-logs", "LogGroupName")
    if given["deliver_logs_permission_arn"] is not None:
        raise refuse("InvalidParameter", "DeliverLogsPermissionArn is not applicable for s3 delivery")
    bucket, folder = folder_of(given["log_destination"])
    if folder.split("/")[0] == _RESERVED:
        raise invalid(f"{_RESERVED} is reserved and cannot be the folder of LogDestination")
    if not owner_of(bucket):
        # moto answers so for each resource.
        given["log_destination"] = given["log_destination"].partition("/")[0]
        return create(*bound.args, **bound.kwargs)
    # moto takes the folder for a part of the bucket's name, and knows the account's own buckets only.
    given["log_destination_type"] = _UNCHECKED
    made, unsuccessful = create(*bound.args, **bound.kwargs)
    for one in made:
        one.log_destination_type = "s3"
    if refused := _refusal(self, bucket, folder + account_folder(self.account_id, options)):
        for one in made:
            del self.flow_logs[one.id]
        return [], [*unsuccessful, *((one.resource_id, "400", refused) for one in made)]
    return made, unsuccessful


def _refusal(backend: Any, bucket: str, folder: str) -> str:
    """Return how AWS refuses a destination, after it tried to add what the policy lacks; empty where it takes it."""
    delivery = delivery_to(bucket, backend)
    encrypts, key = default_encryption(bucket_named(bucket))
    if encrypts and not key.startswith("arn:"):
        return f"LogDestination {bucket} is undeliverable"
    if not delivery.may("s3:GetBucketAcl") or not _may_put(delivery, folder):
        own = owner_of(bucket) == backend.account_id
        if not (own and _add_statements(backend, delivery, folder)) or not _may_put(delivery, folder):
            return f"Access Denied for LogDestination: {bucket}. Please check LogDestination permission"
    return ""


def _may_put(delivery: Delivery, folder: str) -> bool:
    try:
        delivery.check(f"{folder}any")
    except NotDelivered:
        return False
    return True


def _add_statements(backend: Any, delivery: Delivery, folder: str) -> bool:
    """Add AWS's statements to the policy of a bucket, as who makes the flow logs; return whether that is allowed."""
    bucket = bucket_named(delivery.bucket)
    document = json.loads(bucket.policy or b'{"Version": "2012-10-17", "Statement": []}')
    before = document.get("Statement") or []
    statements = before if isinstance(before, list) else [before]
    taken = {one.get("Sid") for one in statements}
    document["Statement"] = [*statements, *_statements(backend, bucket.arn, folder, taken)]
    text = json.dumps(document)

    def put() -> tuple[int, dict[str, str], bytes]:
        bucket.policy = text.encode()
        return 204, {}, b""

    acting = BEHALF.get()
    caller = acting.caller if acting else CALLER.get()
    if caller is None:
        return False
    behalf = Behalf(caller, SERVICE, forwarded=True)
    named = {"Bucket": delivery.bucket}
    read = Call("s3", "GetBucketPolicy", bucket.region_name, caller.access_key, named, "rest-xml", "s3")
    write = Call(
        "s3", "PutBucketPolicy", bucket.region_name, caller.access_key, {**named, "Policy": text}, "rest-xml", "s3"
    )
    # A bucket without a policy answers so, and that is no refusal.
    status, _, _ = behalf.make(read, lambda: (200, {}, b""))
    return status < 400 and behalf.make(write, put)[0] < 400


def _statements(backend: Any, arn: str, folder: str, taken: set[Any]) -> Iterator[dict[str, Any]]:
    """Yield the two statements of the VPC User Guide."""
    where = {"aws:SourceArn": f"arn:{backend.partition}:logs:{backend.region_name}:{backend.account_id}:*"}
    account = {"aws:SourceAccount": backend.account_id}
    yield {
        "Sid": _free("AWSLogDeliveryWrite", taken),
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/{folder}*",
        "Condition": {"StringEquals": {**account, "s3:x-amz-acl": ACL}, "ArnLike": where},
    }
    yield {
        "Sid": _free("AWSLogDeliveryAclCheck", taken),
        "Effect": "Allow",
        "Principal": {"Service": SERVICE},
        "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
        "Resource": arn,
        "Condition": {"StringEquals": account, "ArnLike": where},
    }


def _free(sid: str, taken: set[Any]) -> str:
    return next(name for number in range(len(taken) + 1) if (name := f"{sid}{number or ''}") not in taken)
