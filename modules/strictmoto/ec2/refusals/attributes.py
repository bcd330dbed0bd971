"""Attributes of instances: one of them a call, and some of a stopped instance only.

Sources: Amazon EC2 API Reference, ModifyInstanceAttribute and "Error codes for the Amazon EC2 API"
(IncorrectInstanceState, InvalidInstanceAttributeValue, InvalidParameterCombination).
"""

from __future__ import annotations

import base64
import functools
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse as _Response

from strictmoto.ec2.refusals.settings import check_user_data, is_instance_type
from strictmoto.ec2.refusals.states import state_of

# moto has types, but none for what is replaced at run time.
Response: Any = _Response

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
        if not given:
            raise EC2ClientError("InvalidParameterCombination", "No attributes specified.")
        if len(given) > 1:
            raise EC2ClientError(
                "InvalidParameterCombination", f"Fields for multiple attribute types specified: {', '.join(given)}"
            )
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
