"""What docs/library.md shows can be copied and run."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tapstack

PAGE = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
FIRST, *_, HCL = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def written(program: str, directory: Path, *, hcl: bool) -> set[str]:
    environment = {**os.environ, "SYNTH_HCL_OUTPUT": "true" if hcl else ""}
    subprocess.run([sys.executable, "-c", program], cwd=directory, env=environment, check=True)
    return {file.name for file in (directory / "cdktf.out" / "stacks" / "capture").glob("*.tf*")}


@pytest.mark.thorough
def test_when_hcl_follows_json_then_no_file_is_left_that_terraform_refuses(tmp_path: Path) -> None:
    assert "cdk.tf.json" in written(FIRST, tmp_path, hcl=False)
    assert written(FIRST + HCL, tmp_path, hcl=True) == {"cdk.tf"}
    tagged = FIRST.replace('Source.network_interface("eni-0a000000000000001")', 'Source.tagged({"app": "web"})')
    assert written(tagged + HCL, tmp_path, hcl=True) == {"cdk.tf", "checks.tf.json"}


ROWS = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("name", "arguments", "factories"), ROWS, ids=lambda cell: cell if cell.isidentifier() else "")
def test_when_the_page_lists_arguments_then_the_class_takes_them_and_no_others(
    name: str, arguments: str, factories: str
) -> None:
    listed = getattr(tapstack, name)
    taken = set(inspect.signature(listed.__init__).parameters) - {"self", "scope", "id_", "args", "kwargs"}
    assert set(re.findall(r"`(\w+)`", arguments)) == taken
    made = {key for key, value in vars(listed).items() if isinstance(value, classmethod | staticmethod)}
    assert set(re.findall(r"`\.(\w+)`", factories)) == {key for key in made if not key.startswith("_")}


def test_when_a_class_is_public_then_the_page_lists_it() -> None:
    classes = {name for name in tapstack.__all__ if inspect.isclass(getattr(tapstack, name))}
    protocols = {"IMirrorFilter", "IMirrorTarget", "IPacketBasics", "ISecurityGroup"}
    assert {name for name, *_ in ROWS} == classes - protocols - {"RuleViolation"}
