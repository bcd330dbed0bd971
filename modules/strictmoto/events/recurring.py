"""What is due again and again, or once: the schedules of rules and of EventBridge Scheduler.

The time until each occurrence is multiplied by the scale of the account's waits as it is when the wait for it
begins. Where the scale is below 1, a schedule has a calendar of its own, which runs faster.
"""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from strictmoto.events import timer
from strictmoto.events.expressions import Expression
from strictmoto.running import running


@dataclass(slots=True)
class Recurrence:
    """A schedule that runs.

    Attributes:
        expression: when it is due.
        fire: what is done then; gets the moment it was due.
        window: returns how many seconds later than due it may be done.
        end: when it is due no more.
        ended: what is done when it is due no more.
    """

    expression: Expression
    fire: Callable[[datetime.datetime], None]
    window: Callable[[], float] = lambda: 0.0
    end: datetime.datetime | None = None
    ended: Callable[[], None] = lambda: None
    entry: timer.Entry | None = field(default=None)
    cancelled: bool = False


_recurrences: dict[str, Recurrence] = {}
_lock = threading.RLock()


def begin(
    arn: str,
    expression: Expression,
    fire: Callable[[datetime.datetime], None],
    *,
    start: datetime.datetime | None = None,
    end: datetime.datetime | None = None,
    window: Callable[[], float] | None = None,
    ended: Callable[[], None] | None = None,
) -> None:
    """Let something be due from now on.

    Args:
        arn: of the rule or schedule.
        expression: when.
        fire: what is done then; gets the moment it was due.
        start: not before.
        end: not after.
        window: returns how many seconds later it may be done.
        ended: what is done when it is due no more.
    """
    recurrence = Recurrence(expression, fire, window or (lambda: 0.0), end, ended or (lambda: None))
    with _lock:
        account = running()
        if _forget not in account.at_reset:
            account.at_reset.append(_forget)
        _recurrences[arn] = recurrence
    now = datetime.datetime.now(datetime.UTC)
    if start is not None and start > now and expression.repeats:
        # The first occurrence of a rate is its start.
        _plan(recurrence, now, time.monotonic(), after=start - datetime.timedelta(microseconds=1), first=start)
    else:
        _plan(recurrence, now, time.monotonic(), after=now)


def cancel(arn: str) -> None:
    """Let it be due no more."""
    with _lock:
        recurrence = _recurrences.pop(arn, None)
    if recurrence is not None:
        recurrence.cancelled = True
        if recurrence.entry is not None:
            recurrence.entry.cancelled = True


def _forget() -> None:
    with _lock:
        for arn in list(_recurrences):
            cancel(arn)


def _plan(
    recurrence: Recurrence,
    now: datetime.datetime,
    clock: float,
    *,
    after: datetime.datetime,
    first: datetime.datetime | None = None,
) -> None:
    """Wait for the next occurrence; `now` of the schedule's calendar is `clock` of this machine."""
    from strictmoto.events.expressions import Rate

    due = first if first is not None and isinstance(recurrence.expression, Rate) else recurrence.expression.after(after)
    if due is None or (recurrence.end is not None and due > recurrence.end):
        recurrence.ended()
        return
    waits = running().waits
    real = clock + waits.of((due - now).total_seconds())
    late = waits.of(recurrence.window())

    def occur() -> None:
        if recurrence.cancelled:
            return
        recurrence.fire(due)
        if recurrence.expression.repeats:
            # No occurrence is made up for where this machine could not keep up.
            _plan(recurrence, due, max(real, time.monotonic() - waits.of(1)), after=due)
        else:
            recurrence.ended()

    recurrence.entry = timer.after(real + late - time.monotonic(), occur)
