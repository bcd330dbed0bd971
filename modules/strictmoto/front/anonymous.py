"""Requests without a signature: the few calls that AWS takes so, and how it would refuse the others.

Sources: the `authtype` of AWS's service models; Security Token Service API Reference, "AssumeRoleWithWebIdentity" and
"AssumeRoleWithSAML"; Amazon Cognito Developer Guide, "List of API operations grouped by authorization model".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

from strictmoto.identity.signatures import Received
from strictmoto.requests.calls import operation_of
from strictmoto.requests.readings import Reading, path_of, read
from strictmoto.requests.services import is_in

REGION: Final = "us-east-1"
"""Where such a call is taken to be, where nothing that it names says so: no signature does."""
# What it names begins with its Region, up to this.
_REGIONAL: Final = {"IdentityId": ":", "IdentityPoolId": ":", "UserPoolId": "_"}
_ISSUER: Final = re.compile(r"https://cognito-idp\.([a-z0-9-]+)\.amazonaws\.[a-z.]+/")
_BY_TARGET: Final = {
    "AWSCognitoIdentityService": "cognito-identity",
    "AWSCognitoIdentityProviderService": "cognito-idp",
}
_OF_EC2: Final = "2016-11-15"
_REST_JSON: Final = re.compile(r"/(\d{4}-\d\d-\d\d|v\d|schedules|schedule-groups|tags)(/.*)?")


def anonymous_call(request: Received) -> Reading | None:
    """Return what a request asks for that AWS takes without a signature; None where it takes none."""
    if path_of(request) != "/":
        return None
    target = request.headers.get("x-amz-target", "").partition(".")[0]
    service = _BY_TARGET.get(target, "" if target else "sts")
    if not service or (service != "sts" and request.method != "POST"):
        return None
    reading = read(request, service, REGION, "", request.query)
    operation = operation_of(reading.call)
    if operation is None or operation.auth_type != "none":
        return None
    region = _region_of(reading.call.parameters)
    if region in ("", REGION) or not is_in(service, region):
        return reading
    return replace(reading, call=replace(reading.call, region=region))


def _region_of(parameters: Mapping[str, Any]) -> str:
    """Return the Region of what a call of Cognito names: its endpoint, which says it on AWS, is the same here."""
    for name, end in _REGIONAL.items():
        if isinstance(named := parameters.get(name), str):
            return named.partition(end)[0]
    if isinstance(token := parameters.get("AccessToken"), str):
        # Late: it takes longer to import than most calls do.
        from joserfc import jws
        from joserfc.errors import JoseError

        try:
            claims = json.loads(jws.extract_compact(token.encode()).payload)
        except (JoseError, ValueError):
            return ""
        match = _ISSUER.match(str(claims.get("iss"))) if isinstance(claims, dict) else None
        return match[1] if match else ""
    return ""


def scope_of(reading: Reading) -> str:
    """Return an Authorization header for moto, which would guess the service of a request that has none."""
    return f"AWS4-HMAC-SHA256 Credential=ANONYMOUS/19700101/{reading.call.region}/{reading.call.service}/aws4_request"


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
