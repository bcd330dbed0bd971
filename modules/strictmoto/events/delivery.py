"""How what was fired reaches a target: later, in order for each target, again where it failed, else as a dead letter.

Source: Amazon EventBridge User Guide, "How EventBridge retries delivering events" and "Using dead-letter queues to
process undelivered events in EventBridge"; EventBridge Scheduler User Guide, "Configuring a schedule's dead-letter
queue in EventBridge Scheduler".
"""

from __future__ import annotations

import queue
import random
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from strictmoto.events import timer
from strictmoto.kms.uses import service_may_send
from strictmoto.requests.arns import is_somewhere
from strictmoto.running import Running, running

_LANES: Final = 4
_MOST_ATTEMPTS: Final = 185
_OLDEST: Final = 86400
_PATIENCE: Final = 2.0


class Undeliverable(Exception):  # noqa: N818 - what it is, not that it is an error, decides
    """A target was not reached.

    Attributes:
        code: EventBridge's code for why.
        retriable: whether trying again may help.
    """

    def __init__(self, code: str, message: str, *, retriable: bool = False) -> None:
        """Say why."""
        super().__init__(message)
        self.code = code
        self.retriable = retriable


@dataclass(slots=True)
class Delivery:
    """Something to deliver.

    Attributes:
        target: its ARN.
        send: reaches the target once; gets the number of the attempt, from 1; raises Undeliverable.
        body: of the dead letter.
        attributes: of the dead letter, besides why.
        service: on whose behalf the dead letter is sent.
        source_arn: of the rule or schedule.
        retry: the target's RetryPolicy.
        dead_letter_arn: of the queue for what cannot be delivered.
    """

    target: str
    send: Callable[[int], None]
    body: str
    attributes: dict[str, str]
    service: str
    source_arn: str
    retry: dict[str, Any] = field(default_factory=dict)
    dead_letter_arn: str | None = None
    attempts: int = 0
    began: float = field(default_factory=time.monotonic)


class _Lanes:
    """Threads that deliver; each target has its own, so that it gets things in order."""

    def __init__(self) -> None:
        self._queues: list[queue.SimpleQueue[Callable[[], None] | None]] = [queue.SimpleQueue() for _ in range(_LANES)]
        self._threads = [threading.Thread(target=self._work, args=(each,), daemon=True) for each in self._queues]
        for thread in self._threads:
            thread.name = "strictmoto-delivery"
            thread.start()
        self._ended = False

    def put(self, key: str, work: Callable[[], None]) -> None:
        self._queues[zlib.crc32(key.encode()) % _LANES].put(work)

    def _work(self, mine: queue.SimpleQueue[Callable[[], None] | None]) -> None:
        while (work := mine.get()) is not None:
            if not self._ended:
                work()

    def end(self) -> None:
        self._ended = True
        for each in self._queues:
            each.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_PATIENCE)


_lanes: list[tuple[Running, _Lanes]] = []
_lock = threading.Lock()


def later(key: str, work: Callable[[], None]) -> None:
    """Do something in the thread of a target."""
    account = running()
    with _lock:
        if not _lanes:
            _lanes.append((account, _Lanes()))
            account.at_reset.append(_end)
        lanes = _lanes[0][1]
    lanes.put(key, work)


def _end() -> None:
    with _lock:
        ending = [lanes for _, lanes in _lanes]
        _lanes.clear()
    for lanes in ending:
        lanes.end()


def submit(delivery: Delivery) -> None:
    """Deliver something; returns at once."""
    later(delivery.target, lambda: _attempt(delivery))


def _attempt(delivery: Delivery) -> None:
    delivery.attempts += 1
    try:
        delivery.send(delivery.attempts)
    except Undeliverable as error:
        _retry(delivery, error)
    except Exception as error:
        # Whatever went wrong in a target's own service: its caller sees an internal error.
        _retry(delivery, Undeliverable("INTERNAL_ERROR", f"{type(error).__name__}: {error}"))


def _retry(delivery: Delivery, error: Undeliverable) -> None:
    exhausted = ""
    if error.retriable:
        waits = running().waits
        # 1, 2, 4, ... seconds, at most an hour, with jitter.
        pause = waits.of(min(2.0 ** (delivery.attempts - 1), 3600) * random.uniform(0.5, 1))
        oldest = waits.of(delivery.retry.get("MaximumEventAgeInSeconds", _OLDEST))
        if delivery.attempts > delivery.retry.get("MaximumRetryAttempts", _MOST_ATTEMPTS):
            exhausted = "MaximumRetryAttempts"
        elif time.monotonic() + pause - delivery.began > oldest:
            exhausted = "MaximumEventAgeInSeconds"
        else:
            timer.after(pause, lambda: submit(delivery))
            return
    _bury(delivery, error, exhausted)


def _bury(delivery: Delivery, error: Undeliverable, exhausted: str) -> None:
    if delivery.dead_letter_arn is None or not is_somewhere(delivery.dead_letter_arn):
        return
    from moto.sqs.models import sqs_backends

    _, _, _, region, account, name = delivery.dead_letter_arn.split(":", 5)
    dead = sqs_backends[account][region].queues.get(name)
    if dead is None:
        return
    if delivery.service == "events.amazonaws.com" and not service_may_send(
        delivery.service, "sqs:SendMessage", delivery.dead_letter_arn, delivery.source_arn
    ):
        return
    details = {
        **delivery.attributes,
        "TARGET_ARN": delivery.target,
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error)[:1024] or error.code,
        "RETRY_ATTEMPTS": str(delivery.attempts - 1),
    }
    if exhausted:
        details["EXHAUSTED_RETRY_CONDITION"] = exhausted
    attributes = {key: {"DataType": "String", "StringValue": value} for key, value in details.items()}
    sqs_backends[account][region].send_message(name, delivery.body, message_attributes=attributes)
