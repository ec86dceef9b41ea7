"""Local days, weeks, months and hours: known answers, by hand and by pandas."""

from __future__ import annotations

import pickle
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from evergreen.calendar import (
    Calendar,
    Grain,
    Length,
    NoSuchTimeError,
    PartitionError,
    Weekday,
    days_of_year_apart,
    period_of,
    weekday,
)

HOUR = timedelta(hours=1)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("grain", "zone", "key", "start", "hours"),
    [
        (Grain.DAILY, "Europe/Berlin", "2024-07-01", utc(2024, 6, 30, 22), 24),
        (Grain.DAILY, "Europe/Berlin", "2024-03-31", utc(2024, 3, 30, 23), 23),
        (Grain.DAILY, "Europe/Berlin", "2024-10-27", utc(2024, 10, 26, 22), 25),
        (Grain.DAILY, "America/New_York", "2024-11-03", utc(2024, 11, 3, 4), 25),
        (Grain.DAILY, "Asia/Kolkata", "2024-01-01", utc(2023, 12, 31, 18, 30), 24),
        (Grain.DAILY, "Australia/Lord_Howe", "2024-04-07", utc(2024, 4, 6, 13), 24.5),
        (Grain.DAILY, "Australia/Lord_Howe", "2024-10-06", utc(2024, 10, 5, 13, 30), 23.5),
        # Midnight itself is skipped: the day begins at 01:00.
        (Grain.DAILY, "America/Sao_Paulo", "2018-11-04", utc(2018, 11, 4, 3), 23),
        (Grain.DAILY, "America/Sao_Paulo", "2018-02-17", utc(2018, 2, 17, 2), 25),
        (Grain.DAILY, "Asia/Beirut", "2021-03-28", utc(2021, 3, 27, 22), 23),
        (Grain.DAILY, "Africa/Cairo", "2024-04-26", utc(2024, 4, 25, 22), 23),
        (Grain.DAILY, "Pacific/Apia", "2011-12-29", utc(2011, 12, 29, 10), 24),
        (Grain.DAILY, "Pacific/Apia", "2011-12-31", utc(2011, 12, 30, 10), 24),
        (Grain.WEEKLY, "Europe/Berlin", "2024-03-25", utc(2024, 3, 24, 23), 7 * 24 - 1),
        (Grain.MONTHLY, "Europe/Berlin", "2024-10", utc(2024, 9, 30, 22), 31 * 24 + 1),
        (Grain.MONTHLY, "Pacific/Apia", "2011-12", utc(2011, 12, 1, 10), 30 * 24),
        (Grain.HOURLY, "Europe/Berlin", "2024-10-27T02", utc(2024, 10, 27, 0), 1),
        (Grain.HOURLY, "Europe/Berlin", "2024-10-27T02b", utc(2024, 10, 27, 1), 1),
        (Grain.HOURLY, "Europe/Berlin", "2024-10-27T03", utc(2024, 10, 27, 2), 1),
        (Grain.HOURLY, "America/New_York", "2024-11-03T01b", utc(2024, 11, 3, 6), 1),
        (Grain.HOURLY, "Asia/Kolkata", "2024-01-01T00", utc(2023, 12, 31, 18, 30), 1),
        (Grain.HOURLY, "Australia/Lord_Howe", "2024-04-07T01", utc(2024, 4, 6, 14), 1),
        (Grain.HOURLY, "Australia/Lord_Howe", "2024-04-07T01b", utc(2024, 4, 6, 15), 0.5),
        (Grain.HOURLY, "Australia/Lord_Howe", "2024-10-06T02", utc(2024, 10, 5, 15, 30), 0.5),
        # The clocks went back by two hours: what comes after 02 has its key.
        (Grain.HOURLY, "Antarctica/Troll", "2024-10-27T02b", utc(2024, 10, 27, 1), 1),
        (Grain.HOURLY, "Antarctica/Troll", "2024-10-27T02c", utc(2024, 10, 27, 2), 1),
    ],
)
def test_where_partitions_begin_and_how_long_they_are(
    grain: Grain, zone: str, key: str, start: datetime, hours: float
):
    calendar = Calendar(grain, zone)
    assert calendar.start(key) == start
    assert calendar.end(key) - start == hours * HOUR
    assert calendar.key_of(start) == key


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
def test_starts_are_those_of_pandas(zone: str):
    for grain, frequency in [(Grain.DAILY, "D"), (Grain.WEEKLY, "W-MON"), (Grain.MONTHLY, "MS")]:
        calendar = Calendar(grain, zone)
        starts = pd.date_range("2020-06-01", "2026-06-01", freq=frequency, tz=zone)
        keys = list(calendar.between(calendar.key_of(starts[0]), calendar.key_of(starts[-1])))
        assert [calendar.start(key) for key in keys] == [start.tz_convert("UTC") for start in starts]
    # A week that begins with a Sunday.
    sundays = pd.date_range("2024-01-07", "2025-01-05", freq="W-SUN", tz=zone)
    calendar = Calendar(Grain.WEEKLY, zone, Weekday.SUNDAY)
    assert [calendar.key_of(day) for day in sundays] == [f"{day:%Y-%m-%d}" for day in sundays]
    assert [calendar.start(f"{day:%Y-%m-%d}") for day in sundays] == list(sundays)


@pytest.mark.parametrize(
    ("grain", "zone", "key", "why"),
    [
        (Grain.HOURLY, "Europe/Berlin", "2024-03-31T02", "the clocks in Europe/Berlin skip this hour"),
        (
            Grain.HOURLY,
            "Europe/Berlin",
            "2024-10-27T03b",
            "in Europe/Berlin do not repeat this hour so often",
        ),
        (
            Grain.HOURLY,
            "Europe/Berlin",
            "2024-10-27T02c",
            "in Europe/Berlin do not repeat this hour so often",
        ),
        (Grain.HOURLY, "Europe/Berlin", "2024-10-27T02a", "write it like '2024-01-31T05'"),
        (Grain.HOURLY, "UTC", "2024-10-27T02b", "the clocks in UTC do not repeat this hour so often"),
        (Grain.DAILY, "Pacific/Apia", "2011-12-30", "the clocks in Pacific/Apia skip this day"),
        (Grain.DAILY, "UTC", "20240131", "write it like '2024-01-31'"),
        (Grain.DAILY, "UTC", "2024-W05-3", "write it like '2024-01-31'"),
        (Grain.DAILY, "Europe/Berlin", "2024-02-30", "write it like '2024-01-31'"),
        (Grain.DAILY, "UTC", "0000-01-01", "write it like '2024-01-31'"),
    ],
)
def test_what_the_clocks_do_not_show_is_no_key(grain: Grain, zone: str, key: str, why: str):
    with pytest.raises(PartitionError, match=why):
        Calendar(grain, zone).check(key)


def test_weeks_start_with_any_day():
    # 2024-01-03 was a Wednesday.
    found = {day: Calendar(Grain.WEEKLY, week_starts=day).key_of(utc(2024, 1, 3, 12)) for day in Weekday}
    assert list(found.values()) == [
        "2024-01-01", "2024-01-02", "2024-01-03", "2023-12-28", "2023-12-29", "2023-12-30", "2023-12-31",
    ]  # fmt: skip
    sunday = Calendar(Grain.WEEKLY, week_starts=Weekday.SUNDAY)
    with pytest.raises(PartitionError, match="the partition that holds it is '2023-12-31'"):
        sunday.check("2024-01-01")
    # A week whose first day the clocks passed by keeps its name.
    friday = Calendar(Grain.WEEKLY, "Pacific/Apia", Weekday.FRIDAY)
    assert friday.start("2011-12-30") == utc(2011, 12, 30, 10)
    assert friday.end("2011-12-30") - friday.start("2011-12-30") == timedelta(days=6)


def test_days_that_are_passed_by_leave_neighbours():
    calendar = Calendar(Grain.DAILY, "Pacific/Apia")
    assert calendar.shift("2011-12-29", 1) == "2011-12-31"
    assert calendar.distance("2011-12-29", "2011-12-31") == 1
    assert calendar.key_of_day(date(2011, 12, 30)) == "2011-12-31"


def test_a_time_without_zone_is_local():
    hourly = Calendar(Grain.HOURLY, "Europe/Berlin")
    assert hourly.key_of(datetime(2024, 7, 1, 12, 30)) == "2024-07-01T12"  # noqa: DTZ001
    assert hourly.key_of(datetime(2024, 10, 27, 2, 30)) == "2024-10-27T02"  # noqa: DTZ001
    with pytest.raises(NoSuchTimeError, match="does not exist in Europe/Berlin"):
        hourly.key_of(datetime(2024, 3, 31, 2, 30))  # noqa: DTZ001


def test_back_goes_days_of_the_calendar_and_hours_of_the_clock():
    daily, hourly = (Calendar(grain, "Europe/Berlin") for grain in (Grain.DAILY, Grain.HOURLY))
    assert daily.back("2024-04-10", Length(28, "day")) == "2024-03-13"
    assert daily.back("2024-11-10", Length(28, "day")) == "2024-10-13"
    assert hourly.back("2024-03-31T12", Length(1, "day")) == "2024-03-30T12"
    assert hourly.back("2024-03-31T12", Length(23, "hour")) == "2024-03-30T12"
    assert hourly.back("2024-10-27T03", Length(2, "hour")) == "2024-10-27T02"
    assert hourly.back("2024-10-27T02b", Length(1, "hour")) == "2024-10-27T02"
    # 02:30 the day before there was, but no 02:00 on the day itself.
    assert hourly.back("2024-04-01T02", Length(1, "day")) == "2024-03-31T03"


def test_the_same_hour_of_the_weekday_before_is_found_through_a_change():
    hourly = Calendar(Grain.HOURLY, "Europe/Berlin")
    weekly, daily = hourly.like("2024-04-02T08", 2)
    assert weekly == ["2024-03-19T08", "2024-03-26T08"]
    assert daily == ["2024-03-31T08", "2024-04-01T08"]
    assert hourly.like("2024-04-01T02", 1)[1] == []  # skipped
    assert Calendar(Grain.DAILY, "Pacific/Apia").like("2012-01-06", 2) == [["2011-12-23"]]
    assert Calendar(Grain.MONTHLY).like("2024-01", 3) == Calendar(Grain.SNAPSHOT).like("snapshot", 3) == []


@pytest.mark.parametrize(
    ("grain", "key", "days", "middle"),
    [
        (Grain.HOURLY, "0001-01-01T06", 1 / 24, 1 + 6.5 / 24),
        (Grain.DAILY, "0001-01-08", 1, 8.5),
        (Grain.WEEKLY, "0001-01-08", 7, 11.5),
        (Grain.MONTHLY, "0001-02", 365.2425 / 12, 32 + 365.2425 / 24),
        (Grain.SNAPSHOT, "snapshot", 0, 0),
    ],
)
def test_where_partitions_lie_in_days(grain: Grain, key: str, days: float, middle: float):
    assert Calendar(grain).mean_days == days
    assert Calendar(grain).middle(key) == pytest.approx(middle)


def test_the_middle_is_local_and_has_its_weekday():
    for zone in ("UTC", "Asia/Kolkata", "America/New_York"):
        # 2024-10-27 was a Sunday.
        assert weekday(Calendar(Grain.DAILY, zone).middle("2024-10-27")) == 0
    hourly = Calendar(Grain.HOURLY, "Europe/Berlin")
    assert hourly.middle("2024-10-27T02b") == hourly.middle("2024-10-27T02")
    assert days_of_year_apart(739_000.0, 739_000.0 + 366) == pytest.approx(-366 + 365.2425)


def test_partitions_in_words():
    words = {grain: (Calendar(grain).counted(1), Calendar(grain).last(5)) for grain in Grain}
    assert words == {
        Grain.HOURLY: ("1 hour", "the last 5 hours"),
        Grain.DAILY: ("1 day", "the last 5 days"),
        Grain.WEEKLY: ("1 week", "the last 5 weeks"),
        Grain.MONTHLY: ("1 month", "the last 5 months"),
        Grain.SNAPSHOT: ("1 partition", "the last 5 partitions"),
    }
    assert Calendar(Grain.DAILY).last(1) == "the last day"
    assert Calendar(Grain.WEEKLY).on("2024-01-01") == "in the week of 2024-01-01"


def test_keys_beyond_the_years_are_told():
    for zone in ("UTC", "America/New_York", "Pacific/Apia"):
        for grain, last in [(Grain.DAILY, "9999-12-31"), (Grain.MONTHLY, "9999-12")]:
            calendar = Calendar(grain, zone)
            assert calendar.check(last) == last
            for beyond in (calendar.end, lambda key, calendar=calendar: calendar.shift(key, 1)):
                with pytest.raises(PartitionError, match="beyond the years 1 to 9999"):
                    beyond(last)


def test_a_calendar_can_be_sent_to_another_process():
    calendar = Calendar(Grain.HOURLY, "Europe/Berlin")
    calendar.start("2024-10-27T02b")
    assert pickle.loads(pickle.dumps(calendar)) == calendar


def test_the_how_to_says_what_is():
    page = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "calendars.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    given: dict[str, object] = {}
    exec(code, given)
    said = dict(re.findall(r"^(calendar\..*?) +# (.*)$", code, re.MULTILINE))
    assert len(said) == 2
    for line, answer in said.items():
        found = eval(line, given)
        assert (f"{found:%Y-%m-%d %H:%M} UTC" if isinstance(found, datetime) else str(found)) == answer


@pytest.mark.parametrize(
    ("key", "period"),
    [("2024-01-31T05", "2024-01"), ("2024-01-31", "2024-01"), ("2024-01", "2024"), ("", "")],
)
def test_the_period_of_a_key(key: str, period: str):
    assert period_of(key) == period


def test_no_other_module_knows_what_differs_from_grain_to_grain():
    # A member of `Grain`, a step or a key's form, anywhere but in the package: a second home.
    root = Path(__file__).resolve().parents[3]
    known = re.compile(r"Grain\.[A-Z]|relativedelta|strptime|%Y-%m-%dT%H\"|evergreen\.partition\b")
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for folder in ("include/evergreen", "plugins", "dags", "deploy")
        for path in (root / folder).rglob("*.py")
        if "evergreen/calendar" not in path.as_posix()
        and path.name != "time_form.py"  # how a source writes the times of a column, whatever its partitions
        for line in path.read_text().splitlines()
        if known.search(line)
    ]
    assert found == []
