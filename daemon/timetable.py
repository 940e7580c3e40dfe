"""When scheduled work is due: cron expressions, time zones, missed and repeated hours. Pure.

Owns the meaning of the expressions in the settings and the rule of slots: a slot is the planned
time of one run; what was missed is made up for once, with the latest slot; a clock that was set
back runs nothing twice. Does not run anything and stores nothing.
"""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.triggers.cron import CronTrigger

from daemon.errors import ConfigError

CLOCK_SLACK = dt.timedelta(hours=2)
"""A last slot further ahead than this was written by a clock that ran ahead."""
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}


class Cron:
    """One expression of five fields in one time zone. Days of the week are cron's: 0 is Sunday."""

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        """Raises ConfigError for what is no cron expression, or no time zone."""
        self.expression = expression
        text = _ALIASES.get(expression.strip(), expression.strip())
        fields = text.split()
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigError(
                f"schedule.timezone is {timezone!r}, which is no time zone; write it as Europe/Oslo"
            ) from None
        if len(fields) != 5:
            raise ConfigError(
                f"{expression!r} is no cron expression; write minute, hour, day of the month, "
                'month and day of the week, e.g. "15 2 * * *"'
            )
        fields[4] = _weekday_names(fields[4])
        try:
            minute, hour, day, month, weekday = fields
            # What is said to run at two runs once in the night when two comes twice.
            self._at_fixed_hours = "*" not in hour
            self._trigger = CronTrigger(
                minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, timezone=zone
            )
        except ValueError as error:
            raise ConfigError(f"{expression!r} is no cron expression: {error}") from None

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The first slot later than `moment`, in UTC; None when there is none ever."""
        moment = moment.astimezone(dt.UTC)  # adding to a local time would lose which of two it is
        while True:
            found = self._trigger.get_next_fire_time(None, moment + dt.timedelta(microseconds=1))
            if found is None:
                return None
            moment = found.astimezone(dt.UTC)
            if not (self._at_fixed_hours and found.fold):
                return moment

    def upcoming(self, moment: dt.datetime, number: int) -> list[dt.datetime]:
        """The next slots later than `moment`."""
        found: list[dt.datetime] = []
        while len(found) < number and (slot := self.after(found[-1] if found else moment)):
            found.append(slot)
        return found

    def latest(self, since: dt.datetime, until: dt.datetime) -> dt.datetime | None:
        """The last slot in (since, until]; None when there is none."""
        first = self.after(since)
        if first is None or first > until:
            return None
        step = dt.timedelta(minutes=1)
        while True:  # look back in growing steps: a year of minutes is not walked one by one
            start = max(since, until - step)
            slot = self.after(start)
            if slot is not None and slot <= until:
                break
            step *= 4
        while (later := self.after(slot)) is not None and later <= until:
            slot = later
        return slot


def due(cron: Cron, last: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
    """The slot to run at `now`, when the last one that was run is `last`; None when none is due.

    Without a last slot nothing is due yet: the caller stores `now` as the point to count from.
    """
    if last is None or last > now:
        return None
    return cron.latest(last, now)


def ran_ahead(last: dt.datetime | None, now: dt.datetime) -> bool:
    """Whether the last slot was written by a clock that has been set back since, by more than any
    change of time zone explains."""
    return last is not None and last > now + CLOCK_SLACK


def _weekday_names(field: str) -> str:
    """Names for cron's numbers (0 and 7 are Sunday): APScheduler's own numbers begin on Monday."""
    if re.search(r"\d-\d", field):
        parts = []
        for part in field.split(","):
            span, slash, step = part.partition("/")
            low, dash, high = span.partition("-")
            if dash and low.isdigit() and high.isdigit():
                if not 0 <= int(low) <= int(high) <= 7:
                    raise ConfigError(f"{field!r} is no span of days; 0 and 7 are Sunday")
                days = range(int(low), int(high) + 1, int(step) if step else 1)
                parts += [_DAYS[day] for day in days]
            else:
                parts.append(_named(span) + slash + step)
        return ",".join(dict.fromkeys(parts))
    return ",".join(
        _named(span) + slash + step
        for span, slash, step in (part.partition("/") for part in field.split(","))
    )


def _named(day: str) -> str:
    if not day.isdigit():
        return day
    if int(day) > 7:
        raise ConfigError(f"{day!r} is no day of the week; 0 and 7 are Sunday")
    return _DAYS[int(day)]
