"""DynamoDB, one write at a time: moto checks a condition and writes in two steps, and threads come between.

A transaction that is cancelled even puts back a copy of the whole table, and with it all that
others wrote meanwhile. On AWS a write is atomic, and so is a transaction.

Source: Amazon DynamoDB Developer Guide, "Condition expressions" and "Amazon DynamoDB Transactions".
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Final

from moto.dynamodb.models import DynamoDBBackend

_WRITES: Final = ("put_item", "update_item", "delete_item", "transact_write_items")
_lock = threading.RLock()


def install() -> None:
    """Let each write of moto's tables finish before the next one begins."""
    for name in _WRITES:
        write = getattr(DynamoDBBackend, name)
        if not hasattr(write, "one_at_a_time"):
            setattr(DynamoDBBackend, name, _one_at_a_time(write))


def _one_at_a_time(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def locked(*arguments: Any, **options: Any) -> Any:
        with _lock:
            return write(*arguments, **options)

    locked.one_at_a_time = True  # type: ignore[attr-defined]
    return locked
