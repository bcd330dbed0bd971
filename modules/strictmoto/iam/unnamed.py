"""What IAM is asked about although a call of EC2 does not name it, as the account has it when the call is made.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from strictmoto.iam.authorizations import Authorization
from strictmoto.iam.authorizations.ec2 import UNNAMED, kind_of
from strictmoto.requests.calls import Call

Finder = Callable[[Any, Mapping[str, Any]], list[tuple[str, str]] | None]


def with_unnamed(
    call: Call, requested: Mapping[str, Any], authorizations: tuple[Authorization, ...], account: str
) -> tuple[Authorization, ...]:
    """Return what IAM has to allow for a call, with what it stands for in place of `instance/*` and the like.

    Args:
        call: what is asked.
        requested: its parameters in the structure of the API.
        authorizations: what the call itself names.
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
    for name, held in (("AssociationId", "association_id"), ("PublicIp", "public_ip")):
        if requested.get(name):
            wanted, member = requested[name], held
            break
    else:
        return None
    for address in backend.addresses:
        if getattr(address, member) == wanted:
            found = [("elastic-ip", address.allocation_id)]
            found += [("network-interface", address.eni.id)] if address.eni else []
            return found + ([("instance", address.instance.id)] if address.instance else [])
    return None


def _filter(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The filter of a rule."""
    from strictmoto.ec2.mirroring import of

    rule = of(backend).state.rules.get(str(requested.get("TrafficMirrorFilterRuleId")))
    return [("traffic-mirror-filter", rule.filter_id)] if rule is not None else None


def _profile(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The instance of an association with an instance profile."""
    wanted, held = requested.get("AssociationId"), list(backend.iam_instance_profile_associations.values())
    return next(([("instance", one.instance.id)] for one in held if one.association_id == wanted), None)


def _route_table(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The route table of an association, and the subnet or the gateway, where it is one's."""
    wanted = requested.get("AssociationId")
    for table in list(backend.route_tables.values()):
        if wanted == table.main_association_id:
            return [("route-table", table.id)]
        if target := table._associations.get(wanted):
            return [("route-table", table.id), (kind_of(target), target)]
    return None


def _network_acl(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The subnet of an association with a network ACL."""
    wanted = requested.get("AssociationId")
    associations = [one for acl in list(backend.network_acls.values()) for one in acl.associations]
    return next(([("subnet", one.subnet_id)] for one in associations if one.new_association_id == wanted), None)


def _subnet_block(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The subnet of a block of addresses."""
    wanted = requested.get("AssociationId")
    subnets = [one for zone in list(backend.subnets.values()) for one in list(zone.values())]
    return next(([("subnet", one.id)] for one in subnets if wanted in one.ipv6_cidr_block_associations), None)


def _vpc_block(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The VPC of a block of addresses."""
    wanted, vpcs = requested.get("AssociationId"), list(backend.vpcs.values())
    return next(([("vpc", one.id)] for one in vpcs if wanted in one._cidr_block_association_set), None)


def _accepter(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The VPC of whoever accepts a peering."""
    peering = backend.vpc_pcxs.get(requested.get("VpcPeeringConnectionId"))
    return [("vpc", peering.peer_vpc.id)] if peering is not None else None


def _attached(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The instance that a volume is attached to."""
    volume = backend.volumes.get(requested.get("VolumeId"))
    attachment = getattr(volume, "attachment", None)
    return [("instance", attachment.instance.id)] if attachment else None


def _volumes(backend: Any, requested: Mapping[str, Any]) -> list[tuple[str, str]] | None:
    """The volumes of an instance that snapshots are taken of."""
    asked = requested.get("InstanceSpecification") or {}
    instance = next((one for one in backend.all_instances() if one.id == asked.get("InstanceId")), None)
    if instance is None:
        return None
    root = instance.root_device_name if str(asked.get("ExcludeBootVolume")).lower() == "true" else None
    but = asked.get("ExcludeDataVolumeIds") or ()
    mapped = list(instance.block_device_mapping.items())
    return [("volume", one.volume_id) for name, one in mapped if name != root and one.volume_id not in but]


_FINDERS: Final[Mapping[str, Finder]] = {
    "AcceptVpcPeeringConnection": _accepter,
    "CreateSnapshots": _volumes,
    "DeleteTrafficMirrorFilterRule": _filter,
    "DetachNetworkInterface": _attachment,
    "DetachVolume": _attached,
    "DisassociateAddress": _address,
    "DisassociateIamInstanceProfile": _profile,
    "DisassociateRouteTable": _route_table,
    "DisassociateSubnetCidrBlock": _subnet_block,
    "DisassociateVpcCidrBlock": _vpc_block,
    "ModifyNetworkInterfaceAttribute": _holder,
    "ModifyTrafficMirrorFilterRule": _filter,
    "ReplaceIamInstanceProfileAssociation": _profile,
    "ReplaceNetworkAclAssociation": _network_acl,
    "ReplaceRouteTableAssociation": _route_table,
}
