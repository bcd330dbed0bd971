"""The resources of EC2's actions: those that the call names, and those that it is about to make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from strictmoto.iam.authorizations.place import Place
from strictmoto.requests.texts import texts_in

_KINDS: Final = {
    "ami": "image",
    "eipalloc": "elastic-ip",
    "eni": "network-interface",
    "fl": "vpc-flow-log",
    "i": "instance",
    "igw": "internet-gateway",
    "lt": "launch-template",
    "nat": "natgateway",
    "pl": "prefix-list",
    "rtb": "route-table",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "snap": "snapshot",
    "subnet": "subnet",
    "tmf": "traffic-mirror-filter",
    "tmfr": "traffic-mirror-filter-rule",
    "tms": "traffic-mirror-session",
    "tmt": "traffic-mirror-target",
    "vol": "volume",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
    "vpce-svc": "vpc-endpoint-service",
}
_PUBLIC: Final = frozenset({"image", "snapshot"})
"""Kinds whose ARNs name no account."""
_ID: Final = re.compile(r"([a-z]+(?:-svc)?)-[0-9a-f]{8,17}")

# What a call makes, where its name does not tell.
_MADE: Final = {
    "AllocateAddress": ("elastic-ip",),
    "CopyImage": ("image",),
    "CopySnapshot": ("snapshot",),
    "CreateFlowLogs": ("vpc-flow-log",),
    "CreateNatGateway": ("natgateway",),
    "CreateSnapshots": ("snapshot",),
    "CreateTags": (),
    "CreateVpcEndpointServiceConfiguration": ("vpc-endpoint-service",),
    "ImportKeyPair": ("key-pair",),
    "RunInstances": ("instance", "network-interface", "volume"),
}
# What IAM asks about, although the request does not name it.
UNNAMED: Final[Mapping[str, tuple[str, ...]]] = {
    "CreateSnapshots": ("volume",),
    "DeleteTrafficMirrorFilterRule": ("traffic-mirror-filter",),
    "DetachNetworkInterface": ("instance", "network-interface"),
    "DisassociateIamInstanceProfile": ("instance",),
    # The one that the interface is attached to.
    "ModifyNetworkInterfaceAttribute": ("instance",),
    "ModifyTrafficMirrorFilterRule": ("traffic-mirror-filter",),
}
"""Kinds by action; which one it is only the account knows."""
# And what it asks about where a request has a member.
_UNNAMED_OF: Final = {"ModifyInstanceAttribute": {"BlockDeviceMappings": "volume"}}
# Members that name what the action does not ask IAM about.
_NOT_ASKED: Final = {
    "AuthorizeSecurityGroupEgress": ("IpPermissions", "UserIdGroupPairs", "PrefixListIds"),
    "AuthorizeSecurityGroupIngress": ("IpPermissions", "UserIdGroupPairs", "PrefixListIds"),
    "RevokeSecurityGroupEgress": ("IpPermissions", "SecurityGroupRuleIds"),
    "RevokeSecurityGroupIngress": ("IpPermissions", "SecurityGroupRuleIds"),
}
_WITHOUT_RESOURCES: Final = re.compile(
    r"Describe(?!\w*Attribute$)\w*|AssociateTrunkInterface|DisassociateTrunkInterface"
)
_MODIFIES: Final = re.compile(r"Modify(\w+)Attribute")
_OF_ATTRIBUTES: Final = re.compile(r"(?:Describe|Modify)(\w+)Attribute")
_NO_ATTRIBUTES: Final = frozenset({"Attribute", "DryRun", "Value"})


def resources_of(action: str, requested: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """Return the ARNs that IAM is asked about for an action of EC2.

    The account in them is the caller's: of what another account shares, as a mirror target through
    AWS RAM, the owner is not known from a call.
    """
    if _WITHOUT_RESOURCES.fullmatch(action):
        return ("*",)
    skipped = _NOT_ASKED.get(action, ())
    named = [
        _arn(place, kind, text)
        for text in texts_in({name: value for name, value in requested.items() if name not in skipped})
        if (match := _ID.fullmatch(text)) and (kind := _KINDS.get(match[1]))
    ]
    if key := requested.get("KeyName"):
        named.append(_arn(place, "key-pair", key))
    unnamed = [kind for member, kind in _UNNAMED_OF.get(action, {}).items() if member in requested]
    for kind in (*made_by(action), *UNNAMED.get(action, ()), *unnamed):
        # An interface that is given to an instance is not made.
        if not (action == "RunInstances" and any(f":{kind}/" in arn for arn in named)):
            named.append(_arn(place, kind, "*"))
    return tuple(dict.fromkeys(named)) or ("*",)


def attributes_of(action: str, requested: Mapping[str, Any]) -> dict[str, str]:
    """Return the condition keys `ec2:Attribute` and `ec2:Attribute/<name>` of a request about attributes.

    One that describes an attribute names it. One that modifies some may name one, or set several.
    There is a key for what is a plain value, or an object with a `Value` alone; of lists, such as security groups, and
    of other objects, such as block devices and connection tracking, IAM hears nothing.

    Source: Amazon EC2 User Guide, "Policy structure", "ec2:Attribute condition key".
    """
    if not _OF_ATTRIBUTES.fullmatch(action):
        return {}
    found = {"ec2:Attribute": str(requested["Attribute"])} if "Attribute" in requested else {}
    if not _MODIFIES.fullmatch(action):
        return found
    for name, given in requested.items():
        value = given["Value"] if isinstance(given, Mapping) and set(given) == {"Value"} else given
        if isinstance(value, str | int) and name not in _NO_ATTRIBUTES and not name.endswith("Id"):
            found[f"ec2:Attribute/{name}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return found


def has_attributes(action: str) -> str:
    """Return the kind of resource whose attributes an action of EC2 describes or modifies; empty where none."""
    found = _OF_ATTRIBUTES.fullmatch(action)
    return _kebab(found[1]) if found else ""


def made_by(action: str) -> tuple[str, ...]:
    """Return the kinds of resources that an action of EC2 makes, as ARNs name them."""
    if action in _MADE:
        return _MADE[action]
    if not action.startswith("Create"):
        return ()
    return (_kebab(action.removeprefix("Create")),)


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _arn(place: Place, kind: str, name: str) -> str:
    return place.arn("ec2", f"{kind}/{name}", account=kind not in _PUBLIC)
