"""Importing generated bindings without what only their authors' users need.

Each generated function checks the types of its arguments, and each class states them as
objects that are built when it is imported. Of a program of Tapstack's own, mypy checked the
types before, the tests ran it with the checks, and the kernel in Node checks them again: it
imports the bindings as `python -OO` would, with annotations that stay text (PEP 563).
"""

from __future__ import annotations
import __future__

import importlib.util
import marshal
import sys
from collections.abc import Collection, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, Final

_OPTIMIZATION: Final = 2
_TAG: Final = "tapstack"
"""Distinguishes what is compiled here from what Python itself compiles, in `__pycache__`."""


class OptimizingFinder:
    """Finds modules of some packages as Python does, and has them compiled as described above."""

    def __init__(self, packages: Collection[str]) -> None:
        """Find modules of `packages`, which are names of whole packages."""
        self._packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to import a module, or None to leave it to others."""
        if fullname.partition(".")[0] not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        # Another loader reads something that is no file: it knows better.
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _OptimizingLoader(spec.loader.name, spec.loader.path)
        return spec


class _OptimizingLoader(SourceFileLoader):
    def get_code(self, fullname: str) -> Any:
        """Return the code of a module, from its cache where that is of the same source."""
        source_path = self.get_filename(fullname)
        cache_path = importlib.util.cache_from_source(source_path, optimization=f"{_OPTIMIZATION}{_TAG}")
        stats = self.path_stats(source_path)
        header = b"".join(
            (
                importlib.util.MAGIC_NUMBER,
                bytes(4),
                (int(stats["mtime"]) & 0xFFFFFFFF).to_bytes(4, "little"),
                (int(stats["size"]) & 0xFFFFFFFF).to_bytes(4, "little"),
            )
        )
        code = self._cached(cache_path, header)
        if code is None:
            code = compile(
                self.get_data(source_path),
                source_path,
                "exec",
                flags=__future__.annotations.compiler_flag,
                dont_inherit=True,
                optimize=_OPTIMIZATION,
            )
            if not sys.dont_write_bytecode:
                # Does nothing where the directory cannot be written to.
                self.set_data(cache_path, header + marshal.dumps(code))
        return code

    def _cached(self, path: str, header: bytes) -> Any:
        try:
            cached = self.get_data(path)
            return marshal.loads(memoryview(cached)[len(header) :]) if cached.startswith(header) else None
        except (OSError, EOFError, TypeError, ValueError):
            return None
