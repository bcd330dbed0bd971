from __future__ import annotations

import pytest

from tests.synth.response.building import Response, launched, standing


@pytest.fixture(scope="session")
def launching() -> Response:
    """A response that launches its appliance."""
    return Response(appliance=launched(max_hours=12), emails=["soc@example.com"])


@pytest.fixture(scope="session")
def with_standing() -> Response:
    """A response whose appliance stands."""
    return Response(appliance=standing(portal_url="https://10.0.0.5", max_sources=10))
