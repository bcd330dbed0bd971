from pathlib import Path

import pytest

from scripts import generate

pytestmark = pytest.mark.thorough


def test_when_files_are_missing_or_stale_then_they_are_written_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deployment.schema.json").write_text("{}")
    assert generate.main([], tmp_path) == 0
    assert capsys.readouterr().out.split() == list(generate.FILES)
    assert {name: (tmp_path / name).read_text() for name in generate.FILES} == {
        name: render() for name, render in generate.FILES.items()
    }
    assert generate.main([], tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_fails_when_checked_files_are_stale_and_leaves_them_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == "".join(f"{name} is stale: run make generate\n" for name in generate.FILES)
    assert list(tmp_path.iterdir()) == []


def test_when_checked_files_are_current_then_there_is_no_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.main([], tmp_path)
    capsys.readouterr()
    assert generate.main(["--check"], tmp_path) == 0
    assert capsys.readouterr().err == ""


def test_when_the_repository_is_checked_then_its_generated_files_are_current() -> None:
    assert list(generate.stale_files(generate.ROOT)) == [], "run make generate"
