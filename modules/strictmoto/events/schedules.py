"""EventBridge Scheduler: schedules that fire.

Source: EventBridge Scheduler User Guide and API Reference, CreateSchedule and UpdateSchedule.
"""

from __future__ import annotations

import datetime
import functools
import json
import random
import uuid
from typing import Any, Final

from moto.scheduler import models, responses
from moto.scheduler.exceptions import ScheduleGroupNotFound, ValidationException

from strictmoto.events import bus, expressions, recurring
from strictmoto.events.delivery import Delivery, Undeliverable, submit
from strictmoto.events.targets import Sender, reach

SERVICE: Final = "scheduler.amazonaws.com"


def install() -> None:
    """Replace what moto does with schedules."""
    backend: Any = models.EventBridgeSchedulerBackend
    create, update, delete = backend.create_schedule, backend.update_schedule, backend.delete_schedule
    delete_group = backend.delete_schedule_group

    @functools.wraps(create)
    def create_schedule(self: Any, **options: Any) -> Any:
        group = options.get("group_name") or "default"
        if group not in self.schedule_groups:
            raise ScheduleGroupNotFound(group)
        _check(options)
        schedule = create(self, **options)
        _begin(self, schedule)
        return schedule

    @functools.wraps(update)
    def update_schedule(self: Any, **options: Any) -> Any:
        _check(options)
        # UpdateSchedule overwrites everything: what is not given becomes the default.
        options["state"] = options.get("state") or "ENABLED"
        schedule = update(self, **options)
        _begin(self, schedule)
        return schedule

    @functools.wraps(delete)
    def delete_schedule(self: Any, group_name: str | None, name: str) -> None:
        schedule = self.get_schedule(group_name, name)
        delete(self, group_name, name)
        recurring.cancel(schedule.arn)

    @functools.wraps(delete_group)
    def delete_schedule_group(self: Any, name: str | None) -> None:
        for schedule in self.get_schedule_group(name).schedules.values():
            recurring.cancel(schedule.arn)
        delete_group(self, name)

    backend.create_schedule, backend.update_schedule = create_schedule, update_schedule
    backend.delete_schedule, backend.delete_schedule_group = delete_schedule, delete_schedule_group
    _take_action_after_completion()


def _take_action_after_completion() -> None:
    """moto's UpdateSchedule leaves it as it was."""
    response: Any = responses.EventBridgeSchedulerResponse
    update = response.update_schedule

    @functools.wraps(update)
    def update_schedule(self: Any) -> Any:
        answer = update(self)
        name = self.uri.split("?")[0].split("/")[-1]
        schedule = self.scheduler_backend.get_schedule(self._get_param("GroupName"), name)
        schedule.action_after_completion = self._get_param("ActionAfterCompletion")
        return answer

    response.update_schedule = update_schedule


def _expression(text: str, zone: str) -> expressions.Expression:
    """Return what a schedule's expression means: its API names no unit that a value needs."""
    return expressions.parse(text, zone, any_number=True)


def _check(options: dict[str, Any]) -> None:
    try:
        _expression(options["schedule_expression"], options.get("schedule_expression_timezone") or "UTC")
    except expressions.ExpressionError as error:
        raise ValidationException(str(error)) from None
    window = options.get("flexible_time_window") or {}
    flexible, most = window.get("Mode") == "FLEXIBLE", window.get("MaximumWindowInMinutes")
    if window.get("Mode") not in ("OFF", "FLEXIBLE") or flexible == (most is None):
        raise ValidationException("Invalid FlexibleTimeWindow.")
    if not (options.get("target") or {}).get("RoleArn"):
        raise ValidationException("Target.RoleArn must be specified.")


def _begin(backend: Any, schedule: Any) -> None:
    recurring.cancel(schedule.arn)
    if schedule.state == "DISABLED":
        return
    most = (schedule.flexible_time_window or {}).get("MaximumWindowInMinutes") or 0
    recurring.begin(
        schedule.arn,
        _expression(schedule.schedule_expression, schedule.schedule_expression_timezone),
        lambda due: _fire(schedule, due),
        start=_moment(schedule.start_date),
        end=_moment(schedule.end_date),
        window=lambda: random.uniform(0, most * 60),
        ended=lambda: _complete(backend, schedule),
    )


def _moment(given: Any) -> datetime.datetime | None:
    return None if given is None else datetime.datetime.fromtimestamp(float(given), datetime.UTC)


def _complete(backend: Any, schedule: Any) -> None:
    if schedule.action_after_completion == "DELETE":
        group = backend.schedule_groups.get(schedule.group_name)
        if group is not None and group.schedules.get(schedule.name) is schedule:
            del group.schedules[schedule.name]
    recurring.cancel(schedule.arn)


def _fire(schedule: Any, due: datetime.datetime) -> None:
    target = dict(schedule.target)
    sender = Sender(SERVICE, schedule.arn, target["RoleArn"])
    execution, scheduled = uuid.uuid4().hex[:16], bus.timestamp(due)
    text = target.get("Input")
    body = _default(schedule, scheduled) if text is None else text

    def send(attempt: int) -> None:
        filled = body
        for name, value in (
            ("schedule-arn", schedule.arn),
            ("scheduled-time", scheduled),
            ("execution-id", execution),
            ("attempt-number", str(attempt)),
        ):
            filled = filled.replace(f"<aws.scheduler.{name}>", value)
        try:
            reach(target, filled, sender)
        except Undeliverable as error:
            # Scheduler sends the code of the service that it called.
            code = str(error).partition(":")[0] if error.__cause__ is not None else error.code
            raise Undeliverable(
                code if " " not in code else error.code, str(error), retriable=error.retriable
            ) from error

    submit(
        Delivery(
            target=target["Arn"],
            send=send,
            body=body,
            attributes={
                "SCHEDULE_ARN": schedule.arn,
                "SCHEDULED_TIME": scheduled,
                "EXECUTION_ID": execution,
                "IS_PAYLOAD_TRUNCATED": "false",
            },
            service=SERVICE,
            source_arn=schedule.arn,
            retry=target.get("RetryPolicy") or {},
            dead_letter_arn=(target.get("DeadLetterConfig") or {}).get("Arn"),
        )
    )


def _default(schedule: Any, scheduled: str) -> str:
    """What a target gets where the schedule has no input."""
    parts = schedule.arn.split(":")
    return json.dumps(
        {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": parts[4],
            "time": scheduled,
            "region": parts[3],
            "resources": [schedule.arn],
            "detail": "{}",
        }
    )
