"""Launches that EC2 refuses as a whole, before it makes anything.

Images that the account does not have are taken for public ones, of which AWS has more than any account on this machine.

Sources: Amazon EC2 API Reference, RunInstances, CreateLaunchTemplate and "Error codes for the Amazon EC2 API"
(InvalidAMIID.Unavailable, InvalidKeyPair.NotFound, InvalidParameterCombination, InvalidParameterValue,
InvalidUserData.Malformed, MissingParameter).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError, UnvailableAMIIdError
from moto.ec2.responses.instances import InstanceResponse as _Response
from moto.ec2.responses.launch_templates import LaunchTemplates as _Templates

from strictmoto.ec2.mirroring.errors import invalid
from strictmoto.ec2.refusals.addresses import asked_addresses, check_addresses, room_for
from strictmoto.ec2.refusals.ipv6_addresses import check_asked
from strictmoto.ec2.refusals.settings import check_user_data, is_instance_type

# moto has types, but none for what is replaced at run time.
Response: Any = _Response
Templates: Any = _Templates
_OF_AN_INTERFACE: Final = ("SubnetId", "PrivateIpAddress", "Ipv6Addresses", "Ipv6AddressCount")
"""What a launch without interfaces says of its only one."""


def install() -> None:
    """Refuse them, and launch as many instances as are asked for at most: moto launches the least."""
    run = Response.run_instances

    @functools.wraps(run)
    def run_instances(self: Any) -> Any:
        least, most = int(self._get_param("MinCount", 1)), int(self._get_param("MaxCount", 1))
        _check_counts(least, most)
        _check_what_is_launched(self)
        check_user_data(self._get_param("UserData"))
        nics = self._get_param("NetworkInterfaces", [])
        if nics:
            _check_indexes(self, nics)
        self.params["MinCount"] = _check_places(self, nics, least, most)
        return run(self)

    Response.run_instances = run_instances
    for name in ("create_launch_template", "create_launch_template_version"):
        setattr(Templates, name, _keeping_short_user_data(getattr(Templates, name)))


def _keeping_short_user_data(create: Any) -> Any:
    @functools.wraps(create)
    def created(self: Any) -> Any:
        if not any(self._get_param(name) for name in ("LaunchTemplateId", "LaunchTemplateName")):
            raise EC2ClientError("MissingParameter", "The request must contain the parameter LaunchTemplateId")
        check_user_data(self._get_param("LaunchTemplateData.UserData"), "InvalidUserData.Malformed")
        return create(self)

    return created


def _check_counts(least: int, most: int) -> None:
    for name, count in (("Minimum", least), ("Maximum", most)):
        if count < 1:
            raise invalid(f"{name} instance count must be greater than zero")
    if least > most:
        raise invalid("Maximum instance count must not be smaller than minimum instance count")


def _check_what_is_launched(response: Any) -> None:
    """Refuse a launch without an image or from a deregistered one, of unknown types, and with unknown keys."""
    backend, template = response.ec2_backend, response._get_param("LaunchTemplate")
    data: Mapping[str, Any] = backend._get_template_from_args(template).data if template else {}
    image, kind, key = (response._get_param(name) or data.get(name) for name in ("ImageId", "InstanceType", "KeyName"))
    if not image:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter ImageId")
    if image in backend.deleted_amis:
        raise UnvailableAMIIdError(image)
    if kind and not is_instance_type(kind):
        raise invalid(f"Invalid value '{kind}' for InstanceType.")
    if key and key not in backend.key_pairs:
        raise EC2ClientError("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")


def _check_indexes(response: Any, nics: Sequence[Mapping[str, Any]]) -> None:
    """Refuse interfaces whose places are not clear, and what stands beside them and belongs into them."""
    for name, what in (
        ("SecurityGroupIds", "security groups"),
        ("PrivateIpAddress", "private IP address"),
        ("Ipv6Addresses", "IPv6 address"),
        ("Ipv6AddressCount", "IPv6 address count"),
    ):
        if response._get_param(name):
            raise EC2ClientError(
                "InvalidParameterCombination",
                f"Network interfaces and an instance-level {what} may not be specified on the same request",
            )
    indexes = [nic.get("DeviceIndex") for nic in nics]
    if None in indexes:
        raise invalid("Each network interface requires a device index.")
    if len(set(indexes)) < len(indexes):
        raise invalid("Each network interface requires a unique device index.")
    if 0 not in indexes:
        raise invalid("When specifying network interfaces, you must include a device at index 0.")


def _check_places(response: Any, nics: Sequence[Mapping[str, Any]], least: int, most: int) -> int:
    """Refuse subnets of other zones than the instance's, addresses that cannot be had, and too few of them.

    Returns:
        how many instances there is room for.
    """
    # One that is empty, as Terraform sends it with a subnet, is none.
    backend, zone = response.ec2_backend, response._get_param("Placement.AvailabilityZone") or None
    whole = {name: response._get_param(name) for name in _OF_AN_INTERFACE}
    for interface in [whole, *nics]:
        if existing := interface.get("NetworkInterfaceId"):
            subnet = backend.get_network_interface(existing).subnet
        elif interface.get("SubnetId"):
            subnet = backend.get_subnet(interface["SubnetId"])
            wanted = asked_addresses(interface.get("PrivateIpAddress"), interface.get("PrivateIpAddresses"))
            check_addresses(subnet, wanted)
            check_asked(backend, subnet, interface)
            if not wanted:
                most = room_for(subnet, least, most)
        else:
            continue
        if zone not in (None, subnet.availability_zone):
            raise invalid(
                f"Value ({zone}) for parameter availabilityZone is invalid. "
                f"Subnet '{subnet.id}' is in the availability zone {subnet.availability_zone}"
            )
        zone = subnet.availability_zone
    return most
