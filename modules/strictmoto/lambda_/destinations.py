"""What becomes of an event: its dead-letter queue, and its destinations on success and on failure.

They are called over HTTP with the rights of the function's role, as AWS calls them, so that they are recorded.

Source: Lambda Developer Guide, "Capturing records of Lambda asynchronous invocations", "Adding a dead-letter queue".
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from strictmoto.identity import role_clients
from strictmoto.lambda_ import roles
from strictmoto.lambda_.invoking import Answer
from strictmoto.running import running

if TYPE_CHECKING:
    from strictmoto.lambda_.background import Event


def succeed(event: Event, function: Any, config: Mapping[str, Any], answer: Answer, attempts: int) -> None:
    """Send to the destination for successes."""
    _tell("OnSuccess", event, function, config, answer, attempts, "Success")


def fail(
    event: Event, function: Any, config: Mapping[str, Any], answer: Answer | None, attempts: int, condition: str
) -> None:
    """Send to the dead-letter queue and the destination for failures.

    Args:
        event: what failed.
        function: moto's.
        config: of its asynchronous invocations.
        answer: the last one; None where it was never invoked.
        attempts: how often it was invoked.
        condition: RetriesExhausted or EventAgeExceeded.
    """
    if target := (getattr(function, "dead_letter_config", None) or {}).get("TargetArn"):
        error = json.loads(answer.payload).get("errorMessage", "") if answer else condition
        attributes = {
            "RequestID": ("String", event.request_id),
            "ErrorCode": ("Number", "200" if answer else "429"),
            "ErrorMessage": ("String", str(error)[:1024] or "unknown"),
        }
        _deliver(target, function, event.payload.decode(), attributes)
    _tell("OnFailure", event, function, config, answer, attempts, condition)


def _tell(
    when: str,
    event: Event,
    function: Any,
    config: Mapping[str, Any],
    answer: Answer | None,
    attempts: int,
    condition: str,
) -> None:
    target = (config.get("DestinationConfig") or {}).get(when, {}).get("Destination")
    if not target:
        return
    qualified = event.arn if event.arn.count(":") > 6 else f"{event.arn}:{function.version}"
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "requestContext": {
            "requestId": event.request_id,
            "functionArn": qualified,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(event.payload),
    }
    if answer is not None:
        context = {"statusCode": 200, "executedVersion": answer.version}
        record["responseContext"] = {**context, **({"functionError": answer.error} if answer.error else {})}
        record["responsePayload"] = json.loads(answer.payload)
    _deliver(target, function, json.dumps(record), {})


def _deliver(target: str, function: Any, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
    """Send something to a queue, a topic, a function, an event bus or a bucket; what is gone gets nothing."""
    _, _, service, region, *_ = target.split(":")
    with contextlib.suppress(ClientError):
        client = role_clients.client(
            service,
            region or function.region,
            function.role,
            function.function_name,
            caller=roles.SERVICE,
            source_arn=function.function_arn,
        )
        _SENDERS[service](client, target, function, body, attributes)


def _attributes(attributes: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {name: {"DataType": kind, "StringValue": value} for name, (kind, value) in attributes.items()}


def _to_queue(client: Any, target: str, function: Any, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
    *_, account, name = target.split(":")
    # Lambda needs no right to look its URL up.
    url = f"{running().endpoint}/{account}/{name}"
    client.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=_attributes(attributes))


def _to_topic(client: Any, target: str, function: Any, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
    client.publish(TopicArn=target, Message=body, MessageAttributes=_attributes(attributes))


def _to_function(client: Any, target: str, function: Any, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
    client.invoke(FunctionName=target, InvocationType="Event", Payload=body.encode())


def _to_bus(client: Any, target: str, function: Any, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
    outcome = "Success" if json.loads(body)["requestContext"]["condition"] == "Success" else "Failure"
    client.put_events(
        Entries=[
            {
                "Source": "lambda",
                "DetailType": f"Lambda Function Invocation Result - {outcome}",
                "Detail": body,
                "Resources": [target, f"{function.function_arn}:{function.version}"],
                "EventBusName": target,
            }
        ]
    )


def _to_bucket(client: Any, target: str, function: Any, body: str, attributes: Mapping[str, tuple[str, str]]) -> None:
    now = time.gmtime()
    name = f"{time.strftime('%Y-%m-%dT%H.%M.%S', now)}-{uuid.uuid4()}"
    key = f"aws/lambda/async/{function.function_name}/{time.strftime('%Y/%m/%d', now)}/{name}"
    client.put_object(Bucket=target.rpartition(":")[2], Key=key, Body=body.encode())


_SENDERS: Mapping[str, Callable[[Any, str, Any, str, Mapping[str, tuple[str, str]]], None]] = {
    "sqs": _to_queue,
    "sns": _to_topic,
    "lambda": _to_function,
    "events": _to_bus,
    "s3": _to_bucket,
}
