"""The pages: every link between them leads somewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapstack.cli import main
from tapstack.domain.errors import RuleViolation
from tapstack.domain.identifiers import check_name
from tapstack.settings.load import parse_deployment
from tests.unit.settings.reading import USABLE

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(p for top in ("docs", "examples", "modules") for p in ROOT.glob(f"{top}/**/*.md"))]
)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """The anchors that code hosts make of a page's headings."""
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_prose(page)))
    return {heading.strip().replace(" ", "-") for heading in plain}


def broken_links(page: Path, text: str) -> list[str]:
    """The links to files or headings that are not there."""
    broken = []
    for link in _LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert broken_links(page, _prose(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_json_of_a_page_can_be_copied(page: Path) -> None:
    for block in re.findall(r"^```json\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        assert json.loads(block)


_RUNS = {
    "check": "check",
    "incident": "run_incident",
    "operate": "run_operate",
    "rehearse_account": "rehearse_account",
    "rehearse_deploy": "rehearse_deploy",
    "rehearse_incident": "run_rehearse_incident",
    "xdr": "run_xdr",
}
"""What runs a command once its arguments are taken, by its module."""
_COMMAND = re.compile(r"^(?:\$ |\w+=\S+ )*((?:\.venv/bin/)?tapstack) [a-z]", re.MULTILINE)
"""Those of Tapstack that a page shows in a block: after a prompt, or after variables of the environment."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_when_a_page_shows_commands_then_the_shell_finds_the_program(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = [block for block in _FENCE.finditer(text) if _COMMAND.search(block[0])]
    ways = {way for block in blocks for way in _COMMAND.findall(block[0])}
    assert len(ways) <= 1, "a page that has both ways is copied from in the wrong one"
    if ways == {"tapstack"}:
        before = text[: blocks[0].start()]
        assert before.count("`. .venv/bin/activate`") == text.count("`. .venv/bin/activate`") == 1


_SHOWN = re.compile(
    r"(?:^|[\s(;|])tapstack ((?:incident|xdr|check|deploy|diff|destroy|synth|output|rehearse)\b[^#|)]*)"
)
"""A command of Tapstack in a line of a block, up to a comment, a pipe or the end of a substitution."""


_SHELL = re.compile(r"^```(?:sh|console|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _commands(text: str) -> Iterator[str]:
    """Yield the arguments of each command of Tapstack that a page gives; the name of one alone is none."""
    for block in _SHELL.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _SHOWN.findall(line)
    for given in re.findall(r"`tapstack ([^`]+)`", " ".join(_FENCE.sub("", text).split())):
        if "-" in given.partition(" ")[2].partition(" ")[2]:
            yield given


# The changelog names options, not commands to run.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_when_a_page_gives_a_command_then_the_program_takes_its_arguments(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, runs in _RUNS.items():
        monkeypatch.setattr(f"tapstack.cli.{module}.{runs}", lambda *_, **__: 0)
    for given in _commands(page.read_text(encoding="utf-8")):
        try:
            taken = main(shlex.split(given, comments=True)) == 0
        except SystemExit as refused:
            taken = refused.code == 0
        assert taken, f"tapstack {given}: {capsys.readouterr().err}"


def test_when_a_page_says_what_a_name_is_then_the_code_agrees() -> None:
    page = " ".join((ROOT / "docs" / "deployment-file.md").read_text().split())
    assert "1 to 40 lower-case letters, digits and hyphens, beginning with a letter." in page
    assert check_name("a-1") == "a-1"
    with pytest.raises(RuleViolation, match="beginning with a letter"):
        check_name("1-a")


def test_a_broken_link_is_seen() -> None:
    page = ROOT / "README.md"

    assert broken_links(
        page, "[a](docs/none.md) [b](LICENSE) [c](docs/limits.md#nowhere) [d](docs/limits.md#limits)"
    ) == [
        "docs/none.md",
        "docs/limits.md#nowhere",
    ]


def test_when_the_page_shows_sessions_and_targets_then_nothing_is_to_be_warned_of() -> None:
    page = (ROOT / "docs" / "deployment-file.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```yaml\n((?:targets|sessions):.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(shown) == 2
    filters = "    filters: {everything-in-and-out: {preset: everything}}\n"
    site = "".join(f"    {line}\n" for part in shown for line in part.splitlines())
    assert parse_deployment(USABLE + filters + site).warnings() == []
