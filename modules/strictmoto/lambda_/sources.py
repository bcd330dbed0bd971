"""Services that invoke functions in the background: SNS, S3 and CloudWatch Logs.

Each may do so only where the function's policy says so. Lambda Developer Guide, "Using Lambda with other services".
"""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import time
from typing import Any

from moto.awslambda import models
from moto.awslambda.exceptions import LambdaClientError
from moto.s3 import notifications
from moto.sns import models as sns_models

from strictmoto import lambda_ as functions
from strictmoto.lambda_.errors import Refused

LambdaBackend: Any = models.LambdaBackend
Subscription: Any = sns_models.Subscription
S3: Any = notifications


def install() -> None:
    """Let what moto invokes while its caller waits happen in the background."""
    publish = Subscription.publish

    @functools.wraps(publish)
    def publish_to_function(self: Any, message: str, message_id: str, *args: Any, **kwargs: Any) -> None:
        if self.protocol != "lambda":
            publish(self, message, message_id, *args, **kwargs)
            return
        names = (
            "subject",
            "message_attributes",
            "group_id",
            "deduplication_id",
            "message_structure",
        )
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        _publish(self, message, message_id, given)

    Subscription.publish = publish_to_function
    S3._invoke_awslambda = _notify_of_objects
    LambdaBackend.send_log_event = _send_log_event(LambdaBackend.send_log_event)


def _send(arn: str, event: dict[str, Any], principal: str, source_arn: str) -> None:
    """Send an event; that a function is gone or may not be invoked is not reported."""
    with contextlib.suppress(LambdaClientError, Refused):
        functions.send(arn, json.dumps(event).encode(), principal=principal, source_arn=source_arn)


def _publish(self: Any, message: str, message_id: str, given: dict[str, Any]) -> None:
    attributes = given.get("message_attributes") or {}
    if self._filter_policy_matcher is not None and not self._filter_policy_matcher.matches(attributes, message):
        return
    if given.get("message_structure") == "json":
        message = self._parse_message_structure(message, self.protocol)
    region = self.topic.arn.split(":")[3]
    base = f"https://sns.{region}.amazonaws.com"
    notification = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": self.topic.arn,
        "Subject": given.get("subject"),
        "Message": message,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "SignatureVersion": "1",
        "Signature": "strictmoto",
        "SigningCertUrl": f"{base}/SimpleNotificationService-strictmoto.pem",
        "UnsubscribeUrl": f"{base}/?Action=Unsubscribe&SubscriptionArn={self.arn}",
        "MessageAttributes": {name: _attribute(value) for name, value in attributes.items()},
    }
    record = {
        "EventVersion": "1.0",
        "EventSubscriptionArn": self.arn,
        "EventSource": "aws:sns",
        "Sns": notification,
    }
    _send(self.endpoint, {"Records": [record]}, "sns.amazonaws.com", self.topic.arn)


def _attribute(given: dict[str, Any]) -> dict[str, str]:
    """Return a message attribute as SNS hands it on; moto keeps it as it came."""
    kind = given.get("data_type") or given.get("Type") or given.get("DataType") or "String"
    found = next((given[key] for key in ("string_value", "binary_value", "Value", "StringValue") if given.get(key)), "")
    text = base64.b64encode(found).decode() if isinstance(found, bytes) else str(found)
    return {"Type": kind, "Value": text}


def _notify_of_objects(account_id: str, event_body: Any, fn_arn: str, region_name: str) -> None:
    bucket = event_body["Records"][0]["s3"]["bucket"]["arn"]
    _send(fn_arn, event_body, "s3.amazonaws.com", bucket)


def _send_log_event(original: Any) -> Any:
    @functools.wraps(original)
    def send_log_event(
        self: Any, function_arn: str, filter_name: str, log_group_name: str, log_stream_name: str, log_events: Any
    ) -> None:
        captured = _Captured(self.account_id)
        # moto packs the event; only where it goes is another.
        original(captured, function_arn, filter_name, log_group_name, log_stream_name, log_events)
        source = f"arn:aws:logs:{self.region_name}:{self.account_id}:log-group:{log_group_name}:*"
        # A function's own log must not make its caller wait.
        for principal in ("logs.amazonaws.com", f"logs.{self.region_name}.amazonaws.com"):
            with contextlib.suppress(LambdaClientError):
                if functions.may_invoke(function_arn, principal, source):
                    _send(function_arn, captured.event, principal, source)
                    return

    return send_log_event


class _Captured:
    """What moto's send_log_event takes for its backend: it keeps the event."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.event: dict[str, Any] = {}
        self._lambdas = self

    def get_arn(self, _: str) -> _Captured:
        return self

    def invoke(self, body: str, *_: Any) -> None:
        self.event = json.loads(body)
