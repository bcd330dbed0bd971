"""scripts/set_up.py installs exactly what is locked, from anything it was left in; small packages stand in for ours."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from scripts import set_up
sys.exit(set_up.main(["python"], Path(sys.argv[1])))
"""
# Builds the editable tapstack of the small project, without hatchling.
BACKEND = """
import zipfile
def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "tapstack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(f"{directory}/{name}", "w") as wheel:
        wheel.writestr("tapstack.pth", "")
        wheel.writestr("tapstack-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tapstack\\nVersion: 1.0\\n")
        wheel.writestr("tapstack-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any")
        wheel.writestr("tapstack-1.0.dist-info/RECORD", "")
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tapstack"
version = "1.0"
[tool.hatch]
"""


class Project:
    """A project with a lock, wheels for it, and a folder whose name has a space and an apostrophe."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "it's a folder"
        self.wheels = directory / "wheels"
        self.root.mkdir(parents=True)
        self.wheels.mkdir()
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "backend.py").write_text(BACKEND)
        # uv is locked and not to be had, unless a test wants it.
        self.installer: dict[str, Any] = {"uv": {"hashes": ["sha256:" + "0" * 64], "version": "==0.0.1"}}
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
        self.env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels)}

    def wheel(self, name: str, version: str) -> dict[str, Any]:
        """Build a wheel with a command of its own, and return its entry in a lock."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": f"def main():\n    print('{name} {version}')\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        }
        record = ""
        for file, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
            record += f"{file},sha256={digest},{len(content)}\n"
        path = self.wheels / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for file, content in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
                archive.writestr(file, content)
        return {"hashes": [f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"], "version": f"=={version}"}

    def lock(self, **packages: dict[str, Any]) -> None:
        """Write the lock; what begins with "dev" is for development only."""
        develop = {name: entry for name, entry in packages.items() if name.startswith("dev")}
        default = {name: entry for name, entry in packages.items() if name not in develop}
        content = {"_meta": {}, "default": default, "develop": develop, "installer": self.installer}
        (self.root / "Pipfile.lock").write_text(json.dumps(content))

    def start(self) -> subprocess.Popen[str]:
        """Begin a set-up."""
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.root)],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def set_up(self, expected: int = 0) -> str:
        """Run a set-up to its end, and return what it printed."""
        with self.start() as process:
            printed, _ = process.communicate()
        assert process.returncode == expected, printed
        return printed

    def installed(self) -> dict[str, str]:
        """What is in the environment, apart from pip and uv."""
        done = subprocess.run(
            [self.root / ".venv" / "bin" / "python", "-m", "pip", "list", "--format=json"],
            capture_output=True,
            text=True,
            check=True,
        )
        found = {package["name"]: package["version"] for package in json.loads(done.stdout)}
        return {name: version for name, version in found.items() if name not in ("pip", "uv")}

    def run(self, command: str) -> str:
        """Run a command of the environment."""
        return subprocess.run(
            [self.root / ".venv" / "bin" / command], capture_output=True, text=True, check=True
        ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.long
def test_when_uv_cannot_be_had_then_pip_makes_it_exactly_what_is_locked_then_and_later(project: Project) -> None:
    alpha, beta = project.wheel("alpha", "1.0"), project.wheel("beta", "1.0")
    never = {**project.wheel("never", "1.0"), "markers": "python_version < '3'"}
    project.lock(alpha=alpha, beta=beta, devtool=project.wheel("devtool", "3.0"), never=never)

    printed = project.set_up()

    assert "pip takes over, because uv failed: ERROR: No matching distribution found for uv==0.0.1" in printed
    assert project.installed() == {"alpha": "1.0", "beta": "1.0", "devtool": "3.0", "tapstack": "1.0"}
    assert project.run("alpha") == "alpha 1.0"
    assert project.set_up() == "", "nothing changed"

    project.lock(alpha=project.wheel("alpha", "2.0"))

    assert "removing what is not locked: beta devtool" in project.set_up()
    assert project.installed() == {"alpha": "2.0", "tapstack": "1.0"}
    assert project.run("alpha") == "alpha 2.0"


@pytest.mark.long
def test_fails_when_a_file_is_not_the_locked_one_and_shows_what_pip_says(project: Project) -> None:
    alpha = project.wheel("alpha", "1.0")
    project.lock(alpha={**alpha, "hashes": ["sha256:" + "1" * 64]})

    printed = project.set_up(expected=2)

    assert "DO NOT MATCH THE HASHES" in printed
    assert "make lock" not in printed
    assert "Traceback" not in printed
    assert not (project.root / ".venv" / "stamp").exists()
    project.lock(alpha=alpha)
    project.set_up()
    assert project.installed() == {"alpha": "1.0", "tapstack": "1.0"}


@pytest.mark.long
def test_when_it_is_stopped_half_way_then_two_at_once_make_it_whole(project: Project) -> None:
    project.lock(alpha=project.wheel("alpha", "1.0"))
    with project.start() as process:
        while not (project.root / ".venv" / "bin" / "python").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate()
    assert process.returncode == 130
    assert printed.endswith("set-up: stopped; the same command starts it again\n")
    assert "Traceback" not in printed

    with project.start() as one, project.start() as other:
        both = [one.communicate()[0], other.communicate()[0]]

    assert [one.returncode, other.returncode] == [0, 0], both
    assert sum("waiting for another set-up" in printed for printed in both) == 1
    assert sum("tapstack itself" in printed for printed in both) == 1
    assert project.installed() == {"alpha": "1.0", "tapstack": "1.0"}


@pytest.mark.long
def test_when_uv_is_there_then_it_installs_also_after_the_folder_was_moved(project: Project, tmp_path: Path) -> None:
    project.installer = json.loads((ROOT / "Pipfile.lock").read_text())["installer"]
    (tmp_path / "empty").mkdir()
    project.env = {
        **os.environ,
        "PIP_FIND_LINKS": str(project.wheels),
        "PIP_EXTRA_INDEX_URL": (tmp_path / "empty").as_uri(),
    }
    project.env["UV_CONSTRAINT"] = project.env["PIP_CONSTRAINT"] = str(tmp_path / "not there")
    project.lock(alpha=project.wheel("alpha", "1.0"), beta=project.wheel("beta", "1.0"))
    first = project.set_up()
    assert "2 Python packages, by uv" in first
    assert "pip takes over" not in first

    project.root = project.root.rename(tmp_path / 'a "new" one')
    project.lock(alpha=project.wheel("alpha", "2.0"))

    assert ".venv, with Python" in project.set_up()
    assert project.installed() == {"alpha": "2.0", "tapstack": "1.0"}
    assert project.run("alpha") == "alpha 2.0"
