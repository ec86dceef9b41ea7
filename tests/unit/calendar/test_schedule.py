"""The moments of a cron: by hand where the clocks change, and as a set that is the same from both sides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Schedule, check_cron

# When the tick comes, by hand from the tz database's rules: each cron's ticks from a moment on, in UTC.
CHANGES = {
    # Berlin: 2024-03-31 02:00 CET is 03:00 CEST; 2024-10-27 03:00 CEST is 02:00 CET.
    ("30 2 * * *", "Europe/Berlin", "2024-03-30T12"): "03-31T01:30 04-01T00:30",
    ("30 2 * * *", "Europe/Berlin", "2024-10-26T12"): "10-27T01:30 10-28T01:30",
    ("0 2 * * *", "Europe/Berlin", "2024-10-26T12"): "10-27T01:00 10-28T01:00",
    ("0 3 * * *", "Europe/Berlin", "2024-10-26T12"): "10-27T02:00 10-28T02:00",
    ("30 * * * *", "Europe/Berlin", "2024-03-31T00"): "03-31T00:30 03-31T01:30 03-31T02:30",
    ("30 * * * *", "Europe/Berlin", "2024-10-27T00"): "10-27T00:30 10-27T01:30 10-27T02:30",
    ("0 */2 * * *", "Europe/Berlin", "2024-10-26T23:30"): "10-27T01:00 10-27T03:00",
    # Two times of the cron that become one moment are one tick, and none overtakes another.
    ("30 2,3 * * *", "Europe/Berlin", "2024-03-31T00"): "03-31T01:30 04-01T00:30 04-01T01:30",
    ("0,45 2,3 * * *", "Europe/Berlin", "2024-03-31T00"): "03-31T01:00 03-31T01:45 04-01T00:00",
    # New York: 2024-03-10 02:00 EST is 03:00 EDT; 2024-11-03 02:00 EDT is 01:00 EST.
    ("15 2 * * *", "America/New_York", "2024-03-10T00"): "03-10T07:15 03-11T06:15",
    ("15 1 * * *", "America/New_York", "2024-11-03T00"): "11-03T06:15 11-04T06:15",
    # Cairo's clocks skip the midnight of 2024-04-26, Samoa's the whole of 2011-12-30.
    ("@daily", "Africa/Cairo", "2024-04-25T00"): "04-25T22:00 04-26T21:00",
    ("0 9 * * *", "Pacific/Apia", "2011-12-29T00"): "12-29T19:00 12-30T19:00 12-31T19:00",
    ("0 2 * * 1-5", "UTC", "2024-05-03T12"): "05-06T02:00 05-07T02:00",
    ("@weekly", "Asia/Kolkata", "2024-05-01T00"): "05-04T18:30 05-11T18:30",
    ("0 0 29 2 *", "UTC", "2024-03-01T00"): "02-29T00:00",
}


def following(schedule: Schedule, moment: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        found.append(schedule.first(moment))
        moment = found[-1] + timedelta(microseconds=1)
    return found


@pytest.mark.parametrize(("cron", "zone", "since"), CHANGES)
def test_ticks_where_clocks_change(cron: str, zone: str, since: str) -> None:
    expected = CHANGES[cron, zone, since].split()
    ticks = following(Schedule(cron, zone), datetime.fromisoformat(since).replace(tzinfo=UTC), len(expected))
    assert [f"{tick:%m-%dT%H:%M}" for tick in ticks] == expected
    assert all(tick.tzinfo is UTC for tick in ticks)


CRONS = (
    "* * * * *",
    "*/20 * * * *",
    "5 */6 * * *",
    "30 2 * * *",
    "0,45 2,3 * * *",
    "0 0 * * 0",
    "0 1 31 * *",
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia")
SECONDS = st.integers(1_262_304_000, 1_893_456_000)  # 2010 to 2030


@given(st.sampled_from(CRONS), st.sampled_from(ZONES), SECONDS)
def test_the_ticks_are_the_same_forwards_and_backwards(cron: str, zone: str, second: int) -> None:
    schedule, moment = Schedule(cron, zone), datetime.fromtimestamp(second, UTC)
    ahead, behind = schedule.first(moment), schedule.last(moment)
    assert behind <= moment <= ahead
    assert schedule.first(ahead) == ahead == schedule.last(ahead)
    assert (behind == ahead) == (schedule.first(behind) == moment)
    ticks = following(schedule, moment, 30)
    assert all(one < other for one, other in pairwise(ticks))
    back = ticks[-1]
    for tick in reversed(ticks):
        assert back == tick
        back = schedule.last(tick - timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("0 0 30 2 *", "'0 0 30 2 *' never ticks: no month that it names has such a day"),
        ("0 0 31 4,6,9,11 *", "'0 0 31 4,6,9,11 *' never ticks: "),
        ("61 * * * *", "'61 * * * *' is no cron: "),
        ("0 2 * * 9", "'0 2 * * 9' is no cron: "),
        ("R 2 * * *", "'R 2 * * *' is random: "),
        ("H 2 * * *", "'H 2 * * *' is random: "),
    ],
)
def test_a_cron_that_no_clock_has_is_refused(cron: str, says: str) -> None:
    with pytest.raises(ValueError, match="'") as refusal:
        check_cron(cron)
    assert str(refusal.value).startswith(says)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "cron", ["@hourly", "@yearly", "0 0 29 2 *", "0 0 * * FRI", "0 2 1 MAR *", "0 0 L * *"]
)
def test_a_cron_that_comes_is_allowed(cron: str) -> None:
    assert check_cron(cron) == cron
