from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from evergreen import units
from evergreen.calendar import Length


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        (units.Duration, "28 days", timedelta(days=28)),
        (units.Duration, "1 hour", timedelta(hours=1)),
        (units.Duration, "2 weeks", timedelta(weeks=2)),
        (units.Duration, timedelta(days=1), timedelta(days=1)),
        (units.Age, "28 days", timedelta(days=28)),
        (units.Age, "2 months", timedelta(days=62)),
        (units.Age, "1 year", timedelta(days=372)),
        (units.Partitions, "5 partitions", 5),
        (units.Partitions, "1 partition", 1),
        (units.Partitions, 7, 7),
        (units.Share, "5%", 0.05),
        (units.Share, "2.5 %", 0.025),
        (units.Share, 0.5, 0.5),
        (units.Tolerance, "125%", 1.25),
        (units.AnyLength, "5 partitions", Length(5)),
        (units.AnyLength, "1 partition", Length(1)),
        (units.AnyLength, 7, Length(7)),
        (units.AnyLength, "0 days", Length(0, "day")),
        (units.AnyLength, "28 days", Length(28, "day")),
        (units.AnyLength, "6 hours", Length(6, "hour")),
        (units.SomeLength, "2 weeks", Length(2, "week")),
        (units.SomeLength, "12 months", Length(12, "month")),
        (units.SomeLength, "1 year", Length(1, "year")),
        (units.SomeLength, Length(3), Length(3)),
        (units.Window, "24 months", Length(24, "month")),
        (units.Window, "since change", units.SinceChange(365, "day")),
        (units.Window, "since change, at most 24 months", units.SinceChange(24, "month")),
        (units.Window, units.SinceChange(3), units.SinceChange(3)),
        (units.RetrainBudget, "6 per 30 partitions", units.Budget(6, Length(30))),
        (units.RetrainBudget, "2 per 90 days", units.Budget(2, Length(90, "day"))),
        (units.RetrainBudget, "1 per 3 months", units.Budget(1, Length(3, "month"))),
        (units.HoldOut, "7 days", Length(7, "day")),
        (units.HoldOut, "2 months", Length(2, "month")),
        (units.HoldOut, "14 partitions", Length(14)),
        (units.HoldOut, "20%", 0.2),
        (units.Recency, "half-life 60 days", units.HalfLife(Length(60, "day"))),
        (units.Recency, "half-life 12 months", units.HalfLife(Length(12, "month"))),
        (units.Recency, "half-life 5 partitions", units.HalfLife(Length(5))),
        (units.Recency, "none", "none"),
        (units.Cron, "0 2 * * *", "0 2 * * *"),
        (units.Cron, "*/5 0-6 1,15 * MON", "*/5 0-6 1,15 * MON"),
        (units.Cron, "@daily", "@daily"),
        (units.ImportPath, "sklearn.linear_model.Ridge", "sklearn.linear_model.Ridge"),
        (units.FunctionName, "features/build.py:build", "features/build.py:build"),
    ],
)
def test_what_people_write(unit: Any, text: Any, value: Any):
    assert TypeAdapter(unit).validate_python(text) == value


@pytest.mark.parametrize(
    ("unit", "text", "message"),
    [
        (units.Duration, "1 year", "write a duration like '28 days'"),
        (units.Duration, "-1 days", "write a duration"),
        (units.Age, "3 partitions", "write a duration like '28 days'"),
        (units.Age, "999999 years", "write a duration like '28 days'"),
        (units.Duration, 28, "write a duration"),
        (units.Duration, "99999999999 days", "write a duration"),
        (units.Partitions, "many", "write a number of partitions"),
        (units.Partitions, -1, "write a number of partitions"),
        (units.Partitions, True, "write a number of partitions"),
        (units.AnyLength, "many", "write a length like '5 partitions', '28 days' or '12 months'"),
        (units.AnyLength, "-1 days", "write a length"),
        (units.AnyLength, "1.5 months", "write a length"),
        (units.AnyLength, "9999999 days", "write a length"),
        (units.AnyLength, -1, "write a length"),
        (units.AnyLength, 1.5, "write a length"),
        (units.AnyLength, True, "write a length"),
        (units.AnyLength, None, "write a length"),
        (units.SomeLength, "0 months", "must be more than 0"),
        (units.SomeLength, 0, "must be more than 0"),
        (units.Window, "since change, at most soon", "write a length like '5 partitions'"),
        (units.Window, "since change, at most 0 days", "must be more than 0"),
        (units.Window, "since the change", "write a length"),
        (units.Share, "101%", "from 0 to 1"),
        (units.Share, True, "write a share"),
        (units.Share, None, "write a share"),
        (units.Tolerance, -0.1, "not negative"),
        (units.RetrainBudget, "6", "write a budget like"),
        (units.RetrainBudget, "6 per 0 partitions", "write a budget like"),
        (units.RetrainBudget, "6 per 0 months", "write a budget like"),
        (units.RetrainBudget, "6 per month", "write a budget like"),
        (units.RetrainBudget, "some per 3 months", "write a budget like"),
        (units.Recency, "60 days", "write a half-life like 'half-life 60 days'"),
        (units.Recency, "half-life 0 days", "write a half-life"),
        (units.Recency, "half-life soon", "write a half-life"),
        (units.Recency, "half-life", "write a half-life"),
        (units.Recency, 0.5, "write a half-life"),
        (units.Recency, True, "write a half-life"),
        (units.Recency, None, "write a half-life"),
        (units.HoldOut, "0%", "more than 0 and less than all"),
        (units.HoldOut, "100%", "more than 0 and less than all"),
        (units.HoldOut, "0 days", "more than 0 and less than all"),
        (units.HoldOut, 7, "more than 0 and less than all"),
        (units.HoldOut, "soon", "a length like '7 days' or a share"),
        (units.Cron, "often", "five fields"),
        (units.Cron, "0 2 * *", "five fields"),
        (units.Identifier, "Bike Demand", "a-z, 0-9"),
        (units.ImportPath, "Ridge", "the full path"),
        (units.FunctionName, "features.build", "like 'features.py:build'"),
        (units.ConnectionId, "rentals db", "letters, digits"),
    ],
)
def test_what_is_refused_and_how_it_is_put(unit: Any, text: Any, message: str):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(unit).validate_python(text)


@given(st.integers(0, 10_000))
def test_durations_are_written_as_they_are_read(hours: int):
    adapter = TypeAdapter(units.Duration)
    written = adapter.dump_python(timedelta(hours=hours))
    assert adapter.validate_python(written) == timedelta(hours=hours)


@given(
    count=st.integers(1, 999_999),
    unit=st.sampled_from(("partition", "second", "minute", "hour", "day", "week", "month", "year")),
)
def test_lengths_are_written_back_as_they_were_written(count: int, unit: str):
    text = f"{count} {unit}s" if count > 1 else f"{count} {unit}"
    for kind, written in [
        (units.AnyLength, text),
        (units.SomeLength, text),
        (units.HoldOut, text),
        (units.Window, text),
        (units.Window, f"since change, at most {text}"),
        (units.RetrainBudget, f"{count} per {text}"),
    ]:
        adapter = TypeAdapter(kind)
        assert adapter.dump_python(adapter.validate_python(written)) == written
        assert adapter.dump_json(adapter.validate_python(written)) == f'"{written}"'.encode()
