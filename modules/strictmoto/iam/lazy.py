"""Condition keys that are worked out when a condition compares them first: most requests meet none."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping

from strictmoto.iam.policies import Context


class Lazy(Mapping[str, tuple[str, ...]]):
    """A context that a function returns once it is asked for."""

    __slots__ = ("_found", "_make")

    def __init__(self, make: Callable[[], Context]) -> None:
        """Keep how it is made."""
        self._make = make
        self._found: Context | None = None

    def _all(self) -> Context:
        if self._found is None:
            self._found = self._make()
        return self._found

    def items(self) -> ItemsView[str, tuple[str, ...]]:
        """Return keys and values."""
        return self._all().items()

    def __getitem__(self, key: str) -> tuple[str, ...]:
        """Return the values of a key."""
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        """Return the keys."""
        return iter(self._all())

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._all())
