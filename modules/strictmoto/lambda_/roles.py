"""What the role of a function may do, where Lambda asks before it uses it."""

from __future__ import annotations

from typing import Final

from strictmoto.iam.access import principal_may
from strictmoto.iam.enforcement import Connection
from strictmoto.iam.policies import Context

SERVICE: Final = "lambda.amazonaws.com"


def may(role_arn: str, action: str, resource: str, region: str, more: Context | None = None) -> bool:
    """Return whether Lambda may do something with the role of a function.

    Args:
        role_arn: of the function.
        action: for example sqs:SendMessage.
        resource: an ARN.
        region: of the function.
        more: condition keys of the action itself, such as kms:ViaService.
    """
    lambda_ = Connection.of_service(SERVICE)
    return principal_may(role_arn, action, resource, connection=lambda_, region=region, more=more)
