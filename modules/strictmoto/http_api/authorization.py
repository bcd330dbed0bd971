"""Who may call a route: anyone, a principal of IAM, or the bearer of a token.

Source: API Gateway Developer Guide, "Control and manage access to HTTP APIs in API Gateway" and "Control access to HTTP
APIs with IAM authorization in API Gateway".
"""

from __future__ import annotations

from typing import Any

from strictmoto.http_api import jwt
from strictmoto.http_api.exchange import Denied, Request
from strictmoto.http_api.routing import Match, Place
from strictmoto.iam.access import principal_may
from strictmoto.iam.enforcement import Connection
from strictmoto.identity.signatures import Refused, read_signature, verify
from strictmoto.running import running


def authorize(request: Request, place: Place, match: Match) -> dict[str, Any] | None:
    """Return what the function's event says of the caller; None for a route that is open to all.

    Raises:
        Denied: the caller may not.
    """
    kind = match.route.authorization_type or "NONE"
    if kind == "NONE":
        return None
    if kind == "AWS_IAM":
        return {"iam": _by_iam(request, place)}
    if kind == "JWT":
        authorizer = place.api.authorizers.get(match.route.authorizer_id)
        return {"jwt": jwt.authorize(request, authorizer, match.route.authorization_scopes or [])}
    raise Denied(500, "Internal Server Error", f"strictmoto has no authorization of type {kind}")


def _by_iam(request: Request, place: Place) -> dict[str, Any]:
    try:
        signature = read_signature(request)
        if (signature.service, signature.region) != ("execute-api", place.region):
            signed_for = f"{signature.service} in {signature.region}"
            raise Refused("mismatch", f"signed for {signed_for}, not for execute-api in {place.region}")
        caller = verify(request, signature, running().keys)
    except Refused as error:
        raise Denied(403, "Forbidden", str(error)) from error
    resource = place.arn(request.method, place.path)
    if not principal_may(
        caller.principal_arn,
        "execute-api:Invoke",
        resource,
        access_key=caller.access_key,
        connection=Connection(request.source_ip, request.headers.get("user-agent", "")),
    ):
        raise Denied(403, "Forbidden", f"{caller.principal_arn} may not execute-api:Invoke on {resource}")
    return {
        "accessKey": caller.access_key,
        "accountId": caller.account_id,
        "callerId": caller.user_id,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": caller.user_arn,
        "userId": caller.user_id,
    }
