"""Which tick takes which partition: by hand, and the one rule that both directions follow."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain, Schedule, Ticks, Weekday

# By hand: what the ticks take after a moment, as `tick: partitions`.
TAKEN = {
    ("daily", "UTC", "0 2 * * *", "2024-05-01T00"): ["05-01T02:00: 2024-04-30", "05-02T02:00: 2024-05-01"],
    ("daily", "UTC", "@daily", "2024-05-01T00"): ["05-02T00:00: 2024-05-01", "05-03T00:00: 2024-05-02"],
    ("daily", "UTC", "0 2 * * 1-5", "2024-05-03T12"): [
        "05-06T02:00: 2024-05-03 2024-05-04 2024-05-05",
        "05-07T02:00: 2024-05-06",
    ],
    ("hourly", "UTC", "0 */6 * * *", "2024-05-01T00"): [
        "05-01T06:00: 2024-05-01T00 2024-05-01T01 2024-05-01T02 2024-05-01T03 2024-05-01T04 2024-05-01T05",
    ],
    # In autumn six local hours are seven.
    ("hourly", "Europe/Berlin", "0 */6 * * *", "2024-10-26T23"): [
        "10-27T05:00: 2024-10-27T00 2024-10-27T01 2024-10-27T02 2024-10-27T02b 2024-10-27T03 2024-10-27T04 "
        "2024-10-27T05",
    ],
    ("weekly", "UTC", "0 3 * * 2", "2024-05-01T00"): ["05-07T03:00: 2024-04-29", "05-14T03:00: 2024-05-06"],
    ("weekly", "UTC", "@weekly", "2024-05-01T00"): ["05-05T00:00: 2024-04-22", "05-12T00:00: 2024-04-29"],
    ("weekly", "UTC", "0 2 * * *", "2024-05-01T00"): ["05-06T02:00: 2024-04-29", "05-13T02:00: 2024-05-06"],
    ("monthly", "America/New_York", "30 4 2 * *", "2024-02-03T00"): [
        "03-02T09:30: 2024-02",
        "04-02T08:30: 2024-03",
    ],
    ("daily", "Asia/Kolkata", "30 1 * * *", "2024-05-01T00"): ["05-01T20:00: 2024-05-01"],
}


@pytest.mark.parametrize(("grain", "zone", "cron", "since"), TAKEN)
def test_what_the_ticks_take(grain: str, zone: str, cron: str, since: str) -> None:
    expected = TAKEN[grain, zone, cron, since]
    ticks = Ticks(Calendar(Grain(grain), zone), (Schedule(cron, zone),))
    moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
    found = list(islice(ticks.following(moment, "2011"), len(expected)))
    assert [f"{tick.at:%m-%dT%H:%M}: {' '.join(tick.partitions)}" for tick in found] == expected
    for tick in found:
        assert {ticks.at(key) for key in tick.partitions} == {tick.at}
        assert {ticks.first_beside(key) for key in tick.partitions} == {tick.partitions[0]}


def test_nothing_before_the_first_partition_is_taken() -> None:
    ticks = Ticks(Calendar(Grain.DAILY), (Schedule("0 2 * * 1-5"),))
    tick = next(ticks.following(datetime(2024, 5, 3, 12, tzinfo=UTC), "2024-05-05"))
    assert tick.partitions == ("2024-05-05",)


def test_weeks_that_start_with_a_sunday() -> None:
    ticks = Ticks(Calendar(Grain.WEEKLY, "UTC", Weekday.SUNDAY), (Schedule("@weekly"),))
    assert ticks.at("2024-05-05") == datetime(2024, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("grain", "cron", "deadline", "key", "watched"),
    [
        ("daily", "0 2 * * *", "30 6 * * *", "2024-05-01", "05-02T06:30"),
        ("daily", "0 22 * * *", "30 6 * * *", "2024-05-01", "05-03T06:30"),
        ("daily", "0 2 * * *", "0 2 * * *", "2024-05-01", "05-02T02:00"),
        ("daily", "0 2 * * 1-5", "30 6 * * *", "2024-05-03", "05-06T06:30"),
        ("weekly", "0 3 * * 2", "0 8 * * *", "2024-04-29", "05-07T08:00"),
        ("monthly", "30 4 1 * *", "0 4 * * *", "2024-04", "05-02T04:00"),
        ("hourly", "10 * * * *", "40 * * * *", "2024-05-01T05", "05-01T06:40"),
        ("hourly", "10 * * * *", "5 * * * *", "2024-05-01T05", "05-01T07:05"),
        ("hourly", "0 */6 * * *", "30 * * * *", "2024-05-01T05", "05-01T06:30"),
    ],
)
def test_a_deadline_after_the_tick(grain: str, cron: str, deadline: str, key: str, watched: str) -> None:
    ticks = Ticks(Calendar(Grain(grain)), (Schedule(cron), Schedule(deadline)))
    assert f"{ticks.at(key):%m-%dT%H:%M}" == watched
    assert ticks.newest(ticks.at(key)) >= key


CRONS = ("0 2 * * *", "0 2 * * 1-5", "0 */6 * * *", "30 * * * *", "@weekly", "0 0 1 1 *", "30 2 31 * *")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
GRAINS = tuple(grain for grain in Grain if grain is not Grain.SNAPSHOT)
SECONDS = st.integers(1_262_304_000, 1_893_456_000)  # 2010 to 2030


@given(
    st.sampled_from(GRAINS),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(CRONS), min_size=1, max_size=2),
    SECONDS,
    SECONDS,
)
def test_a_partition_is_taken_by_a_moment_if_its_tick_is_not_after_it(
    grain: Grain, zone: str, crons: list[str], second: int, other: int
) -> None:
    calendar = Calendar(grain, zone)
    ticks = Ticks(calendar, tuple(Schedule(cron, zone) for cron in crons))
    key, moment = calendar.key_of(datetime.fromtimestamp(second, UTC)), datetime.fromtimestamp(other, UTC)
    assert ticks.at(key) >= calendar.end(key)
    assert (ticks.at(key) <= moment) == (key <= ticks.newest(moment))
    first, last = ticks.first_beside(key), ticks.newest(ticks.at(key))
    assert first <= key <= last
    assert ticks.at(first) == ticks.at(last) == ticks.at(key)
    assert ticks.at(calendar.shift(first, -1)) < ticks.at(key) < ticks.at(calendar.shift(last, 1))
