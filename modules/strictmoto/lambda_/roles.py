"""What the role of a function may do, where Lambda asks before it uses it."""

from __future__ import annotations

from typing import Final

from strictmoto.iam.access import principal_may
from strictmoto.iam.enforcement import Connection

SERVICE: Final = "lambda.amazonaws.com"


def may(role_arn: str, action: str, resource: str, region: str) -> bool:
    """Return whether Lambda may do something with the role of a function.

    Args:
        role_arn: of the function.
        action: for example sqs:SendMessage.
        resource: an ARN.
        region: of the function.
    """
    return principal_may(role_arn, action, resource, connection=Connection.of_service(SERVICE), region=region)
