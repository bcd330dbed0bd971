"""The actions as methods of moto's response class: parameters in, botocore's structure out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from moto.core.responses import ActionResult

from strictmoto.ec2.mirroring.mirroring import of

ACTIONS: Final = (
    "create_traffic_mirror_filter",
    "create_traffic_mirror_filter_rule",
    "create_traffic_mirror_session",
    "create_traffic_mirror_target",
    "delete_traffic_mirror_filter",
    "delete_traffic_mirror_filter_rule",
    "delete_traffic_mirror_session",
    "delete_traffic_mirror_target",
    "describe_traffic_mirror_filter_rules",
    "describe_traffic_mirror_filters",
    "describe_traffic_mirror_sessions",
    "describe_traffic_mirror_targets",
    "modify_traffic_mirror_filter_network_services",
    "modify_traffic_mirror_filter_rule",
    "modify_traffic_mirror_session",
)


def respond_to(action: str) -> Callable[[Any], Any]:
    """Return the method that answers an action, for moto's response class.

    moto finds actions among plain functions by name, and parses the request as the
    action's input shape says.
    """

    def respond(response: Any) -> Any:
        return ActionResult(getattr(of(response.ec2_backend), action)(**response._get_params()))

    respond.__name__ = action
    return respond
