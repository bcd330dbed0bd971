"""How a program of Tapstack's own imports the bindings."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tapstack.kernel.optimizing import OptimizingFinder

SOURCE = '''"""What it is for."""
import typing
if __debug__:
    checks = True
def made(value: typing.Optional[Missing] = None) -> int:
    """What it does."""
    assert value, "checked"
    return 1
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that is imported so, until the test ends."""
    root = tmp_path / "generated_bindings"
    (root / "queue").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "queue" / "__init__.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [OptimizingFinder(["generated_bindings"]), *sys.meta_path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield root / "queue"
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.startswith("generated_bindings")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def load() -> ModuleType:
    forget()
    return importlib.import_module("generated_bindings.queue")


def test_when_a_binding_is_imported_then_without_checks_docstrings_and_annotations_as_objects(package: Path) -> None:
    module = load()
    assert not hasattr(module, "checks")
    assert module.__doc__ is None
    assert module.made.__doc__ is None
    assert module.made() == 1
    assert module.made.__annotations__ == {"value": "typing.Optional[Missing]", "return": "int"}


def test_when_it_is_imported_again_then_from_what_was_compiled(package: Path) -> None:
    load()
    (cached,) = (package / "__pycache__").iterdir()
    assert "opt-2tapstack" in cached.name
    times = (package / "__init__.py").stat()
    (package / "__init__.py").write_text(SOURCE.replace("return 1", "return 2"))
    os.utime(package / "__init__.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load().made() == 1


def test_when_its_source_changed_then_it_is_compiled_again(package: Path) -> None:
    load()
    (package / "__init__.py").write_text(SOURCE.replace("return 1", "return 11"))
    assert load().made() == 11


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_when_what_was_compiled_is_broken_then_it_is_compiled_again(package: Path, content: bytes | None) -> None:
    load()
    (cached,) = (package / "__pycache__").iterdir()
    cached.write_bytes(cached.read_bytes()[:20] if content is None else content)
    assert load().made() == 1


def test_when_the_directory_cannot_be_written_to_then_it_is_imported_all_the_same(package: Path) -> None:
    (package / "__pycache__").write_text("a file")
    assert load().made() == 1


def test_when_python_is_to_write_no_bytecode_then_none_is_written(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert load().made() == 1
    assert not (package / "__pycache__").exists()


def test_when_another_package_is_imported_then_it_is_left_to_python() -> None:
    assert OptimizingFinder(["generated_bindings"]).find_spec("json.decoder") is None
