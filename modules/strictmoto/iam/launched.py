"""The launches that a call of another action asks for: whoever starts a fleet or a group needs ec2:RunInstances, too.

IAM is asked as if the caller launched an instance of each template and each override, with the tags that the templates
give and the role of their instance profiles.

Sources: Amazon EC2 Auto Scaling User Guide, "Control Amazon EC2 launch template usage in Auto Scaling groups" and
"Troubleshoot Amazon EC2 Auto Scaling: Launch templates"; Amazon EC2 User Guide, "EC2 Fleet prerequisites" and "Spot
Fleet permissions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from strictmoto.requests.calls import Call

Parameters = Mapping[str, Any]
_LAUNCH: Final = {"MinCount": 1, "MaxCount": 1}


def launches_of(call: Call, requested: Parameters) -> Iterator[tuple[Call, Parameters]]:
    """Yield a call of RunInstances, and its parameters, for each kind of instance that a call would launch."""
    find = _FINDERS.get((call.service, call.action))
    for given in find(requested) if find else ():
        launch = {**_LAUNCH, **{name: value for name, value in given.items() if value}}
        yield Call("ec2", "RunInstances", call.region, call.access_key, launch, "ec2", "ec2"), launch


def _group(requested: Parameters) -> Iterator[Parameters]:
    subnets = [one.strip() for one in str(requested.get("VPCZoneIdentifier") or "").split(",")]
    mixed = (requested.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    if template := requested.get("LaunchTemplate"):
        yield from ({"LaunchTemplate": template, "SubnetId": subnet} for subnet in subnets)
    if template := mixed.get("LaunchTemplateSpecification"):
        for override in mixed.get("Overrides") or [{}]:
            used = override.get("LaunchTemplateSpecification") or template
            kind = override.get("InstanceType")
            yield from ({"LaunchTemplate": used, "InstanceType": kind, "SubnetId": subnet} for subnet in subnets)


def _refresh(requested: Parameters) -> Iterator[Parameters]:
    yield from _group(requested.get("DesiredConfiguration") or {})


def _fleet(requested: Parameters) -> Iterator[Parameters]:
    for config in requested.get("LaunchTemplateConfigs") or ():
        for override in config.get("Overrides") or [{}]:
            taken = {name: override.get(name) for name in ("ImageId", "InstanceType", "Placement")}
            template = config.get("LaunchTemplateSpecification")
            for subnet in str(override.get("SubnetId") or "").split(","):
                yield {"LaunchTemplate": template, "SubnetId": subnet.strip(), **taken}


def _spot_fleet(requested: Parameters) -> Iterator[Parameters]:
    config = requested.get("SpotFleetRequestConfig") or {}
    yield from _fleet(config)
    for given in config.get("LaunchSpecifications") or ():
        groups = [group["GroupId"] for group in given.get("SecurityGroups") or () if group.get("GroupId")]
        for subnet in str(given.get("SubnetId") or "").split(","):
            yield {**given, "SecurityGroups": None, "SecurityGroupIds": groups, "SubnetId": subnet.strip()}


_FINDERS: Final[Mapping[tuple[str, str], Callable[[Parameters], Iterator[Parameters]]]] = {
    ("autoscaling", "CreateAutoScalingGroup"): _group,
    ("autoscaling", "StartInstanceRefresh"): _refresh,
    ("autoscaling", "UpdateAutoScalingGroup"): _group,
    ("ec2", "CreateFleet"): _fleet,
    ("ec2", "RequestSpotFleet"): _spot_fleet,
}
