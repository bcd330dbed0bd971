from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tapstack.cli.rehearse_deploy import without_surroundings


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ({"mirror": "mirror"}, {"mirror": "/srv/deployments/mirror"}),
        ({"mirror": "../mirror", "version": "6.0.0"}, {"mirror": "/srv/mirror", "version": "6.0.0"}),
        ({"mirror": "/opt/mirror"}, {"mirror": "/opt/mirror"}),
        ({"mirror": "none"}, {"mirror": "none"}),
        ({"version": "6.0.0"}, {"version": "6.0.0"}),
    ],
)
def test_when_a_file_is_deployed_from_elsewhere_then_its_mirror_is_still_found(
    provider: dict[str, Any], expected: dict[str, Any]
) -> None:
    moved = without_surroundings({"provider": provider, "sites": {}}, Path("/srv/deployments"))
    assert moved == {"provider": expected, "sites": {}, "backend": {"local": {}}}


def test_when_a_mirror_lies_in_the_home_directory_then_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    moved = without_surroundings({"provider": {"mirror": "~/mirror"}, "sites": {}}, Path("/srv"))
    assert moved["provider"] == {"mirror": "/home/ann/mirror"}


def test_when_state_is_in_s3_then_a_rehearsal_keeps_it_beside_the_copy() -> None:
    document = {"backend": {"s3": {"bucket": "states", "region": "eu-central-1"}}, "sites": {}}
    assert without_surroundings(document, Path("/srv")) == {"backend": {"local": {}}, "sites": {}}
    assert "s3" in document["backend"]


def test_when_a_site_has_a_response_or_an_appliance_then_they_can_be_destroyed() -> None:
    sites = {
        "one": {"response": {"retention_days": 30}},
        "two": {"response": None},
        "three": {},
        "four": {"packet_basics": {"public_ip": False}},
    }
    assert without_surroundings({"sites": sites}, Path("/srv"))["sites"] == {
        "one": {"response": {"retention_days": 30, "deletion_protection": False}},
        "two": {"response": {"deletion_protection": False}},
        "three": {},
        "four": {"packet_basics": {"public_ip": False, "deletion_protection": False}},
    }
    assert sites["one"] == {"response": {"retention_days": 30}}


def test_when_a_site_has_telemetry_then_buckets_that_it_makes_can_be_destroyed() -> None:
    existing = {"xdr": {"landing": {"bucket": "lake"}}}
    sites = {"one": {"xdr": None}, "two": {"xdr": {"flow_logs": {}, "landing": {"keep_days": 9}}}, "three": existing}
    assert without_surroundings({"sites": sites}, Path("/srv"))["sites"] == {
        "one": {"xdr": {"landing": {"deletion_protection": False}}},
        "two": {"xdr": {"flow_logs": {}, "landing": {"keep_days": 9, "deletion_protection": False}}},
        "three": existing,
    }
