"""DynamoDB, one call at a time: moto checks a condition and writes in two steps, and threads come between.

A transaction that is cancelled even puts back a copy of the whole table, and with it all that
others wrote meanwhile; a query stumbles over an item that is being written. On AWS a write is
atomic, and so is a transaction.

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
from moto.dynamodb import models, responses
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType

# moto has types, but none for what is replaced at run time.
DynamoHandler: Any = responses.DynamoHandler
DynamoDBBackend: Any = models.DynamoDBBackend


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
    _write_items_as_they_are()
    _refuse_statements()


def _refuse_statements() -> None:
    """Refuse statements of PartiQL that what reads them for moto fails at."""
    execute = DynamoDBBackend.execute_statement

    @functools.wraps(execute)
    def execute_statement(self: Any, statement: str, parameters: Any) -> Any:
        try:
            return execute(self, statement, parameters)
        except (AttributeError, LookupError, TypeError, ValueError):
            # Not AWS's words: AWS may well read it.
            raise MockValidationException(f"strictmoto cannot read the statement {statement}") from None

    DynamoDBBackend.execute_statement = execute_statement


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
