"""DynamoDB, one call at a time: moto checks a condition and writes in two steps, and threads come between.

A transaction that is cancelled even puts back a copy of the whole table, and with it all that
others wrote meanwhile; a query stumbles over an item that is being written. On AWS a write is
atomic, and so is a transaction.

Source: Amazon DynamoDB Developer Guide, "Condition expressions" and "Amazon DynamoDB Transactions".
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from moto.dynamodb import responses

# moto has types, but none for what is replaced at run time.
DynamoHandler: Any = responses.DynamoHandler


@functools.cache
def install() -> None:
    """Let each call of moto's tables end, its answer written, before the next one begins."""
    call = DynamoHandler.call_action
    lock = threading.RLock()

    @functools.wraps(call)
    def call_action(self: Any) -> Any:
        with lock:
            return call(self)

    DynamoHandler.call_action = call_action
