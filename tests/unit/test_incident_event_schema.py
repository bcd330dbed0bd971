"""The published schema of incident events only grows: whoever reads by an older copy reads on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scripts.incident_event_schema import schema
from tapstack.domain.incident_events import WHATS

FIRST = Path(__file__).parents[1] / "responder" / "incident-event-1.first.json"
"""As it was published first."""


def lost(before: dict[str, Any], now: dict[str, Any], at: str = "event") -> Iterator[str]:
    """What a reader relies on by a schema that another one no longer promises."""
    for word in ("type", "pattern", "const"):
        if word in before and before[word] != now.get(word):
            yield f"{at}: {word}"
    if "enum" in before and before["enum"] != now.get("enum"):
        yield f"{at}: enum"
    yield from (f"{at}: {name} is required" for name in set(before.get("required", ())) - set(now.get("required", ())))
    for name, member in before.get("properties", {}).items():
        if name not in now["properties"]:
            yield f"{at}: {name} is missing"
        else:
            yield from lost(member, now["properties"][name], f"{at}.{name}")
    if "items" in before:
        yield from lost(before["items"], now["items"], f"{at}[]")


def test_when_the_schema_changes_then_it_only_grows() -> None:
    Draft202012Validator.check_schema(schema())
    assert list(lost(json.loads(FIRST.read_text(encoding="utf-8")), schema())) == []


@pytest.mark.parametrize(
    ("path", "word", "value", "said"),
    [
        (("properties", "time"), "pattern", ".*", "event.time: pattern"),
        (("properties", "links", "properties", "console"), "type", "string", "event.links.console: type"),
        (("properties", "severity"), "enum", ["low"], "event.severity: enum"),
        (("properties", "tactics", "items"), "required", ["id"], "event.tactics[]: name is required"),
        (("properties", "incident", "properties"), "state", None, "event.incident: state is missing"),
    ],
)
def test_when_something_is_taken_away_then_it_is_found(path: tuple[str, ...], word: str, value: Any, said: str) -> None:
    changed = schema()
    there = changed
    for name in path:
        there = there[name]
    if value is None:
        del there[word]
    else:
        there[word] = value
    assert list(lost(schema(), changed)) == [said]


def test_when_something_is_added_then_nothing_is_lost() -> None:
    more = schema()
    more["properties"]["more"] = {"type": "string"}
    more["properties"]["incident"]["required"].append("more")
    assert list(lost(schema(), more)) == []


def test_when_the_page_shows_an_event_then_it_is_one_with_all_members() -> None:
    page = (
        (Path(__file__).parents[2] / "docs" / "xdr.md")
        .read_text(encoding="utf-8")
        .partition("## Events of incidents")[2]
    )
    (shown,) = re.findall(r"^```json\n(.*?)^```", page.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
    event = json.loads(shown)
    Draft202012Validator(schema()).validate(event)
    assert list(event) == list(schema()["properties"])
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert set(WHATS) <= set(rows)
