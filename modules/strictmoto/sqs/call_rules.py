"""What SQS takes of queues and messages.

Sources: Amazon SQS API Reference, CreateQueue, SetQueueAttributes, SendMessage and SendMessageBatch; Amazon SQS
Developer Guide, "Amazon SQS message quotas". The texts are those that SQS sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal

_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
_TRUTHS: Final = frozenset({"ContentBasedDeduplication", "FifoQueue", "SqsManagedSseEnabled"})
_ATTRIBUTES: Final = frozenset(
    {
        *_RANGES,
        *_TRUTHS,
        "DeduplicationScope",
        "FifoThroughputLimit",
        "KmsMasterKeyId",
        "Policy",
        "RedriveAllowPolicy",
        "RedrivePolicy",
    }
)
# Source: SendMessage, MessageBody.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why SQS refuses a call."""
    if action in ("CreateQueue", "SetQueueAttributes"):
        yield from _of_attributes(requested.get("Attributes") or {})
    elif action == "SendMessage":
        yield from _of_message(requested)
    elif action == "SendMessageBatch":
        for entry in requested.get("Entries") or ():
            # An entry with characters that cannot be fails alone, which moto does not know.
            yield from _of_message(entry)


def _of_attributes(attributes: Mapping[str, Any]) -> Iterator[Refusal]:
    for name, value in attributes.items():
        if name not in _ATTRIBUTES:
            yield Refusal("InvalidAttributeName", f"Unknown Attribute {name}.")
        # What is empty takes an attribute away.
        elif value not in ("", None) and not _is_taken(name, str(value)):
            yield Refusal("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


def _is_taken(name: str, value: str) -> bool:
    if name in _TRUTHS:
        return value.lower() in ("true", "false")
    if name not in _RANGES:
        return True
    least, most = _RANGES[name]
    return value.isascii() and value.isdecimal() and least <= int(value) <= most


def _of_message(message: Mapping[str, Any]) -> Iterator[Refusal]:
    body = message.get("MessageBody")
    if not body:
        yield Refusal("MissingParameter", "The request must contain the parameter MessageBody.")
    elif _FORBIDDEN.search(str(body)):
        yield Refusal(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to "
            "#xFFFD | #x10000 to #x10FFFF",
        )
