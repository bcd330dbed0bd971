"""What IAM is asked about although a call of EC2 does not name it, as the account has it when the call is made.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from strictmoto.iam.authorizations import Authorization
from strictmoto.iam.authorizations.ec2 import UNNAMED
from strictmoto.requests.calls import Call

Finder = Callable[[Any, Mapping[str, Any]], list[tuple[str, str]] | None]


def with_unnamed(
    call: Call, requested: Mapping[str, Any], authorizations: tuple[Authorization, ...], account: str
) -> tuple[Authorization, ...]:
    """Return what IAM has to allow for a call, with what it stands for in place of `instance/*` and the like.

    Args:
        call: what is asked.
        requested: its parameters in the structure of the API.
        authorizations: what the call itself tells.
        account: that it is made in.
    """
    if call.service != "ec2" or not authorizations:
        return authorizations
    own, *others = authorizations
    find = _FINDERS.get(call.action)
    if find is not None and (found := find(_backend(call, account), requested)) is not None:
        place = f"arn:{_partition(call)}:ec2:{call.region}:{account}"
        unnamed = ("*", *(f"{place}:{kind}/*" for kind in UNNAMED.get(call.action, ())))
        kept = [arn for arn in own.resources if arn not in unnamed]
        more = [f"{place}:{kind}/{name}" for kind, name in found]
        own = replace(own, resources=tuple(dict.fromkeys([*kept, *more])) or own.resources)
    return (own, *others)


def _backend(call: Call, account: str) -> Any:
    from moto.ec2.models import ec2_backends

    return ec2_backends[account][call.region]


def _partition(call: Call) -> str:
    from moto.utilities.utils import get_partition

    return get_partition(call.region)


def _attachment(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The interface of an attachment, and its instance."""
    wanted = requested.get("AttachmentId")
    for interface in list(backend.enis.values()):
        if interface.attachment_id == wanted and interface.instance is not None:
            return [("instance", interface.instance.id), ("network-interface", interface.id)]
    return None


def _holder(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The instance that an interface is attached to; none where it is not."""
    interface = backend.enis.get(requested.get("NetworkInterfaceId"))
    if interface is None:
        return None
    return [("instance", interface.instance.id)] if interface.instance is not None else []


def _address(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The address of an association, and where it is."""
    wanted = requested.get("AssociationId")
    for address in backend.addresses:
        if wanted and address.association_id == wanted:
            found = [("elastic-ip", address.allocation_id)]
            found += [("network-interface", address.eni.id)] if address.eni else []
            return found + ([("instance", address.instance.id)] if address.instance else [])
    return None


def _filter(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The filter of a rule."""
    from strictmoto.ec2.mirroring import of

    rule = of(backend).state.rules.get(str(requested.get("TrafficMirrorFilterRuleId")))
    return [("traffic-mirror-filter", rule.filter_id)] if rule is not None else None


_FINDERS: Final[Mapping[str, Finder]] = {
    "DeleteTrafficMirrorFilterRule": _filter,
    "DetachNetworkInterface": _attachment,
    "DisassociateAddress": _address,
    "ModifyNetworkInterfaceAttribute": _holder,
    "ModifyTrafficMirrorFilterRule": _filter,
}
