"""What DynamoDB takes of transactions.

Source: Amazon DynamoDB API Reference, TransactWriteItems and TransactWriteItem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from strictmoto.call_rules.refusal import Refusal


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why DynamoDB refuses a call."""
    if action == "TransactWriteItems" and any(len(item) != 1 for item in requested.get("TransactItems") or ()):
        yield Refusal("ValidationException", "TransactItems can only contain one of Check, Put, Update or Delete")
