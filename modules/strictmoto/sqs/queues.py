"""SQS as AWS runs it: dead-letter queues that say who may use them, waits that can be shortened, no lost messages.

Source: Amazon SQS Developer Guide, "Using dead-letter queues in Amazon SQS", "Amazon SQS visibility timeout",
"Amazon SQS delay queues"; API Reference, SetQueueAttributes and ReceiveMessage. How redrive policies are written in
answers: AWS CLI Reference, the examples of sqs set-queue-attributes and get-queue-attributes; of RedriveAllowPolicy
inferred.
"""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from strictmoto.requests.documents import read_json
from strictmoto.requests.queue_urls import queue_named_by
from strictmoto.running import running

# How long a long poll waits before it looks again: a message may become visible meanwhile.
_LOOK_AGAIN: Final = 1.0
# A visibility timeout is for work, and work is not shortened: it lasts at least that long, or as long as asked.
_SHORTEST_LEASE: Final = 1.0
_REDRIVE: Final = ("deadLetterTargetArn", "maxReceiveCount")


@functools.cache
def install() -> None:
    """Extend moto's SQS, once a process."""
    from moto.sqs import models, responses
    from moto.sqs.exceptions import SQSException

    message: Any = models.Message
    queue: Any = models.Queue
    backend: Any = models.SQSBackend
    _scale(message, models)
    _lock(queue, backend)
    _look_again(queue, models)
    _allow_redrive(queue, SQSException)
    _remember_source(queue, responses.SQSResponse)
    _find_by_address(responses.SQSResponse, SQSException)


def _scale(message: Any, clock: Any) -> None:
    def change_visibility(self: Any, visibility_timeout: int) -> None:
        asked = int(visibility_timeout)
        self.visible_at = clock.unix_time_millis() + max(running().waits.of(asked), min(asked, _SHORTEST_LEASE)) * 1000

    def delay(self: Any, delay_seconds: int) -> None:
        self.delayed_until = clock.unix_time_millis() + running().waits.of(int(delay_seconds)) * 1000

    message.change_visibility, message.delay = change_visibility, delay


def _lock(queue: Any, backend: Any) -> None:
    """One change of a queue at a time: moto gives one message to two consumers, and loses some."""
    receive, delete, purge = backend.receive_message, queue.delete_message, backend.purge_queue

    @functools.wraps(receive)
    def receive_message(self: Any, queue_name: str, *arguments: Any, **options: Any) -> Any:
        # Waiting for messages gives the lock back meanwhile.
        with self.get_queue(queue_name)._messages_lock:
            return receive(self, queue_name, *arguments, **options)

    @functools.wraps(delete)
    def delete_message(self: Any, receipt_handle: str) -> None:
        with self._messages_lock:
            delete(self, receipt_handle)

    @functools.wraps(purge)
    def purge_queue(self: Any, queue_name: str) -> None:
        with self.get_queue(queue_name)._messages_lock:
            purge(self, queue_name)

    backend.receive_message, queue.delete_message, backend.purge_queue = receive_message, delete_message, purge_queue


def _look_again(queue: Any, clock: Any) -> None:
    def wait_for_messages(self: Any, timeout: float) -> None:
        now = clock.unix_time_millis()
        due = [max(message.visible_at, message.delayed_until) - now for message in self._messages]
        soonest = min((wait / 1000 for wait in due if wait > 0), default=_LOOK_AGAIN)
        with self._messages_lock:
            self._messages_lock.wait_for(lambda: self.messages, timeout=min(timeout, soonest + 0.001, _LOOK_AGAIN))

    queue.wait_for_messages = wait_for_messages


def _find_by_address(response: Any, error: Any) -> None:
    """Queues are those of the account that the address names; what is no address of one here is refused."""
    get_url = response.get_queue_url

    def get_queue_name(self: Any) -> str:
        url = self._get_param("QueueUrl")
        found = queue_named_by(url if isinstance(url, str) and url else self.path)
        if found is None or found.region not in ("", self.region):
            raise error("InvalidAddress", f"The address {url} is not valid for this endpoint.")
        self.current_account = found.account or self.current_account
        return found.name

    @functools.wraps(get_url)
    def get_queue_url(self: Any) -> Any:
        self.current_account = self._get_param("QueueOwnerAWSAccountId") or self.current_account
        return get_url(self)

    response._get_queue_name, response.get_queue_url = get_queue_name, get_queue_url
    # For moto's own IAM, which is not asked.
    response._determine_resource = lambda _: "*"


def _allow_redrive(queue: Any, error: Any) -> None:
    queue.redrive_allow_policy = queue.policy_text = None
    queue.BASE_ATTRIBUTES = [*queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]
    set_attributes, setup, show = queue._set_attributes, queue._setup_dlq, queue.attributes.fget

    @functools.wraps(set_attributes)
    def checked(self: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        allow = attributes.get("RedriveAllowPolicy")
        if allow:
            _check_allow_policy(allow, error)
        if "Policy" in attributes:
            self.policy_text = attributes["Policy"]
        elif vars(self).get("_policy_json") and self.policy:
            # What is not named stays; moto takes the policy away.
            attributes = {**attributes, "Policy": self.policy}
        set_attributes(self, attributes, now)
        if not self.redrive_allow_policy:
            self.redrive_allow_policy = None

    @functools.wraps(setup)
    def setup_dlq(self: Any, policy: Any) -> None:
        before = getattr(self, "redrive_policy", None), self.dead_letter_queue
        setup(self, policy)
        target = self.dead_letter_queue
        text = policy if isinstance(policy, str) else json.dumps(policy)
        if not self.redrive_policy or target is None:
            return
        reason = None
        if not 1 <= self.redrive_policy["maxReceiveCount"] <= 1000:
            reason = "Invalid value for maxReceiveCount: must be between 1 and 1000."
        elif self.fifo_queue != target.fifo_queue:
            reason = "Dead-letter queue must be same type of queue as the source."
        elif not _allows(target, self.queue_arn):
            reason = "Dead letter queue does not allow this queue to use it as a dead letter queue."
        if reason:
            self.redrive_policy, self.dead_letter_queue = before
            raise error(
                "InvalidParameterValue", f"Value {text} for parameter RedrivePolicy is invalid. Reason: {reason}"
            )

    def attributes(self: Any) -> dict[str, Any]:
        shown: dict[str, Any] = show(self)
        # Without blanks, and the count a number: moto writes blanks.
        if found := self.redrive_policy:
            shown["RedrivePolicy"] = _compact({name: found[name] for name in _REDRIVE})
        if self.redrive_allow_policy:
            shown["RedriveAllowPolicy"] = _compact(read_json(self.redrive_allow_policy))
        # As it was given, where AddPermission has not changed it.
        if self.policy and self.policy_text and read_json(self.policy_text) == read_json(self.policy):
            shown["Policy"] = self.policy_text
        return shown

    queue._set_attributes, queue._setup_dlq, queue.attributes = checked, setup_dlq, property(attributes)


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


def _check_allow_policy(policy: str, error: Any) -> None:
    try:
        found = read_json(policy)
        permission, arns = found["redrivePermission"], found.get("sourceQueueArns")
        valid = permission in ("allowAll", "denyAll", "byQueue") and (permission == "byQueue") == (arns is not None)
    except (ValueError, TypeError, KeyError):
        valid = False
    if not valid:
        raise error("InvalidParameterValue", f"Value {policy} for parameter RedriveAllowPolicy is invalid.")


def _allows(target: Any, source_arn: str) -> bool:
    policy = json.loads(target.redrive_allow_policy or '{"redrivePermission": "allowAll"}')
    if policy["redrivePermission"] == "byQueue":
        return source_arn in policy["sourceQueueArns"]
    return bool(policy["redrivePermission"] == "allowAll")


def _remember_source(queue: Any, response: Any) -> None:
    """A dead letter names the queue it comes from; in a FIFO queue it counts as sent anew."""
    add, receive = queue.add_message, response.receive_message

    @functools.wraps(add)
    def add_message(self: Any, message: Any) -> None:
        # moto adds a message a second time only where it moves it to a dead-letter queue.
        came_from = getattr(message, "queue_arn", None)
        if came_from not in (None, self.queue_arn):
            message.dead_letter_source = came_from
            if self.fifo_queue:
                message.mark_sent()
        message.queue_arn = self.queue_arn
        add(self, message)

    @functools.wraps(receive)
    def receive_message(self: Any) -> Any:
        answer = receive(self)
        asked = {
            name for key in ("AttributeNames", "MessageSystemAttributeNames") for name in self._get_param(key, []) or ()
        }
        if asked & {"All", "DeadLetterQueueSourceArn"}:
            held = {message.id: message for message in self.sqs_backend.get_queue(self._get_queue_name())._messages}
            for message in answer.result.get("Messages", ()):
                source = getattr(held.get(message["MessageId"]), "dead_letter_source", None)
                if source is not None:
                    message.setdefault("Attributes", {})["DeadLetterQueueSourceArn"] = source
        return answer

    queue.add_message, response.receive_message = add_message, receive_message
