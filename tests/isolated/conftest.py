"""What the isolated tests share: environments, and the synthesis of the example deployment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.isolated import environments

Synthesize = Callable[..., Path]


class SynthesisError(Exception):
    """A program did not synthesize; the message is what it printed."""


def _environment(name: str) -> Path:
    try:
        return environments.environment(name)
    except environments.InstallError as error:
        # In CI a skipped test would go unnoticed.
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cdktn_python() -> Path:
    """The Python of an environment with cdktn."""
    return _environment("cdktn")


@pytest.fixture(scope="session")
def checkov_python() -> Path:
    """The Python of an environment with checkov."""
    return _environment("checkov")


@pytest.fixture(scope="session")
def schemathesis_python() -> Path:
    """The Python of an environment with schemathesis."""
    return _environment("schemathesis")


@pytest.fixture(scope="session")
def synthesize(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Run main.py, or another program, and return the directory that it wrote."""

    def run(name: str, *program: str, python: str | Path = sys.executable, **variables: str) -> Path:
        # Siblings, so that relative paths in the Terraform are the same.
        outdir = tmp_path_factory.getbasetemp() / "synthesized" / name
        result = subprocess.run(
            [python, *(program or ["main.py"])],
            cwd=environments.ROOT,
            env=environments.variables(outdir, **variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise SynthesisError(f"{name}: exit code {result.returncode}\n{result.stderr}")
        return outdir

    return run
