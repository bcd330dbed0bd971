"""What Terraform deployed is what it finds."""

from __future__ import annotations

from tests.end_to_end.deployed import SITE, DeployedResponse


def test_when_a_response_is_deployed_then_a_second_plan_is_empty(deployed: dict[str, DeployedResponse]) -> None:
    assert deployed[SITE].planned_again == {}
