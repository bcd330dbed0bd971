"""Who may invoke a function: its resource-based policy.

Source: Lambda Developer Guide, "Viewing resource-based IAM policies in Lambda"; Lambda API Reference, AddPermission.
"""

from __future__ import annotations

from typing import Any

from tapstack.rehearsal.functions import policies
from tapstack.rehearsal.functions.invoking import find, unqualified
from tapstack.rehearsal.iam.policies import as_list

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
    # moto shares the policy between versions, and what it is about stands in the statement.
    statements = find(unqualified(function_arn)).policy.statements
    parts = source_arn.split(":")
    context = {"aws:sourcearn": source_arn}
    if len(parts) > 4 and parts[4]:
        context["aws:sourceaccount"] = parts[4]
    meant = [statement for statement in statements if _names(statement.get("Principal"), principal)]
    return policies.decide(meant, ACTION, function_arn.removesuffix(":$LATEST"), context)


def _names(given: Any, principal: str) -> bool:
    services = given.get("Service", []) if isinstance(given, dict) else given
    return given in ("*", {"AWS": "*"}) or principal in as_list(services)
