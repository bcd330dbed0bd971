"""Attributes of instances, network interfaces, subnets and VPCs: one a call, and some of stopped instances only.

Sources: Amazon EC2 API Reference, ModifyInstanceAttribute, ModifyNetworkInterfaceAttribute, ModifySubnetAttribute,
ModifyVpcAttribute and "Error codes for the Amazon EC2 API" (IncorrectInstanceState, InvalidInstanceAttributeValue,
InvalidParameterCombination); the words as the issues 1107 of aws-sdk-go-v2 and 415 of aws-sdk-go quote them.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse as _Response
from moto.ec2.responses.subnets import Subnets as _Subnets
from moto.ec2.responses.vpcs import VPCs as _Vpcs

from strictmoto.ec2.refusals.settings import check_user_data, is_instance_type
from strictmoto.ec2.refusals.states import state_of

# moto has types, but none for what is replaced at run time.
Response: Any = _Response
Subnets: Any = _Subnets
Vpcs: Any = _Vpcs

_OF_STOPPED: Final = frozenset(
    {"EbsOptimized", "EnaSupport", "InstanceType", "Kernel", "Ramdisk", "SriovNetSupport", "UserData"}
)
_LISTS: Final = {"BlockDeviceMappings": "BlockDeviceMapping", "Groups": "GroupId"}
_VALUES: Final = _OF_STOPPED | {
    "DisableApiStop",
    "DisableApiTermination",
    "InstanceInitiatedShutdownBehavior",
    "SourceDestCheck",
}


def install() -> None:
    """Refuse others."""
    modify = Response.modify_instance_attribute

    @functools.wraps(modify)
    def modify_instance_attribute(self: Any) -> Any:
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        given = _given(self)
        check_one(given)
        if given[0] in _OF_STOPPED and state_of(instance) != "stopped":
            raise EC2ClientError(
                "IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state."
            )
        kind = self._get_param("InstanceType.Value") or (given[0] == "InstanceType" and self._get_param("Value"))
        if kind and not is_instance_type(kind):
            raise EC2ClientError("InvalidInstanceAttributeValue", f"Invalid value '{kind}' for InstanceType.")
        if given[0] == "UserData":
            if isinstance(decoded := self._get_param("UserData.Value"), bytes):
                # moto decodes this form, and then takes it for encoded.
                self.params["UserData"]["Value"] = base64.b64encode(decoded).decode()
            check_user_data(self._get_param("UserData.Value") or self._get_param("Value"))
        return modify(self)

    Response.modify_instance_attribute = modify_instance_attribute
    for responses, name, resource in (
        (Subnets, "modify_subnet_attribute", "SubnetId"),
        (Vpcs, "modify_vpc_attribute", "VpcId"),
    ):
        setattr(responses, name, _changing_one(getattr(responses, name), resource))


def _changing_one(modify: Any, resource: str) -> Any:
    @functools.wraps(modify)
    def modified(self: Any) -> Any:
        check_one([name for name in self.params if name not in (resource, "DryRun")])
        return modify(self)

    return modified


def check_one(given: Sequence[str]) -> None:
    """Refuse a call that changes several attributes, or none.

    Args:
        given: the attributes, as the parameters of the request are named.

    Raises:
        EC2ClientError: InvalidParameterCombination.
    """
    if not given:
        raise EC2ClientError("InvalidParameterCombination", "No attributes specified.")
    if len(given) > 1:
        raise EC2ClientError(
            "InvalidParameterCombination", f"Fields for multiple attribute types specified: {', '.join(given)}"
        )


def _given(response: Any) -> list[str]:
    """Return the attributes that a request changes, as its parameters are named."""
    found = [name for name in sorted(_VALUES) if response._get_param(f"{name}.Value") is not None]
    found += [name for member, name in _LISTS.items() if response._get_param(member)]
    attribute = response._get_param("Attribute")
    if attribute:
        name = {"blockDeviceMapping": "BlockDeviceMapping", "groupSet": "GroupId"}.get(
            attribute, attribute[0].upper() + attribute[1:]
        )
        found += [name] if name not in found else []
    return found
