"""Work on several stacks at the same time, each as soon as what it needs is there: most of the time is waiting."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Needed:
    """What a stack waits for.

    Attributes:
        stack: the other one.
        line: what Terraform reports of that one when what is needed is there; by default its end is waited for.
    """

    stack: str
    line: re.Pattern[str] | None = None


def work_together(
    stacks: Sequence[str], work: Callable[[str, Callable[[str], None]], T], needs: Mapping[str, Sequence[Needed]]
) -> dict[str, T]:
    """Call `work` for every stack, in threads; return the results by stack.

    Args:
        stacks: their names.
        work: is given a name, and what to call with each line that Terraform reports.
        needs: what a stack waits for; others begin at once. Stacks that are not among `stacks` are not waited for.

    Raises:
        Exception: what `work` raised first, in the order of the stacks; what waits for that stack is not begun.
    """
    reached = _Reached()

    def one(stack: str) -> T | None:
        if not all(reached.wait(needed) for needed in needs.get(stack, ()) if needed.stack in stacks):
            return None
        try:
            result = work(stack, lambda line: reached.note(stack, line))
        except BaseException:
            reached.fail()
            raise
        reached.end(stack)
        return result

    with ThreadPoolExecutor(len(stacks)) as pool:
        futures = {stack: pool.submit(one, stack) for stack in stacks}
    # None is of a stack that was not begun: then one that it waited for raises here.
    results = {stack: future.result() for stack, future in futures.items()}
    return {stack: cast("T", result) for stack, result in results.items()}


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

    def wait(self, needed: Needed) -> bool:
        """Wait for what is needed; return False where some stack has failed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._failed or self._is_there(needed))
            return not self._failed

    def _is_there(self, needed: Needed) -> bool:
        if needed.stack in self._ended:
            return True
        return needed.line is not None and any(map(needed.line.search, self._lines.get(needed.stack, ())))
