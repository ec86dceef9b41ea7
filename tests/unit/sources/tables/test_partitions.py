"""Each row of a table is in the one partition that its time is in, whatever the times are."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain
from tests.campaign import examples
from tests.unit.sources.tables.written import Written, WrittenIceberg

SPANS = {  # a stretch of time with a change of the clocks in it
    "Europe/Berlin": (datetime(2024, 3, 30, 22, tzinfo=UTC), datetime(2024, 4, 1, 3, tzinfo=UTC)),
    "America/New_York": (datetime(2024, 11, 3, 3, tzinfo=UTC), datetime(2024, 11, 4, 7, tzinfo=UTC)),
    "UTC": (datetime(2023, 12, 31, 22, tzinfo=UTC), datetime(2024, 1, 1, 3, tzinfo=UTC)),
}


def moments(zone: str) -> st.SearchStrategy[list[datetime]]:
    """Times within the stretch: anywhere, at full hours, and a microsecond beside these."""
    first, last = SPANS[zone]
    hours = st.integers(0, (last - first) // timedelta(hours=1) - 1).map(lambda n: first + timedelta(hours=n))
    beside = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(hours=1, microseconds=-1)])
    anywhere = st.datetimes(first.replace(tzinfo=None), last.replace(tzinfo=None) - timedelta(microseconds=1))
    at_hours = st.tuples(hours, beside).map(sum_of)
    return st.lists(st.one_of(at_hours, anywhere.map(lambda at: at.replace(tzinfo=UTC))), max_size=12)


def sum_of(parts: tuple[datetime, timedelta]) -> datetime:
    return parts[0] + parts[1]


@pytest.mark.parametrize("kind", [Written, WrittenIceberg])
@settings(max_examples=examples(10))
@given(data=st.data())
def test_each_row_is_in_its_partition_and_in_no_other(kind: type[Written], data: st.DataObject):
    zone = data.draw(st.sampled_from(list(SPANS)))
    grain = data.draw(st.sampled_from(["hourly", "daily"]))
    times = data.draw(moments(zone))
    calendar = Calendar(Grain(grain), zone)
    with tempfile.TemporaryDirectory() as folder:
        written = kind(Path(folder))
        half = len(times) // 2
        for part in (times[:half], times[half:]):
            written.append(
                pa.table(
                    {
                        "at": pa.array(part, pa.timestamp("us", "UTC")),
                        "n": pa.array(range(len(part)), pa.int64()),
                    }
                )
            )
        found: list[tuple[str, datetime]] = []
        for key in calendar.between(*map(calendar.key_of, SPANS[zone])):
            rows: list[dict[str, Any]] = written.rows(key, grain, zone, time_column="at")
            found += [(key, row["at"]) for row in rows]
    assert sorted(found) == sorted((calendar.key_of(time), time) for time in times)
