"""Parameters that a call must have: EC2's before anything is done, those of other services where moto fails without.

Sources: the operations' models ("Required: Yes" of the API References); Amazon EC2 API Reference, AllocateHosts,
AssociateVpcCidrBlock and EnableTransitGatewayRouteTablePropagation; AWS KMS API Reference, GenerateRandom and
RetireGrant; CloudWatch Logs API Reference, PutDeliveryDestination; Step Functions API Reference, ListExecutions;
"Common Errors" of each (MissingParameter, ValidationError, ValidationException).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.calls import Call, operation_named, operation_of
from strictmoto.requests.structures import requested_by

_ALTERNATIVES: Final[Mapping[tuple[str, str], tuple[tuple[str, ...], ...]]] = {
    ("ec2", "AllocateHosts"): (("Quantity", "AssetIds"), ("InstanceType", "InstanceFamily")),
    ("ec2", "AssociateVpcCidrBlock"): (
        ("CidrBlock", "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlock", "Ipv4IpamPoolId", "Ipv6IpamPoolId"),
    ),
    **{
        ("ec2", f"{verb}TransitGatewayRouteTablePropagation"): (
            ("TransitGatewayAttachmentId", "TransitGatewayRouteTableAnnouncementId"),
        )
        for verb in ("Enable", "Disable")
    },
    ("kms", "GenerateRandom"): (("NumberOfBytes",),),
    ("kms", "RetireGrant"): (("GrantToken", "GrantId"), ("GrantToken", "KeyId")),
    ("logs", "PutDeliveryDestination"): (("deliveryDestinationConfiguration",),),
    ("states", "ListExecutions"): (("stateMachineArn", "mapRunArn"),),
}
"""What the model lets be left out, and the service does not: of each group at least one must be there."""
_CODES: Final[Mapping[str, str]] = {
    "ec2": "MissingParameter",
    "logs": "InvalidParameterException",
    "organizations": "InvalidInputException",
    "sns": "InvalidParameter",
    "sqs": "MissingParameter",
}
"""The error, by the name that the service signs with; others by their protocol."""


def refusal_of_required(call: Call) -> Refusal | None:
    """Return how a service refuses a call without what it must have, before anything is done; None where it has it."""
    groups = _ALTERNATIVES.get((call.service, call.action), ())
    if call.service == "ec2":
        if str(call.parameters.get("DryRun", "")).lower() == "true":
            # Of a dry run permissions are checked, and ids.
            return None
        groups = (*((name,) for name in _required(call.model, call.action)), *groups)
    for group in groups:
        if not any(_is_given(call, name) for name in group):
            return missing(call, " or ".join(group))
    return None


def missing_of(call: Call) -> Refusal | None:
    """Return how a service refuses a call without what its model requires, at any depth; None where all is there."""
    operation = operation_of(call)
    if operation is None or operation.input_shape is None:
        return None
    found = next(_absent(operation.input_shape, requested_by(call)), None)
    return missing(call, found) if found else None


def missing(call: Call, name: str) -> Refusal:
    """Return how a service says that a parameter is missing."""
    code = _CODES.get(call.service)
    if code == "MissingParameter":
        return Refusal(code, f"The request must contain the parameter {name}")
    if call.service == "sns":
        return Refusal("InvalidParameter", f"Invalid parameter: {name} Reason: no value for required parameter")
    code = code or ("ValidationException" if "json" in call.protocol else "ValidationError")
    place = f"{name[0].lower()}{name[1:]}"
    return Refusal(
        code,
        f"1 validation error detected: Value null at '{place}' failed to satisfy constraint: Member must not be null",
    )


def _absent(shape: Any, given: Any) -> Iterator[str]:
    """Yield the names of required members that are not there."""
    match shape.type_name, given:
        case "structure", Mapping():
            yield from (name for name in shape.required_members if given.get(name) in (None, {}, []))
            for name, member in shape.members.items():
                yield from _absent(member, given.get(name))
        case "list", list():
            for item in given:
                yield from _absent(shape.member, item)


@functools.cache
def _required(model: str, action: str) -> tuple[str, ...]:
    operation = operation_named(model, action)
    return tuple(operation.input_shape.required_members) if operation and operation.input_shape else ()


def _is_given(call: Call, name: str) -> bool:
    parameters = call.parameters
    if name in parameters or call.protocol != "ec2":
        return name in parameters
    return any(_begins(parameters, sent) for sent in _sent_as(call.model, call.action, name))


def _begins(parameters: Iterable[str], name: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for key in parameters)


@functools.cache
def _sent_as(model: str, action: str, name: str) -> tuple[str, ...]:
    """How a query of EC2 may write a parameter."""
    operation = operation_named(model, action)
    member = operation.input_shape.members.get(name) if operation and operation.input_shape else None
    names = [name]
    if member is not None:
        names += [str(member.serialization[key]) for key in ("queryName", "name") if key in member.serialization]
    return tuple(dict.fromkeys(part[:1].upper() + part[1:] for part in names))
