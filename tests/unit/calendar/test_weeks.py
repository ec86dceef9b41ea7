"""The week of a partition is the one in which it ends, whatever the grain and the zone."""

from __future__ import annotations

import pytest

from evergreen.calendar import Calendar, Grain, PartitionError, Weekday, partitions_of_week, week_of


@pytest.mark.parametrize(
    ("grain", "zone", "starts", "key", "week", "first", "last", "count"),
    [
        ("hourly", "UTC", "monday", "2024-02-04T23", "2024-01-29", "2024-01-29T00", "2024-02-04T23", 168),
        ("hourly", "UTC", "monday", "2024-02-05T00", "2024-02-05", "2024-02-05T00", "2024-02-11T23", 168),
        # The clocks repeat an hour of a Sunday; in Havana it is the first of the day.
        ("hourly", "Europe/Berlin", "monday", "2024-10-27T02b", "2024-10-21", "2024-10-21T00", None, 169),
        ("hourly", "America/Havana", "monday", "2024-11-03T00", "2024-10-28", None, "2024-11-03T23", 169),
        ("daily", "UTC", "monday", "2024-02-04", "2024-01-29", "2024-01-29", "2024-02-04", 7),
        ("daily", "Europe/Berlin", "monday", "2024-02-05", "2024-02-05", "2024-02-05", "2024-02-11", 7),
        ("daily", "Pacific/Apia", "monday", "2011-12-31", "2011-12-26", "2011-12-26", "2012-01-01", 6),
        ("weekly", "UTC", "sunday", "2024-02-04", "2024-02-04", "2024-02-04", "2024-02-04", 1),
        ("monthly", "Asia/Tokyo", "monday", "2024-01", "2024-01-29", "2024-01", "2024-01", 1),
        (
            "monthly",
            "UTC",
            "monday",
            "2024-03",
            "2024-03-25",
            "2024-03",
            "2024-03",
            1,
        ),  # it ends on the Sunday
    ],
)
def test_each_partition_ends_in_one_week(
    grain: str, zone: str, starts: str, key: str, week: str, first: str | None, last: str | None, count: int
):
    calendar = Calendar(Grain(grain), zone, Weekday(starts))
    found = partitions_of_week(calendar, week)
    assert week_of(calendar, key) == week
    assert key in found
    assert (len(found), first or found[0], last or found[-1]) == (count, found[0], found[-1])
    assert {week_of(calendar, one) for one in found} == {week}


def test_a_week_in_which_no_month_ends_has_none():
    assert partitions_of_week(Calendar(Grain.MONTHLY), "2024-01-08") == []


def test_a_snapshot_has_no_weeks():
    with pytest.raises(PartitionError, match="a snapshot has no time"):
        week_of(Calendar(Grain.SNAPSHOT), "snapshot")
