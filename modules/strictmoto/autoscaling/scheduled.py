"""Scheduled actions: of one group each, with sizes that fit one another and times that can come.

moto takes any, and keeps one action of a name, whichever group it is of.

Source: Auto Scaling API Reference, PutScheduledUpdateGroupAction and BatchPutScheduledUpdateGroupAction; Auto Scaling
User Guide, "Scheduled scaling". Inferred are the texts, and that sizes are compared with those of the same action only.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable
from typing import Any, Final

from moto.autoscaling import models
from moto.autoscaling.exceptions import ValidationError
from moto.core.utils import utcnow

from strictmoto.autoscaling.capacity import check_sizes, number

# moto has types, but none for what is replaced at run time.
Backend: Any = models.AutoScalingBackend
_CRON: Final = re.compile(r"\S+( +\S+){4}")


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    put, delete = Backend.put_scheduled_update_group_action, Backend.delete_scheduled_action

    @functools.wraps(put)
    def put_scheduled_update_group_action(self: Any, name: str, scheduled_action_name: str, **given: Any) -> Any:
        for size in ("min_size", "max_size", "desired_capacity"):
            given[size] = number(size, given.get(size), needed=False)
        _check(given["min_size"], given["max_size"], given["desired_capacity"])
        _check_times(given.get("start_time"), given.get("end_time"), given.get("recurrence"))
        return _in_group(self, name, lambda: put(self, name, scheduled_action_name=scheduled_action_name, **given))

    @functools.wraps(delete)
    def delete_scheduled_action(self: Any, auto_scaling_group_name: str, scheduled_action_name: str) -> None:
        _in_group(self, auto_scaling_group_name, lambda: delete(self, auto_scaling_group_name, scheduled_action_name))

    Backend.put_scheduled_update_group_action = put_scheduled_update_group_action
    Backend.delete_scheduled_action = delete_scheduled_action


def _in_group(backend: Any, group: str, change: Callable[[], Any]) -> Any:
    """Change the actions of a group as if there were no other: moto keeps all by their names alone."""
    kept = backend.scheduled_actions
    backend.scheduled_actions = {
        action.scheduled_action_name: action for action in kept.values() if action.auto_scaling_group_name == group
    }
    try:
        return change()
    finally:
        others = {key: action for key, action in kept.items() if action.auto_scaling_group_name != group}
        own = {(group, name): action for name, action in backend.scheduled_actions.items()}
        backend.scheduled_actions = others | own


def _check(least: int | None, most: int | None, desired: int | None) -> None:
    if least is None and most is None and desired is None:
        raise ValidationError("At least one of MinSize, MaxSize and DesiredCapacity must be specified.")
    for name, size in (("MinSize", least), ("MaxSize", most), ("DesiredCapacity", desired)):
        if size is not None and size < 0:
            raise ValidationError(f"{name}, {size}, must be at least 0")
    highest = max(size for size in (least, most, desired) if size is not None)
    check_sizes(least or 0, highest if most is None else most, desired)


def _check_times(start: Any, end: Any, recurrence: str | None) -> None:
    begins, ends = _moment(start), _moment(end)
    now = utcnow()
    if begins is not None and begins < now:
        raise ValidationError("Given start time is in the past")
    if ends is not None and ends < now:
        raise ValidationError("Given end time is in the past")
    if begins is not None and ends is not None and ends <= begins:
        raise ValidationError("Given end time is not after the start time")
    if recurrence is not None and not _CRON.fullmatch(recurrence):
        raise ValidationError(f"Given recurrence string: {recurrence} is invalid")


def _moment(given: Any) -> datetime.datetime | None:
    """Return a time of UTC without its zone, as moto's clock gives it."""
    if given is None:
        return None
    try:
        moment = given if isinstance(given, datetime.datetime) else datetime.datetime.fromisoformat(str(given))
    except ValueError:
        raise ValidationError(f"{given} is not a valid date") from None
    return moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
