"""Calls that AWS does not know, and those that the account does not have: refused in the way of the service.

Sources: "Common Errors" of each service's API Reference (InvalidAction); Amazon S3 API Reference, "Error responses"
(MethodNotAllowed); Smithy, "AWS restJson1 protocol" and "AWS JSON 1.0 protocol" (UnknownOperationException). moto
answers such calls with a page in HTML, which clients cannot read, or take for a resource that is not there.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

from strictmoto.front.refusals import refusal
from strictmoto.requests.calls import Call, operation_of, protocol_of

_OF_S3_CONTROL: Final = "/v20180820/"
OF_S3: Final = frozenset(
    [
        "AbortMultipartUpload",
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateBucket",
        "CreateMultipartUpload",
        "DeleteBucket",
        "DeleteBucketCors",
        "DeleteBucketEncryption",
        "DeleteBucketLifecycle",
        "DeleteBucketOwnershipControls",
        "DeleteBucketPolicy",
        "DeleteBucketReplication",
        "DeleteBucketTagging",
        "DeleteBucketWebsite",
        "DeleteObject",
        "DeleteObjectTagging",
        "DeleteObjects",
        "DeletePublicAccessBlock",
        "GetBucketAccelerateConfiguration",
        "GetBucketAcl",
        "GetBucketCors",
        "GetBucketEncryption",
        "GetBucketInventoryConfiguration",
        "GetBucketLifecycleConfiguration",
        "GetBucketLocation",
        "GetBucketLogging",
        "GetBucketNotificationConfiguration",
        "GetBucketOwnershipControls",
        "GetBucketPolicy",
        "GetBucketPolicyStatus",
        "GetBucketReplication",
        "GetBucketTagging",
        "GetBucketVersioning",
        "GetBucketWebsite",
        "GetObject",
        "GetObjectAcl",
        "GetObjectAttributes",
        "GetObjectLegalHold",
        "GetObjectLockConfiguration",
        "GetObjectTagging",
        "GetPublicAccessBlock",
        "HeadBucket",
        "HeadObject",
        "ListBucketInventoryConfigurations",
        "ListBuckets",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjects",
        "ListObjectsV2",
        "ListParts",
        "PutBucketAccelerateConfiguration",
        "PutBucketAcl",
        "PutBucketCors",
        "PutBucketEncryption",
        "PutBucketInventoryConfiguration",
        "PutBucketLifecycleConfiguration",
        "PutBucketLogging",
        "PutBucketNotificationConfiguration",
        "PutBucketOwnershipControls",
        "PutBucketPolicy",
        "PutBucketReplication",
        "PutBucketTagging",
        "PutBucketVersioning",
        "PutBucketWebsite",
        "PutObject",
        "PutObjectAcl",
        "PutObjectLegalHold",
        "PutObjectLockConfiguration",
        "PutObjectRetention",
        "PutObjectTagging",
        "PutPublicAccessBlock",
        "RestoreObject",
        "SelectObjectContent",
        "UploadPart",
        "UploadPartCopy",
    ]
)
"""What moto's S3 does. It takes what it does not know for another call: a ?metrics to delete, for the bucket."""
_PAGE: Final = re.compile(rb"\s*<!doctype html", re.IGNORECASE)
# What moto writes instead of an id.
_NO_ID: Final = re.compile(rb"(<requestId>|<RequestID>)request-id(?=</)")


def is_unknown(call: Call) -> bool:
    """Return whether there is certainly no such call: moto takes some of these for another, or fails."""
    if operation_of(call) is not None:
        return call.model == "s3" and call.action not in OF_S3
    return protocol_of(call.model) != "" and not (call.service == "s3" and _OF_S3_CONTROL in call.action)


def is_no_answer(call: Call, method: str, status: int, body: bytes) -> bool:
    """Return whether moto has no such call: it answers with a page, or with nothing.

    Args:
        call: what was asked.
        method: of HTTP.
        status: of the answer.
        body: of the answer.
    """
    if status < 400:
        return False
    return _PAGE.match(body) is not None or (status == 404 and not body and method != "HEAD" and call.service != "s3")


def unknown(call: Call, why: str = "") -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the refusal of a call that there is not.

    Args:
        call: what was asked.
        why: what moto says.
    """
    if call.model == "s3" and operation_of(call) is not None:
        # Terraform's provider takes this for a feature that is not there.
        message = f"A header you provided implies functionality that is not implemented: s3:{call.action}"
        return 501, *refusal("rest-xml", "NotImplemented", message)
    if operation_of(call) is not None or not protocol_of(call.model):
        # No error of AWS, which has it.
        message = f"strictmoto has no {call.service}:{call.action}" + (f" ({why})" if why else "")
        return 400, *refusal(call.protocol, "InvalidAction", message)
    if call.service == "s3":
        message = "The specified method is not allowed against this resource."
        return 405, *refusal("rest-xml", "MethodNotAllowed", message)
    if call.protocol in ("ec2", "query"):
        if " " in call.action:
            message = "The request is missing an action or a required parameter."
            return 400, *refusal(call.protocol, "MissingAction", message)
        message = f"The action {call.action} is not valid for this web service."
        return 400, *refusal(call.protocol, "InvalidAction", message)
    message = f"{call.service} has no {call.action}"
    status = 404 if call.protocol.startswith("rest-") else 400
    protocol = "query" if call.protocol == "rest-xml" else call.protocol
    return status, *refusal(protocol, "UnknownOperationException", message)


def identified(headers: list[tuple[str, str]], body: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Return an answer of EC2 with an id of its own, the same in headers and body."""
    identity = str(uuid.uuid4())
    others = [(name, value) for name, value in headers if name.lower() not in ("x-amzn-requestid", "content-length")]
    body = _NO_ID.sub(rb"\g<1>" + identity.encode(), body, count=1)
    return [*others, ("x-amzn-RequestId", identity), ("Content-Length", str(len(body)))], body
