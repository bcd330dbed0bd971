"""How cdktf and the AWS bindings are imported."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from tapstack import kernel
from tapstack.kernel.client import hand_over
from tapstack.kernel.cores import CORES, package_root
from tapstack.kernel.node import PRELOAD, node_binary
from tapstack.kernel.optimizing import OptimizingFinder


@contextmanager
def importing(beginning: kernel.Beginning, package: str) -> Iterator[None]:
    """Import a core in this; `package` is that of its AWS bindings."""
    lazy = spare_the_eager_init(package)
    if lazy and beginning.program:
        _import_for_a_program()
    node, beginning.node = beginning.node, None
    if node is not None:
        beginning.link = hand_over(node, beginning.requests, program=beginning.program)
        if beginning.link is not None:
            yield
            return
        node.end()
    with _kernel_environment(lazy=lazy):
        yield


def spare_the_eager_init(package: str) -> bool:
    """Put a bare package object in place of one whose `__init__` imports everything.

    Sub-packages import as before, and as attributes on first use.
    """
    if package in sys.modules or kernel.stock_import() or not _looks_as_expected(package):
        return False

    def load_on_first_use(name: str) -> ModuleType:
        try:
            return importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError as error:
            raise AttributeError(f"module {package!r} has no attribute {name!r}") from error

    return _put_in_place(package, load_on_first_use)


def _looks_as_expected(package: str) -> bool:
    """Return whether a bindings package has one sub-package a resource beside its jsii assembly."""
    root = package_root(package)
    return (
        root is not None
        and (root / "_jsii" / "__init__.py").is_file()
        and (root / "ec2_traffic_mirror_session" / "__init__.py").is_file()
    )


def _put_in_place(name: str, load: Callable[[str], object]) -> bool:
    """Put a bare module in place of one that is not imported yet; `load` finds its attributes."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return False
    bare = importlib.util.module_from_spec(spec)

    def find(attribute: str) -> object:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return load(attribute)

    bare.__getattr__ = find  # type: ignore[method-assign]
    sys.modules[name] = bare
    return True


def _import_for_a_program() -> None:
    """Have the bindings imported with what a program of Tapstack's own needs of them."""
    sys.meta_path.insert(0, OptimizingFinder(("constructs", *CORES, *CORES.values())))
    # What checks types: each binding imports it, and none that is imported so uses it.
    if "typeguard" not in sys.modules:
        _put_in_place("typeguard", lambda name: getattr(_really_import("typeguard"), name))
    # Each binding asks for its version, which is read from its metadata.
    importlib.metadata.version = functools.cache(importlib.metadata.version)


@functools.cache
def _really_import(name: str) -> ModuleType:
    del sys.modules[name]
    return importlib.import_module(name)


@contextmanager
def _kernel_environment(*, lazy: bool) -> Iterator[None]:
    """Set what the jsii kernel reads when it starts, and only for that long."""
    added: dict[str, str] = {}
    if "JSII_NODE" not in os.environ and (node := node_binary()):
        added["JSII_NODE"] = node
    if lazy and PRELOAD.is_file():
        # Node splits NODE_OPTIONS at spaces outside of double quotes.
        option = f'--require="{PRELOAD.as_posix()}"'
        added["NODE_OPTIONS"] = f"{os.environ.get('NODE_OPTIONS', '')} {option}".strip()
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
