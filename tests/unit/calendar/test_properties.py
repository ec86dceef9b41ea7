"""What holds for every grain, zone and start of the week: by walking, and by the zone's own clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain, Length, Weekday
from tests.campaign import rounds

TIMED = [grain for grain in Grain if grain is not Grain.SNAPSHOT]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "America/St_Johns",  # put its clocks back at a minute past midnight
    "Antarctica/Troll",  # puts them back by two hours
]
TICK = timedelta(microseconds=1)
# Hypothesis asks for bounds without a zone.
MOMENTS = st.datetimes(datetime(1915, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NEAR = st.timedeltas(timedelta(hours=-30), timedelta(hours=30))
CHANGED = [
    datetime(2024, 10, 27, 1, tzinfo=UTC),  # Berlin, Troll, back
    datetime(2024, 3, 31, 1, tzinfo=UTC),  # Berlin, Troll, forward
    datetime(2024, 11, 3, 6, tzinfo=UTC),  # New York, back
    datetime(2024, 4, 6, 15, tzinfo=UTC),  # Lord Howe, half an hour back
    datetime(2024, 10, 5, 15, 30, tzinfo=UTC),  # Lord Howe, half an hour forward
    datetime(2011, 12, 30, 10, tzinfo=UTC),  # Apia, a day forward
    datetime(2018, 11, 4, 3, tzinfo=UTC),  # São Paulo, forward at midnight
    datetime(2018, 2, 18, 2, tzinfo=UTC),  # São Paulo, back at midnight
    datetime(2008, 11, 2, 2, 31, tzinfo=UTC),  # St. John's, back at a minute past midnight
    datetime(2024, 4, 25, 22, tzinfo=UTC),  # Cairo, forward at midnight
]
"""Moments at which clocks were changed: drawn more often than chance would."""

CALENDARS = st.builds(Calendar, st.sampled_from(TIMED), st.sampled_from(ZONES), st.sampled_from(Weekday))
DRAWN = MOMENTS | st.builds(lambda at, by: at + by, st.sampled_from(CHANGED), NEAR)
every = settings(max_examples=rounds(100, 2000))


@every
@given(CALENDARS, DRAWN)
def test_a_moment_lies_in_its_partition(calendar: Calendar, moment: datetime):
    key = calendar.key_of(moment)
    assert calendar.start(key) <= moment < calendar.end(key)
    assert calendar.check(key) == key


@every
@given(CALENDARS, DRAWN)
def test_partitions_leave_no_gap_and_do_not_overlap(calendar: Calendar, moment: datetime):
    key = calendar.key_of(moment)
    before, after = calendar.shift(key, -1), calendar.shift(key, 1)
    assert before < key < after
    assert calendar.end(before) == calendar.start(key) < calendar.end(key) == calendar.start(after)
    assert calendar.key_of(calendar.start(key)) == key
    assert calendar.key_of(calendar.end(key) - TICK) == key


@every
@given(CALENDARS, DRAWN, DRAWN)
def test_keys_sort_as_time_does(calendar: Calendar, one: datetime, other: datetime):
    first, second = sorted([one, other])
    assert calendar.key_of(first) <= calendar.key_of(second)
    assert (calendar.distance(calendar.key_of(first), calendar.key_of(second)) > 0) == (
        calendar.key_of(first) < calendar.key_of(second)
    )


@every
@given(CALENDARS, DRAWN, st.integers(-60, 60))
def test_arithmetic_is_the_same_as_walking(calendar: Calendar, moment: datetime, steps: int):
    key = calendar.key_of(moment)
    walked = [key]
    for _ in range(abs(steps)):
        moment = calendar.end(walked[-1]) if steps > 0 else calendar.start(walked[-1]) - TICK
        walked.append(calendar.key_of(moment))
    assert calendar.shift(key, steps) == walked[-1]
    assert calendar.distance(key, walked[-1]) == steps
    assert calendar.distance(walked[-1], key) == -steps
    low, high = sorted([key, walked[-1]])
    assert list(calendar.between(low, high)) == sorted(walked)
    assert not list(calendar.between(high, low)) or low == high


@every
@given(CALENDARS, MOMENTS, st.integers(-200_000, 200_000))
def test_far_shifts_come_back(calendar: Calendar, moment: datetime, steps: int):
    key = calendar.key_of(moment)
    steps //= max(1, round(calendar.mean_days * 24))
    moved = calendar.shift(key, steps)
    assert calendar.distance(key, moved) == steps
    assert calendar.shift(moved, -steps) == key


@every
@given(CALENDARS, DRAWN)
def test_a_partition_has_ended_at_its_end_and_not_before(calendar: Calendar, moment: datetime):
    key = calendar.key_of(moment)
    assert calendar.newest_ended(calendar.end(key)) == key
    assert calendar.newest_ended(calendar.end(key) - TICK) == calendar.shift(key, -1)
    assert calendar.next_to_end(moment) == key


@every
@given(CALENDARS, DRAWN, st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), max_size=12))
def test_ticks_take_each_partition_once_and_in_order(
    calendar: Calendar, begun: datetime, waits: list[timedelta]
):
    ticks = [begun]
    for wait in waits:
        ticks.append(ticks[-1] + wait)
    taken = [key for after, until in pairwise(ticks) for key in calendar.ended(after, until)]
    first, last = calendar.key_of(begun), calendar.newest_ended(ticks[-1])
    assert taken == list(calendar.between(first, last))


@every
@given(CALENDARS, DRAWN)
def test_local_bounds_leave_no_local_time_out(calendar: Calendar, moment: datetime):
    key = calendar.key_of(moment)
    start, end = calendar.local_bounds(key)
    assert start <= end
    assert calendar.local_bounds(calendar.shift(key, 1))[0] == end
    assert calendar.local_bounds(calendar.shift(key, -1))[1] == start
    if start < end:
        assert calendar.key_of_local(start) == calendar.key_of_local(end - TICK) == key


@every
@given(st.sampled_from(ZONES), DRAWN)
@example("Europe/Berlin", datetime(2024, 10, 27, 0, 30, tzinfo=UTC))
def test_keys_are_what_the_clocks_show(zone: str, moment: datetime):
    # The zone's own clocks are the other source; only around a change do keys say more than they.
    local = moment.astimezone(ZoneInfo(zone))
    near = [moment + timedelta(hours=h) for h in (-4, 4)]
    if len({at.astimezone(ZoneInfo(zone)).utcoffset() for at in near}) > 1:
        return
    assert Calendar(Grain.HOURLY, zone).key_of(moment) == local.strftime("%Y-%m-%dT%H")
    assert Calendar(Grain.DAILY, zone).key_of(moment) == local.strftime("%Y-%m-%d")
    assert Calendar(Grain.MONTHLY, zone).key_of(moment) == local.strftime("%Y-%m")
    for day in Weekday:
        key = date.fromisoformat(Calendar(Grain.WEEKLY, zone, day).key_of(moment))
        assert 0 <= (local.date() - key).days < 7
        assert key.strftime("%A").lower() == day


@every
@given(CALENDARS, DRAWN, st.integers(0, 800))
def test_days_back_are_days_of_the_calendar(calendar: Calendar, moment: datetime, days: int):
    key, zone = calendar.key_of(moment), ZoneInfo(calendar.timezone)
    before = calendar.back(key, Length(days, "day"))
    if calendar.grain is not Grain.HOURLY:
        named = date.fromisoformat(key if len(key) > 7 else f"{key}-01")
        assert before == calendar.key_of_day(named - timedelta(days=days))
    elif days:
        hour = calendar.start(key).astimezone(zone).replace(minute=0, fold=0) - timedelta(days=days)
        if hour.astimezone(UTC).astimezone(zone).hour == hour.hour:  # of those that exist
            assert before == calendar.key_of(hour)


@pytest.mark.parametrize("grain", TIMED)
def test_distance_does_not_walk(grain: Grain):
    # By counting, not by a clock: from the first year to the last it makes no key on the way.
    calendar = Calendar(grain, "Europe/Berlin")
    first, last = (calendar.key_of(datetime(year, 6, 1, tzinfo=UTC)) for year in (1900, 9990))
    made = calendar._line.key.cache_info().misses
    assert calendar.distance(first, last) > 90 * 1_000
    assert calendar._line.key.cache_info().misses - made <= 4
