"""The picture of what a deployment file deploys."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.picture import draw


def _made(path: str, **body: Any) -> dict[str, Any]:
    return {**body, "//": {"metadata": {"path": f"site/{path}/Resource"}}}


@pytest.mark.parametrize(("body", "drawn"), [({}, True), ({"count": 1}, True), ({"count": 0}, False)])
def test_when_a_construct_makes_nothing_then_it_is_not_drawn(body: dict[str, Any], drawn: bool) -> None:
    stack = {"aws_cloudformation_stack": {"appliance": _made("packet-basics", **body)}}
    groups = {"aws_security_group": {"group": _made("quarantine")}}
    terraform = {"provider": {"aws": [{"region": "eu-central-1"}]}, "resource": {**stack, **groups}}
    picture = draw({"site": terraform})
    assert ("ExtraHop Packet Basics" in picture) is drawn
    assert "security group" in picture
