"""How a target is reached: once, by whoever may.

Source: Amazon EventBridge User Guide, "Event bus targets in Amazon EventBridge"; EventBridge Scheduler User Guide,
"Using templated targets" and "Using universal targets". A target with a role is called over HTTP as that role; one
without is reached as the service, where its resource policy allows it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from strictmoto.events.delivery import Undeliverable
from strictmoto.identity import role_clients
from strictmoto.kms.uses import service_may_send
from strictmoto.running import running
from strictmoto.stepfunctions import sdk


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf something is sent.

    Attributes:
        service: for example events.amazonaws.com.
        arn: of the rule or schedule.
        role_arn: the target's role, if any.
    """

    service: str
    arn: str
    role_arn: str | None = None

    @property
    def region(self) -> str:
        """Where the rule or schedule is."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """Whose it is."""
        return self.arn.split(":")[4]

    def client(self, service: str, region: str) -> Any:
        """Return a client that calls as the target's role."""
        if not self.role_arn:
            raise Undeliverable("NO_PERMISSIONS", "the target has no role")
        name = self.arn.rpartition("/")[2][:64]
        return role_clients.client(
            service, region, self.role_arn, name, caller=self.service, source_arn=self._assumed_for
        )

    @property
    def _assumed_for(self) -> str:
        """What a role's trust policy knows as aws:SourceArn: of a schedule, its group."""
        if ":schedule/" not in self.arn:
            return self.arn
        where, _, name = self.arn.partition(":schedule/")
        return f"{where}:schedule-group/{name.partition('/')[0]}"


def reach(target: dict[str, Any], text: str, sender: Sender) -> None:
    """Give a text to a target.

    Args:
        target: as PutTargets and CreateSchedule take it.
        text: what it gets.
        sender: who sends.

    Raises:
        Undeliverable: it did not take it.
    """
    arn = target["Arn"]
    service = arn.split(":")[2]
    if ":aws-sdk:" in arn:
        _call(lambda: _universal(arn, text, sender))
        return
    found = _TARGETS.get(service)
    if found is None:
        raise Undeliverable("INVALID_PARAMETER", f"strictmoto cannot reach {arn}")
    _call(lambda: found(target, text, sender))


def _call(work: Callable[[], None]) -> None:
    try:
        work()
    except ClientError as error:
        raise _refusal(error) from error
    except (BotoCoreError, HTTPClientError) as error:
        raise Undeliverable("SDK_CLIENT_ERROR", str(error), retriable=True) from error


def _refusal(error: ClientError) -> Undeliverable:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    reason = f"{code}: {message}"
    if status == 429 or "Throttl" in code or "TooManyRequests" in code:
        return Undeliverable("THROTTLING", reason, retriable=True)
    if status >= 500:
        return Undeliverable("ERROR_FROM_TARGET", reason, retriable=True)
    if "AccessDenied" in code:
        return Undeliverable("NO_PERMISSIONS", reason)
    if "NotFound" in code or "DoesNotExist" in code or "NonExistent" in code:
        return Undeliverable("NO_RESOURCE", reason)
    return Undeliverable("ERROR_FROM_TARGET", reason)


def _may(action: str, arn: str, sender: Sender) -> None:
    if not service_may_send(sender.service, action, arn, sender.arn):
        raise Undeliverable("NO_PERMISSIONS", f"{sender.service} is not allowed to {action} on {arn}")


def _lambda(target: dict[str, Any], text: str, sender: Sender) -> None:
    arn = target["Arn"]
    if sender.role_arn:
        client = sender.client("lambda", arn.split(":")[3])
        client.invoke(FunctionName=arn, InvocationType="Event", Payload=text.encode())
        return
    from moto.awslambda.exceptions import UnknownFunctionException

    from strictmoto import lambda_ as functions

    functions.install()
    try:
        taken = functions.send(arn, text.encode(), principal=sender.service, source_arn=sender.arn)
    except UnknownFunctionException as error:
        raise Undeliverable("NO_RESOURCE", f"Function not found: {arn}") from error
    if not taken:
        raise Undeliverable("NO_PERMISSIONS", f"{sender.service} is not allowed to lambda:InvokeFunction on {arn}")


def _states(target: dict[str, Any], text: str, sender: Sender) -> None:
    arn = target["Arn"]
    sender.client("stepfunctions", arn.split(":")[3]).start_execution(
        stateMachineArn=arn, name=str(uuid.uuid4()), input=text
    )


def _sqs(target: dict[str, Any], text: str, sender: Sender) -> None:
    from moto.sqs.models import sqs_backends

    arn = target["Arn"]
    _, _, _, region, account, name = arn.split(":")
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    if sender.role_arn:
        more = {"MessageGroupId": group} if group else {}
        url = f"{running().endpoint}/{account}/{name}"
        sender.client("sqs", region).send_message(QueueUrl=url, MessageBody=text, **more)
        return
    queue = sqs_backends[account][region].queues.get(name)
    if queue is None:
        raise Undeliverable("NO_RESOURCE", f"{arn} does not exist")
    _may("sqs:SendMessage", arn, sender)
    sqs_backends[account][region].send_message(name, text, group_id=group)


def _sns(target: dict[str, Any], text: str, sender: Sender) -> None:
    from moto.sns.models import sns_backends

    arn = target["Arn"]
    _, _, _, region, account, _ = arn.split(":")
    if sender.role_arn:
        sender.client("sns", region).publish(TopicArn=arn, Message=text)
        return
    topic = sns_backends[account][region].topics.get(arn)
    if topic is None:
        raise Undeliverable("NO_RESOURCE", f"{arn} does not exist")
    _may("sns:Publish", arn, sender)
    topic.publish(text)


def _events(target: dict[str, Any], text: str, sender: Sender) -> None:
    """EventBridge Scheduler puts an event on a bus; a rule's own way to a bus is in bus.py."""
    arn, parameters = target["Arn"], target.get("EventBridgeParameters") or {}
    entry = {
        "EventBusName": arn,
        "Source": parameters.get("Source", ""),
        "DetailType": parameters.get("DetailType", ""),
        "Detail": text,
        "Resources": [sender.arn],
    }
    answer = sender.client("events", arn.split(":")[3]).put_events(Entries=[entry])
    for failed in answer["Entries"]:
        if "ErrorCode" in failed:
            raise Undeliverable("ERROR_FROM_TARGET", f"{failed['ErrorCode']}: {failed['ErrorMessage']}")


def _logs(target: dict[str, Any], text: str, sender: Sender) -> None:
    from moto.logs.models import logs_backends

    _, _, _, region, account, _, name, *_ = target["Arn"].split(":")
    backend = logs_backends[account][region]
    if name not in backend.groups:
        raise Undeliverable("NO_RESOURCE", f"{target['Arn']} does not exist")
    stream = str(uuid.uuid4())
    backend.create_log_stream(name, stream)
    backend.put_log_events(name, stream, [{"timestamp": int(time.time() * 1000), "message": text}])


def _universal(arn: str, text: str, sender: Sender) -> None:
    api, action = arn.split(":")[-2:]
    operation = sdk.operation(api, action)
    if operation is None:
        raise Undeliverable("INVALID_PARAMETER", f"{arn} is no action of the AWS SDK")
    given = sdk.as_request(json.loads(text or "{}"), operation.input_shape)
    sender.client(sdk.botocore_name(api), sender.region)._make_api_call(operation.name, given)


_TARGETS: Final[Mapping[str, Callable[[dict[str, Any], str, Sender], None]]] = {
    "lambda": _lambda,
    "states": _states,
    "sqs": _sqs,
    "sns": _sns,
    "events": _events,
    "logs": _logs,
}
