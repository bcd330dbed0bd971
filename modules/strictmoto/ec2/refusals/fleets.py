"""Fleets that say not what they launch, and Spot fleets that are not there.

Sources: Amazon EC2 API Reference, CreateFleet, RequestSpotFleet, ModifySpotFleetRequest and "Error codes for the
Amazon EC2 API" (MissingParameter, InvalidSpotFleetRequestId.NotFound).
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend


def install() -> None:
    """Refuse them, where moto fails."""
    create, modify = EC2Backend.create_fleet, EC2Backend.modify_spot_fleet_request
    request = EC2Backend.request_spot_fleet
    signature = inspect.signature(request)

    @functools.wraps(create)
    def create_fleet(self: Any, *args: Any, **given: Any) -> Any:
        for config in given.get("launch_template_configs") or ():
            _must_have(config.get("LaunchTemplateSpecification"), "LaunchTemplateSpecification")
        return create(self, *args, **given)

    @functools.wraps(request)
    def request_spot_fleet(self: Any, *args: Any, **given: Any) -> Any:
        asked = signature.bind(self, *args, **given).arguments
        specifications, configs = asked.get("launch_specs") or (), asked.get("launch_template_config") or ()
        templates = [config.get("LaunchTemplateSpecification") or {} for config in configs]
        _must_have(specifications or templates, "LaunchSpecifications")
        for specification in specifications:
            _must_have(specification.get("ImageId"), "ImageId")
            _must_have(specification.get("InstanceType"), "InstanceType")
        for template in templates:
            _must_have({"LaunchTemplateId", "LaunchTemplateName"} & set(template), "LaunchTemplateId")
        return request(self, *args, **given)

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
    EC2Backend.request_spot_fleet = request_spot_fleet


def _must_have(value: Any, name: str) -> None:
    if not value:
        raise EC2ClientError("MissingParameter", f"The request must contain the parameter {name}")
