"""The function behind a route.

Source: API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", "Quotas for
configuring and running an HTTP API in API Gateway".
"""

from __future__ import annotations

import json
import queue
from typing import Any, Final

from moto.awslambda.exceptions import LambdaClientError

from strictmoto import lambda_ as functions
from strictmoto.http_api.exchange import Answer, Denied
from strictmoto.http_api.payloads import Passage, answer_of, event_of
from strictmoto.http_api.routing import DEFAULT
from strictmoto.iam.access import principal_may
from strictmoto.iam.enforcement import Connection
from strictmoto.identity.principals import CannotAssumeError, check_trust
from strictmoto.lambda_.errors import Refused
from strictmoto.lambda_.invoking import Answer as FunctionAnswer
from strictmoto.lambda_.service import Service, service

LONGEST: Final = 30_000
"""Milliseconds that an integration may take."""
_SERVICE: Final = "apigateway.amazonaws.com"
_FAILED: Final = "Internal Server Error"


def call(passage: Passage) -> Answer:
    """Invoke the function of a route and return its answer.

    Raises:
        Denied: 500 or 503, it could not be invoked, failed, or answered what is no answer.
    """
    integration = _integration(passage)
    arn = function_arn(integration.integration_uri or "")
    _check_permission(passage, integration, arn)
    limit = min(integration.timeout_in_millis or LONGEST, LONGEST)
    answered: queue.SimpleQueue[FunctionAnswer | Denied] = queue.SimpleQueue()
    payload = json.dumps(event_of(passage)).encode()

    def invoke(_: Service) -> None:
        try:
            answered.put(functions.invoke(arn, payload))
        except Refused as refusal:
            large = refusal.status == 413
            answered.put(Denied(413 if large else 500, "Request Entity Too Large" if large else _FAILED, str(refusal)))
        except BaseException as error:
            answered.put(Denied(500, _FAILED, str(error)))
            raise

    service().begin(invoke)
    try:
        found = answered.get(timeout=limit / 1000)
    except queue.Empty as late:
        # The function goes on, as on AWS.
        raise Denied(503, "Service Unavailable", f"the function took longer than {limit} ms") from late
    if isinstance(found, Denied):
        raise found
    if found.error:
        raise Denied(500, _FAILED, f"the function failed: {found.payload.decode()[:500]}")
    return answer_of(found.payload)


def function_arn(uri: str) -> str:
    """Return the ARN of the function that an integration names, by its own ARN or by that of its invocation.

    >>> function_arn("arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/arn:aws:lambda:x/invocations")
    'arn:aws:lambda:x'
    """
    return uri.partition("/functions/")[2].removesuffix("/invocations") if "/functions/" in uri else uri


def _integration(passage: Passage) -> Any:
    target = str(passage.match.route.target or "").removeprefix("integrations/")
    integration = passage.place.api.integrations.get(target)
    if integration is None:
        raise Denied(500, _FAILED, f"route {passage.match.route.route_key} has no integration")
    if integration.integration_type != "AWS_PROXY" or integration.integration_subtype:
        kind = integration.integration_subtype or integration.integration_type
        raise Denied(500, _FAILED, f"strictmoto has no integration of type {kind}")
    if integration.payload_format_version != "2.0":
        version = integration.payload_format_version or "1.0"
        raise Denied(500, _FAILED, f"strictmoto has payload format 2.0, not {version}")
    return integration


def _check_permission(passage: Passage, integration: Any, arn: str) -> None:
    """Refuse what the function's policy does not allow; with a role of its own, what that may not do."""
    try:
        if role := integration.credentials_arn:
            check_trust(role, _SERVICE, passage.place.arn(*_named(passage)))
            allowed = principal_may(role, "lambda:InvokeFunction", arn, connection=Connection.of_service(_SERVICE))
        else:
            source = passage.place.arn(*_named(passage))
            allowed = functions.may_invoke(arn, _SERVICE, source)
    except CannotAssumeError as error:
        raise Denied(500, _FAILED, str(error)) from error
    except (LambdaClientError, LookupError) as error:
        raise Denied(500, _FAILED, f"no function {arn}") from error
    if not allowed:
        message = f"{_SERVICE} may not invoke {arn} for {passage.place.arn(*_named(passage))}"
        raise Denied(500, _FAILED, message)


def _named(passage: Passage) -> tuple[str, str]:
    """Return method and path of a route in its ARN."""
    if passage.match.route.route_key == DEFAULT:
        return DEFAULT, ""
    return passage.request.method, passage.match.path
