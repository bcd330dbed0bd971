"""From what IAM has to allow for a call to the request that policies are held against: its resources and its context.

Source: Service Authorization Reference, the condition keys of each service; IAM User Guide, "AWS global condition
context keys".
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

from strictmoto.iam.authorizations import Authorization
from strictmoto.iam.authorizations.ec2 import has_attributes
from strictmoto.iam.authorizations.tags import keys_about
from strictmoto.iam.lazy import Lazy
from strictmoto.iam.policies import Context, Request, Resource, as_list
from strictmoto.requests.calls import Call
from strictmoto.requests.documents import read_json

_ATTRIBUTE: Final = "ec2:Attribute"
_OF_TAGS: Final = ("aws:RequestTag/", "aws:TagKeys")
_OF_SOME_RESOURCES: Final = (*_OF_TAGS, _ATTRIBUTE)
"""Condition keys of a request that IAM compares for some of its resources only."""
_EQUALS: Final = re.compile(r"([#\w.-]+)\s*=\s*(:\w+)")
# Condition keys that are a parameter of the request, by service.
_PARAMETERS: Final[Mapping[str, Mapping[str, str]]] = {
    "iam": {
        "AWSServiceName": "iam:AWSServiceName",
        "PolicyArn": "iam:PolicyARN",
    },
    "lambda": {"Principal": "lambda:Principal"},
    "s3": {
        "ACL": "s3:x-amz-acl",
        "CopySource": "s3:x-amz-copy-source",
        "Delimiter": "s3:delimiter",
        "MaxKeys": "s3:max-keys",
        "MetadataDirective": "s3:x-amz-metadata-directive",
        "ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold",
        "ObjectLockMode": "s3:object-lock-mode",
        "Prefix": "s3:prefix",
        "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
        "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
        "ServerSideEncryption": "s3:x-amz-server-side-encryption",
        "StorageClass": "s3:x-amz-storage-class",
        "VersionId": "s3:VersionId",
    },
    "ssm": {"Overwrite": "ssm:Overwrite", "Recursive": "ssm:Recursive"},
    "sns": {"Endpoint": "sns:Endpoint", "Protocol": "sns:Protocol"},
    "sts": {
        "ExternalId": "sts:ExternalId",
        "RoleSessionName": "sts:RoleSessionName",
        "SourceIdentity": "sts:SourceIdentity",
    },
}

_MAY_BE_EMPTY: Final = frozenset({"Prefix", "Delimiter"})
"""Parameters whose empty value is a value of the condition key."""


def request_of(
    call: Call,
    requested: Mapping[str, Any],
    authorization: Authorization,
    facts_of: Callable[[str], Context],
    *,
    resources: tuple[str, ...] = (),
    more: Context | None = None,
) -> Request:
    """Return what IAM is asked for one authorization of a call.

    Args:
        call: what was asked.
        requested: its parameters in the structure of the API.
        authorization: what IAM has to allow for it.
        facts_of: returns the condition keys of a resource that exists, by its ARN.
        resources: ARNs where only the service knows them.
        more: keys of the caller and of the connection.
    """
    context = {key: value if isinstance(value, tuple) else (value,) for key, value in authorization.context.items()}
    of_some = {key: value for key, value in context.items() if key.startswith(_OF_SOME_RESOURCES)}
    shared = {key: value for key, value in context.items() if key not in of_some}
    named = resources or authorization.resources
    return Request(
        authorization.action,
        tuple(_resource(arn, call, requested, authorization, of_some, facts_of(arn)) for arn in named),
        Lazy(lambda: {**shared, **_of_service(call, requested, authorization), **(more or {})}),
    )


def _resource(
    arn: str,
    call: Call,
    requested: Mapping[str, Any],
    authorization: Authorization,
    of_some: Context,
    facts: Context,
) -> Resource:
    given = _given(arn, authorization, of_some)
    if find := _OF_RESOURCES.get(call.service):
        return Resource(arn, Lazy(lambda: {**facts, **given, **find(requested, authorization, arn)}))
    return Resource(arn, Lazy(lambda: {**facts, **given}) if given else facts)


def _given(arn: str, authorization: Authorization, context: Context) -> dict[str, tuple[str, ...]]:
    """What is made, or tagged, has the request's tags; what it describes or modifies has the attributes it names."""
    if not context:
        return {}
    service, _, action = authorization.action.partition(":")
    tagged = arn.endswith("/*") or action.startswith(("CreateTags", "DeleteTags", "Tag")) or service != "ec2"
    kind = arn.split(":")[5].partition("/")[0] if service == "ec2" and arn != "*" else ""
    kinds = has_attributes(action) if service == "ec2" else None
    # What the account has no kind for is asked about as everything.
    of_attributes = kinds is not None and (kind in kinds or arn == "*")
    found = {key: value for key, value in context.items() if (of_attributes if key.startswith(_ATTRIBUTE) else tagged)}
    if not (authorization.tags and kind):
        return found
    # Each kind that a call makes has its own tags.
    others = {key: value for key, value in found.items() if not key.startswith(_OF_TAGS)}
    own = keys_about(authorization.tags.get(kind, {})) if tagged else {}
    return {**others, **{key: value if isinstance(value, tuple) else (value,) for key, value in own.items()}}


def _of_service(call: Call, requested: Mapping[str, Any], authorization: Authorization) -> dict[str, tuple[str, ...]]:
    """Condition keys that only one service has."""
    found: dict[str, tuple[str, ...]] = {
        key: (str(requested[name]).lower() if isinstance(requested[name], bool) else str(requested[name]),)
        for name, key in _PARAMETERS.get(call.service, {}).items()
        if requested.get(name) not in (None, *(() if name in _MAY_BE_EMPTY else ("",)))
    }
    if call.service == "events":
        found |= _of_events(call.action, requested)
    elif call.service == "kms":
        given = requested.get("EncryptionContext") or {}
        if given:
            found["kms:EncryptionContextKeys"] = tuple(given)
        found |= {f"kms:EncryptionContext:{key}": (str(value),) for key, value in given.items()}
    elif call.service == "s3":
        found |= _of_locks(requested)
        if tags := _object_tags(requested.get("Tagging")):
            found["s3:RequestObjectTagKeys"] = tuple(tags)
            found |= {f"s3:RequestObjectTag/{key}": (value,) for key, value in tags.items()}
    elif call.service == "sts" and requested.get("TransitiveTagKeys"):
        found["sts:TransitiveTagKeys"] = tuple(map(str, requested["TransitiveTagKeys"]))
    elif call.service == "lambda" and "EventSourceMapping" in call.action and requested.get("FunctionName"):
        found["lambda:FunctionArn"] = (str(requested["FunctionName"]),)
    return found


def _of_locks(requested: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the condition keys of the documents that lock an object; those of headers are parameters."""
    found: dict[str, tuple[str, ...]] = {}
    retention, hold = requested.get("Retention"), requested.get("LegalHold")
    given = retention if isinstance(retention, Mapping) else {}
    until = given.get("RetainUntilDate") or requested.get("ObjectLockRetainUntilDate")
    if given.get("Mode"):
        found["s3:object-lock-mode"] = (str(given["Mode"]),)
    if until:
        found["s3:object-lock-retain-until-date"] = (str(until),)
        if (days := _days_to(str(until))) is not None:
            found["s3:object-lock-remaining-retention-days"] = (str(days),)
    if isinstance(hold, Mapping) and hold.get("Status"):
        found["s3:object-lock-legal-hold"] = (str(hold["Status"]),)
    return found


def _days_to(date: str) -> int | None:
    try:
        until = datetime.datetime.fromisoformat(date)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=datetime.UTC)
    return math.ceil((until - datetime.datetime.now(datetime.UTC)) / datetime.timedelta(days=1))


def _object_tags(tagging: Any) -> dict[str, str]:
    """Return the tags that a call gives to an object: a query in a header, or a document."""
    if isinstance(tagging, str):
        return dict(parse_qsl(tagging, keep_blank_values=True))
    tags = tagging.get("TagSet") if isinstance(tagging, Mapping) else None
    return {str(tag.get("Key")): str(tag.get("Value", "")) for tag in tags or () if isinstance(tag, Mapping)}


_MATCHED: Final = ("source", "detail-type", "detail.eventTypeCode", "detail.service", "detail.userIdentity.principalId")
"""Parts of a rule's pattern that are condition keys, by the names of the keys."""


def _of_events(action: str, requested: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the keys of events that are put, of the pattern of a rule, and of its targets.

    Source: Amazon EventBridge User Guide, "Using IAM policy conditions in Amazon EventBridge".
    """
    given: dict[str, list[Any]] = {}
    if action == "PutEvents":
        entries = requested.get("Entries") or ()
        given["source"] = [entry.get("Source", "") for entry in entries]
        given["detail-type"] = [entry.get("DetailType", "") for entry in entries]
    elif action == "PutRule":
        pattern = _pattern(str(requested.get("EventPattern") or ""))
        found = {name: list(_matched(pattern, name.split("."))) for name in _MATCHED}
        given = {name: values for name, values in found.items() if values}
    elif action == "PutTargets":
        given["TargetArn"] = [target.get("Arn", "") for target in requested.get("Targets") or ()]
    # What matches more than one value, such as a prefix, is no value that a policy names.
    return {
        f"events:{name}": tuple(one if isinstance(one, str) else json.dumps(one) for one in values)
        for name, values in given.items()
    }


def _matched(pattern: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield the values that a pattern matches at a path, those of its alternatives included."""
    if not isinstance(pattern, Mapping):
        return
    for alternative in as_list(pattern.get("$or", ())):
        yield from _matched(alternative, path)
    if path[0] in pattern:
        yield from _matched(pattern[path[0]], path[1:]) if path[1:] else as_list(pattern[path[0]])


def _pattern(text: str) -> Mapping[str, Any]:
    """Return the pattern of a rule; one that cannot be read EventBridge refuses."""
    try:
        found = read_json(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _of_principal(requested: Mapping[str, Any], _: Authorization, __: str) -> Context:
    """Return the boundary that a call sets: it is compared, not the one that it replaces."""
    given = requested.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": (str(given),)} if given else {}


def _of_table(requested: Mapping[str, Any], authorization: Authorization, arn: str) -> Context:
    """Return what a request says of one of its tables."""
    found: dict[str, tuple[str, ...]] = {}
    if keys := tuple(dict.fromkeys(_leading_keys(requested, authorization, arn))):
        found["dynamodb:LeadingKeys"] = keys
    if authorization.action == "dynamodb:PartiQLSelect":
        found["dynamodb:FullTableScan"] = (str(not keys).lower(),)
    return found


_OF_RESOURCES: Final[Mapping[str, Callable[[Mapping[str, Any], Authorization, str], Context]]] = {
    "dynamodb": _of_table,
    "iam": _of_principal,
}
"""What returns the keys that a request has for one of its resources, by service."""


def _leading_keys(requested: Mapping[str, Any], authorization: Authorization, arn: str) -> Iterator[str]:
    """Return the partition keys that a request names in a table; of a query, the value that its condition compares."""
    # A call such as ListTables is about no table.
    key = _partition_key(arn) if arn != "*" else ""
    if not key:
        return
    if authorization.action.startswith("dynamodb:PartiQL"):
        yield from authorization.compared.get(key, ())
        return
    for part in _about(requested, arn.split("/")[1]):
        yield from _values_of(part, key)


def _about(requested: Mapping[str, Any], table: str) -> list[Any]:
    """Return the parts of a request that are about a table; tables are named, or by their ARNs."""
    if items := requested.get("RequestItems"):
        return [item for name, item in items.items() if str(name).rpartition("/")[2] == table]
    if items := requested.get("TransactItems"):
        parts = [part for item in items for part in item.values()]
        return [part for part in parts if str(part.get("TableName", "")).rpartition("/")[2] == table]
    return [requested]


def _partition_key(arn: str) -> str:
    """Return the name of the partition key of a table or an index that exists."""
    from moto.dynamodb.models import dynamodb_backends

    parts = arn.split(":", 5)
    _, name, *index = parts[5].split("/")
    table: Any = dynamodb_backends[parts[4]][parts[3]].tables.get(name)
    if table is None:
        return ""
    if index:
        schemas = [one.schema for one in (*table.global_indexes, *table.indexes) if one.name == index[-1]]
        keys = [key["AttributeName"] for schema in schemas for key in schema if key["KeyType"] == "HASH"]
        return keys[0] if keys else ""
    return str(table.hash_key_attr)


def _values_of(requested: Any, key: str) -> Iterator[str]:
    """Return the values of the partition key, wherever in a request they stand."""
    if isinstance(requested, list):
        for item in requested:
            yield from _values_of(item, key)
        return
    if not isinstance(requested, Mapping):
        return
    for name, value in requested.items():
        if name in ("Key", "Item", "Keys"):
            items = value if isinstance(value, list) else [value]
            yield from (_plain(item[key]) for item in items if key in item)
        elif name == "KeyConditions":
            yield from (_plain(one) for one in (value.get(key) or {}).get("AttributeValueList") or ())
        elif name == "KeyConditionExpression":
            names, values = (requested.get(f"ExpressionAttribute{kind}") or {} for kind in ("Names", "Values"))
            yield from (_plain(values[of]) for one, of in _EQUALS.findall(value) if names.get(one, one) == key)
        else:
            yield from _values_of(value, key)


def _plain(value: Mapping[str, Any]) -> str:
    """Return a value that is as DynamoDB writes it."""
    return str(next(iter(value.values())))
