"""What is synthesized passes checkov; what it may not pass is suppressed in place, with a reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.isolated.conftest import Synthesize
from tests.isolated.environments import ROOT

pytestmark = pytest.mark.checkov

PLUG_IN = ROOT / "policy" / "checkov"
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "__init__")
"""Scanned with TAPSTACK_EVERY_POINT=1, as `make test-all` has it: the others say all that a part can."""
EVERY_POINT = os.environ.get("TAPSTACK_EVERY_POINT") == "1"
PARTS = ("response", "xdr")
SHORTEST_REASON = 20


@dataclass(frozen=True, order=True)
class Finding:
    """A check and what it was made of: file, address, check id."""

    file: str
    address: str
    check: str


@dataclass(frozen=True)
class Scan:
    """What checkov says of a directory."""

    returncode: int
    passed: set[Finding]
    failed: set[Finding]
    skipped: dict[Finding, str]
    messages: str


_SYNTHESIZE_EXAMPLES = """
import importlib
import sys
from cdktf import App
directory, *names = sys.argv[1:]
for name in names:
    app = App(outdir=f"{directory}/{name}")
    importlib.import_module(f"examples.{name}").build(app)
    app.synth()
"""
Scanner = Callable[..., Scan]


@pytest.fixture(scope="module")
def scan(checkov_python: Path) -> Scanner:
    def run(directory: Path, plug_in: Path = PLUG_IN) -> Scan:
        options = ["--framework=terraform_json", "--skip-download", f"--external-checks-dir={plug_in}", "-o=json"]
        result = subprocess.run(
            [checkov_python, "-m", "checkov.main", f"--directory={directory}", *options],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            report = json.loads(result.stdout)
            results = report["results"]
        except (ValueError, KeyError, TypeError):
            # Nothing to scan, or a crash: never a pass.
            pytest.fail(f"checkov gave no results (exit code {result.returncode}): {result.stdout}{result.stderr}")
        assert report["summary"]["parsing_errors"] == 0, results["parsing_errors"]
        return Scan(
            result.returncode,
            {_finding(record) for record in results["passed_checks"]},
            {_finding(record) for record in results["failed_checks"]},
            {_finding(record): record["check_result"]["suppress_comment"] for record in results["skipped_checks"]},
            result.stderr,
        )

    return run


@pytest.fixture(scope="module")
def terraform(synthesize: Synthesize) -> Path:
    """The example deployment, those that say all that a part can, and the examples, below one directory."""
    directory = synthesize("checkov/deployment").parent
    for name in PARTS:
        synthesize(f"checkov/{name}", TAPSTACK_DEPLOYMENT=str(ROOT / "tests" / "unit" / "settings" / f"{name}.yaml"))
    examples = EXAMPLES if EVERY_POINT else []
    if examples:
        # In one process: each would load Python, Node and the bindings again.
        synthesize("checkov/deployment", "-c", _SYNTHESIZE_EXAMPLES, str(directory), *examples)
    assert {path.name for path in directory.iterdir()} == {"deployment", *PARTS, *examples}
    return directory


@pytest.fixture(scope="module")
def scanned(scan: Scanner, terraform: Path) -> Scan:
    return scan(terraform)


def test_no_check_fails(scanned: Scan) -> None:
    assert not scanned.failed, "\n".join(f"{f.check} {f.address} in {f.file}" for f in sorted(scanned.failed))
    assert scanned.returncode == 0


def test_every_stack_is_scanned(scanned: Scan, terraform: Path) -> None:
    assert {found.file for found in scanned.passed} == {_shown(file, terraform) for file in _stacks(terraform)}


def test_every_suppression_has_a_reason(terraform: Path) -> None:
    short = {found: reason for found, reason in _suppressions(terraform) if len(reason.strip()) < SHORTEST_REASON}

    assert short == {}


def test_every_suppression_is_needed(scanned: Scan, terraform: Path) -> None:
    written = dict(_suppressions(terraform))

    assert written, "no suppression at all: the tests below would show nothing"
    assert scanned.skipped == written


@pytest.mark.long
def test_fails_where_a_suppression_is_taken_out(scanned: Scan, scan: Scanner, terraform: Path, tmp_path: Path) -> None:
    # given one suppression of each kind of check, which checkov runs in different ways
    python_check = _first(terraform, "CKV_")
    graph_check = _first(terraform, "CKV2_")
    copy = _copy_without(terraform, tmp_path, {python_check, graph_check})

    # when
    result = scan(copy)

    # then
    assert result.returncode == 1
    assert result.failed - scanned.failed == {python_check, graph_check}


@pytest.mark.long
def test_fails_where_a_suppression_has_no_reason(scanned: Scan, scan: Scanner, terraform: Path, tmp_path: Path) -> None:
    unexplained = _first(terraform, "CKV_")
    copy = _copy_without(terraform, tmp_path, {unexplained}, instead={"id": unexplained.check, "comment": " "})

    result = scan(copy)

    assert result.returncode == 1
    assert result.failed - scanned.failed == {unexplained}
    assert f"{unexplained.address}: the suppression of {unexplained.check} has no comment" in result.messages


@pytest.mark.long
def test_fails_with_a_message_where_checkov_looks_different(scan: Scanner, terraform: Path, tmp_path: Path) -> None:
    # given a checkov whose runner lost the step, which is what a module loaded before does to it
    plug_in = tmp_path / "plug-in"
    plug_in.mkdir()
    (plug_in / "__init__.py").touch()
    (plug_in / "other_version.py").write_text(
        "from checkov.terraform_json.runner import TerraformJsonRunner\n"
        "step = TerraformJsonRunner.add_graph_check_results\n"
        "TerraformJsonRunner.add_graph_check_results = "
        "lambda self, report, runner_filter, more=None: step(self, report, runner_filter)\n"
        f"exec(compile(open({str(PLUG_IN / 'suppressions_in_json.py')!r}).read(), 'plug-in', 'exec'))\n"
    )

    # when
    result = scan(_only_deployment(terraform, tmp_path), plug_in)

    # then
    assert "has no TerraformJsonRunner.add_graph_check_results(report, runner_filter)" in result.messages
    assert result.returncode == 1
    assert result.skipped == {}


def _finding(record: dict[str, Any]) -> Finding:
    return Finding(record["file_path"], record["resource"], record["check_id"])


def _stacks(directory: Path) -> list[Path]:
    return sorted(directory.glob("*/stacks/*/cdk.tf.json"))


def _shown(file: Path, directory: Path) -> str:
    """The path as checkov writes it."""
    return f"/{file.relative_to(directory).as_posix()}"


def _resources(stack: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, prefix in (("resource", ""), ("data", "data.")):
        for type_, named in stack.get(kind, {}).items():
            for name, config in named.items():
                yield f"{prefix}{type_}.{name}", config


def _skips(config: dict[str, Any]) -> list[dict[str, str]]:
    skips: list[dict[str, str]] = config.get("//", {}).get("checkov", {}).get("skip", [])
    return skips


def _suppressions(directory: Path) -> Iterator[tuple[Finding, str]]:
    for file in _stacks(directory):
        for address, config in _resources(json.loads(file.read_text(encoding="utf-8"))):
            for skip in _skips(config):
                yield Finding(_shown(file, directory), address, skip["id"]), skip["comment"]


def _first(directory: Path, prefix: str) -> Finding:
    return next(found for found, _ in sorted(_suppressions(directory)) if found.check.startswith(prefix))


def _copy_without(directory: Path, scratch: Path, removed: set[Finding], instead: dict[str, str] | None = None) -> Path:
    """Copy a synthesis with some of its suppressions taken out, or replaced."""
    copy = shutil.copytree(directory, scratch / "copy")
    for file in _stacks(copy):
        stack = json.loads(file.read_text(encoding="utf-8"))
        for address, config in _resources(stack):
            skips = _skips(config)
            for skip in list(skips):
                if Finding(_shown(file, copy), address, skip["id"]) in removed:
                    skips.remove(skip)
                    skips.extend([instead] if instead else [])
        file.write_text(json.dumps(stack, indent=2), encoding="utf-8")
    return copy


def _only_deployment(directory: Path, scratch: Path) -> Path:
    return shutil.copytree(directory / "deployment", scratch / "only" / "deployment").parent
