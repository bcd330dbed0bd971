"""Requests without a signature: the few calls that AWS takes so, and how it would refuse the others.

Sources: the `authtype` of AWS's service models; Security Token Service API Reference, "AssumeRoleWithWebIdentity" and
"AssumeRoleWithSAML"; Amazon Cognito Developer Guide, "List of API operations grouped by authorization model".
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs

from tapstack.rehearsal.calls import Call, operation_of, read_call
from tapstack.rehearsal.signatures import Received

REGION: Final = "us-east-1"
"""Where such a call is taken to be: no signature says so."""
_BY_TARGET: Final = {
    "AWSCognitoIdentityService": "cognito-identity",
    "AWSCognitoIdentityProviderService": "cognito-idp",
}
_OF_EC2: Final = "2016-11-15"
_REST_JSON: Final = re.compile(r"/(\d{4}-\d\d-\d\d|v\d|schedules|schedule-groups|tags)(/.*)?")


def anonymous_call(request: Received, path: str) -> Call | None:
    """Return the call that AWS takes without a signature; None where it takes none.

    Args:
        request: as received.
        path: of it, decoded.
    """
    target = request.headers.get("x-amz-target", "").partition(".")[0]
    service = _BY_TARGET.get(target, "" if target else "sts")
    if not service:
        return None
    call = read_call("", REGION, service, request.method, path, request.query, request.headers, request.body)
    operation = operation_of(call)
    return call if operation is not None and operation.auth_type == "none" else None


def protocol_of(request: Received, path: str) -> str:
    """Return the protocol that an unsigned request speaks, by its looks: nothing in it names a service.

    Args:
        request: as received.
        path: of it, decoded.
    """
    if "x-amz-target" in request.headers:
        return "json"
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return "smithy-rpc-v2-cbor"
    form = request.body.decode("utf-8", "replace") if request.method == "POST" else request.query
    asked = parse_qs(form) if path == "/" else {}
    if "Action" in asked:
        return "ec2" if asked.get("Version") == [_OF_EC2] else "query"
    return "rest-json" if _REST_JSON.fullmatch(path) else "rest-xml"
