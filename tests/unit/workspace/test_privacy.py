"""What holds secrets is closed to other users, whatever the umask, and also where it was open before."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.workspace.privacy import OutputError, keep_private


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def deployment(backend: str = "{local: {}}") -> Deployment:
    return parse_deployment(
        f"project: tap\nbackend: {backend}\nsites:\n  a:\n    region: eu-central-1\n    vpc_id: vpc-0a1b2c3d4e5f60718\n"
        "    targets: {sensor: {network_interface_id: eni-0a000000000000001}}\n"
    )


def mode(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode)


def test_when_nothing_is_there_then_the_directories_are_made_for_their_user_alone(tmp_path: Path) -> None:
    assert keep_private(deployment(), tmp_path, tmp_path / "cdktf.out") == []
    made = ["state", "state/tap", "cdktf.out", "cdktf.out/stacks"]
    assert {name: mode(tmp_path / name) for name in made} == dict.fromkeys(made, 0o700)


def test_when_state_and_plans_of_before_are_open_then_they_are_closed(tmp_path: Path) -> None:
    states, stacks = tmp_path / "state" / "tap", tmp_path / "cdktf.out" / "stacks"
    for directory in (states, stacks / "a" / ".terraform"):
        directory.mkdir(parents=True)
    names = ["a.tfstate", "a.tfstate.backup", "a.tfstate.1764150000.backup", ".a.tfstate.lock.info", "gone.tfstate"]
    for name in names:
        (states / name).touch(0o664)
    (stacks / "a" / "plan").touch()
    assert keep_private(deployment(), tmp_path, tmp_path / "cdktf.out") == []
    assert {name: mode(states / name) for name in names} == dict.fromkeys(names, 0o600)
    assert (mode(states), mode(stacks)) == (0o700, 0o700)


@pytest.mark.parametrize("manifest", [None, "{}", "[]", '{"manifest_version": 3, "name": "an extension"}'])
def test_fails_when_the_output_has_other_files_and_they_stay_as_they_are(tmp_path: Path, manifest: str | None) -> None:
    documents = tmp_path / "documents"
    documents.mkdir(mode=0o755)
    name = "letter" if manifest is None else "manifest.json"
    (documents / name).write_text(manifest or "")
    with pytest.raises(OutputError) as refused:
        keep_private(deployment(), tmp_path, documents)
    assert str(refused.value) == (
        f"--output: {documents} has files that are not of a synthesis: expected a new or empty directory, or one that "
        "was synthesized into"
    )
    assert [file.name for file in documents.iterdir()] == [name]
    assert mode(documents) == 0o755


def test_when_a_synthesis_was_written_or_began_there_then_it_is_taken_again(tmp_path: Path) -> None:
    outdir = tmp_path / "out"
    outdir.mkdir()
    keep_private(deployment(), tmp_path, outdir)
    keep_private(deployment(), tmp_path, outdir)
    for name, text in (("manifest.json", '{"version": "0.21.0", "stacks": {}}'), ("further", "")):
        (outdir / name).write_text(text)
    keep_private(deployment(), tmp_path, outdir)


def test_when_the_state_moved_to_s3_then_the_copy_that_was_left_is_closed(tmp_path: Path) -> None:
    left = tmp_path / "state" / "tap" / "a.tfstate"
    left.parent.mkdir(parents=True)
    left.touch(0o644)
    moved = deployment("{s3: {bucket: states, region: eu-central-1}}")
    assert keep_private(moved, tmp_path, tmp_path / "cdktf.out") == []
    assert (mode(left), mode(left.parent)) == (0o600, 0o700)


def test_when_the_state_is_in_s3_then_no_directory_is_made_for_it(tmp_path: Path) -> None:
    keep_private(deployment("{s3: {bucket: states, region: eu-central-1}}"), tmp_path, tmp_path / "cdktf.out")
    assert [place.name for place in tmp_path.iterdir()] == ["cdktf.out"]


def test_when_directories_hold_other_things_too_then_those_stay_as_they_are(tmp_path: Path) -> None:
    shared, out = tmp_path / "infra", tmp_path / "out"
    for directory in (shared, out):
        directory.mkdir(mode=0o755)
    keep_private(deployment("{local: {directory: infra}}"), tmp_path, out)
    assert (mode(shared), mode(shared / "tap")) == (0o755, 0o700)
    assert (mode(out), mode(out / "stacks")) == (0o755, 0o700)


def test_when_something_cannot_be_closed_then_it_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_private(deployment(), tmp_path, tmp_path / "cdktf.out")
    state = tmp_path / "state" / "tap" / "a.tfstate"
    state.touch(0o644)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    assert keep_private(deployment(), tmp_path, tmp_path / "cdktf.out") == [
        f"{state} is open to other users of this machine, and cannot be closed: Operation not permitted"
    ]
