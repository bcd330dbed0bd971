"""The keys of what services store: who puts or gets what a key of KMS encrypts must be allowed to use the key, too.

S3, SQS, SNS, DynamoDB and Secrets Manager ask KMS with the permissions of their caller, who may be allowed that by way
of them alone.

Sources: Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)" (permissions, encryption
context, bucket keys) and "Uploading and copying objects using multipart upload" (kms:Decrypt for parts); AWS KMS
Developer Guide, "kms:ViaService"; Amazon SQS Developer Guide, "Key management" in "Encryption at rest" (producers,
consumers, encryption context); Amazon SNS Developer Guide, "Managing Amazon SNS encryption keys and costs"; Amazon
DynamoDB Developer Guide, "DynamoDB encryption at rest usage notes" (the table key is decrypted for who accesses the
table, anew after five minutes at the latest: here for each call); AWS Secrets Manager User Guide, "Secret encryption
and decryption" (which operations use the key, validating access to it, encryption context). AWS's own keys let in all
principals of their account, who need nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.dns_suffixes import dns_suffix_of
from strictmoto.iam.authorizations import Authorization
from strictmoto.kms.keys import customer_key, key_of, versions_of
from strictmoto.requests.calls import Call

_ENCRYPT: Final = ("kms:GenerateDataKey",)
_DECRYPT: Final = ("kms:Decrypt",)
_PUTS: Final = frozenset({"CopyObject", "CreateMultipartUpload", "PutObject"})
_OF_PARTS: Final = frozenset({"CompleteMultipartUpload", "UploadPart", "UploadPartCopy"})
_GETS: Final = frozenset({"GetObject", "SelectObjectContent"})
_COPIES: Final = frozenset({"CopyObject", "UploadPartCopy"})
_KMS: Final = "aws:kms"
_SEND: Final = (*_ENCRYPT, *_DECRYPT)
_MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "Publish": _SEND,
    "PublishBatch": _SEND,
    "ReceiveMessage": _DECRYPT,
    "SendMessage": _SEND,
    "SendMessageBatch": _SEND,
}
_CONTEXTS: Final = {"sqs": "aws:sqs:arn", "sns": "aws:sns:topicArn"}
_ITEMS: Final = re.compile(
    r"dynamodb:(?:(?:Batch(?:Get|Write)|ConditionCheck|Delete|Get|Put|Update)Item|Query|Scan|PartiQL\w+)"
)
"""The actions on items of a table, or of an index of it."""
_VALUES: Final = frozenset({"SecretBinary", "SecretString"})
_SET: Final = frozenset({"CreateSecret", "PutSecretValue", "UpdateSecret"})
_READ: Final = frozenset({"BatchGetSecretValue", "GetSecretValue"})


def with_keys(
    call: Call, requested: Mapping[str, Any], authorizations: tuple[Authorization, ...], account: str
) -> tuple[Authorization, ...]:
    """Return what IAM has to allow for a call, with the use of the keys of what it puts, gets, sends or receives.

    Args:
        call: what is asked.
        requested: its parameters in the structure of the API.
        authorizations: what it needs besides.
        account: of who asks.
    """
    if call.service == "s3":
        return (*authorizations, *_of_objects(call, requested, account))
    if call.service == "dynamodb":
        return (*authorizations, *_of_items(authorizations, account))
    if call.service == "secretsmanager":
        return (*authorizations, *_of_secrets(call, requested, authorizations, account))
    # "*" is no queue or topic that there is: the service says so.
    named = [arn for one in authorizations[:1] for arn in one.resources if arn != "*"] if _is_message(call) else []
    return (*authorizations, *(one for arn in named for one in keys_of_messages(call.action, arn, account)))


def _is_message(call: Call) -> bool:
    return call.service in _CONTEXTS and call.action in _MESSAGES


def keys_of_messages(action: str, arn: str, account: str) -> Iterator[Authorization]:
    """Yield what IAM has to allow of the key of a queue or a topic.

    Args:
        action: of SQS or SNS, such as ReceiveMessage.
        arn: of the queue or the topic.
        account: of who sends or receives.
    """
    _, _, service, *_ = arn.split(":")
    yield from _used(_MESSAGES.get(action, ()), key_of(arn), arn, {_CONTEXTS[service]: arn}, account)


def _used(
    actions: tuple[str, ...], key: str, arn: str, encryption_context: Mapping[str, str], account: str
) -> Iterator[Authorization]:
    """Yield what IAM has to allow of the key of something that a service stores, by way of that service."""
    if not key or (found := customer_key(key, arn)) is None:
        return
    _, _, service, region, *_ = arn.split(":")
    context = {
        "kms:CallerAccount": account,
        "kms:ViaService": f"{service}.{region}.{dns_suffix_of(region)}",
        **{f"kms:EncryptionContext:{name}": value for name, value in encryption_context.items()},
    }
    for action in actions:
        yield Authorization(action, (found.arn,), context)


def _of_items(authorizations: tuple[Authorization, ...], account: str) -> Iterator[Authorization]:
    """Yield the use of the key of each table whose items are read or written."""
    named = [arn for one in authorizations if _ITEMS.fullmatch(one.action) for arn in one.resources if arn != "*"]
    for table in dict.fromkeys(arn.partition("/index/")[0] for arn in named):
        context = {
            "aws:dynamodb:subscriberId": table.split(":")[4],
            "aws:dynamodb:tableName": table.rpartition("/")[2],
        }
        yield from _used(_DECRYPT, key_of(table), table, context, account)


def _of_secrets(
    call: Call, requested: Mapping[str, Any], authorizations: tuple[Authorization, ...], account: str
) -> Iterator[Authorization]:
    """Yield the use of the keys of the secrets whose values are read or written, or which a key is set for."""
    if call.action not in _SET | _READ:
        return
    given = str(requested.get("KmsKeyId") or "") if call.action in _SET else ""
    actions: tuple[str, ...]
    for arn in dict.fromkeys(arn for one in authorizations for arn in one.resources if arn != "*"):
        if call.action in _READ:
            actions = _DECRYPT
        # A key that is set is tried. A value with the token of an earlier call is compared with what that has set.
        elif given or str(requested.get("ClientRequestToken")) in versions_of(arn):
            actions = _SEND
        else:
            actions = _ENCRYPT if _VALUES & set(requested) else ()
        yield from _used(actions, given or key_of(arn), arn, {"SecretARN": arn}, account)


def _of_objects(call: Call, requested: Mapping[str, Any], account: str) -> Iterator[Authorization]:
    if (bucket := _bucket(requested.get("Bucket"))) is None:
        return
    key = str(requested.get("Key") or "")
    if call.action in _PUTS:
        yield from _use(_ENCRYPT, bucket, key, _key_of_request(requested, bucket), account)
    elif call.action in _OF_PARTS:
        upload = bucket.multiparts.get(str(requested.get("UploadId")))
        if upload is not None:
            yield from _use(_DECRYPT, bucket, key, _key_of_upload(upload, bucket), account)
    elif call.action in _GETS:
        yield from _use(_DECRYPT, bucket, key, _key_of_object(bucket, key, requested.get("VersionId")), account)
    if call.action in _COPIES:
        name, _, source = str(requested.get("CopySource") or "").lstrip("/").partition("/")
        source, _, version = source.partition("?versionId=")
        if (origin := _bucket(name)) is not None:
            yield from _use(_DECRYPT, origin, source, _key_of_object(origin, source, version or None), account)


def _use(actions: tuple[str, ...], bucket: Any, key: str, named: str, account: str) -> Iterator[Authorization]:
    place = f"arn:{bucket.partition}:kms:{bucket.region_name}:{bucket.account_id}:"
    if not named or (found := customer_key(named, place)) is None:
        return
    rule = (bucket.encryption or {}).get("Rule") or {}
    whole = str(rule.get("BucketKeyEnabled", "")).lower() == "true"
    context = {
        "kms:CallerAccount": account,
        "kms:EncryptionContext:aws:s3:arn": bucket.arn if whole else f"{bucket.arn}/{key}",
        "kms:ViaService": f"s3.{bucket.region_name}.{dns_suffix_of(bucket.region_name)}",
    }
    for action in actions:
        yield Authorization(action, (found.arn,), context)


def _bucket(name: Any) -> Any:
    from strictmoto.s3.deliveries import bucket_named

    return bucket_named(str(name)) if name else None


def _key_of_request(requested: Mapping[str, Any], bucket: Any) -> str:
    from strictmoto.s3.deliveries import default_encryption

    asked = str(requested.get("ServerSideEncryption") or "")
    encrypts, named = default_encryption(bucket)
    if asked:
        encrypts = asked.startswith(_KMS)
        named = str(requested.get("SSEKMSKeyId") or named)
    return named if encrypts else ""


def _key_of_upload(upload: Any, bucket: Any) -> str:
    asked = {"ServerSideEncryption": upload.sse_encryption, "SSEKMSKeyId": upload.kms_key_id}
    return _key_of_request(asked, bucket)


def _key_of_object(bucket: Any, key: str, version: Any) -> str:
    from moto.s3.models import s3_backends

    found = s3_backends[bucket.account_id][bucket.partition].get_object(bucket.name, key, version_id=version)
    encrypted = str(getattr(found, "encryption", None) or "").startswith(_KMS)
    return str(getattr(found, "kms_key_id", None) or "") if encrypted else ""
