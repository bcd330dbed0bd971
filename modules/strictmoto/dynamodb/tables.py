"""DynamoDB, one call at a time: moto checks a condition and writes in two steps, and threads come between.

A query stumbles over an item that is being written. On AWS a write is atomic, and so is a transaction.

Items are answered as they are stored, which is as they are sent: moto tries each of the ten types of each value, and
that takes longer than everything else that it does about them.

Source: Amazon DynamoDB Developer Guide, "Condition expressions" and "Amazon DynamoDB Transactions"; Amazon DynamoDB
API Reference, AttributeValue.
"""

from __future__ import annotations

import base64
import functools
import threading
from typing import Any

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb import responses
from moto.dynamodb.exceptions import DynamodbException, MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing import partiql

from strictmoto.dynamodb import transactions
from strictmoto.dynamodb.statements import readable

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
    transactions.install()
    _read_statements()
    _write_items_as_they_are()


def _read_statements() -> None:
    """Read statements of PartiQL as they may be written, and refuse those that cannot be read."""
    parser: Any = partiql
    query, describe = parser.query, parser.get_query_metadata

    def unread(statement: str) -> MockValidationException:
        return MockValidationException(f"Statement wasn't well formed, can't be processed: {statement}")

    @functools.wraps(query)
    def queried(statement: str, source_data: Any, parameters: Any) -> Any:
        found = None
        try:
            text, left = readable(statement, parameters or ())
            found = query(text, source_data, left)
        except DynamodbException:
            raise
        except Exception as error:
            raise unread(statement) from error
        if found is None:
            raise unread(statement)
        return found

    @functools.wraps(describe)
    def described(statement: str) -> Any:
        try:
            return describe(readable(statement)[0])
        except Exception as error:
            raise unread(statement) from error

    parser.query, parser.get_query_metadata = queried, described


def _write_items_as_they_are() -> None:
    serializer: Any = BaseJSONSerializer
    structure = serializer._serialize_type_structure

    @functools.wraps(structure)
    def serialize(self: Any, serialized: dict[str, Any], value: Any, shape: Any, key: str) -> None:
        if shape.name == "AttributeValue" and key and isinstance(value, dict | DynamoType):
            self._default_serialize(serialized, as_sent(value), shape, key)
        else:
            structure(self, serialized, value, shape, key)

    serializer._serialize_type_structure = serialize


def as_sent(value: Any) -> Any:
    """Return a value of an item, by its type, as JSON has it: `{"L": [{"S": "text"}]}`."""
    if isinstance(value, DynamoType):
        value = {value.type: value.value}
    return {kind: _content(kind, content) for kind, content in value.items()}


def _content(kind: str, content: Any) -> Any:
    match kind:
        case "M":
            return {name: as_sent(one) for name, one in content.items()}
        case "L":
            return [as_sent(one) for one in content]
        case "SS" | "NS" | "BS":
            return [_text(one) for one in content]
        case "S" | "N" | "B":
            return _text(content)
    return content


def _text(content: Any) -> str:
    return base64.b64encode(content).decode() if isinstance(content, bytes) else str(content)
