"""Launches that EC2 refuses as a whole: wrong counts, addresses and user data.

Source: Amazon EC2 API Reference, RunInstances and "Error codes for the Amazon EC2 API" (InvalidParameterValue,
InvalidIPAddress.InUse, InvalidUserData.Malformed).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses.instances import InstanceResponse as _Response

from tapstack.rehearsal.ec2_refusals.addresses import asked_addresses, check_addresses
from tapstack.rehearsal.ec2_refusals.attributes import check_user_data

# moto has types, but none for what is replaced at run time.
Response: Any = _Response


def install() -> None:
    """Refuse them."""
    run = Response.run_instances

    @functools.wraps(run)
    def run_instances(self: Any) -> Any:
        _check_counts(int(self._get_param("MinCount", 1)), int(self._get_param("MaxCount", 1)))
        check_user_data(self._get_param("UserData"))
        _check_addresses(self)
        return run(self)

    Response.run_instances = run_instances


def _check_counts(least: int, most: int) -> None:
    for name, count in (("Minimum", least), ("Maximum", most)):
        if count < 1:
            raise EC2ClientError("InvalidParameterValue", f"{name} instance count must be greater than zero")
    if least > most:
        raise EC2ClientError(
            "InvalidParameterValue", "Maximum instance count must not be smaller than minimum instance count"
        )


def _check_addresses(response: Any) -> None:
    asked: list[Mapping[str, Any]] = [
        {name: response._get_param(name) for name in ("SubnetId", "PrivateIpAddress")},
        *response._get_param("NetworkInterfaces", []),
    ]
    for interface in asked:
        wanted = asked_addresses(interface.get("PrivateIpAddress"), interface.get("PrivateIpAddresses"))
        if wanted and interface.get("SubnetId"):
            check_addresses(response.ec2_backend.get_subnet(interface["SubnetId"]), wanted)
