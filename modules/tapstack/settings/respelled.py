"""Corrects misspelled keys of a file, so that the values below them are checked as well."""

from __future__ import annotations

from typing import Any

from tapstack.settings.partial import rebuilt
from tapstack.settings.problems import Path


class Respelled:
    """What a file says, with some of its keys renamed.

    Attributes:
        data: the file's data; a copy, in which no part is shared.
    """

    def __init__(self, data: Any) -> None:
        """Begin with every key as it is written."""
        self.data = rebuilt(data, lambda leaf: leaf)
        self._written: dict[Path, str] = {}

    def rename(self, path: Path, name: str) -> bool:
        """Call the key that `path` leads to `name`, unless the mapping has such a key; return whether it was done.

        The parts of `path` before the key are as they are called by now.
        """
        *parents, key = path
        mapping = self.data
        for parent in parents:
            mapping = mapping[parent]
        if not isinstance(key, str) or key not in mapping or name in mapping:
            return False
        pairs = [(name if other == key else other, value) for other, value in mapping.items()]
        mapping.clear()
        mapping.update(pairs)
        self._written[(*parents, name)] = key
        return True

    def written(self, path: Path) -> Path:
        """Return a path with its keys as the file has them."""
        return tuple(self._written.get(path[: position + 1], part) for position, part in enumerate(path))
