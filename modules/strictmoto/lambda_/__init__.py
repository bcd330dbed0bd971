"""AWS Lambda: functions run their own code, in processes of their own, as AWS runs them.

One file a concern: what of a function decides how it runs (versions), its files on disk (packages), the process
(environments) and what runs inside of it (bootstrap), who keeps processes warm (service), an invocation from request
to answer (invoking), in the background (background) and what becomes of it (destinations), queues as event sources
(mappings), who may invoke (permissions), what is logged (logs), what cannot be deleted (deleting), which function a
name means (naming), and what moto lacks
(configuration, sources, responses).

For others: `invoke`, `send` and `may_invoke`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strictmoto.lambda_.invoking import Answer


@functools.cache
def install() -> None:
    """Make the Lambda of this process's moto run functions. A second call changes nothing."""
    # Late: moto's Lambda imports half a dozen other services.
    from strictmoto.lambda_ import configuration, deleting, mappings, naming, responses, sources

    for part in (configuration, responses, mappings, sources, deleting, naming):
        part.install()


def invoke(function_arn: str, payload: bytes) -> Answer:
    """Invoke a function and wait for what it answers, as a service does that waits.

    Args:
        function_arn: with or without a version or an alias.
        payload: JSON.

    Raises:
        moto.awslambda.exceptions.UnknownFunctionException: there is no such function.
        strictmoto.lambda_.errors.Refused: throttled, too large, no JSON, or a runtime that does not run.
    """
    from strictmoto.lambda_.invoking import invoke_arn

    return invoke_arn(function_arn, payload)


def send(function_arn: str, payload: bytes, *, principal: str, source_arn: str) -> bool:
    """Invoke a function in the background, as EventBridge, SNS and S3 do: with retries and destinations.

    Args:
        function_arn: with or without a version or an alias.
        payload: JSON.
        principal: who invokes, for example events.amazonaws.com.
        source_arn: on whose behalf: the ARN of the rule, the topic, the bucket.

    Returns:
        False where the function's policy does not allow it; the function is then not invoked.

    Raises:
        moto.awslambda.exceptions.UnknownFunctionException: there is no such function.
        strictmoto.lambda_.errors.Refused: too large, or no JSON.
    """
    from strictmoto.lambda_.background import send_arn

    return send_arn(function_arn, payload, principal, source_arn)


def may_invoke(function_arn: str, principal: str, source_arn: str) -> bool:
    """Return whether a function's policy lets an AWS service invoke it on behalf of a resource.

    Args:
        function_arn: with the version or alias that is to be invoked, if any.
        principal: for example events.amazonaws.com, sns.amazonaws.com, apigateway.amazonaws.com.
        source_arn: of the rule, the topic, the API's route.
    """
    from strictmoto.lambda_ import permissions

    return permissions.may_invoke(function_arn, principal, source_arn)
