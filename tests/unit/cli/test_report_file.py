from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapstack.cli import main
from tapstack.cli.incident_api import UserError
from tapstack.cli.report_file import TITLE, ReportFile

REPORT = f"<!doctype html>\n<title>{TITLE}</title>\n"


def test_when_a_report_is_written_then_it_is_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with ReportFile(path) as report:
        report.begin()
        assert not path.exists()
        report.write(REPORT)
        assert report.written
    assert path.read_text() == REPORT
    assert list(tmp_path.iterdir()) == [path]


def test_when_no_report_comes_of_it_then_none_is_left_and_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with ReportFile(path) as report:
        report.begin()
        assert list(tmp_path.iterdir()) == [tmp_path / ".report.html.part"]
    assert list(tmp_path.iterdir()) == []
    assert not report.written


def test_when_a_rehearsal_fails_then_no_older_report_passes_for_its_own(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(REPORT)
    with ReportFile(path) as report:
        report.begin()
        assert not report.written
    assert not path.exists()


def test_when_a_rehearsal_is_refused_before_it_begins_then_the_older_report_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(REPORT)
    with ReportFile(path):
        pass
    assert path.read_text() == REPORT


@pytest.mark.parametrize("left", ["", REPORT])
def test_when_an_older_report_is_there_then_it_is_written_over(tmp_path: Path, left: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(left)
    with ReportFile(path) as report:
        report.begin()
        report.write(REPORT + "new")
    assert path.read_text() == REPORT + "new"


def test_fails_when_another_rehearsal_writes_the_same_report(tmp_path: Path) -> None:
    path, other = tmp_path / "report.html", tmp_path / "directory" / ".." / "report.html"
    (tmp_path / "directory").mkdir()
    with ReportFile(path) as report:
        with pytest.raises(UserError) as refused, ReportFile(other):
            pass
        assert str(refused.value) == (
            f"another rehearsal is writing {path}: wait until it has ended, or name another file with --report"
        )
        assert main(["rehearse", "incident", "--report", str(path)]) == 2
        with ReportFile(tmp_path / "another.html") as another:
            another.write(REPORT)
        report.write(REPORT)
    with ReportFile(path) as report:
        assert report.written is False


def test_when_a_rehearsal_was_killed_then_the_next_one_takes_what_it_left(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    program = f"""
import os, pathlib
from tapstack.cli.report_file import ReportFile
ReportFile(pathlib.Path({str(path)!r})).__enter__()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False)
    assert (tmp_path / ".report.html.part").exists()
    with ReportFile(path) as report:
        report.write(REPORT)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_fails_when_the_report_is_no_file_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "notes.html"
    other.write_text("<title>My notes</title>")
    os.mkfifo(tmp_path / "pipe")
    for given, expected in (
        (tmp_path, f"--report: {tmp_path} is a directory: expected the name of a file"),
        (tmp_path / "no" / "a.html", f"--report: {tmp_path}/no is not an existing directory"),
        (other / "a.html", f"--report: {other} is not an existing directory"),
        (tmp_path / "pipe", f"--report: {tmp_path}/pipe is no regular file"),
        (Path("/proc/x"), "--report: /proc may not be written"),
        (tmp_path / ("a" * 300), f"--report: {tmp_path}/{'a' * 300} cannot be written: File name too long"),
        (
            other,
            f"--report: {other} exists and is not a rehearsal report: name another file, or remove this one",
        ),
    ):
        # Nothing starts: not even the deployment file is read, and there is none here.
        monkeypatch.chdir(tmp_path)
        assert main(["rehearse", "incident", "--report", str(given)]) == 2
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", expected + "\n")
    assert other.read_text() == "<title>My notes</title>"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.html", "pipe"]
