"""When a line of the timetable is due: cron's days, summer time, missed slots, clocks set back."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.timetable import Cron, due, ran_ahead


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_days_of_the_week_are_those_of_cron() -> None:
    start = at("2026-11-25T12:00")  # a Wednesday
    for field, days in (("0", "Sun"), ("7", "Sun"), ("1", "Mon"), ("6", "Sat"), ("fri", "Fri")):
        (slot,) = Cron(f"0 0 * * {field}").upcoming(start, 1)
        assert f"{slot:%a}" == days
    weekdays = {f"{slot:%a}" for slot in Cron("0 0 * * 1-5").upcoming(start, 10)}
    assert weekdays == {"Mon", "Tue", "Wed", "Thu", "Fri"}
    assert {f"{s:%a}" for s in Cron("0 0 * * 5-7").upcoming(start, 6)} == {"Fri", "Sat", "Sun"}


@pytest.mark.parametrize(
    "text", ["", "* * * *", "61 * * * *", "a b c d e", "0 0 * * 8", "0 0 * * 5-9", "0 0 31 2 x"]
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"cron|day"):
        Cron(text)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        Cron("0 0 * * *", "Europe/Atlantis")


def test_a_daily_line_runs_once_in_the_night_of_twice_two_oclock() -> None:
    night = Cron("30 2 * * *", "Europe/Berlin").upcoming(at("2026-10-24T12:00"), 2)
    assert night == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


def test_a_daily_line_runs_in_the_night_without_two_oclock() -> None:
    night = Cron("30 2 * * *", "Europe/Berlin").upcoming(at("2026-03-28T12:00"), 2)
    assert night == [at("2026-03-29T01:30"), at("2026-03-30T00:30")]


def test_an_hourly_line_runs_every_hour_of_the_long_night() -> None:
    slots = Cron("0 * * * *", "Europe/Berlin").upcoming(at("2026-10-24T22:30"), 5)
    assert [b - a for a, b in itertools.pairwise(slots)] == [dt.timedelta(hours=1)] * 4


def test_what_was_missed_is_made_up_for_once_with_the_latest_slot() -> None:
    daily = Cron("15 2 * * *")
    assert due(daily, at("2026-01-01T02:15"), at("2026-01-01T12:00")) is None
    assert due(daily, at("2026-01-01T02:15"), at("2026-01-09T12:00")) == at("2026-01-09T02:15")
    assert due(daily, at("2026-01-09T02:15"), at("2026-01-09T12:01")) is None
    assert due(daily, None, at("2026-01-09T12:01")) is None


def test_a_clock_that_is_set_back_runs_nothing_twice() -> None:
    daily, done = Cron("15 2 * * *"), at("2026-01-09T02:15")
    assert due(daily, done, at("2026-01-09T01:00")) is None
    assert not ran_ahead(done, at("2026-01-09T01:00"))
    assert ran_ahead(done, at("2025-12-01T00:00")), "it was written by a clock that ran ahead"


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["* * * * *", "*/7 3 * * *", "0 0 1 * *", "30 2 * * 0", "0 12 29 2 *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2027, 1, 1)),
    st.timedeltas(dt.timedelta(0), dt.timedelta(days=20)),
)
def test_the_latest_slot_is_the_last_one_of_all(
    text: str, zone: str, start: dt.datetime, span: dt.timedelta
) -> None:
    cron, since = Cron(text, zone), start.replace(tzinfo=dt.UTC)
    until = since + min(span, dt.timedelta(hours=1) if text.startswith("* ") else span)
    latest, slot = None, cron.after(since)
    while slot is not None and slot <= until:
        latest, slot = slot, cron.after(slot)
    assert cron.latest(since, until) == latest
