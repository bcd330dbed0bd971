"""Transactions that remember the items they write, where moto copies the whole table before each: all or none.

A table of a few thousand items takes longer to copy than everything else that the account does about a call.

Source: Amazon DynamoDB API Reference, TransactWriteItems.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

# moto has types, but none for what is replaced at run time.
module: Any = models
DynamoDBBackend: Any = models.DynamoDBBackend


def install() -> None:
    """Restore what a cancelled transaction wrote item by item."""
    write = DynamoDBBackend.transact_write_items

    @functools.wraps(write)
    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        kept = list(_kept(self, transact_items))
        try:
            write(self, transact_items)
        except BaseException:
            for one in kept:
                one.restore()
            raise

    DynamoDBBackend.transact_write_items = transact_write_items
    # Nothing else in that module copies a table.
    module.copy = SimpleNamespace(deepcopy=_copied)


def _copied(value: Any) -> Any:
    return value if isinstance(value, Table) and not _has_stream(value) else copy.deepcopy(value)


def _has_stream(table: Any) -> bool:
    """Return whether a table has a stream, whose records are taken back as well: then moto's copy is needed."""
    return table.stream_shard is not None


class _Kept:
    """What a table held before a transaction, as far as that names it."""

    def __init__(self, table: Any, keys: list[tuple[Any, Any]]) -> None:
        self._table, self._all = table, dict(table.items)
        self._inner: dict[Any, tuple[dict[Any, Any], dict[Any, Any]]] = {}
        for hash_value, range_value in keys:
            if hash_value not in self._all:
                continue
            if range_value is None:
                self._all[hash_value] = copy.deepcopy(self._all[hash_value])
                continue
            held = self._all[hash_value]
            _, before = self._inner.setdefault(hash_value, (held, dict(held)))
            if range_value in held:
                before[range_value] = copy.deepcopy(held[range_value])

    def restore(self) -> None:
        """Give the table its items again, in their order."""
        for held, before in self._inner.values():
            held.clear()
            held.update(before)
        self._table.items.clear()
        self._table.items.update(self._all)


def _kept(backend: Any, transact_items: list[dict[str, Any]]) -> Iterator[_Kept]:
    keys: dict[str, list[tuple[Any, Any]]] = {}
    for item in transact_items:
        for kind, written in item.items():
            table = backend.tables.get(written.get("TableName"))
            given = written.get("Item" if kind == "Put" else "Key")
            if table is None or _has_stream(table) or not isinstance(given, dict):
                continue
            names = [table.hash_key_attr, *([table.range_key_attr] if table.has_range_key else [])]
            # What names no item is refused before anything is written.
            if all(name in given for name in names):
                hash_value, *rest = (DynamoType(given[name]) for name in names)
                keys.setdefault(table.name, []).append((hash_value, rest[0] if rest else None))
    for name, named in keys.items():
        yield _Kept(backend.tables[name], named)
