"""Errors as AWS's protocols write them."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape


def refusal(protocol: str, code: str, message: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an error.

    Args:
        protocol: botocore's name of it, such as ec2 or rest-json; rest-xml is S3's way.
        code: of the error, for example Throttling.
        message: for the reader.
    """
    identity = str(uuid.uuid4())
    headers, body = _written(protocol, code, message, identity)
    headers["x-amz-request-id" if protocol == "rest-xml" else "x-amzn-RequestId"] = identity
    return {**headers, "Content-Length": str(len(body))}, body


def _written(protocol: str, code: str, message: str, identity: str) -> tuple[dict[str, str], bytes]:
    if protocol == "smithy-rpc-v2-cbor":
        headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return headers, b"\xa2" + b"".join(map(_cbor, ("__type", code, "message", message)))
    if protocol in ("json", "rest-json"):
        kind = "application/json" if protocol == "rest-json" else "application/x-amz-json-1.1"
        headers = {"Content-Type": kind, "x-amzn-ErrorType": code}
        return headers, json.dumps({"__type": code, "message": message}).encode()
    said = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if protocol == "ec2":
        text = f"<Response><Errors><Error>{said}</Error></Errors><RequestID>{identity}</RequestID></Response>"
    elif protocol == "query":
        text = f"<ErrorResponse><Error>{said}</Error><RequestId>{identity}</RequestId></ErrorResponse>"
    else:
        text = f"<Error>{said}<RequestId>{identity}</RequestId></Error>"
    return {"Content-Type": "text/xml"}, text.encode()


def _cbor(text: str) -> bytes:
    """Return a text as Concise Binary Object Representation has it (RFC 8949, major type 3)."""
    data = text.encode()
    return b"\x79" + len(data).to_bytes(2, "big") + data
