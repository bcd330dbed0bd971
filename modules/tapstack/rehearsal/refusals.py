"""Errors as AWS's protocols write them."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape


def refusal(protocol: str, code: str, message: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an error.

    Args:
        protocol: botocore's name of it, such as ec2 or rest-json.
        code: of the error, for example Throttling.
        message: for people.
    """
    headers, text = _written(protocol, code, message)
    body = text.encode()
    return {**headers, "Content-Length": str(len(body))}, body


def _written(protocol: str, code: str, message: str) -> tuple[dict[str, str], str]:
    request = str(uuid.uuid4())
    if protocol in ("json", "rest-json"):
        headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
        return headers, json.dumps({"__type": code, "message": message})
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if protocol == "ec2":
        error = f"<Response><Errors>{error}</Errors><RequestID>{request}</RequestID></Response>"
    elif protocol == "query":
        error = f"<ErrorResponse>{error}<RequestId>{request}</RequestId></ErrorResponse>"
    return {"Content-Type": "text/xml"}, error
