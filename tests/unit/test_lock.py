"""Pipfile.lock says the same on every machine, and whether it was made from this Pipfile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts import lock

PIPFILE = '[packages]\nboto3 = ">=1,<2"\n\n[dev-packages]\npytest = {version = ">=8", extras = ["dev"]}\n'


def pipenv_wrote(**package: str) -> dict[str, Any]:
    source = {"name": "company", "url": "https://packages.example.com/simple", "verify_ssl": True}
    entry = {"hashes": ["sha256:00"], "index": "company", "version": "==1.2.3", **package}
    return {
        "_meta": {"hash": {"sha256": "of this machine"}, "pipfile-spec": 6, "requires": {}, "sources": [source]},
        "default": {"boto3": entry},
        "develop": {},
    }


def repository(directory: Path, lock_file: dict[str, Any], pipfile: str = PIPFILE) -> Path:
    (directory / "Pipfile").write_text(pipfile)
    (directory / "Pipfile.lock").write_text(json.dumps(lock_file))
    return directory


def test_when_the_repository_is_checked_then_its_lock_was_made_from_its_pipfile() -> None:
    assert lock.main(["--check"]) == 0


@pytest.mark.parametrize(
    "same",
    [
        PIPFILE.replace("\n\n", "\n# A comment.\n\n\n"),
        PIPFILE.replace('">=1,<2"', "'>=1,<2'"),
        '[[source]]\nname = "company"\nurl = "https://packages.example.com/simple"\n\n' + PIPFILE,
        PIPFILE + "\n[pipenv]\nallow_prereleases = false\n",
    ],
)
def test_when_only_layout_indexes_or_pipenv_differ_then_the_hash_is_the_same(same: str) -> None:
    assert same != PIPFILE
    assert lock.pipfile_hash(same) == lock.pipfile_hash(PIPFILE)


@pytest.mark.parametrize(
    "other",
    [
        PIPFILE.replace("<2", "<3"),
        PIPFILE.replace('"dev"', '"test"'),
        PIPFILE.replace("[dev-packages]", "[packages.more]"),
        PIPFILE + '\n[installer]\nuv = "*"\n',
        PIPFILE + '\n[requires]\npython_version = "3.11"\n',
    ],
)
def test_when_what_is_asked_for_differs_then_the_hash_does(other: str) -> None:
    assert lock.pipfile_hash(other) != lock.pipfile_hash(PIPFILE)


def test_when_a_lock_is_made_on_any_machine_then_it_names_no_index_and_fits_its_pipfile(tmp_path: Path) -> None:
    root = repository(tmp_path, pipenv_wrote())

    assert lock.main([], root) == 0

    written = json.loads((root / "Pipfile.lock").read_text())
    assert written["_meta"]["sources"] == []
    assert written["default"]["boto3"] == {"hashes": ["sha256:00"], "version": "==1.2.3"}
    assert lock.main(["--check"], root) == 0


def test_fails_when_an_address_would_stay_and_leaves_the_lock_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path, pipenv_wrote(file="https://packages.example.com/boto3.whl"))
    before = (root / "Pipfile.lock").read_text()

    assert lock.main([], root) == 1

    assert (root / "Pipfile.lock").read_text() == before
    assert '"file": "https://packages.example.com/boto3.whl"' in capsys.readouterr().err


def test_fails_when_the_pipfile_changed_since_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository(tmp_path, pipenv_wrote())
    assert lock.main([], root) == 0
    (root / "Pipfile").write_text(PIPFILE.replace("<2", "<3"))

    assert lock.main(["--check"], root) == 1

    assert "run make lock" in capsys.readouterr().err
