"""Each test runs in `make test`, in `make test-slow`, or is marked `long`: once, and where its marks say."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKS = ("thorough", "rehearsal", "isolated", "long")
FAST = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"][1]
[SLOW] = re.findall(r'^test-slow:.*\n.*-m "([^"]*)"', (ROOT / "Makefile").read_text(), re.MULTILINE)


def _takes(expression: str, marked: set[str]) -> bool:
    return bool(eval(expression, {"__builtins__": {}}, {mark: mark in marked for mark in MARKS}))


@pytest.mark.parametrize("flags", [*itertools.product([False, True], repeat=len(MARKS))])
def test_when_a_test_has_any_marks_then_one_command_runs_it(flags: tuple[bool, ...]) -> None:
    marked = {mark for mark, has in zip(MARKS, flags, strict=True) if has}
    fast, slow, long = _takes(FAST, marked), _takes(SLOW, marked), "long" in marked
    assert fast + slow + long == 1
    assert fast == (not marked)
