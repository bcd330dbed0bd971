"""What an instance is launched with: what the request says, and its launch template where the request says nothing.

moto takes the image, the type, user data, the key and groups from a template, and tags of instances and volumes. It
does not read DisableApiTermination, nor tags of network interfaces, and gives an instance profile to the first instance
only, with the id of its association. Tags of a template itself it writes into what the template says of instances.

Sources: Amazon EC2 API Reference, RunInstances, CreateLaunchTemplate (TagSpecification.N, beside LaunchTemplateData),
TagSpecification and IamInstanceProfile; Amazon EC2 User Guide, "Launch instances from a launch template" (parameters
of the request override those of the template); EC2 API Reference, Instance (LaunchTime).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moto.core.exceptions import ServiceException
from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models import iam_instance_profile, instances
from moto.ec2.responses.instances import InstanceResponse as _Response
from moto.ec2.utils import convert_tag_spec, filter_iam_instance_profiles

from strictmoto.ec2.refusals.ipv6_addresses import asked_ipv6

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend
Response: Any = _Response
Instance: Any = instances.Instance
Association: Any = iam_instance_profile.IamInstanceProfileAssociation

_OF_TEMPLATES: Final = (
    "BlockDeviceMappings",
    "DisableApiStop",
    "DisableApiTermination",
    "EbsOptimized",
    "HibernationOptions",
    "IamInstanceProfile",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions",
    "MetadataOptions",
    "Monitoring",
    "NetworkInterfaces",
    "Placement",
)
"""What a launch takes from a template, besides what moto itself takes."""


@functools.cache
def install() -> None:
    """Make the moto of this process launch so. A second call changes nothing."""
    run, associate, start = Response.run_instances, Association.__init__, Instance.start
    create = EC2Backend.create_launch_template

    @functools.wraps(run)
    def run_instances(self: Any) -> Any:
        if template := self._get_param("LaunchTemplate"):
            _take_from(self.ec2_backend._get_template_from_args(template).data, self.params)
        check_profile(self.ec2_backend, self._get_param("IamInstanceProfile"))
        result = run(self)
        made = result.result.instances
        if self._get_param("DisableApiTermination") is True:
            for instance in made:
                instance.disable_api_termination = True
        complete(self.ec2_backend, made, self.params)
        return result

    @functools.wraps(start)
    def started(self: Any) -> Any:
        if self._state.name == "stopped":
            # LaunchTime is that of the last launch.
            self.launch_time = utcnow()
        return start(self)

    Instance.start = started

    @functools.wraps(associate)
    def associated(self: Any, *given: Any, **named: Any) -> None:
        associate(self, *given, **named)
        profile = self.iam_instance_profile
        self.instance.iam_instance_profile = {"Arn": profile.arn, "Id": profile.id}

    @functools.wraps(create)
    def create_launch_template(
        self: Any, name: str, description: str, template_data: dict[str, Any], tag_spec: Mapping[str, Any]
    ) -> Any:
        given = template_data.pop("TagSpecifications", ())
        if launched := [one for one in given if one.get("ResourceType") != "launch-template"]:
            template_data["TagSpecifications"] = launched
        return create(self, name, description, template_data, tag_spec)

    Response.run_instances = run_instances
    Association.__init__ = associated
    EC2Backend.create_launch_template = create_launch_template


def _take_from(template: Mapping[str, Any], request: dict[str, Any]) -> None:
    """Write into a request what only its template says; of tags, what only its template tags."""
    for name in _OF_TEMPLATES:
        if template.get(name) is not None:
            request.setdefault(name, template[name])
    if given := template.get("TagSpecifications"):
        tags = convert_tag_spec([*given, *(request.get("TagSpecifications") or ())])
        request["TagSpecifications"] = [
            {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in own.items()]}
            for kind, own in tags.items()
        ]


def check_profile(backend: Any, given: Mapping[str, Any] | None) -> None:
    """Refuse an instance profile that does not exist, before anything is launched with it."""
    if not given:
        return
    name, arn = given.get("Name"), given.get("Arn")
    try:
        filter_iam_instance_profiles(backend.account_id, backend.partition, arn, name)
    except ServiceException as error:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({arn or name}) for parameter iamInstanceProfile.{'arn' if arn else 'name'} is invalid. "
            f"Invalid IAM Instance Profile {'ARN' if arn else 'name'}",
        ) from error


def complete(backend: Any, instances: Iterable[Any], settings: Mapping[str, Any]) -> None:
    """Give instances that were launched what moto leaves out.

    Args:
        backend: moto's EC2.
        instances: what was launched.
        settings: parameters of RunInstances, or what a launch template has.
    """
    tags = convert_tag_spec(settings.get("TagSpecifications") or []).get("network-interface", {})
    existing = {one.get("NetworkInterfaceId") for one in settings.get("NetworkInterfaces") or ()}
    profile = settings.get("IamInstanceProfile") or {}
    ipv6 = {int(one.get("DeviceIndex") or 0): one for one in settings.get("NetworkInterfaces") or (settings,)}
    for instance in instances:
        for index, interface in instance.nics.items():
            if interface.id not in existing:
                interface.add_tags(tags)
                _give_ipv6_addresses(backend, interface, ipv6.get(int(index), {}))
        if profile and instance.id not in backend.iam_instance_profile_associations:
            backend.associate_iam_instance_profile(
                instance.id,
                iam_instance_profile_name=profile.get("Name"),
                iam_instance_profile_arn=profile.get("Arn"),
            )


def _give_ipv6_addresses(backend: Any, interface: Any, asked: Mapping[str, Any]) -> None:
    """Assign what is asked for; moto gives a count for a whole instance, and leaves out all else."""
    missing = int(asked.get("Ipv6AddressCount") or 0) - len(interface.ipv6_addresses)
    if (addresses := asked_ipv6(asked)) or missing > 0:
        backend.assign_ipv6_addresses(interface.id, addresses, max(missing, 0))
