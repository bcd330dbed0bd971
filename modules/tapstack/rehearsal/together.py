"""Work on several stacks at the same time, each as soon as what it needs is there: most of the time is waiting."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Work = Callable[[str, Callable[[str], None], Callable[[], None]], T]
"""Works on a stack: is given its name, what to call with each line that Terraform reports, and what to call before it
uses what it needs."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What a stack waits for.

    Attributes:
        stack: the other one.
        line: what Terraform reports of that one when what is needed is there; by default its end is waited for.
    """

    stack: str
    line: re.Pattern[str] | None = None


class _OtherFailedError(Exception):
    """What a stack waits for will not come, because another one failed."""


def work_together(stacks: Sequence[str], work: Work[T], needs: Mapping[str, Sequence[Needed]]) -> dict[str, T]:
    """Call `work` for every stack, in threads; return the results by stack.

    Args:
        stacks: their names; threads begin in this order.
        work: see `Work`.
        needs: what a stack waits for before it uses that. Stacks that are not among `stacks` are not waited for.

    Raises:
        Exception: what `work` raised for one of the stacks; what waits meanwhile ends.
    """
    reached = _Reached()

    def one(stack: str) -> T:
        def ready() -> None:
            for needed in needs.get(stack, ()):
                if needed.stack in stacks:
                    reached.wait(needed)

        try:
            result = work(stack, lambda line: reached.note(stack, line), ready)
        except BaseException:
            reached.fail()
            raise
        reached.end(stack)
        return result

    with ThreadPoolExecutor(len(stacks)) as pool:
        futures = {stack: pool.submit(one, stack) for stack in stacks}
    for error in filter(None, (future.exception() for future in futures.values())):
        if not isinstance(error, _OtherFailedError):
            raise error
    return {stack: future.result() for stack, future in futures.items()}


class _Reached:
    """How far each stack is."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: dict[str, list[str]] = {}
        self._ended: set[str] = set()
        self._failed = False

    def note(self, stack: str, line: str) -> None:
        with self._changed:
            self._lines.setdefault(stack, []).append(line)
            self._changed.notify_all()

    def end(self, stack: str) -> None:
        with self._changed:
            self._ended.add(stack)
            self._changed.notify_all()

    def fail(self) -> None:
        with self._changed:
            self._failed = True
            self._changed.notify_all()

    def wait(self, needed: Needed) -> None:
        """Wait for what is needed.

        Raises:
            _OtherFailedError: some stack has failed meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failed or self._is_there(needed))
            if self._failed:
                raise _OtherFailedError

    def _is_there(self, needed: Needed) -> bool:
        if needed.stack in self._ended:
            return True
        return needed.line is not None and any(map(needed.line.search, self._lines.get(needed.stack, ())))
