from __future__ import annotations

import pytest

from tapstack import ContainmentSettings, TwoStep
from tests.synth.ids import OTHER_VPC
from tests.synth.response.building import Response, existing, launched


@pytest.fixture(scope="session")
def launching() -> Response:
    """A response that launches its appliance."""
    return Response(appliance=launched(max_hours=12), emails=["soc@example.com"])


@pytest.fixture(scope="session")
def with_existing() -> Response:
    """A response whose appliance stands."""
    return Response(appliance=existing(portal_url="https://10.0.0.5", max_sources=10))


@pytest.fixture(scope="session")
def containing() -> Response:
    """A response that contains in two VPCs, in two steps, with all that can be switched on."""
    containment = ContainmentSettings(
        modes=("approval", "now"),
        vpc_ids=[OTHER_VPC],
        two_step=TwoStep(enabled=True, seconds=30),
        snapshots=True,
        instance_profile="restrict",
    )
    return Response(appliance=existing(), containment=containment)
