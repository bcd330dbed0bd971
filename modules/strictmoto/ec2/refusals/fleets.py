"""Fleets without a launch template, and Spot fleets that are not there.

Sources: Amazon EC2 API Reference, CreateFleet, ModifySpotFleetRequest and "Error codes for the Amazon EC2 API"
(MissingParameter, InvalidSpotFleetRequestId.NotFound).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend


def install() -> None:
    """Refuse them, where moto fails."""
    create, modify = EC2Backend.create_fleet, EC2Backend.modify_spot_fleet_request

    @functools.wraps(create)
    def create_fleet(self: Any, *args: Any, **given: Any) -> Any:
        for config in given.get("launch_template_configs") or ():
            if not config.get("LaunchTemplateSpecification"):
                raise EC2ClientError(
                    "MissingParameter", "The request must contain the parameter LaunchTemplateSpecification"
                )
        return create(self, *args, **given)

    @functools.wraps(modify)
    def modify_spot_fleet_request(self: Any, spot_fleet_request_id: str, target_capacity: int | None, end: Any) -> Any:
        fleet = self.spot_fleet_requests.get(spot_fleet_request_id)
        if fleet is None:
            raise EC2ClientError(
                "InvalidSpotFleetRequestId.NotFound",
                f"The spot fleet request id '{spot_fleet_request_id}' does not exist.",
            )
        return modify(self, spot_fleet_request_id, int(target_capacity or fleet.target_capacity), end)

    EC2Backend.create_fleet = create_fleet
    EC2Backend.modify_spot_fleet_request = modify_spot_fleet_request
