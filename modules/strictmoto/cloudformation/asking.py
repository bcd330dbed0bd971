"""What IAM is asked for what a stack does without a call of the account's API.

Types that moto's models make are asked about by the actions that AWS's schemas name for them.

Source: CloudFormation Command Line Interface User Guide, "Resource type schema" (handlers, permissions).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from botocore.exceptions import ClientError
from moto.cloudformation import parsing

from strictmoto.cloudformation import schemas
from strictmoto.cloudformation.api_types import STACK_TAGS
from strictmoto.identity.behalf import BEHALF
from strictmoto.requests.calls import Call

# moto has types, but none for what is replaced at run time.
moto_parsing: Any = parsing
Doing = Literal["create", "update", "delete"]
_VERBS: Final[Mapping[Doing, tuple[str, ...]]] = {
    "create": ("Create", "Put", "Register", "Run", "Allocate", "Request", "Import"),
    "update": ("Update", "Modify", "Put"),
    "delete": ("Delete", "Terminate", "Deregister", "Release"),
}
# How requests are signed, where policies name the service otherwise.
_SIGNED_FOR: Final = {"cloudwatch": "monitoring"}
# How the API calls what templates call otherwise.
_PARAMETERS: Final = {"BucketName": "Bucket", "TopicName": "Name"}
_NESTED: Final = "AWS::CloudFormation::Stack"
_IDENTIFIERS: Final = {"AWS::Lambda::EventSourceMapping": "UUID", _NESTED: "StackName"}


def ask(service: str, action: str, region: str, **parameters: Any) -> None:
    """Ask IAM for a call that is not made, and record it.

    Args:
        service: that it would be signed for.
        action: the API's name of it.
        region: that it would be signed for.
        parameters: of the call, as boto3 takes them.

    Raises:
        ClientError: IAM does not allow it.
    """
    behalf = BEHALF.get()
    if behalf is None:
        return
    call = Call(service, action, region, behalf.caller.access_key, parameters, "json", service)
    status, _, body = behalf.make(call, lambda: (200, {}, b""))
    if status >= 400:
        said = json.loads(body)
        error = {"Code": said.get("__type", "AccessDenied"), "Message": said.get("message", said.get("Message", ""))}
        refused = ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}, action)
        vars(refused)["service_id"] = service
        raise refused


def ask_for_model(kind: str, doing: Doing, properties: Mapping[str, Any], region: str, name: str) -> None:
    """Ask IAM for what is done to a resource of a type that moto's models make.

    Args:
        kind: the type.
        doing: what is done.
        properties: of the resource, references resolved.
        region: of the stack.
        name: what Ref says of it, or the name that it is about to have.

    Raises:
        ClientError: IAM does not allow it.
    """
    if BEHALF.get() is None or (found := _action(kind, doing)) is None:
        return
    service, _, action = found.partition(":")
    given = {key: value for key, value in properties.items() if doing == "create" or key != "Tags"}
    known_by = moto_parsing.resource_name_property_from_type(kind) if doing == "create" else ""
    known_by = known_by or _IDENTIFIERS.get(kind) or schemas.identifier(kind)
    if known_by:
        given[known_by] = name
    if kind == _NESTED and doing == "create":
        # It has the tags of the stack that it is nested in.
        tags = {**STACK_TAGS.get(), **{tag["Key"]: tag["Value"] for tag in given.get("Tags") or ()}}
        given["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    parameters = {_PARAMETERS.get(key, key): value for key, value in given.items()}
    ask(_SIGNED_FOR.get(service, service.lower()), action, region, **parameters)


@functools.cache
def _action(kind: str, doing: Doing) -> str | None:
    """Return the action that does it, of those that the schema names; None where it names none."""
    named = [one for one in schemas.permissions(kind, doing) if not one.startswith("managed-fleets:")]
    last = kind.rpartition("::")[2].lower()
    exact = {f"{verb.lower()}{last}" for verb in _VERBS[doing]}
    if own := [one for one in named if one.partition(":")[2].lower() in exact]:
        return own[0]
    # Of the others none is known to be needed by each update.
    others = [one for one in named if one.partition(":")[2].startswith(_VERBS[doing])] if doing != "update" else []
    return others[0] if others else None
