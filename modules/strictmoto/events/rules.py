"""Rules: patterns that are checked, schedules that fire.

Source: EventBridge API Reference, PutRule and TestEventPattern; User Guide, "Creating a scheduled rule".
"""

from __future__ import annotations

import datetime
import functools
from typing import Any, Final

from moto.core.exceptions import JsonRESTError
from moto.events import models, responses
from moto.events.exceptions import InvalidEventPatternException, ValidationException

from strictmoto.events import bus, delivery, expressions, patterns, recurring
from strictmoto.requests.documents import read_json

_MOST_TARGETS: Final = 5


def install() -> None:
    """Replace what moto does with rules."""
    backend: Any = models.EventsBackend
    rule: Any = models.Rule
    backend.put_events = bus.put
    backend.put_partner_events = _put_of_partner
    rule.put_targets = _bounded(rule.put_targets)
    rule.send_to_targets = _send
    _check_patterns()
    _schedule(backend)
    handler: Any = responses.EventsHandler
    handler.test_event_pattern = _test


def _put_of_partner(self: Any, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        for account_id in self.partner_event_sources[entry["Source"]].accounts:
            bus.put(models.events_backends[account_id][self.region_name], [entry], of_partner=True)


def _bounded(put: Any) -> Any:
    """Refuse more targets than a rule has. Source: EventBridge User Guide, "Amazon EventBridge quotas"."""

    @functools.wraps(put)
    def put_targets(self: Any, targets: list[dict[str, Any]]) -> None:
        if len({target["Id"] for target in (*self.targets, *targets)}) > _MOST_TARGETS:
            raise JsonRESTError("LimitExceededException", "The requested resource exceeds the maximum number allowed.")
        put(self, targets)

    return put_targets


def _send(self: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:
    """What moto's replays of archives call."""
    pattern = self.event_pattern.get_pattern()
    if self.state != "DISABLED" and pattern and patterns.matches(pattern, original_event):
        bus.fire(self, original_event)


def _check_patterns() -> None:
    parser: Any = models.EventPatternParser

    def parse(self: Any) -> dict[str, Any]:
        if not self.pattern:
            return {}
        try:
            return patterns.parse(self.pattern)
        except patterns.PatternError as error:
            raise InvalidEventPatternException(reason=str(error)) from error

    parser.parse = parse
    pattern: Any = models.EventPattern
    pattern.matches_event = lambda self, event: not self._pattern or patterns.matches(self._pattern, event)


def _test(self: Any) -> Any:
    """TestEventPattern."""
    try:
        pattern = patterns.parse(self._get_param("EventPattern"))
    except patterns.PatternError as error:
        raise InvalidEventPatternException(reason=str(error)) from error
    try:
        event = read_json(self._get_param("Event"))
    except ValueError:
        raise ValidationException("Parameter Event is not valid.") from None
    needed = {"id", "account", "source", "time", "region", "resources", "detail-type"}
    if not isinstance(event, dict) or needed - set(event):
        raise ValidationException("Parameter Event is not valid.")
    return self._create_response({"Result": patterns.matches(pattern, event)})


def _schedule(backend: Any) -> None:
    put, delete, enable, disable = (
        backend.put_rule,
        backend.delete_rule,
        backend.enable_rule,
        backend.disable_rule,
    )

    @functools.wraps(put)
    def put_rule(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
        expression = options.get("scheduled_expression")
        if expression:
            _parse(expression)
        rule = put(self, name, *arguments, **options)
        _begin(rule)
        return rule

    @functools.wraps(delete)
    def delete_rule(self: Any, name: str, event_bus_arn: str | None) -> None:
        rules = self._get_event_bus(self._normalize_event_bus_arn(event_bus_arn)).rules
        rule = rules.get(name)
        delete(self, name, event_bus_arn)
        if rule is not None:
            recurring.cancel(rule.arn)

    @functools.wraps(enable)
    def enable_rule(self: Any, name: str, event_bus_arn: str | None) -> bool:
        found = bool(enable(self, name, event_bus_arn))
        if found:
            _begin(self.describe_rule(name, event_bus_arn))
        return found

    @functools.wraps(disable)
    def disable_rule(self: Any, name: str, event_bus_arn: str | None) -> bool:
        found = bool(disable(self, name, event_bus_arn))
        if found:
            recurring.cancel(self.describe_rule(name, event_bus_arn).arn)
        return found

    backend.put_rule, backend.delete_rule = put_rule, delete_rule
    backend.enable_rule, backend.disable_rule = enable_rule, disable_rule


def _parse(text: str) -> expressions.Expression:
    try:
        found = expressions.parse(text)
    except expressions.ExpressionError:
        raise ValidationException("Parameter ScheduleExpression is not valid.") from None
    if not found.repeats:
        raise ValidationException("Parameter ScheduleExpression is not valid.")
    return found


def _begin(rule: Any) -> None:
    recurring.cancel(rule.arn)
    if rule.scheduled_expression and rule.state != "DISABLED":
        recurring.begin(rule.arn, _parse(rule.scheduled_expression), lambda due: _fire(rule, due))


def _fire(rule: Any, due: datetime.datetime) -> None:
    event = bus._event(
        rule.account_id,
        rule.region_name,
        source="aws.events",
        detail_type="Scheduled Event",
        detail={},
        resources=[rule.arn],
        moment=due.timestamp(),
    )
    delivery.later(rule.arn, lambda: bus.fire(rule, event))
