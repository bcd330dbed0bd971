"""What is kept of a launched appliance: the settings, the tags that name incidents, and the words about it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tapstack.domain.errors import RuleViolation
from tapstack.domain.evidence_settings import ApplianceSnapshots, EvidenceSettings, incident_tags, notice_before
from tapstack.domain.incidents import new_id, utc_now
from tapstack.domain.stored_packets import where_stored

SNAPSHOT = {"snapshot_id": "snap-0a1b2c3d4e5f60718", "volume_id": "vol-0a1b2c3d4e5f60718", "size_gib": 100}


def test_when_nothing_is_said_then_packets_are_kept_for_90_days() -> None:
    assert EvidenceSettings() == EvidenceSettings(appliance_snapshots=ApplianceSnapshots(keep_days=90))


@pytest.mark.parametrize("days", [0, 3654])
def test_fails_when_they_are_kept_for_no_day_or_for_more_than_ten_years(days: int) -> None:
    with pytest.raises(RuleViolation, match="keep_days must be a whole number from 1 to 3653"):
        ApplianceSnapshots(keep_days=days)


@pytest.mark.parametrize(("days", "before"), [(90, 7), (14, 7), (10, 5), (1, 0.5)])
def test_when_snapshots_are_kept_then_the_notification_comes_a_week_before_or_half_of_a_shorter_time(
    days: int, before: float
) -> None:
    assert notice_before(timedelta(days=days)) == timedelta(days=before)


def test_when_an_appliance_captured_for_many_incidents_then_tags_name_as_many_as_aws_accepts() -> None:
    incidents = {new_id(utc_now()) for _ in range(400)}

    tags = incident_tags(incidents)

    assert len(tags) == 20
    assert all(len(value) <= 256 for value in tags.values())
    assert set(" ".join(tags.values()).split()) <= incidents
    assert incident_tags(sorted(incidents)[:2]) == {"tapstack:incidents": " ".join(sorted(incidents)[:2])}
    assert incident_tags(()) == {}


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        (
            {"state": "appliance", "keep_days": 90},
            "on the appliance; before that is deleted, .* kept for 90 days, billed by the GB-month, at most the size "
            "of the volumes; to read them: docs/incidents.md, Packets of a deleted appliance",
        ),
        ({"state": "appliance", "keep_days": None}, r"on the appliance, and LOST .*appliance_snapshots of .* is null"),
        (
            {"state": "snapshots", "until": "2026-04-02T03:04:05Z", "snapshots": [{**SNAPSHOT, "encrypted": False}]},
            r"in 1 EBS snapshot until 2026-04-02T03:04:05Z: snap-\w+ \(vol-\w+, 100 GiB, NOT encrypted\); billed "
            r"by the GB-month, at most 100 GB; to read them: docs/incidents.md, Packets of a deleted appliance",
        ),
        ({"state": "deleted", "until": "2026-04-02T03:04:05Z"}, "deleted: they were kept in snapshots until 2026-04"),
        ({"state": "lost", "keep_days": 90}, "lost with the appliance: no snapshot was taken of it"),
        ({"state": "lost", "keep_days": None}, "lost .*, because evidence.appliance_snapshots of the response is null"),
    ],
)
def test_when_packets_are_somewhere_then_one_line_says_where(packets: dict[str, Any], said: str) -> None:
    assert re.fullmatch(f"{said}.*", where_stored(packets))


def test_when_a_line_says_how_to_read_packets_then_the_page_has_that_section() -> None:
    [(page, section)] = re.findall(r"to read them: (\S+), (.+)", where_stored({"state": "appliance", "keep_days": 90}))
    text = (Path(__file__).parents[3] / page).read_text(encoding="utf-8")
    assert f"\n## {section}\n" in text
