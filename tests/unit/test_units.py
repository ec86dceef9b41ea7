from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from evergreen import units


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        (units.Duration, "28 days", timedelta(days=28)),
        (units.Duration, "1 hour", timedelta(hours=1)),
        (units.Duration, "2 weeks", timedelta(weeks=2)),
        (units.Duration, timedelta(days=1), timedelta(days=1)),
        (units.Partitions, "5 partitions", 5),
        (units.Partitions, "1 partition", 1),
        (units.Partitions, 7, 7),
        (units.Share, "5%", 0.05),
        (units.Share, "2.5 %", 0.025),
        (units.Share, 0.5, 0.5),
        (units.Tolerance, "125%", 1.25),
        (units.RetrainBudget, "6 per 30 partitions", units.Budget(6, 30)),
        (units.HoldOut, "7 days", timedelta(days=7)),
        (units.HoldOut, "20%", 0.2),
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
        (units.Duration, 28, "write a duration"),
        (units.Duration, "99999999999 days", "write a duration"),
        (units.Partitions, "many", "write a number of partitions"),
        (units.Partitions, -1, "write a number of partitions"),
        (units.Partitions, True, "write a number of partitions"),
        (units.Share, "101%", "from 0 to 1"),
        (units.Share, True, "write a share"),
        (units.Share, None, "write a share"),
        (units.Tolerance, -0.1, "not negative"),
        (units.RetrainBudget, "6", "write a budget like"),
        (units.RetrainBudget, "6 per 0 partitions", "write a budget like"),
        (units.HoldOut, "0%", "more than 0 and less than all"),
        (units.HoldOut, "100%", "more than 0 and less than all"),
        (units.HoldOut, "0 days", "more than 0 and less than all"),
        (units.HoldOut, "soon", "a duration like '7 days' or a share"),
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
def test_durations_and_holdouts_are_written_as_they_are_read(hours: int):
    for unit in (units.Duration, units.HoldOut):
        if hours or unit is units.Duration:
            adapter = TypeAdapter(unit)
            written = adapter.dump_python(timedelta(hours=hours))
            assert adapter.validate_python(written) == timedelta(hours=hours)
