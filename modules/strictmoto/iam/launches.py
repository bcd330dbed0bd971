"""The condition keys of what is about to be made: an instance with its interfaces and volumes, a volume, an interface.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2", RunInstances,
CreateVolume and CreateNetworkInterface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from strictmoto.iam.authorizations.place import Place
from strictmoto.iam.policies import Context

MAKING: Final = frozenset({"CreateNetworkInterface", "CreateVolume", "RunInstances"})
"""Actions of EC2 whose parameters are keys of what they make."""
_ROOT_TYPE: Final = "ebs"


def keys_of(action: str, arn: str, requested: Mapping[str, Any], place: Place) -> Context:
    """Return the keys of one resource of a call that makes something.

    Args:
        action: one of MAKING.
        arn: of the resource.
        requested: parameters of the call, those of its launch template included.
        place: where it is made.
    """
    kind, _, name = arn.split(":", 5)[5].partition("/") if arn.count(":") >= 5 else ("", "", "")
    found: dict[str, Any] = {}
    if action == "RunInstances":
        template = requested.get("LaunchTemplate") or {}
        found["ec2:IsLaunchTemplateResource"] = bool(template) and name != "*"
        if given := template.get("LaunchTemplateId"):
            found["ec2:LaunchTemplate"] = place.arn("ec2", f"launch-template/{given}")
        if name == "*" or kind == "image":
            found["ec2:RootDeviceType"] = _ROOT_TYPE if kind in ("image", "instance") else None
    if name == "*":
        found |= _MAKERS[kind](requested, place) if kind in _MAKERS else {}
    return {
        key: tuple(map(_text, value)) if isinstance(value, tuple) else (_text(value),)
        for key, value in found.items()
        if value not in (None, "", ())
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _instance(requested: Mapping[str, Any], place: Place) -> dict[str, Any]:
    placement, metadata = requested.get("Placement") or {}, requested.get("MetadataOptions") or {}
    profile = requested.get("IamInstanceProfile") or {}
    named = profile.get("Arn") or (profile.get("Name") and f"instance-profile/{profile['Name']}")
    return {
        "ec2:AvailabilityZone": placement.get("AvailabilityZone") or _zone(requested, place),
        "ec2:EbsOptimized": bool(requested.get("EbsOptimized")),
        "ec2:InstanceMarketType": (requested.get("InstanceMarketOptions") or {}).get("MarketType") or "on-demand",
        "ec2:InstanceProfile": place.arn("iam", named, region=False) if named else None,
        "ec2:InstanceType": requested.get("InstanceType") or "m1.small",
        "ec2:MetadataHttpEndpoint": metadata.get("HttpEndpoint") or "enabled",
        "ec2:MetadataHttpPutResponseHopLimit": metadata.get("HttpPutResponseHopLimit") or 1,
        "ec2:MetadataHttpTokens": metadata.get("HttpTokens") or "optional",
        "ec2:Tenancy": placement.get("Tenancy") or "default",
    }


def _interface(requested: Mapping[str, Any], place: Place) -> dict[str, Any]:
    given = [one for one in requested.get("NetworkInterfaces") or () if not one.get("NetworkInterfaceId")]
    public = tuple({_text(one["AssociatePublicIpAddress"]) for one in given if "AssociatePublicIpAddress" in one})
    subnet = _subnet(requested, place)
    return {
        "ec2:AssociatePublicIpAddress": public or None,
        "ec2:AvailabilityZone": subnet.availability_zone if subnet else None,
        "ec2:Subnet": place.arn("ec2", f"subnet/{subnet.id}") if subnet else None,
        "ec2:Vpc": place.arn("ec2", f"vpc/{subnet.vpc_id}") if subnet else None,
    }


def _volume(requested: Mapping[str, Any], place: Place) -> dict[str, Any]:
    blocks = [one["Ebs"] for one in requested.get("BlockDeviceMappings") or () if one.get("Ebs")]
    settings = blocks or [requested]

    def each(name: str, default: Any = None) -> tuple[Any, ...]:
        values: Iterable[Any] = (one.get(name, default) for one in settings)
        return tuple(dict.fromkeys(value for value in values if value is not None))

    return {
        "ec2:AvailabilityZone": requested.get("AvailabilityZone") or _zone(requested, place),
        "ec2:Encrypted": each("Encrypted", False),
        "ec2:VolumeIops": each("Iops"),
        "ec2:VolumeSize": each("VolumeSize") or each("Size") or (8,),
        "ec2:VolumeThroughput": each("Throughput"),
        "ec2:VolumeType": each("VolumeType", "gp2"),
    }


_MAKERS: Final = {"instance": _instance, "network-interface": _interface, "volume": _volume}


def _zone(requested: Mapping[str, Any], place: Place) -> str | None:
    subnet = _subnet(requested, place)
    return str(subnet.availability_zone) if subnet else None


def _subnet(requested: Mapping[str, Any], place: Place) -> Any:
    """Return moto's subnet that a call names; the first default one where it names none."""
    from moto.ec2.models import ec2_backends

    given = requested.get("SubnetId") or next(
        (one["SubnetId"] for one in requested.get("NetworkInterfaces") or () if one.get("SubnetId")), None
    )
    backend: Any = ec2_backends[place.account][place.region]
    held = [subnet for zone in list(backend.subnets.values()) for subnet in list(zone.values())]
    if given:
        return next((subnet for subnet in held if subnet.id == given), None)
    return next((subnet for subnet in held if str(subnet.default_for_az).lower() == "true"), None)
