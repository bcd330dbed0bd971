from __future__ import annotations

import pytest

from tapstack import Containment
from tests.synth.ids import OTHER_VPC
from tests.synth.response.building import Response, launched, standing


@pytest.fixture(scope="session")
def launching() -> Response:
    """A response that launches its appliance."""
    return Response(appliance=launched(max_hours=12), emails=["soc@example.com"])


@pytest.fixture(scope="session")
def with_standing() -> Response:
    """A response whose appliance stands."""
    return Response(appliance=standing(portal_url="https://10.0.0.5", max_sources=10))


@pytest.fixture(scope="session")
def containing() -> Response:
    """A response that contains in two VPCs, in two steps, with all that can be switched on."""
    containment = Containment(
        modes=("approval", "now"),
        vpc_ids=[OTHER_VPC],
        two_step_seconds=30,
        snapshots=True,
        restrict_instance_profile=True,
    )
    return Response(appliance=standing(), containment=containment)
