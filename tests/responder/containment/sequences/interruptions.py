"""What is done at random, to whom, and in the middle of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.responder.containment.sequences.executions import Killed

T = TypeVar("T")


class Pick:
    """A number that stands for some choices, one after the other."""

    def __init__(self, number: int) -> None:
        self._left = number

    def of(self, options: Sequence[T]) -> T:
        self._left, index = divmod(self._left, len(options))
        return options[index]

    def some(self, options: Sequence[T], most: int) -> list[T]:
        """One to `most` of them, each once."""
        found = {self.of(range(len(options))) for _ in range(self.of(range(1, most + 1)))}
        return [options[index] for index in sorted(found)]


@dataclass(frozen=True)
class Interruption:
    """What happens in the middle of a function.

    Attributes:
        at: its call, counted from 1; nothing happens where it makes fewer.
        answered: after the call has had its effect, or before it is made.
        what: `killed`; `repeated` where its answer is lost, and the client sends it again; or the name of something
            that is done meanwhile.
        pick: to whom, and how.
    """

    at: int
    answered: bool
    what: str
    pick: int


class Calls:
    """Every call of AWS in this process: reported once it is answered, and interrupted where that was chosen.

    Attributes:
        report: called with each call, and whether AWS refused it.
        strike: what does something meanwhile.
        met: how many functions met what.
        times: how often the account is sent a request.
        statuses: what it answered each time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.report: Callable[..., object] = lambda *_, **__: None
        self.strike: Callable[[Interruption], object] = lambda _: None
        self._chosen: Interruption | None = None
        self._made, self._dead = 0, False
        self.met = Counter[str]()
        self.times, self.statuses = 1, list[int]()
        real = BaseClient._make_api_call

        def call(client: Any, operation: str, parameters: Any) -> Any:
            if self._dead:
                raise Killed
            self._made += 1
            chosen = self._chosen if self._chosen is not None and self._chosen.at == self._made else None
            if chosen is not None and chosen.what == "repeated":
                self.met["repeated"] += 1
                self.times = 2
            elif chosen is not None and not chosen.answered:
                self._meanwhile(chosen)
            self.statuses.clear()
            try:
                answered = real(client, operation, parameters)
            except ClientError:
                self.report(operation, parameters, refused=self.statuses[0] >= 400)
                raise
            finally:
                self.times = 1
            self.report(operation, parameters)
            if chosen is not None and chosen.answered and chosen.what != "repeated":
                self._meanwhile(chosen)
            return answered

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    def _meanwhile(self, chosen: Interruption) -> None:
        if chosen.what == "killed":
            self.met["killed"] += 1
            self._dead = True
            raise Killed
        self._chosen = None
        self.met[chosen.what] += 1
        self.strike(chosen)

    @contextmanager
    def interrupted(self, by: Interruption | None) -> Iterator[None]:
        """Count the calls from here."""
        self._chosen, self._made, self._dead = by, 0, False
        try:
            yield
        finally:
            self._chosen, self._dead = None, False
