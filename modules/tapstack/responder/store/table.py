"""The calls of DynamoDB that the store uses.

Source: Amazon DynamoDB API Reference, UpdateItem, TransactWriteItems, BatchGetItem, Query.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tapstack.domain import table_names
from tapstack.domain.table_names import PARTITION_KEY, SORT_KEY
from tapstack.responder.aws.clients import client
from tapstack.responder.aws.errors import code_of
from tapstack.responder.environment import environment
from tapstack.responder.store.items import of_listing, pack, unpack_item
from tapstack.responder.store.retry import retried

_BATCH: Final = 100


def read(key: dict[str, Any]) -> dict[str, Any] | None:
    """Return an item as it is now; None when there is none."""
    answer = client("dynamodb").get_item(TableName=environment().table, Key=key, ConsistentRead=True)
    return unpack_item(answer["Item"]) if "Item" in answer else None


def read_all(keys: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of many items that exist, in no order."""
    return [item for start in range(0, len(keys), _BATCH) for item in _batch(keys[start : start + _BATCH])]


def _batch(keys: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    table = environment().table
    asked: dict[str, Any] = {table: {"Keys": list(keys), "ConsistentRead": True}}
    found: list[dict[str, Any]] = []

    def read_rest() -> list[dict[str, Any]] | None:
        nonlocal asked
        answer = client("dynamodb").batch_get_item(RequestItems=asked)
        found.extend(unpack_item(item) for item in answer["Responses"].get(table, []))
        asked = answer.get("UnprocessedKeys", {})
        return None if asked else found

    return retried(read_rest, "the table did not answer for all keys")


def change(
    key: dict[str, Any],
    update: str,
    *,
    condition: str | None = None,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Change an item and return all of it afterwards; None when the condition does not hold.

    Args:
        key: of the item.
        update: DynamoDB's update expression.
        condition: DynamoDB's condition expression.
        values: of both, by name without colon.
        names: of both, by name without number sign.
    """
    try:
        answer = client("dynamodb").update_item(
            TableName=environment().table,
            Key=key,
            ReturnValues="ALL_NEW",
            **expressions(update, condition, values, names),
        )
    except ClientError as error:
        if code_of(error) == "ConditionalCheckFailedException":
            return None
        raise
    return unpack_item(answer.get("Attributes", {}))


def write_together(items: Sequence[dict[str, Any]]) -> bool:
    """Write all items or none; return whether all conditions held.

    botocore sends a ClientRequestToken, so that a retry after a lost response succeeds too.

    Raises:
        TryAgain: others write the same items at the same time.
    """
    return retried(lambda: _transaction(items), "others write the same items", pause=(0.05, 0.2))


def _transaction(items: Sequence[dict[str, Any]]) -> bool | None:
    """Return whether all conditions held; None where another transaction conflicted."""
    try:
        client("dynamodb").transact_write_items(TransactItems=list(items))
    except ClientError as error:
        if code_of(error) != "TransactionCanceledException":
            raise
        reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
        if "ConditionalCheckFailed" in reasons:
            return False
        if "ValidationError" in reasons:
            raise
        return None
    return True


def part(
    key: dict[str, Any],
    update: str | None,
    condition: str,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return an update, or without one a check, as a part of a transaction; arguments as of `change`."""
    what = "ConditionCheck" if update is None else "Update"
    expressed = expressions(update, condition, values, names)
    return {what: {"TableName": environment().table, "Key": key, **expressed}}


def put(
    item: dict[str, Any],
    condition: str | None = None,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the writing of an item as a part of a transaction.

    Args:
        item: as DynamoDB has it, with its key.
        condition: DynamoDB's condition expression.
        values: as of `change`.
        names: likewise.
    """
    return {"Put": {"TableName": environment().table, "Item": item, **expressions(None, condition, values, names)}}


def listed(listing: str, **more: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of a listing, the oldest first; eventually consistent.

    Args:
        listing: see `domain.table_names`.
        **more: parameters of the query besides; values of its expressions are added.
    """
    given = of_listing(listing)
    values = {**given.pop("ExpressionAttributeValues"), **more.pop("ExpressionAttributeValues", {})}
    yield from query(**given, **more, ExpressionAttributeValues=values)


def beginning_with(key: dict[str, Any], beginning: str) -> Iterator[dict[str, Any]]:
    """Yield the items in the partition of a key whose sort keys have a beginning, as they are now, in their order."""
    return query(
        KeyConditionExpression=f"{PARTITION_KEY} = :partition AND begins_with({SORT_KEY}, :beginning)",
        ExpressionAttributeValues={
            ":partition": key[PARTITION_KEY],
            ":beginning": pack(table_names.key(beginning, "")),
        },
        ConsistentRead=True,
    )


def query(**conditions: Any) -> Iterator[dict[str, Any]]:
    """Yield the items of a query, all pages of it."""
    pages = client("dynamodb").get_paginator("query").paginate(TableName=environment().table, **conditions)
    for page in pages:
        yield from (unpack_item(item) for item in page["Items"])


def expressions(
    update: str | None,
    condition: str | None = None,
    values: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the parameters of an update and a condition; unused ones are left out."""
    given = {
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeValues": {f":{name}": pack(value) for name, value in (values or {}).items()},
        "ExpressionAttributeNames": {f"#{name}": attribute for name, attribute in (names or {}).items()},
    }
    return {name: value for name, value in given.items() if value}
