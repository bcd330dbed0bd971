"""Attributes of instances: one of them a call, and some of a stopped instance only.

Sources: Amazon EC2 API Reference, ModifyInstanceAttribute and "Error codes for the Amazon EC2 API"
(IncorrectInstanceState, InvalidParameterCombination); Amazon EC2 User Guide, "Run commands when you launch an EC2
instance with user data input" (user data of at most 16 KB, before it is encoded).
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import Any, Final

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse as _Response

from tapstack.rehearsal.ec2_refusals.states import state_of

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
_LONGEST_USER_DATA: Final = 16_384


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
        if given[0] == "UserData":
            if isinstance(decoded := self._get_param("UserData.Value"), bytes):
                # moto decodes this form, and then takes it for encoded.
                self.params["UserData"]["Value"] = base64.b64encode(decoded).decode()
            check_user_data(self._get_param("UserData.Value") or self._get_param("Value"))
        return modify(self)

    Response.modify_instance_attribute = modify_instance_attribute


def check_user_data(encoded: Any, code: str = "InvalidParameterValue") -> None:
    """Refuse user data that is too long.

    Args:
        encoded: in Base64; what else it is is not refused here.
        code: of the error.
    """
    try:
        length = len(base64.b64decode(encoded or b""))
    except binascii.Error:
        return
    if length > _LONGEST_USER_DATA:
        raise EC2ClientError(code, f"User data is limited to {_LONGEST_USER_DATA} bytes")


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
