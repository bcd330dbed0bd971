"""Batches of messages of a queue: each is taken by itself, and what fails comes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def take_each(records: Sequence[dict[str, Any]], take: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Have each message of a batch taken; return which of them have to come again.

    Where all of a batch fail, the function fails as well: Lambda counts only that among its errors, which an alarm
    watches. SQS's age of the oldest message leaves out what was received three times and more.

    Args:
        records: the messages, as Lambda brings them.
        take: takes one; whatever it raises, its message comes again. It logs and measures that itself.

    Raises:
        Exception: what the last one raised, where all failed.

    Source: AWS Lambda Developer Guide, "Handling errors for an SQS event source in Lambda" (partial batch responses);
    the batch processor of Powertools for AWS Lambda fails where the whole batch does, too.
    """
    failed: list[dict[str, str]] = []
    for record in records:
        try:
            take(record)
        except Exception:
            failed.append({"itemIdentifier": record["messageId"]})
            if len(failed) == len(records):
                raise
    return {"batchItemFailures": failed}
