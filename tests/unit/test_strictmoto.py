"""The account judges the product: it knows nothing of it, and has rules of its own that say the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from strictmoto.ec2.mirroring import instance_types as judged_types
from strictmoto.ec2.mirroring import limits as judged
from tapstack.domain import instance_types, limits

ROOT = Path(__file__).parents[2]
HOMES = (ROOT / "modules" / "strictmoto", ROOT / "tests" / "strictmoto")
# Its tests have the mark of the repository for tests that need the account.
_PRODUCT = re.compile(
    r"tapstack|(?<!pytest\.mark\.)rehears|\bresponders?\b|quarantine|\bappliances?\b|containment|\bsweeper\b|packet.basics",
    re.IGNORECASE,
)
SOURCES = sorted(path for home in HOMES for path in home.rglob("*") if path.suffix in (".py", ".md"))


def test_when_the_account_or_its_tests_are_read_then_they_have_no_word_of_the_product() -> None:
    found = {str(file.relative_to(ROOT)): _PRODUCT.findall(file.read_text(encoding="utf-8")) for file in SOURCES}
    assert {file: words for file, words in found.items() if words} == {}


@pytest.mark.parametrize("line", ["the rehearsal account", "what responders meet", "`make rehearse`", "an Appliance"])
def test_fails_when_a_line_has_a_word_of_the_product(line: str) -> None:
    assert _PRODUCT.search(line)


@pytest.mark.thorough
def test_when_the_account_is_imported_then_nothing_of_the_product_is() -> None:
    program = "import sys, strictmoto.account; print(' '.join(m for m in sys.modules if m.startswith('tapstack')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_when_both_say_which_instance_types_can_be_mirrored_then_they_say_the_same() -> None:
    assert judged_types.SOURCE_FAMILIES == instance_types.SOURCE_FAMILIES
    assert judged_types.METAL_SOURCE_FAMILIES == instance_types.METAL_SOURCE_FAMILIES
    assert judged_types.TAKE_100_SOURCES == instance_types.LARGEST_TARGETS


@pytest.mark.parametrize(
    ("judge", "product"),
    [
        (judged.SESSION_NUMBER, limits.SESSION_NUMBER),
        (judged.RULE_NUMBER, limits.FILTER_RULE_NUMBER),
        (judged.VIRTUAL_NETWORK_ID, limits.VIRTUAL_NETWORK_ID),
        (judged.PACKET_LENGTH, limits.PACKET_LENGTH),
        (judged.PACKET_LENGTH_TO_LOAD_BALANCER, limits.PACKET_LENGTH_LOAD_BALANCER),
    ],
)
def test_when_both_say_a_range_then_it_is_the_same(judge: range, product: tuple[int, int]) -> None:
    assert (judge[0], judge[-1]) == product


def test_when_both_say_a_quota_then_it_is_the_same() -> None:
    assert judged.RULES_PER_FILTER == limits.RULES_PER_FILTER
    assert judged.SESSIONS_PER_INTERFACE == limits.SESSIONS_PER_INTERFACE
    assert judged.SOURCES_PER_INTERFACE == limits.SOURCES_PER_INTERFACE_TARGET
    assert judged.SOURCES_PER_LARGEST_INTERFACE == limits.SOURCES_PER_LARGEST_INTERFACE_TARGET
