"""Where a function may send what failed or was done: the kinds of targets, and what its role must be allowed before.

Sources: Lambda API Reference, DeadLetterConfig, OnSuccess and OnFailure (kinds); Lambda Developer Guide, "Adding a
dead-letter queue" and "Capturing records of Lambda asynchronous invocations" (standard queues and topics only;
permissions of the execution role). The text on the role of a dead-letter queue is Lambda's, the others are inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moto.awslambda.exceptions import InvalidParameterValueException

from strictmoto.lambda_ import roles
from strictmoto.running import is_running, running

_SENDING: Final[Mapping[str, str]] = {
    "events": "PutEvents",
    "lambda": "InvokeFunction",
    "s3": "PutObject",
    "sns": "Publish",
    "sqs": "SendMessage",
}
"""The action that sends something there, by the service."""
_DEAD_LETTERS: Final = frozenset({"sns", "sqs"})
_DESTINATIONS: Final[Mapping[str, frozenset[str]]] = {
    "OnFailure": frozenset(_SENDING),
    "OnSuccess": frozenset(_SENDING) - {"s3"},
}
_SHOWN: Final[Mapping[str, str]] = {
    "events": "event bus",
    "lambda": "Lambda function",
    "s3": "S3 bucket",
    "sns": "standard SNS topic",
    "sqs": "standard SQS queue",
}


def check_dead_letters(role_arn: str, configuration: Mapping[str, Any] | None, region: str) -> None:
    """Refuse a dead-letter queue or topic of another kind, or that the role of the function may not send to.

    Args:
        role_arn: of the function.
        configuration: DeadLetterConfig, if any.
        region: of the function.

    Raises:
        InvalidParameterValueException: it is of another kind; where IAM is enforced, the role may not.
    """
    target = (configuration or {}).get("TargetArn")
    if not target:
        return
    _check_kind("TargetArn of DeadLetterConfig", target, _DEAD_LETTERS)
    if not _may_send(role_arn, target, region):
        service = _service(target)
        raise InvalidParameterValueException(
            f"The provided execution role does not have permissions to call {_SENDING[service]} on {service.upper()}"
        )


def check_destinations(role_arn: str, configuration: Mapping[str, Any], region: str) -> None:
    """Refuse destinations of another kind, or that the role of the function may not send to.

    Args:
        role_arn: of the function.
        configuration: of its asynchronous invocations.
        region: of the function.

    Raises:
        InvalidParameterValueException: one is of another kind; where IAM is enforced, the role may not.
    """
    for when, destination in (configuration.get("DestinationConfig") or {}).items():
        target = (destination or {}).get("Destination")
        if not target:
            continue
        _check_kind(f"Destination of {when}", target, _DESTINATIONS[when])
        if not _may_send(role_arn, target, region):
            action = _SENDING[_service(target)]
            raise InvalidParameterValueException(
                f"The function's execution role does not have permissions to call {action} on {target}"
            )


def _check_kind(where: str, target: str, services: frozenset[str]) -> None:
    if _service(target) in services and not target.endswith(".fifo"):
        return
    kinds = ", ".join(_SHOWN[service] for service in sorted(services))
    raise InvalidParameterValueException(f"{where} is invalid: {target} is none of: {kinds}")


def _may_send(role_arn: str, target: str, region: str) -> bool:
    if not is_running() or not running().enforces_iam:
        return True
    service = _service(target)
    resource = f"{target}/*" if service == "s3" else target
    return roles.may(role_arn, f"{service}:{_SENDING[service]}", resource, region)


def _service(arn: str) -> str:
    """Return the service of an ARN; empty of what is none."""
    parts = arn.split(":", 5)
    return parts[2] if len(parts) == 6 and parts[0] == "arn" and parts[5] else ""
