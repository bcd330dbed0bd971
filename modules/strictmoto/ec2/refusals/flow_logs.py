"""Flow logs: of a traffic type, and in a folder of a bucket where one is named.

Source: Amazon EC2 API Reference, CreateFlowLogs (TrafficType is required for all but transit gateways and Cloud WAN;
LogDestination may be arn:aws:s3:::my_bucket/my_subfolder/, not with AWSLogs as the folder). The code of the latter is
inferred.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any, Final

from moto.ec2.exceptions import InvalidDependantParameterTypeError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.responses.flow_logs import FlowLogs as _Response
from moto.s3.models import s3_backends

from strictmoto.ec2.mirroring.errors import invalid, missing

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response

_WITH_TRAFFIC_TYPE: Final = ("VPC", "Subnet", "NetworkInterface")
_RESERVED: Final = "AWSLogs"
_UNCHECKED: Final = "kinesis-data-firehose"
"""A kind of destination that moto takes as it is given."""


def install() -> None:
    """Make and refuse them so."""
    answer, create = Response.create_flow_logs, EC2Backend.create_flow_logs
    asked = inspect.signature(create)

    @functools.wraps(answer)
    def create_flow_logs(self: Any) -> Any:
        if self._get_param("ResourceType") in _WITH_TRAFFIC_TYPE and self._get_param("TrafficType") is None:
            raise missing("TrafficType")
        return answer(self)

    @functools.wraps(create)
    def create_in_folder(self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = asked.bind(self, *args, **kwargs)
        given = bound.arguments
        bucket, slash, folder = str(given["log_destination"] or "").partition("/")
        if given["log_destination_type"] != "s3" or not slash:
            return create(*bound.args, **bound.kwargs)
        if folder.split("/")[0] == _RESERVED:
            raise invalid(f"{_RESERVED} is reserved and cannot be the folder of LogDestination")
        if given["log_group_name"] is not None:
            raise InvalidDependantParameterTypeError("LogDestination", "cloud-watch-logs", "LogGroupName")
        if bucket.rpartition(":")[2] not in s3_backends[self.account_id][self.partition].buckets:
            # moto answers so for each resource.
            given["log_destination"] = bucket
            return create(*bound.args, **bound.kwargs)
        # moto takes the folder for a part of the bucket's name.
        given["log_destination_type"] = _UNCHECKED
        made, unsuccessful = create(*bound.args, **bound.kwargs)
        for one in made:
            one.log_destination_type = "s3"
        return made, unsuccessful

    Response.create_flow_logs = create_flow_logs
    EC2Backend.create_flow_logs = create_in_folder
