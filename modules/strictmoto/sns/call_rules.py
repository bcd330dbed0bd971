"""What SNS takes of topics, subscriptions and messages.

Sources: Amazon SNS API Reference, Publish, PublishBatch, Subscribe, SetTopicAttributes and SetSubscriptionAttributes.
The texts are those that SNS sends; those of endpoints and attributes are inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from strictmoto.call_rules.refusal import Refusal
from strictmoto.requests.documents import read_json

_ELEMENTS: Final = 6
_ENDPOINTS: Final[Mapping[str, re.Pattern[str]]] = {
    "application": re.compile("arn:.*"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "email-json": re.compile(r"[^@\s]+@[^@\s]+"),
    "firehose": re.compile("arn:.*"),
    "http": re.compile("http://.+"),
    "https": re.compile("https://.+"),
    "lambda": re.compile("arn:.*"),
    "sms": re.compile(".*"),
    "sqs": re.compile("arn:.*"),
}
"""The endpoints by protocol."""
_SUBJECT: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_RECEIVERS: Final = ("TopicArn", "TargetArn", "PhoneNumber")
_OF_TOPICS: Final = frozenset(
    {
        "ArchivePolicy",
        "ContentBasedDeduplication",
        "DataProtectionPolicy",
        "DeliveryPolicy",
        "DisplayName",
        "FifoThroughputScope",
        "KmsMasterKeyId",
        "Policy",
        "SignatureVersion",
        "TracingConfig",
    }
)
_FEEDBACK: Final = re.compile(
    "(Application|Firehose|HTTP|Lambda|SQS)(FailureFeedbackRoleArn|SuccessFeedback(RoleArn|SampleRate))"
)


def refusals(action: str, requested: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield why SNS refuses a call."""
    for name, value in requested.items():
        if name.endswith("Arn") and isinstance(value, str) and (count := len(value.split(":"))) < _ELEMENTS:
            yield _invalid(f"{name} Reason: An ARN must have at least {_ELEMENTS} elements, not {count}")
    if action == "Publish":
        if not any(requested.get(name) for name in _RECEIVERS):
            yield _invalid("TopicArn or TargetArn Reason: no value for required parameter")
        yield from _of_message(requested)
    elif action == "PublishBatch":
        for entry in requested.get("PublishBatchRequestEntries") or ():
            yield from _of_message(entry)
    elif action == "Subscribe":
        yield from _of_subscription(requested)
    elif action == "SetSubscriptionAttributes":
        yield from _of_filter({requested.get("AttributeName"): requested.get("AttributeValue")})
    elif action == "SetTopicAttributes":
        name = str(requested.get("AttributeName"))
        if name not in _OF_TOPICS and not _FEEDBACK.fullmatch(name):
            yield _invalid("AttributeName")


def _of_message(message: Mapping[str, Any]) -> Iterator[Refusal]:
    text, subject = message.get("Message"), message.get("Subject")
    if not text:
        yield _invalid("Empty message")
    if subject is not None and not _SUBJECT.fullmatch(str(subject)):
        yield _invalid("Subject")
    if (structure := message.get("MessageStructure")) is None:
        return
    if structure != "json":
        yield _invalid("Invalid Message Structure parameter")
        return
    try:
        parsed = read_json(str(text))
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        yield _invalid("Message Structure - JSON message body failed to parse")
    elif not isinstance(parsed.get("default"), str):
        yield _invalid("Message Structure - No default entry in JSON message body")


def _of_subscription(requested: Mapping[str, Any]) -> Iterator[Refusal]:
    protocol, endpoint = str(requested.get("Protocol")), requested.get("Endpoint")
    if (form := _ENDPOINTS.get(protocol)) is None:
        yield _invalid(f"Does not support this protocol string: {protocol}")
    elif endpoint is not None and not form.fullmatch(str(endpoint)):
        yield _invalid("Endpoint must match the specified protocol" if "http" in protocol else "Endpoint")
    yield from _of_filter(requested.get("Attributes") or {})


def _of_filter(attributes: Mapping[Any, Any]) -> Iterator[Refusal]:
    if not (text := attributes.get("FilterPolicy")):
        return
    try:
        right = isinstance(read_json(str(text)), dict)
    except ValueError:
        right = False
    if not right:
        yield _invalid("FilterPolicy: failed to parse JSON. ")


def _invalid(why: str) -> Refusal:
    return Refusal("InvalidParameter", f"Invalid parameter: {why}")
