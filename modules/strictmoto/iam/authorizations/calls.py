"""From a call to what IAM has to allow: the call's own action, and those that it implies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from strictmoto.iam.authorizations import ec2, named, partiql, tagging
from strictmoto.iam.authorizations.actions import NEEDS_NOTHING, iam_action, service_prefix
from strictmoto.iam.authorizations.authorization import Authorization
from strictmoto.iam.authorizations.passing import passing
from strictmoto.iam.authorizations.place import Place
from strictmoto.iam.authorizations.tags import keys_about, tag_keys_of, tags_by_kind, tags_of
from strictmoto.requests.calls import Call, operation_of

# Creating something with tags needs this besides.
_TAGGING: Final = {
    **dict.fromkeys(
        ("dynamodb", "events", "kms", "lambda", "logs", "scheduler", "secretsmanager", "sns", "states"), "TagResource"
    ),
    "elasticloadbalancing": "AddTags",
    "iam": "Tag{}",
    "ram": "TagResource",
    "sqs": "TagQueue",
}
_MADE_IN_S3: Final = {
    "CopyObject": "Object",
    "CreateBucket": "Bucket",
    "CreateMultipartUpload": "Object",
    "PutObject": "Object",
}
_OF_STACKS: Final = {
    "ChangeSetName": "ChangeSetName",
    "RoleARN": "RoleArn",
    "StackPolicyURL": "StackPolicyUrl",
    "TemplateURL": "TemplateUrl",
}
"""Condition keys of CloudFormation that are a parameter of the call."""
_GRANTS: Final = ("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_TRANSACTED: Final = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def authorizations_of(call: Call, requested: Mapping[str, Any], principal: str) -> tuple[Authorization, ...]:
    """Return what IAM has to allow for a call, its own action first; empty where every principal may make it.

    Args:
        call: what was asked.
        requested: its parameters in the structure of the API.
        principal: ARN of who called.
    """
    if (call.service, call.action) in NEEDS_NOTHING:
        return ()
    place = Place(call.region, principal.split(":")[4] if principal.count(":") >= 5 else "*")
    if call.action in ("TransactWriteItems", "TransactGetItems"):
        return tuple(_transacted(requested, place))
    if call.service == "s3" and call.action == "DeleteObjects":
        return (*_deleted(requested, place), *_bypassing(call, requested, place))
    if call.service == "dynamodb" and call.action in partiql.ACTIONS:
        return tuple(partiql.authorizations_of(call.action, requested, place))
    own = Authorization(
        iam_action(call, dict(requested)),
        _resources(call, requested, place),
        _context(call, requested),
        tags_by_kind(requested) if call.service == "ec2" else {},
    )
    return (
        own,
        *_copies(call, requested, place),
        *_granting(call, own, requested),
        *_bypassing(call, requested, place),
        *_tagging(call, own, requested, place),
        *_tagging_apis(call, own, requested, place),
        *_keeping_keys(call, requested, place),
        *_setting_policies(call, own, requested),
        *tagging.authorizations_of(call, requested),
        *_reading(call, requested, place),
        *_delivering(call, requested),
        *passing(call, requested, place),
    )


def _resources(call: Call, requested: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    if call.service == "ec2":
        return ec2.resources_of(call.action, requested, place)
    if call.service == "apigateway" and (operation := operation_of(call)) is not None:
        # Policies name the resources of both versions of the API alike, without the version.
        path = str(operation.http["requestUri"]).partition("?")[0].removeprefix("/v2")
        named_path = re.sub(
            r"\{([\w-]+)\+?\}", lambda match: _in_path(requested.get(_member(operation, match[1]), "*")), path
        )
        return (place.arn("apigateway", named_path, account=False),)
    return named.resources_of(call.service, call.action, requested, place)


def _in_path(value: Any) -> str:
    """Return a part of a path as policies name it: an ARN, which is a part of a tag's path, is encoded."""
    return quote(str(value), safe="") if str(value).startswith("arn:") else str(value)


def _member(operation: Any, name: str) -> str:
    """Return the member that stands in the path under a name."""
    for member, shape in operation.input_shape.members.items():
        if shape.serialization.get("location") == "uri" and shape.serialization.get("name", member) == name:
            return str(member)
    return name


def _context(call: Call, requested: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    context: dict[str, str | tuple[str, ...]] = {"aws:RequestedRegion": call.region}
    context |= keys_about(tags_of(requested), tag_keys_of(requested))
    if call.service == "ec2":
        context["ec2:Region"] = call.region
        context |= ec2.attributes_of(call.action, requested)
    if call.service == "cloudformation":
        for parameter, key in _OF_STACKS.items():
            if given := requested.get(parameter):
                context[f"cloudformation:{key}"] = str(given)
        if kinds := requested.get("ResourceTypes"):
            context["cloudformation:ResourceTypes"] = tuple(kinds)
    return context


def _transacted(requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """IAM knows no transactions, only what is in them."""
    for item in requested.get("TransactItems") or ():
        for kind, part in item.items():
            resources = named.resources_of("dynamodb", _TRANSACTED[kind], part, place)
            yield Authorization(f"dynamodb:{_TRANSACTED[kind]}", resources, {"aws:RequestedRegion": place.region})


def _copies(call: Call, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Copying an object reads another one."""
    source = requested.get("CopySource")
    if call.service == "s3" and source:
        name, _, version = str(source).partition("?versionId=")
        arn = place.arn("s3", unquote(name).lstrip("/"), region=False, account=False)
        yield Authorization("s3:GetObjectVersion" if version else "s3:GetObject", (arn,))


def _deleted(requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Each of several objects is deleted by itself, a version of it by another action."""
    by_action: dict[str, list[str]] = {}
    for item in (requested.get("Delete") or {}).get("Objects") or ():
        action = "s3:DeleteObjectVersion" if item.get("VersionId") else "s3:DeleteObject"
        name = f"{requested.get('Bucket')}/{item.get('Key')}"
        by_action.setdefault(action, []).append(place.arn("s3", name, region=False, account=False))
    for action, arns in (by_action or {"s3:DeleteObject": ["*"]}).items():
        yield Authorization(action, tuple(dict.fromkeys(arns)), {"aws:RequestedRegion": place.region})


def _granting(call: Call, own: Authorization, requested: Mapping[str, Any]) -> Iterator[Authorization]:
    """Putting an object, or making a bucket, with an ACL or with tags needs the actions that set them.

    Source: Amazon S3 API Reference, PutObject, CopyObject, CreateMultipartUpload and CreateBucket, "Permissions".
    """
    if call.service != "s3" or call.action not in _MADE_IN_S3:
        return
    of = _MADE_IN_S3[call.action]
    context = {"aws:RequestedRegion": call.region}
    if any(requested.get(name) for name in _GRANTS):
        yield Authorization(f"s3:Put{of}Acl", own.resources, context)
    if of == "Bucket":
        if requested.get("ObjectOwnership"):
            yield Authorization("s3:PutBucketOwnershipControls", own.resources, context)
        if str(requested.get("ObjectLockEnabledForBucket", "")).lower() == "true":
            yield Authorization("s3:PutBucketObjectLockConfiguration", own.resources, context)
            yield Authorization("s3:PutBucketVersioning", own.resources, context)
        return
    for action, members in _WITH_AN_OBJECT.items():
        if any(requested.get(name) for name in members):
            yield Authorization(f"s3:{action}", own.resources, context)


_WITH_AN_OBJECT: Final = {
    "PutObjectTagging": ("Tagging",),
    "PutObjectRetention": ("ObjectLockMode", "ObjectLockRetainUntilDate"),
    "PutObjectLegalHold": ("ObjectLockLegalHoldStatus",),
}
"""Actions that set what an object is put with."""


def _bypassing(call: Call, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Deleting or shortening what is retained for governance is an action of its own.

    Source: Amazon S3 User Guide, "Managing Object Lock" ("Bypassing governance mode").
    """
    if call.service == "s3" and str(requested.get("BypassGovernanceRetention", "")).lower() == "true":
        arns = named.resources_of("s3", call.action, requested, place)
        yield Authorization("s3:BypassGovernanceRetention", arns, {"aws:RequestedRegion": call.region})


def _delivering(call: Call, requested: Mapping[str, Any]) -> Iterator[Authorization]:
    """Flow logs that go to a bucket are a delivery of CloudWatch Logs, which whoever makes them must be allowed.

    Source: Amazon VPC User Guide, "Publish flow logs to Amazon S3" (IAM policy for IAM principals).
    """
    if call.service == "ec2" and call.action == "CreateFlowLogs" and requested.get("LogDestinationType") == "s3":
        yield Authorization("logs:CreateLogDelivery", ("*",), {"aws:RequestedRegion": call.region})


def _reading(call: Call, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Reading several secrets at once reads each of them, and finding them lists them; code and objects are read, too.

    Sources: AWS Secrets Manager API Reference, BatchGetSecretValue ("Required permissions"); Amazon S3 API Reference,
    GetObjectAttributes ("Permissions").
    """
    if call.service == "secretsmanager" and call.action == "BatchGetSecretValue":
        for one in requested.get("SecretIdList") or ():
            found = named.resources_of("secretsmanager", "GetSecretValue", {"SecretId": one}, place)
            yield Authorization("secretsmanager:GetSecretValue", found, {"aws:RequestedRegion": call.region})
        if requested.get("Filters"):
            yield Authorization("secretsmanager:ListSecrets", ("*",), {"aws:RequestedRegion": call.region})
    elif call.service == "lambda" and call.action in _WITH_CODE:
        yield from _code(call, requested, place)
    elif call.service == "s3" and call.action == "GetObjectAttributes":
        found = named.resources_of("s3", call.action, requested, place)
        action = "s3:GetObjectVersion" if requested.get("VersionId") else "s3:GetObject"
        yield Authorization(action, found, {"aws:RequestedRegion": call.region})


_WITH_CODE: Final = {
    "CreateFunction": "Code",
    "PublishLayerVersion": "Content",
    "UpdateFunctionCode": "",
    "UpdateFunctionConfiguration": "",
}
"""Calls of Lambda with code, and the member that it is in."""


def _code(call: Call, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Code in a bucket is read by whoever gives it to Lambda; so are layers.

    Sources: AWS Lambda Developer Guide, "Identity-based IAM policies for Lambda" and "Working with layers"; AWS Lambda
    API Reference, CreateFunction.
    """
    context = {"aws:RequestedRegion": call.region}
    member = _WITH_CODE[call.action]
    code = (requested.get(member) or {}) if member else requested
    if code.get("S3Bucket"):
        name = f"{code['S3Bucket']}/{code.get('S3Key', '')}"
        action = "s3:GetObjectVersion" if code.get("S3ObjectVersion") else "s3:GetObject"
        yield Authorization(action, (place.arn("s3", name, region=False, account=False),), context)
    if layers := requested.get("Layers"):
        yield Authorization("lambda:GetLayerVersion", tuple(map(str, layers)), context)


def _tagging(call: Call, own: Authorization, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Tagging at creation is an action of its own."""
    if not tags_of(requested) or "Tag" in call.action:
        return
    if call.service == "ec2":
        made = tuple(ec2.arn_of(place, kind, "*") for kind, tags in own.tags.items() if tags)
        created = {**own.context, "ec2:CreateAction": call.action}
        yield Authorization("ec2:CreateTags", made or ("*",), created, own.tags)
    elif (name := _TAGGING.get(call.service)) and call.action.startswith(("Create", "Put")):
        action = name.format(call.action.removeprefix("Create"))
        context, made = own.context, own.resources
        if call.service == "elasticloadbalancing":
            context = {**context, "elasticloadbalancing:CreateAction": call.action}
            if kind := _MADE_BELOW.get(call.action):
                # Made by a call that names what it belongs to.
                made = tuple(re.sub(r":(loadbalancer|listener)/", f":{kind}/", arn) + "/*" for arn in made)
        elif call.action == "CreateEventSourceMapping":
            # Making one is about no resource, tagging it is about what is made.
            made = (place.arn("lambda", "event-source-mapping:*"),)
        yield Authorization(f"{service_prefix(call)}:{action}", made, context)


_MADE_BELOW: Final = {"CreateListener": "listener", "CreateRule": "listener-rule"}
"""Source: Service Authorization Reference, Elastic Load Balancing V2, resource types of AddTags."""


def _tagging_apis(
    call: Call, own: Authorization, requested: Mapping[str, Any], place: Place
) -> Iterator[Authorization]:
    """Tags of an API or of a stage need an action of their own at creation.

    No page of AWS says which; these are what AWS's refusals name: POST on the tags of all APIs, and for a stage
    TagResource on the stages of its API.
    """
    if call.service != "apigateway" or not tags_of(requested):
        return
    if call.action == "CreateApi":
        every = quote(place.arn("apigateway", "/v2/apis/", account=False), safe="")
        yield Authorization(
            "apigateway:POST", (place.arn("apigateway", f"/tags/{every}*", account=False),), own.context
        )
    elif call.action == "CreateStage" and "ApiId" in requested:
        yield Authorization("apigateway:TagResource", own.resources, own.context)


def _keeping_keys(call: Call, requested: Mapping[str, Any], place: Place) -> Iterator[Authorization]:
    """Making a key with a policy needs the permission to change the policy later.

    KMS answers MalformedPolicyDocumentException otherwise, unless the check is bypassed; here it is a refusal of IAM.

    Source: KMS API Reference, CreateKey (Policy, BypassPolicyLockoutSafetyCheck).
    """
    if (call.service, call.action) != ("kms", "CreateKey") or not requested.get("Policy"):
        return
    if str(requested.get("BypassPolicyLockoutSafetyCheck", "")).lower() != "true":
        yield Authorization("kms:PutKeyPolicy", (place.arn("kms", "key/*"),), {"aws:RequestedRegion": place.region})


def _setting_policies(call: Call, own: Authorization, requested: Mapping[str, Any]) -> Iterator[Authorization]:
    """Giving a stack a policy is an action of its own, also when it is made or updated."""
    if call.action in ("CreateStack", "UpdateStack") and {"StackPolicyBody", "StackPolicyURL"} & set(requested):
        yield Authorization("cloudformation:SetStackPolicy", own.resources, {"aws:RequestedRegion": call.region})
