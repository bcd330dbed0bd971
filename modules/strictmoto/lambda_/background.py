"""Asynchronous invocations: Lambda tries again, and in the end sends the result to a destination.

Source: Lambda Developer Guide, "Invoking a Lambda function asynchronously", "How Lambda handles errors and retries
with asynchronous invocation".
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

from moto.awslambda.exceptions import UnknownFunctionException

from strictmoto.lambda_ import destinations, permissions
from strictmoto.lambda_.errors import ASYNCHRONOUS_LIMIT, Refused, check_payload
from strictmoto.lambda_.invoking import Answer, find, invoke
from strictmoto.lambda_.service import Service, service
from strictmoto.lambda_.versions import version_of

_RETRY_DELAYS: Final = (60.0, 120.0)
_OLDEST: Final = 21_600.0
_BACK_OFF: Final = (1.0, 300.0)
# Events run beside each other on AWS by the thousand; this machine has but a few processors.
_AT_A_TIME: Final = threading.BoundedSemaphore(8)
_IN_HAND: Final[dict[Event, str]] = {}
"""The functions of the events that are not done with, by name."""
_IN_HAND_LOCK: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Event:
    """An event that waits for a function.

    Attributes:
        arn: the function as it was asked for.
        payload: JSON.
        request_id: of AWS; it stays the same over all attempts.
    """

    arn: str
    payload: bytes
    request_id: str


def send_arn(function_arn: str, payload: bytes, principal: str, source_arn: str) -> bool:
    """Invoke a function in the background; see `strictmoto.lambda_.send`."""
    if not permissions.may_invoke(function_arn, principal, source_arn):
        return False
    enqueue(find(function_arn), payload, function_arn)
    return True


def in_hand() -> set[str]:
    """Return the names of the functions with events that are not done with, those that will be tried again included."""
    with _IN_HAND_LOCK:
        return set(_IN_HAND.values())


def enqueue(function: Any, payload: bytes, arn: str) -> str:
    """Take an event for a function and return at once.

    Args:
        function: moto's.
        payload: JSON.
        arn: the function as it was asked for.

    Returns:
        The request id.

    Raises:
        Refused: too large, no JSON, or a runtime that does not run.
    """
    check_payload(payload, ASYNCHRONOUS_LIMIT)
    version_of(function)
    event = Event(arn, payload or b"{}", str(uuid.uuid4()))
    with _IN_HAND_LOCK:
        _IN_HAND[event] = str(function.function_name)
    service().begin(_work, event, function)
    return event.request_id


def _work(within: Service, event: Event, function: Any) -> None:
    try:
        _try_until_done(within, event, function)
    finally:
        with _IN_HAND_LOCK:
            _IN_HAND.pop(event, None)


def _try_until_done(within: Service, event: Event, function: Any) -> None:
    config = function.event_invoke_config[0].config if function.event_invoke_config else {}
    retries = config.get("MaximumRetryAttempts", len(_RETRY_DELAYS))
    oldest = config.get("MaximumEventAgeInSeconds", _OLDEST)
    attempts, back_off = 0, _BACK_OFF[0]
    # As old as on AWS: what is waited counts unscaled, what is worked is no longer here than there.
    age = 0.0
    while True:
        answer: Answer | None = None
        begun = time.monotonic()
        try:
            with _AT_A_TIME:
                if within.stopping.is_set():
                    return
                function = find(event.arn)
                answer = invoke(function, event.payload, event.arn, request_id=event.request_id, within=within)
            attempts += 1
            delay = _RETRY_DELAYS[min(attempts, len(_RETRY_DELAYS)) - 1]
        except UnknownFunctionException:
            return
        except Refused as refusal:
            if not refusal.throttled:
                return
            delay, back_off = back_off, min(back_off * 2, _BACK_OFF[1])
        if within.stopping.is_set():
            return
        if answer is not None and not answer.error:
            return destinations.succeed(event, function, config, answer, attempts)
        if answer is not None and attempts > retries:
            return destinations.fail(event, function, config, answer, attempts, "RetriesExhausted")
        age += time.monotonic() - begun + delay
        if age > oldest:
            return destinations.fail(event, function, config, answer, attempts, "EventAgeExceeded")
        if not within.wait(delay):
            return
