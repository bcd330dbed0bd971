"""What a user with a wrong file sees: the message, and nothing else. cdktf is not reached."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.settings.reading import USABLE

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]


def run(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py")],
        cwd=directory,
        env={**os.environ, "CDKTF_OUTDIR": str(directory / "cdktf.out"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sites: {}\n", "deployment.yaml:1: sites: expected at least 1 entry\n"),
        (
            USABLE + "      public_ip: maybe\n    tags: {a: 5}\n",
            "deployment.yaml:9: sites.production.packet_basics.public_ip: expected true or false, got 'maybe'\n"
            "deployment.yaml:10: sites.production.tags.a: expected text (put it in quotes), got 5\n",
        ),
        (
            USABLE + "    sessions: {web: {sources: [eni-0123abcd], filter: wep}}\n",
            "deployment.yaml:9: sites.production.sessions.web.filter: no filter of this name: expected packet_basics, "
            "or the id of a filter that exists (tmf-...); or add it under filters, got 'wep'\n",
        ),
        (
            "a: 'x\n",
            "deployment.yaml:2: this is not YAML (column 1): found unexpected end of stream; close the quotes that "
            "line 1 opens\n",
        ),
    ],
)
def test_fails_when_the_file_is_wrong_and_says_so_in_words(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "deployment.yaml").write_text(text)
    done = run(tmp_path, TAPSTACK_DEPLOYMENT=str(tmp_path / "deployment.yaml"))
    assert (done.returncode, done.stderr, done.stdout) == (2, message, "")
    assert [path.name for path in tmp_path.iterdir()] == ["deployment.yaml"]


def test_fails_when_there_is_no_file(tmp_path: Path) -> None:
    done = run(tmp_path, TAPSTACK_DEPLOYMENT=str(tmp_path / "none.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    sought = (
        f"none.yaml: no such file ({tmp_path / 'none.yaml'}): create it, or name another one in $TAPSTACK_DEPLOYMENT,"
    )
    assert done.stderr.startswith(sought)
    assert list(tmp_path.iterdir()) == []


def test_fails_when_the_context_is_broken(tmp_path: Path) -> None:
    done = run(tmp_path, TAPSTACK_DEPLOYMENT="", CDKTF_CONTEXT_JSON="{")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("$CDKTF_CONTEXT_JSON: cannot be read as a JSON object: ")
    assert list(tmp_path.iterdir()) == []


def test_fails_when_a_state_would_be_lost(tmp_path: Path) -> None:
    full = tmp_path / "state" / "tapstack" / "production.tfstate"
    full.parent.mkdir(parents=True)
    full.write_text('{"resources": [{"mode": "managed"}]}')
    (tmp_path / "tap.yaml").write_text("backend: {s3: {bucket: states, region: eu-central-1}}\n" + USABLE)
    done = run(tmp_path, TAPSTACK_DEPLOYMENT=str(tmp_path / "tap.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"tap.yaml: backend.s3: {full} still holds resources")
    assert not (tmp_path / "cdktf.out").exists()
