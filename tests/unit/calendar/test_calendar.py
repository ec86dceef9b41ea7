from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain, Length, PartitionError

TIMED = [grain for grain in Grain if grain is not Grain.SNAPSHOT]
# Hypothesis asks for bounds without a zone.
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("grain", "key", "start", "end"),
    [
        (Grain.HOURLY, "2024-02-29T23", utc(2024, 2, 29, 23), utc(2024, 3, 1)),
        (Grain.DAILY, "2024-02-29", utc(2024, 2, 29), utc(2024, 3, 1)),
        # 2024-12-30 was a Monday.
        (Grain.WEEKLY, "2024-12-30", utc(2024, 12, 30), utc(2025, 1, 6)),
        (Grain.MONTHLY, "2024-12", utc(2024, 12, 1), utc(2025, 1, 1)),
    ],
)
def test_a_key_stands_for_a_stretch_of_time(grain: Grain, key: str, start: datetime, end: datetime):
    calendar = Calendar(grain)
    assert calendar.start(key) == start
    assert calendar.end(key) == end
    assert calendar.key_of(start) == key
    assert calendar.key_of(end - timedelta(microseconds=1)) == key


@pytest.mark.parametrize("grain", TIMED)
@given(moment=MOMENTS)
def test_a_moment_lies_in_its_partition(grain: Grain, moment: datetime):
    calendar = Calendar(grain)
    key = calendar.key_of(moment)
    assert calendar.start(key) <= moment < calendar.end(key)
    assert calendar.check(key) == key


@pytest.mark.parametrize("grain", TIMED)
@given(one=MOMENTS, other=MOMENTS)
def test_keys_sort_as_time_does(grain: Grain, one: datetime, other: datetime):
    calendar = Calendar(grain)
    first, second = calendar.key_of(one), calendar.key_of(other)
    assert (first < second) == (calendar.start(first) < calendar.start(second))


@pytest.mark.parametrize("grain", TIMED)
@given(moment=MOMENTS, steps=st.integers(-60, 60))
def test_shifts_and_distances_agree(grain: Grain, moment: datetime, steps: int):
    calendar = Calendar(grain)
    key = calendar.key_of(moment)
    moved = calendar.shift(key, steps)
    assert calendar.shift(moved, -steps) == key
    assert calendar.distance(key, moved) == steps
    assert calendar.end(key) == calendar.start(calendar.shift(key, 1))


def test_moments_of_other_zones_are_taken_to_utc():
    late = datetime(2024, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert Calendar(Grain.DAILY).key_of(late) == "2023-12-31"


def test_ranges_include_both_ends():
    calendar = Calendar(Grain.DAILY)
    assert list(calendar.between("2024-02-28", "2024-03-01")) == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert list(calendar.between("2024-03-01", "2024-02-28")) == []


def test_back_goes_a_length_of_time():
    assert Calendar(Grain.DAILY).back("2024-03-01", Length(28, "day")) == "2024-02-02"
    assert Calendar(Grain.MONTHLY).back("2024-03", Length(1, "day")) == "2024-02"


@pytest.mark.parametrize(
    ("grain", "key", "message"),
    [
        (Grain.DAILY, "2024-13-01", "write it like '2024-01-31'"),
        (Grain.DAILY, "2024-1-2", "is '2024-01-02'"),
        (Grain.DAILY, "", "write it like"),
        (Grain.DAILY, "snapshot", "write it like"),
        (Grain.WEEKLY, "2024-01-03", "the partition that holds it is '2024-01-01'"),
        (Grain.MONTHLY, "2024-01-01", "write it like '2024-01'"),
        (Grain.HOURLY, "2024-01-01", "write it like '2024-01-31T05'"),
        (Grain.SNAPSHOT, "2024-01-01", "use 'snapshot'"),
    ],
)
def test_other_keys_are_refused_with_the_right_form(grain: Grain, key: str, message: str):
    with pytest.raises(PartitionError, match=message):
        Calendar(grain).check(key)


def test_a_snapshot_is_its_own_neighbour():
    calendar = Calendar(Grain.SNAPSHOT)
    assert not calendar.has_time
    assert calendar.shift("snapshot", 3) == calendar.back("snapshot", Length(9, "day")) == "snapshot"
    assert list(calendar.between("snapshot", "snapshot")) == ["snapshot"]
    with pytest.raises(PartitionError, match="a snapshot has no time"):
        calendar.start("snapshot")
