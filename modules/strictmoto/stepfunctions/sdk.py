"""AWS SDK service integrations: which service and action a resource stands for, and how its fields are written.

Source: Step Functions Developer Guide, "Learning to use AWS service SDK integrations in Step Functions": services
and exceptions are named as the AWS SDK for Java 2.x names them; fields are written in PascalCase.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Any, Final

import botocore.exceptions
import botocore.loaders
import botocore.model

# What botocore calls the services whose name in the AWS SDK for Java 2.x is another.
_BOTOCORE_NAMES: Final = {
    "applicationautoscaling": "application-autoscaling",
    "cloudwatchevents": "events",
    "cloudwatchlogs": "logs",
    "configservice": "config",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "eventbridge": "events",
    "resourcegroups": "resource-groups",
    "resourcegroupstaggingapi": "resourcegroupstaggingapi",
    "route53": "route53",
    "ses": "ses",
    "sfn": "stepfunctions",
}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+")


def botocore_name(api_name: str) -> str:
    """Return what botocore calls the service of a resource `arn:aws:states:::aws-sdk:<api_name>:<action>`."""
    return _BOTOCORE_NAMES.get(api_name.lower(), api_name.lower())


@functools.cache
def operation(api_name: str, action: str) -> botocore.model.OperationModel | None:
    """Return the operation that a resource stands for; None where there is none."""
    model = _model(botocore_name(api_name))
    if model is None:
        return None
    found = [name for name in model.operation_names if name[0].lower() + name[1:] == action]
    return model.operation_model(found[0]) if found else None


@functools.cache
def error_prefix(api_name: str) -> str:
    """Return what the names of a service's exceptions begin with, for example Ec2 or DynamoDb."""
    model = _model(botocore_name(api_name))
    if model is None:
        return api_name.capitalize()
    return "".join(word.capitalize() for word in _WORD.findall(str(model.service_id)))


def unknown_fields(names: set[str], shape: botocore.model.Shape | None) -> list[str]:
    """Return the given field names that the operation does not have."""
    known = {_pascal(member) for member in getattr(shape, "members", {})}
    return sorted(name for name in names if name not in known)


def as_request(given: Any, shape: Any) -> Any:
    """Return fields as botocore writes them."""
    if isinstance(shape, botocore.model.StructureShape) and isinstance(given, dict):
        members = {_pascal(name): name for name in shape.members}
        return {
            members.get(key, key): as_request(value, shape.members.get(members.get(key, key)))
            for key, value in given.items()
        }
    if isinstance(shape, botocore.model.ListShape) and isinstance(given, list):
        return [as_request(value, shape.member) for value in given]
    if isinstance(shape, botocore.model.MapShape) and isinstance(given, dict):
        return {key: as_request(value, shape.value) for key, value in given.items()}
    return given


def as_result(received: Any, shape: Any) -> Any:
    """Return an answer of botocore as Step Functions has it: fields in PascalCase, keys of maps as they are."""
    if isinstance(shape, botocore.model.StructureShape) and isinstance(received, dict):
        return {
            _pascal(key): as_result(value, shape.members.get(key))
            for key, value in received.items()
            if key != "ResponseMetadata"
        }
    if isinstance(shape, botocore.model.ListShape) and isinstance(received, list):
        return [as_result(value, shape.member) for value in received]
    if isinstance(shape, botocore.model.MapShape) and isinstance(received, dict):
        return {key: as_result(value, shape.value) for key, value in received.items()}
    return jsonable(received)


def jsonable(received: Any) -> Any:
    """Return a value of botocore as JSON can write it."""
    if isinstance(received, dict):
        return {key: jsonable(value) for key, value in received.items() if key != "ResponseMetadata"}
    if isinstance(received, list | tuple | set):
        return [jsonable(value) for value in received]
    if isinstance(received, datetime.datetime):
        return timestamp(received)
    if hasattr(received, "read"):
        received = received.read()
    if isinstance(received, bytes):
        return received.decode(errors="replace")
    return received


def timestamp(moment: datetime.datetime) -> str:
    """Return a moment as Step Functions writes it, for example 2026-11-21T10:00:00.123Z."""
    moment = moment.astimezone(datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


@functools.cache
def _model(service: str) -> botocore.model.ServiceModel | None:
    try:
        return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)
    except botocore.exceptions.UnknownServiceError:
        return None
