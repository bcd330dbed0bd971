"""What the role of a function must be allowed before Lambda takes a dead-letter queue or a destination.

Sources: Lambda Developer Guide, "Adding a dead-letter queue" and "Capturing records of Lambda asynchronous invocations"
(permissions of the execution role). The text for dead-letter queues is Lambda's, that for destinations is inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moto.awslambda.exceptions import InvalidParameterValueException

from strictmoto.iam.access import principal_may
from strictmoto.running import is_running, running

_SENDING: Final[Mapping[str, str]] = {
    "events": "PutEvents",
    "lambda": "InvokeFunction",
    "s3": "PutObject",
    "sns": "Publish",
    "sqs": "SendMessage",
}
"""The action that sends something there, by the service."""


def check_dead_letters(role_arn: str, configuration: Mapping[str, Any] | None) -> None:
    """Refuse a dead-letter queue or topic that the role of the function may not send to.

    Args:
        role_arn: of the function.
        configuration: DeadLetterConfig, if any.

    Raises:
        InvalidParameterValueException: where IAM is enforced.
    """
    target = (configuration or {}).get("TargetArn")
    if target and not _may_send(role_arn, target):
        service = _service(target)
        raise InvalidParameterValueException(
            f"The provided execution role does not have permissions to call {_SENDING[service]} on {service.upper()}"
        )


def check_destinations(role_arn: str, configuration: Mapping[str, Any]) -> None:
    """Refuse destinations that the role of the function may not send to.

    Args:
        role_arn: of the function.
        configuration: of its asynchronous invocations.

    Raises:
        InvalidParameterValueException: where IAM is enforced.
    """
    for destination in (configuration.get("DestinationConfig") or {}).values():
        target = (destination or {}).get("Destination")
        if target and not _may_send(role_arn, target):
            action = _SENDING[_service(target)]
            raise InvalidParameterValueException(
                f"The function's execution role does not have permissions to call {action} on {target}"
            )


def _may_send(role_arn: str, target: str) -> bool:
    service = _service(target)
    if service not in _SENDING or not is_running() or not running().enforces_iam:
        return True
    return principal_may(role_arn, f"{service}:{_SENDING[service]}", f"{target}/*" if service == "s3" else target)


def _service(arn: str) -> str:
    return arn.split(":")[2] if arn.count(":") > 2 else ""
