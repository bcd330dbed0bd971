"""When a schedule expression is due: rate(), cron() and at().

Source: EventBridge Scheduler User Guide, "Schedule types in EventBridge Scheduler"; Amazon EventBridge User Guide,
"Cron expressions" and "Rate expressions".
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_UNITS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_LAST_YEAR: Final = 2199
_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\((.+)\)")
_AT: Final = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")


class ExpressionError(ValueError):
    """An expression that AWS refuses."""


class Expression(Protocol):
    """When something is due."""

    @property
    def repeats(self) -> bool:
        """Whether it is due more than once."""

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return when it is due next, after a moment; None where it is due no more."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many seconds."""

    seconds: int
    repeats: bool = True

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return when it is due next."""
        return moment + datetime.timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Once:
    """Once, whenever it is looked at: AWS makes up for a time that has passed."""

    moment: datetime.datetime
    repeats: bool = False

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return when it is due."""
        return self.moment


@dataclass(frozen=True, slots=True)
class Cron:
    """At the minutes that six fields name, in a time zone."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day: Callable[[datetime.date], bool]
    months: tuple[int, ...]
    years: tuple[int, ...]
    zone: ZoneInfo
    repeats: bool = True

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return when it is due next."""
        return next((found for found in self._moments(moment) if found > moment), None)

    def _moments(self, moment: datetime.datetime) -> Iterator[datetime.datetime]:
        first = moment.astimezone(self.zone).date()
        for day in self._days(first):
            found = set()
            for hour in self.hours:
                for minute in self.minutes:
                    local = datetime.datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                    exact = local.astimezone(datetime.UTC)
                    # A time that a change of the clocks leaves out does not come.
                    if exact.astimezone(self.zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                        found.add(exact)
            yield from sorted(found)

    def _days(self, first: datetime.date) -> Iterator[datetime.date]:
        for year in self.years:
            for month in self.months if year >= first.year else ():
                for number in range(1, calendar.monthrange(year, month)[1] + 1):
                    day = datetime.date(year, month, number)
                    if day >= first and self.day(day):
                        yield day


def parse(text: str, zone: str = "UTC", *, any_number: bool = False) -> Expression:
    """Return what an expression means.

    Args:
        text: the expression.
        zone: the time zone of its times.
        any_number: whether units may be singular or plural whatever their value, as of schedules; those of rules of
            EventBridge are singular for 1 only.

    Raises:
        ExpressionError: AWS refuses it.
    """
    try:
        time_zone = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ExpressionError(f"Invalid ScheduleExpressionTimezone {zone}.") from None
    try:
        if found := _RATE.fullmatch(text):
            value, unit, plural = int(found[1]), found[2], found[3]
            return _rate(value, unit, right=any_number or (value == 1) == (plural == ""))
        if found := _AT.fullmatch(text):
            return Once(datetime.datetime.fromisoformat(found[1]).replace(tzinfo=time_zone))
        if found := _CRON.fullmatch(text):
            return _cron(found[1].split(), time_zone)
    except ValueError:
        pass
    raise ExpressionError(f"Invalid Schedule Expression {text}.")


def _rate(value: int, unit: str, *, right: bool) -> Rate:
    if value < 1 or not right:
        raise ValueError
    return Rate(value * _UNITS[unit])


def _cron(fields: list[str], zone: ZoneInfo) -> Cron:
    minutes, hours, days, months, weekdays, years = fields
    # One of the two days says which, the other says nothing.
    if (days == "?") == (weekdays == "?"):
        raise ValueError
    return Cron(
        _numbers(minutes, 0, 59),
        _numbers(hours, 0, 23),
        _day_of_month(days) if weekdays == "?" else _day_of_week(weekdays),
        _numbers(months, 1, 12, _MONTHS),
        _numbers(years, 1970, _LAST_YEAR),
        zone,
    )


def _numbers(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if span == "*":
            begin, end = low, high
        else:
            first, dash, last = span.partition("-")
            begin = _number(first, low, high, names)
            end = _number(last, low, high, names) if dash else high if slash else begin
        if begin > end:
            raise ValueError
        found.update(range(begin, end + 1, _number(step, 1, high) if slash else 1))
    return tuple(sorted(found))


def _number(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> int:
    number = names.index(text.upper()) + low if text.upper() in names else int(text)
    if not low <= number <= high:
        raise ValueError
    return number


def _last(day: datetime.date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _day_of_month(text: str) -> Callable[[datetime.date], bool]:
    if text == "L":
        return lambda day: day.day == _last(day)
    if text == "LW":
        return lambda day: day.day == _nearest_weekday(day, _last(day))
    if text.endswith("W"):
        wanted = _number(text[:-1], 1, 31)
        return lambda day: day.day == _nearest_weekday(day, wanted)
    days = _numbers(text, 1, 31)
    return lambda day: day.day in days


def _nearest_weekday(day: datetime.date, wanted: int) -> int:
    """The working day nearest to a day of the month, in the same month."""
    if wanted > _last(day):
        return 0
    weekday = day.replace(day=wanted).weekday()
    if weekday == 5:
        return wanted - 1 if wanted > 1 else 3
    if weekday == 6:
        return wanted + 1 if wanted < _last(day) else wanted - 2
    return wanted


def _day_of_week(text: str) -> Callable[[datetime.date], bool]:
    if "#" in text:
        weekday, _, which = text.partition("#")
        wanted, number = _number(weekday, 1, 7, _DAYS), _number(which, 1, 5)
        return lambda day: _weekday(day) == wanted and (day.day - 1) // 7 + 1 == number
    if text.endswith("L"):
        wanted = _number(text[:-1] or "7", 1, 7, _DAYS)
        return lambda day: _weekday(day) == wanted and day.day + 7 > _last(day)
    weekdays = _numbers(text, 1, 7, _DAYS)
    return lambda day: _weekday(day) in weekdays


def _weekday(day: datetime.date) -> int:
    """1 is Sunday."""
    return day.isoweekday() % 7 + 1
