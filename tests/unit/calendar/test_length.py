"""Lengths in partitions, time and months, from one partition to another: by hand, and what holds for all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain, Length, PartitionError, Weekday
from tests.campaign import examples
from tests.unit.calendar.test_properties import CALENDARS, DRAWN

DAILY, WEEKLY, MONTHLY, HOURLY = (
    Calendar(g) for g in (Grain.DAILY, Grain.WEEKLY, Grain.MONTHLY, Grain.HOURLY)
)
SUNDAYS = Calendar(Grain.WEEKLY, week_starts=Weekday.SUNDAY)
APIA = Calendar(Grain.DAILY, "Pacific/Apia")
BERLIN_DAYS, BERLIN = (Calendar(grain, "Europe/Berlin") for grain in (Grain.DAILY, Grain.HOURLY))

WORKED = [
    # calendar, key, length, the partition so long before, and the first that is so long after
    (DAILY, "2024-03-10", "5 partitions", "2024-03-05", "2024-03-15"),
    (DAILY, "2024-03-10", "10 days", "2024-02-29", "2024-03-20"),
    (DAILY, "2024-03-10", "2 weeks", "2024-02-25", "2024-03-24"),
    (DAILY, "2024-03-10", "6 hours", "2024-03-09", "2024-03-11"),  # a part of a day is a day
    (DAILY, "2024-03-10", "24 hours", "2024-03-09", "2024-03-11"),
    (DAILY, "2024-03-10", "25 hours", "2024-03-08", "2024-03-12"),
    (DAILY, "2024-03-10", "0 days", "2024-03-10", "2024-03-10"),
    (DAILY, "2024-03-10", "0 months", "2024-03-10", "2024-03-10"),
    (DAILY, "2024-03-10", "1 month", "2024-02-10", "2024-04-10"),
    (DAILY, "2024-03-31", "1 month", "2024-02-29", "2024-05-01"),  # 30 April is one month after 30 March
    (DAILY, "2023-03-31", "1 month", "2023-02-28", "2023-05-01"),
    (DAILY, "2024-03-30", "1 month", "2024-02-29", "2024-04-30"),
    (DAILY, "2024-01-31", "1 month", "2023-12-31", "2024-03-01"),
    (DAILY, "2024-02-29", "1 month", "2024-01-29", "2024-03-29"),
    (DAILY, "2024-02-29", "1 year", "2023-02-28", "2025-03-01"),
    (DAILY, "2024-02-29", "12 months", "2023-02-28", "2025-03-01"),
    (DAILY, "2024-02-29", "4 years", "2020-02-29", "2028-02-29"),
    (DAILY, "2024-12-31", "6 months", "2024-06-30", "2025-07-01"),
    (WEEKLY, "2024-01-29", "3 partitions", "2024-01-08", "2024-02-19"),
    (WEEKLY, "2024-01-29", "2 weeks", "2024-01-15", "2024-02-12"),
    (WEEKLY, "2024-01-29", "10 days", "2024-01-15", "2024-02-12"),  # two weeks
    (WEEKLY, "2024-01-29", "12 hours", "2024-01-22", "2024-02-05"),
    (WEEKLY, "2024-01-29", "1 month", "2023-12-25", "2024-03-04"),  # 29 December; 4 February
    (WEEKLY, "2024-02-26", "1 year", "2023-02-20", "2025-03-03"),
    (SUNDAYS, "2024-01-28", "1 month", "2023-12-24", "2024-03-03"),
    (MONTHLY, "2024-03", "12 months", "2023-03", "2025-03"),
    (MONTHLY, "2024-03", "1 year", "2023-03", "2025-03"),
    (MONTHLY, "2024-03", "2 partitions", "2024-01", "2024-05"),
    (MONTHLY, "2024-03", "10 days", "2024-02", "2024-04"),  # a part of a month is a month
    (MONTHLY, "2024-03", "30 days", "2024-01", "2024-04"),  # 31 January; 2 March
    (MONTHLY, "2024-02", "30 days", "2024-01", "2024-04"),  # 2 January; March's 30 days begin on 31 January
    (MONTHLY, "2024-03", "365 days", "2023-03", "2025-03"),
    (HOURLY, "2024-03-01T00", "24 partitions", "2024-02-29T00", "2024-03-02T00"),
    (HOURLY, "2024-03-29T05", "1 month", "2024-02-29T05", "2024-04-29T05"),
    (HOURLY, "2024-03-31T05", "1 month", "2024-02-29T23", "2024-05-01T00"),  # the last of February; 1 April
    (HOURLY, "2024-03-01T05", "90 minutes", "2024-03-01T03", "2024-03-01T07"),
    (BERLIN_DAYS, "2024-04-01", "1 day", "2024-03-31", "2024-04-02"),  # of 23 hours
    (BERLIN_DAYS, "2024-11-27", "1 month", "2024-10-27", "2024-12-27"),
    (BERLIN, "2024-03-31T12", "1 day", "2024-03-30T12", "2024-04-01T12"),
    (BERLIN, "2024-03-31T12", "23 hours", "2024-03-30T12", "2024-04-01T11"),
    (BERLIN, "2024-05-31T02", "2 months", "2024-03-31T03", "2024-07-31T02"),  # 02:00 was skipped
    (BERLIN, "2024-11-27T02", "1 month", "2024-10-27T02", "2024-12-27T02"),
    (BERLIN, "2024-10-27T02", "1 month", "2024-09-27T02", "2024-11-27T02"),
    (BERLIN, "2024-10-27T02b", "1 month", "2024-09-27T02", "2024-11-27T03"),  # 02 goes back to the first 02
    (BERLIN, "2024-10-27T02b", "1 hour", "2024-10-27T02", "2024-10-27T03"),
    (BERLIN, "2024-03-31T03", "1 day", "2024-03-30T03", "2024-04-01T02"),
    (APIA, "2012-01-30", "1 month", "2011-12-31", "2012-03-01"),  # 30 December 2011 was skipped
    (APIA, "2011-12-31", "1 month", "2011-11-30", "2012-01-30"),
    (APIA, "2011-12-31", "3 days", "2011-12-28", "2012-01-02"),
]


@pytest.mark.parametrize(("calendar", "key", "text", "before", "after"), WORKED)
def test_back_and_ahead_by_hand(calendar: Calendar, key: str, text: str, before: str, after: str):
    length = Length.read(text)
    assert str(length) == text
    assert calendar.back(key, length) == before
    assert calendar.ahead(key, length) == after
    assert calendar.count(length, before=key) == calendar.distance(before, key)


@pytest.mark.parametrize(
    ("calendar", "text", "before", "count"),
    [
        (DAILY, "1 month", "2024-03-01", 29),
        (DAILY, "1 month", "2023-03-01", 28),
        (DAILY, "1 month", "2024-04-01", 31),
        (DAILY, "1 year", "2025-01-01", 366),
        (HOURLY, "1 day", "2024-03-31T12", 24),
        (BERLIN, "1 day", "2024-03-31T12", 23),
        (BERLIN, "1 month", "2024-04-01T00", 31 * 24 - 1),
        (BERLIN, "1 month", "2024-11-01T00", 31 * 24 + 1),
        (WEEKLY, "1 month", "2024-01-29", 5),
        (MONTHLY, "10 days", "2024-03", 1),
        (MONTHLY, "2 years", "2024-03", 24),
        (Calendar(Grain.SNAPSHOT), "3 partitions", "snapshot", 3),
        (Calendar(Grain.SNAPSHOT), "3 days", "snapshot", 0),
    ],
)
def test_how_many_partitions_a_length_is(calendar: Calendar, text: str, before: str, count: int):
    assert calendar.count(Length.read(text), before=before) == count


@pytest.mark.parametrize(
    ("calendar", "text", "days", "about", "words"),
    [
        (DAILY, "5 partitions", 5, 5, "5 days"),
        (DAILY, "10 days", 10, 10, "10 days"),
        (DAILY, "2 weeks", 14, 14, "2 weeks"),
        (DAILY, "6 hours", 0.25, 1, "6 hours"),
        (DAILY, "1 month", 365.2425 / 12, 31, "1 month"),
        (DAILY, "1 year", 365.2425, 366, "1 year"),
        (HOURLY, "24 partitions", 1, 24, "24 hours"),
        (HOURLY, "1 day", 1, 24, "1 day"),
        (WEEKLY, "10 days", 10, 2, "10 days"),
        (WEEKLY, "1 partition", 7, 1, "1 week"),
        (MONTHLY, "12 months", 365.2425, 12, "12 months"),
        (MONTHLY, "365 days", 365, 12, "365 days"),
        (MONTHLY, "2 partitions", 365.2425 / 6, 2, "2 months"),
        (Calendar(Grain.SNAPSHOT), "2 partitions", 0, 2, "2 partitions"),
        (Calendar(Grain.SNAPSHOT), "2 days", 2, 0, "2 days"),
    ],
)
def test_a_length_on_average_and_in_words(calendar: Calendar, text: str, days: float, about: int, words: str):
    length = Length.read(text)
    assert calendar.days(length) == pytest.approx(days)
    assert (calendar.about(length), calendar.in_words(length)) == (about, words)


@pytest.mark.parametrize("text", ["9999 years", "999999 months", "999999 weeks", "999999 partitions"])
@pytest.mark.parametrize("calendar", [DAILY, MONTHLY, BERLIN])
def test_a_length_beyond_the_years_is_refused(calendar: Calendar, text: str):
    key = calendar.key_of(datetime(2, 1, 1, tzinfo=UTC))
    with pytest.raises(PartitionError, match="beyond the years 1 to 9999"):
        calendar.back(key, Length.read(text))


@pytest.mark.parametrize(
    "text", ["", "5", "5 days ago", "-5 days", "1.5 days", "5  days", "5 parsecs", "1000000 days"]
)
def test_other_texts_are_no_lengths(text: str):
    with pytest.raises(ValueError, match="write a length like '5 partitions', '28 days' or '12 months'"):
        Length.read(text)


UNITS = st.sampled_from(("partition", "second", "minute", "hour", "day", "week", "month", "year"))
# Where clocks go back by two hours, an hour's name of the day before goes back with them.
IN_ORDER = CALENDARS.filter(
    lambda one: not (one.grain is Grain.HOURLY and one.timezone == "Antarctica/Troll")
)
every = settings(max_examples=examples(100))


@every
@given(CALENDARS, DRAWN, st.integers(0, 400))
def test_so_many_partitions_are_just_as_many(calendar: Calendar, moment: datetime, count: int):
    key, length = calendar.key_of(moment), Length(count)
    assert calendar.count(length, before=key) == calendar.about(length) == count
    assert calendar.distance(calendar.back(key, length), key) == count
    assert calendar.ahead(calendar.back(key, length), length) == key


@every
@given(CALENDARS, DRAWN, st.integers(0, 99), st.integers(0, 99), UNITS)
def test_a_longer_length_goes_no_less_far(
    calendar: Calendar, moment: datetime, one: int, other: int, unit: str
):
    key = calendar.key_of(moment)
    short, long = (Length(count, unit) for count in sorted((one, other)))
    assert calendar.back(key, long) <= calendar.back(key, short) <= key
    assert key <= calendar.ahead(key, short) <= calendar.ahead(key, long)
    assert calendar.count(short, before=key) <= calendar.count(long, before=key)
    assert calendar.about(short) <= calendar.about(long)
    assert bool(short) == (min(one, other) > 0)


@every
@given(IN_ORDER, DRAWN, st.integers(0, 40), st.integers(0, 99), UNITS)
@example(HOURLY, datetime(2024, 3, 30, 23, tzinfo=UTC), 1, 1, "month")
def test_later_partitions_go_back_to_no_earlier_ones(
    calendar: Calendar, one: datetime, later: int, count: int, unit: str
):
    first = calendar.key_of(one)
    second = calendar.shift(first, later)
    length = Length(count, unit)
    assert calendar.back(first, length) <= calendar.back(second, length)
    assert calendar.ahead(first, length) <= calendar.ahead(second, length)


@every
@given(IN_ORDER, DRAWN, st.integers(1, 99), UNITS, st.integers(-3, 3))
def test_what_is_back_and_what_is_ahead_agree(
    calendar: Calendar, moment: datetime, count: int, unit: str, beside: int
):
    key, length = calendar.key_of(moment), Length(count, unit)
    ahead = calendar.ahead(key, length)
    other = calendar.shift(ahead, beside)
    assert (ahead <= other) == (key <= calendar.back(other, length))
    assert calendar.ahead(calendar.back(key, length), length) <= key


@every
@given(DRAWN, st.integers(0, 400), st.sampled_from(("month", "year")))
def test_months_are_those_of_another_calendar(moment: datetime, count: int, unit: str):
    assume(unit == "month" or count < 100)
    key = DAILY.key_of(moment)
    before = date.fromisoformat(key) - relativedelta(**{f"{unit}s": count})
    assert DAILY.back(key, Length(count, unit)) == before.isoformat()
    assert WEEKLY.back(WEEKLY.key_of(moment), Length(0, unit)) == WEEKLY.key_of(moment)
    week = date.fromisoformat(WEEKLY.key_of(moment)) - relativedelta(**{f"{unit}s": count})
    assert WEEKLY.back(WEEKLY.key_of(moment), Length(count, unit)) == WEEKLY.key_of_day(week)
