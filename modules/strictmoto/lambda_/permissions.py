"""Who may invoke a function: its resource-based policy.

Source: Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda"; Lambda API Reference, AddPermission.
"""

from __future__ import annotations

from strictmoto.iam.access import service_may
from strictmoto.lambda_.invoking import find, unqualified

ACTION = "lambda:InvokeFunction"


def may_invoke(function_arn: str, principal: str, source_arn: str) -> bool:
    """Return whether the function's policy lets a service invoke it on behalf of a resource.

    A permission of the function is none of its versions and aliases, and the other way round.

    Args:
        function_arn: with the version or alias that is to be invoked, if any.
        principal: for example apigateway.amazonaws.com.
        source_arn: of the resource.

    Raises:
        moto.awslambda.exceptions.UnknownFunctionException: there is no such function.
    """
    find(unqualified(function_arn))
    return service_may(principal, ACTION, function_arn.removesuffix(":$LATEST"), source_arn)
