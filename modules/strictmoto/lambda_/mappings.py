"""Queues as event sources: Lambda polls them, invokes the function with batches, and deletes what it has handled.

Source: Lambda Developer Guide, "Using Lambda with Amazon SQS" and its pages on batching, error handling and filtering.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import threading
import time
from typing import Any, Final

from moto.awslambda import models
from moto.awslambda.exceptions import InvalidParameterValueException, LambdaClientError
from moto.events.models import EventPattern
from moto.sqs.exceptions import QueueDoesNotExist, ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, sqs_backends

from strictmoto.iam.encrypted import keys_of_messages
from strictmoto.lambda_ import roles
from strictmoto.lambda_.errors import SYNCHRONOUS_LIMIT, Refused
from strictmoto.lambda_.invoking import Answer, find, invoke
from strictmoto.lambda_.service import Service, service
from strictmoto.running import enforces_iam, running

LambdaBackend: Any = models.LambdaBackend

_POLL: Final = 0.05
_ASK_AGAIN: Final = 1.0
_RECEIVED_AT_ONCE: Final = 10
_BATCHES_AT_A_TIME: Final = 5
# As long as SQS allows: the function may work as long as it needs, however short waits are here.
_WHILE_AT_WORK: Final = 43_000
_NEEDED: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def install() -> None:
    """Poll queues, instead of invoking within SendMessage."""
    create = LambdaBackend.create_event_source_mapping

    @functools.wraps(create)
    def create_event_source_mapping(self: Any, spec: dict[str, Any]) -> Any:
        arn = spec.get("EventSourceArn") or ""
        if ":sqs:" not in arn:
            return create(self, spec)
        _check(self, spec)
        mapping = create(self, spec)
        queue = sqs_backends[self.account_id][self.region_name].get_queue(arn.rpartition(":")[2])
        # What is listed here, moto invokes before SendMessage returns.
        queue.lambda_event_source_mappings.pop(mapping.function_arn, None)
        service().begin(_poll, self, mapping, queue)
        return mapping

    LambdaBackend.create_event_source_mapping = create_event_source_mapping


def _check(backend: Any, spec: dict[str, Any]) -> None:
    """Refuse what AWS refuses when a mapping is made.

    Raises:
        InvalidParameterValueException: no right to the queue, or a batch that needs a window.
    """
    window = spec.get("MaximumBatchingWindowInSeconds") or 0
    if int(spec.get("BatchSize") or 10) > _RECEIVED_AT_ONCE and not window:
        raise InvalidParameterValueException(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
    function = backend.get_function(spec["FunctionName"])
    for action in _NEEDED:
        if not roles.may(function.role, action, spec["EventSourceArn"], function.region):
            raise InvalidParameterValueException(
                f"The provided execution role does not have permissions to call {action.partition(':')[2]} on SQS"
            )
    queue = sqs_backends[backend.account_id][backend.region_name].queues.get(spec["EventSourceArn"].rpartition(":")[2])
    if queue is not None and queue.visibility_timeout < function.timeout:  # type: ignore[attr-defined]
        raise InvalidParameterValueException(
            f"Queue visibility timeout: {queue.visibility_timeout} seconds is less than "  # type: ignore[attr-defined]
            f"Function timeout: {function.timeout} seconds"
        )


def _poll(within: Service, backend: Any, mapping: Any, queue: Queue) -> None:
    """Work for a mapping as long as it exists."""
    sqs = sqs_backends[backend.account_id][backend.region_name]
    # Each batch that is at work holds one; what is left is how many more may begin.
    limit = (mapping.scaling_config or {}).get("MaximumConcurrency") or _BATCHES_AT_A_TIME
    places = threading.Semaphore(min(int(limit), _BATCHES_AT_A_TIME))
    decrypts_until = 0.0
    while not within.stopping.is_set() and backend.get_event_source_mapping(mapping.uuid) is mapping:
        if not _enabled(mapping):
            within.stopping.wait(_POLL)
            continue
        # Asked once a second: to ask IAM takes longer than to look into a queue.
        if time.monotonic() >= decrypts_until:
            if not _may_decrypt(backend, mapping, queue):
                within.stopping.wait(_POLL)
                continue
            decrypts_until = time.monotonic() + _ASK_AGAIN
        if not places.acquire(timeout=_POLL):
            continue
        try:
            batch = _gather(within, sqs, mapping, queue)
        except QueueDoesNotExist:
            batch = []
            within.stopping.wait(_POLL)
        if batch:
            within.begin(_handle, sqs, mapping, queue, batch, places)
        else:
            places.release()


def _enabled(mapping: Any) -> bool:
    return str(mapping.enabled).lower() != "false"


def _may_decrypt(backend: Any, mapping: Any, queue: Queue) -> bool:
    """Return whether the role of a function may decrypt the messages of a queue; Lambda looks when it polls."""
    if not (enforces_iam() and queue.kms_master_key_id):  # type: ignore[attr-defined]
        return True
    try:
        function = find(mapping.function_arn)
    except LambdaClientError:
        # What is gone is invoked in vain.
        return True
    needed = keys_of_messages("ReceiveMessage", queue.queue_arn, backend.account_id)
    return all(
        roles.may(
            function.role,
            one.action,
            one.resources[0],
            function.region,
            {name: (str(value),) for name, value in one.context.items()},
        )
        for one in needed
    )


def _gather(within: Service, sqs: Any, mapping: Any, queue: Queue) -> list[Message]:
    """Return the next batch: full, or as full as it got within the batching window."""
    batch: list[Message] = []
    size = 0
    until: float | None = None
    window = running().waits.of(mapping.max_batch_window or 0)
    while not within.stopping.is_set() and (batch or _enabled(mapping)):
        count = min(_RECEIVED_AT_ONCE, mapping.batch_size - len(batch))
        # Divided, because visibility timeouts are waits, and as such scaled.
        hidden = int(_WHILE_AT_WORK / running().waits.scale)
        received = sqs.receive_message(queue.name, count, 0, hidden, ["All"])
        for message in received:
            if _wanted(mapping, queue, message):
                batch.append(message)
                size += len(message.body)
            else:
                _delete(sqs, queue, message)
        now = time.monotonic()
        until = now + window if batch and until is None else until
        if len(batch) >= mapping.batch_size or size > SYNCHRONOUS_LIMIT // 2 or (until is not None and now >= until):
            break
        if not received:
            if not batch:
                queue.wait_for_messages(_POLL)  # type: ignore[arg-type]
                if not queue.messages:
                    break
            else:
                within.stopping.wait(min(_POLL, max((until or now) - now, 0)))
    return batch


def _handle(within: Service, sqs: Any, mapping: Any, queue: Queue, batch: list[Message], places: Any) -> None:
    received = time.monotonic()
    try:
        event = json.dumps({"Records": [_record(queue, message) for message in batch]}).encode()
        try:
            answer: Answer | None = invoke(find(mapping.function_arn), event, mapping.function_arn, within=within)
        except (LambdaClientError, Refused):
            answer = None
        failed = _failed(mapping, batch, answer)
        if within.stopping.is_set():
            return
        for message in batch:
            if message.id not in failed:
                _delete(sqs, queue, message)
    finally:
        places.release()
    again = running().waits.of(queue.visibility_timeout) - (time.monotonic() - received)  # type: ignore[attr-defined]
    if failed and not within.stopping.wait(max(again, 0)):
        for message in batch:
            if message.id in failed:
                with contextlib.suppress(QueueDoesNotExist, ReceiptHandleIsInvalid):
                    sqs.change_message_visibility(queue.name, message.receipt_handle, 0)


def _delete(sqs: Any, queue: Queue, message: Message) -> None:
    with contextlib.suppress(QueueDoesNotExist, ReceiptHandleIsInvalid):
        sqs.delete_message(queue.name, message.receipt_handle)


def _failed(mapping: Any, batch: list[Message], answer: Answer | None) -> set[str]:
    """Return the ids of the messages that the function has not handled."""
    everything = {message.id for message in batch}
    if answer is None or answer.error:
        return everything
    if "ReportBatchItemFailures" not in (mapping.function_response_types or ()):
        return set()
    try:
        response = json.loads(answer.payload)
        failures = (response or {}).get("batchItemFailures") or []
        failed = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, TypeError, KeyError, AttributeError):
        return everything
    # What names no message of the batch fails the whole of it.
    return failed if failed <= everything else everything


def _wanted(mapping: Any, queue: Queue, message: Message) -> bool:
    filters = (mapping.filter_criteria or {}).get("Filters") or []
    if not filters:
        return True
    seen = _record(queue, message)
    with contextlib.suppress(ValueError):
        seen["body"] = json.loads(message.body)
    return any(EventPattern.load(one.get("Pattern")).matches_event(seen) for one in filters)  # type: ignore[arg-type]


def _record(queue: Queue, message: Message) -> dict[str, Any]:
    attributes = {
        "ApproximateReceiveCount": str(message.approximate_receive_count),
        "SentTimestamp": str(message.sent_timestamp),
        "SenderId": message.sender_id,
        "ApproximateFirstReceiveTimestamp": str(message.approximate_first_receive_timestamp),
    }
    if queue.fifo_queue:
        attributes["MessageGroupId"] = str(message.group_id)
        attributes["MessageDeduplicationId"] = str(message.deduplication_id)
        attributes["SequenceNumber"] = str(message.sequence_number)
    trace = message.system_attributes.get("AWSTraceHeader")
    if trace:
        attributes["AWSTraceHeader"] = str(trace.get("string_value") or trace.get("StringValue") or "")
    record: dict[str, Any] = {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": {name: _attribute(value) for name, value in message.message_attributes.items()},
        "md5OfBody": message.body_md5,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.queue_arn,
        "awsRegion": queue.region,
    }
    if message.message_attributes:
        with contextlib.suppress(Exception):
            record["md5OfMessageAttributes"] = message.attribute_md5
    return record


def _attribute(given: dict[str, Any]) -> dict[str, Any]:
    lowered = {name.lower().replace("_", ""): value for name, value in given.items()}
    found: dict[str, Any] = {"dataType": lowered.get("datatype"), "stringListValues": [], "binaryListValues": []}
    if (text := lowered.get("stringvalue")) is not None:
        found["stringValue"] = text
    elif (binary := lowered.get("binaryvalue")) is not None:
        found["binaryValue"] = binary if isinstance(binary, str) else base64.b64encode(binary).decode()
    return found
