"""What an instance may be launched with, and changed to.

Sources: Amazon EC2 API Reference, RunInstances, "InstanceType" (its values, as botocore's model of EC2 has them);
Amazon EC2 User Guide, "Run commands when you launch an EC2 instance with user data input" (16 KB, not encoded).
"""

from __future__ import annotations

import base64
import binascii
import functools
from typing import Any, Final

from moto.core.utils import get_service_model
from moto.ec2.exceptions import EC2ClientError

_LONGEST_USER_DATA: Final = 16_384


def is_instance_type(name: str) -> bool:
    """Return whether EC2 has an instance type."""
    return name in _instance_types()


@functools.cache
def _instance_types() -> frozenset[str]:
    return frozenset(get_service_model("ec2").shape_for("InstanceType").enum)


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
