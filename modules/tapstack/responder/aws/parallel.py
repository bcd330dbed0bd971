"""The same call for many things at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tapstack.responder.aws.clients import PARALLEL

T = TypeVar("T")
R = TypeVar("R")


def each(function: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """Return the results of `function` for each thing, in their order, with 8 threads.

    Raises:
        Exception: the first one that any call raised; the other calls are still made.
    """
    listed = list(things)
    if len(listed) < 2:
        return [function(thing) for thing in listed]
    with ThreadPoolExecutor(min(PARALLEL, len(listed))) as pool:
        futures = [pool.submit(function, thing) for thing in listed]
    return [future.result() for future in futures]
