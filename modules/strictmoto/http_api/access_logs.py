"""Access logs of a stage, in CloudWatch Logs.

Source: API Gateway Developer Guide, "Customize HTTP API access logs in API Gateway".
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from moto.logs.models import logs_backends

from strictmoto.http_api.exchange import Answer
from strictmoto.http_api.payloads import Passage
from strictmoto.requests.arns import is_somewhere

_VARIABLE: Final = re.compile(r"\$context\.([\w.]+)")


def write(passage: Passage, answer: Answer) -> None:
    """Log a request, where its stage logs; a group that does not exist gets nothing."""
    settings = passage.place.stage.access_log_settings or {}
    form, arn = settings.get("format"), settings.get("destinationArn")
    if not form or not arn or not is_somewhere(arn):
        return
    parts = arn.split(":")
    group = ":".join(parts[6:]).removesuffix(":*")
    backend = logs_backends[parts[4]][parts[3]]
    if group not in backend.groups:
        return
    known = _variables(passage, answer)
    line = _VARIABLE.sub(lambda found: _value(known, found[1]), form)
    stream = f"{passage.place.api.api_id}/{passage.place.stage.name}"
    backend.ensure_log_stream(group, stream)
    backend.put_log_events(group, stream, [{"timestamp": int(time.time() * 1000), "message": line}])


def _value(known: dict[str, Any], name: str) -> str:
    value = known.get(name)
    return "-" if value is None or value == "" else str(value)


def _variables(passage: Passage, answer: Answer) -> dict[str, Any]:
    request, place = passage.request, passage.place
    taken = int((time.time() - passage.begun) * 1000)
    known: dict[str, Any] = {
        "accountId": place.account_id,
        "apiId": place.api.api_id,
        "domainName": passage.domain_name,
        "domainPrefix": place.api.api_id,
        "error.message": answer.note,
        "error.messageString": f'"{answer.note}"' if answer.note else None,
        "extendedRequestId": passage.request_id,
        "httpMethod": request.method,
        "identity.sourceIp": request.source_ip,
        "identity.userAgent": request.headers.get("user-agent"),
        "integrationErrorMessage": answer.note,
        "integrationLatency": taken,
        "path": place.full_path,
        "protocol": request.protocol,
        "requestId": passage.request_id,
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(passage.begun)),
        "requestTimeEpoch": int(passage.begun),
        "responseLatency": taken,
        "responseLength": len(answer.body),
        "routeKey": passage.match.route.route_key,
        "stage": place.stage.name,
        "status": answer.status,
    }
    iam = (passage.authorizer or {}).get("iam") or {}
    for name, key in (("accountId", "accountId"), ("caller", "callerId"), ("user", "userId"), ("userArn", "userArn")):
        known[f"identity.{name}"] = iam.get(key)
    claims = ((passage.authorizer or {}).get("jwt") or {}).get("claims") or {}
    known.update({f"authorizer.claims.{name}": value for name, value in claims.items()})
    return known
