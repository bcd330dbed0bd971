"""Tokens of pages that EC2 never gave out.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API" (InvalidNextToken).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse as _Response

# moto has types, but none for what is replaced at run time.
Response: Any = _Response


def install() -> None:
    """Refuse them of DescribeInstances, where moto fails at them."""
    describe = Response.describe_instances

    @functools.wraps(describe)
    def describe_instances(self: Any) -> Any:
        token = self._get_param("NextToken")
        try:
            return describe(self)
        except ValueError:
            if token is None:
                raise
            raise EC2ClientError("InvalidNextToken", f"The token '{token}' is invalid.") from None

    Response.describe_instances = describe_instances
