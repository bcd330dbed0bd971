"""What docs/library.md shows can be copied and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
FIRST, *_, HCL = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def written(program: str, directory: Path, *, hcl: bool) -> set[str]:
    environment = {**os.environ, "SYNTH_HCL_OUTPUT": "true" if hcl else ""}
    subprocess.run([sys.executable, "-c", program], cwd=directory, env=environment, check=True)
    return {file.name for file in (directory / "cdktf.out" / "stacks" / "capture").glob("*.tf*")}


def test_when_hcl_follows_json_then_no_file_is_left_that_terraform_refuses(tmp_path: Path) -> None:
    assert "cdk.tf.json" in written(FIRST, tmp_path, hcl=False)
    assert written(FIRST + HCL, tmp_path, hcl=True) == {"cdk.tf"}
    tagged = FIRST.replace('Source.network_interface("eni-0a000000000000001")', 'Source.tagged({"app": "web"})')
    assert written(tagged + HCL, tmp_path, hcl=True) == {"cdk.tf", "checks.tf.json"}
