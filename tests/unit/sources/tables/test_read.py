"""What holds for tables of every kind: types, columns, and which rows are a partition's."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from evergreen.calendar import Calendar, Grain
from evergreen.errors import SourceError
from tests.unit.sources.tables.written import Written

MOMENT, LOCAL = pa.timestamp("us", "UTC"), pa.timestamp("us")
TICK = timedelta(microseconds=1)

local = datetime.fromisoformat

# A column's type and values in the table, and those in the lake; the last value of each is null.
TYPES = {
    "small": (pa.int32(), [1, -(2**31)], pa.int32(), [1, -(2**31)]),
    "large": (pa.int64(), [2**63 - 1, 0], pa.int64(), [2**63 - 1, 0]),
    "single": (pa.float32(), [0.5, -1.0], pa.float64(), [0.5, -1.0]),
    "double": (pa.float64(), [1.7976931348623157e308, 1.0], pa.float64(), [1.7976931348623157e308, 1.0]),
    "money": (
        pa.decimal128(20, 2),
        [Decimal("-999999999999999999.99"), Decimal("0.10")],
        pa.decimal128(20, 2),
        [Decimal("-999999999999999999.99"), Decimal("0.10")],
    ),
    "price": (pa.decimal128(9, 1), [Decimal("1.5"), Decimal("-2.0")], pa.float64(), [1.5, -2.0]),
    "word": (pa.string(), ["", "Zürich\n'\""], pa.string(), ["", "Zürich\n'\""]),
    "flag": (pa.bool_(), [True, False], pa.bool_(), [True, False]),
    "day": (
        pa.date32(),
        [date(1, 1, 1), date(9999, 12, 31)],
        pa.date32(),
        [date(1, 1, 1), date(9999, 12, 31)],
    ),
    "moment": (
        MOMENT,
        [datetime(1, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1, UTC)],
        MOMENT,
        [datetime(1, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 1, UTC)],
    ),
    "local": (
        LOCAL,
        [local("2024-07-01T12"), local("2024-01-01T12")],
        MOMENT,
        [datetime(2024, 7, 1, 10, tzinfo=UTC), datetime(2024, 1, 1, 11, tzinfo=UTC)],
    ),
    "numbers": (pa.list_(pa.int64()), [[1, None], []], pa.list_(pa.int64()), [[1, None], []]),
    "words": (pa.list_(pa.string()), [["a", "b"], [None]], pa.list_(pa.string()), [["a", "b"], [None]]),
}


def test_every_type_becomes_the_lakes(written: Written):
    written.append(
        pa.table({name: pa.array([*values, None], kind) for name, (kind, values, _, _) in TYPES.items()})
    )
    found = written.read(timezone="Europe/Berlin", types={"money": "decimal(20, 2)"}).table()
    assert found.to_pydict() == {name: [*values, None] for name, (_, _, _, values) in TYPES.items()}
    for name, (_, _, kind, _) in TYPES.items():
        assert found.schema.field(name).type == kind, name


def test_a_row_that_does_not_fit_is_rejected(written: Written):
    written.append(pa.table({"n": ["1", "one", "3"], "t": ["a", "b", "c\0"]}))
    found = written.read(types={"n": "int"})
    assert found.table().to_pylist() == [{"n": 1, "t": "a"}]
    assert [(rejected.place[-5:], rejected.reason[:12]) for rejected in found.rejected] == [
        ("row 2", "column 'n': "),
        ("row 3", "column 't': "),
    ]


def bounds_of(key: str, grain: str, timezone: str) -> tuple[datetime, datetime]:
    calendar = Calendar(Grain(grain), timezone)
    return calendar.start(key), calendar.end(key)


PARTITIONS = [
    ("2024-01-01", "daily", "UTC"),
    ("2024-03-31", "daily", "Europe/Berlin"),  # 23 hours
    ("2024-10-27", "daily", "Europe/Berlin"),  # 25 hours
    ("2024-10-27T02", "hourly", "Europe/Berlin"),
    ("2024-02", "monthly", "Asia/Kolkata"),
]


@pytest.mark.parametrize(("key", "grain", "timezone"), PARTITIONS)
def test_moments_are_held_exactly_against_the_bounds(written: Written, key: str, grain: str, timezone: str):
    first, last = bounds_of(key, grain, timezone)
    moments = [first - TICK, first, first + TICK, last - TICK, last, None]
    for at, moment in enumerate(moments):
        written.append(pa.table({"n": [at], "at": pa.array([moment], MOMENT)}))
    found = written.rows(key, grain, timezone, time_column="at")
    assert sorted(row["n"] for row in found) == [1, 2, 3]
    assert {row["at"] for row in found} == {first, first + TICK, last - TICK}
    assert sorted(row["n"] for row in written.rows(time_column="at")) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", ["local", "text"])
@pytest.mark.parametrize(("key", "grain", "timezone"), PARTITIONS)
def test_local_times_are_held_against_the_local_bounds(
    written: Written, key: str, grain: str, timezone: str, kind: str
):
    first, last = (
        bound.astimezone(ZoneInfo(timezone)).replace(tzinfo=None) for bound in bounds_of(key, grain, timezone)
    )
    if grain == "hourly":  # the first of two hours: what they show alike is the first's
        last = first + timedelta(hours=1)
    times = [first - TICK, first, last - TICK, last]
    values = pa.array(times, LOCAL) if kind == "local" else pa.array([time.isoformat() for time in times])
    written.append(pa.table({"n": [0, 1, 2, 3], "at": values}))
    found = written.rows(
        key, grain, timezone, time_column="at", types={"at": "time"} if kind == "text" else {}
    )
    assert [row["n"] for row in found] == [1, 2]
    assert all(row["at"].utcoffset() == timedelta(0) for row in found)


def test_a_time_that_the_clocks_skip_is_rejected_and_a_declared_zone_is_the_columns(written: Written):
    skipped = local("2024-03-31T02:30")
    written.append(pa.table({"at": pa.array([skipped, local("2024-03-31T04")], LOCAL)}))
    found = written.read("2024-03-31", timezone="Europe/Berlin", time_column="at")
    assert found.table().to_pylist() == [{"at": datetime(2024, 3, 31, 2, tzinfo=UTC)}]
    assert [rejected.place[-5:] for rejected in found.rejected] == ["row 1"]
    said = {"time_column": "at", "types": {"at": "time in Asia/Kolkata"}}
    assert [row["at"] for row in written.rows("2024-03-30", **said)] == [
        datetime(2024, 3, 30, 21, tzinfo=UTC),
        datetime(2024, 3, 30, 22, 30, tzinfo=UTC),
    ]
    assert written.rows("2024-03-31", **said) == []


@pytest.mark.parametrize("kind", ["day", "text"])
def test_days_are_local_days(written: Written, kind: str):
    days = [date(2024, 3, 30), date(2024, 3, 31), date(2024, 4, 1), None]
    values = pa.array(days) if kind == "day" else pa.array([day and day.isoformat() for day in days])
    written.append(pa.table({"n": [0, 1, 2, 3], "day": values}))
    said = {"time_column": "day", "types": {"day": "date"} if kind == "text" else {}}
    start = datetime(2024, 3, 30, 23, tzinfo=UTC)
    assert written.rows("2024-03-31", timezone="Europe/Berlin", **said) == [{"n": 1, "day": start}]
    assert written.rows("2024-03-31T00", "hourly", "Europe/Berlin", **said) == [{"n": 1, "day": start}]
    assert written.rows("2024-03-31T01", "hourly", "Europe/Berlin", **said) == []


def test_some_columns_may_be_read_without_the_time(written: Written):
    times = pa.array([local(f"2024-01-0{day}") for day in (1, 2)], LOCAL)
    struct = pa.array([{"a": 1}, {"a": 2}])
    written.append(pa.table({"at": times, "n": [1, 2], 'odd "name"': ["x", "y"], "deep": struct}))
    said = {"columns": ['odd "name"', "n"], "time_column": "at"}
    assert written.rows("2024-01-02", **said) == [{'odd "name"': "y", "n": 2}]
    with pytest.raises(SourceError, match=r"column 'deep' is of type struct.* leave it out"):
        written.read("2024-01-02", time_column="at")


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            {"time_column": "att"},
            r"has no column 'att' \(nearest: at\): fix the table or the source's columns",
        ),
        ({"columns": ["zzz"]}, r"has no column 'zzz' \(there: at, n, t\)"),
        ({"types": {"nn": "int"}}, r"there is no column 'nn' \(there: at, n, t\): fix the source's types"),
        ({"time_column": "n"}, "time_column 'n' of .* is of type int64: name one that holds times or days"),
        ({"time_column": "t"}, r"is of type \w*string: .* declare under the source's types"),
    ],
)
def test_columns_that_are_not_there_are_named(written: Written, said, says: str):
    written.append(pa.table({"at": pa.array([local("2024-01-01")], LOCAL), "n": [1], "t": ["x"]}))
    with pytest.raises(SourceError, match=says) as refusal:
        written.read("2024-01-01", **said)
    assert "\n" not in str(refusal.value)


def test_columns_may_have_any_name(written: Written):
    names = ["at.time", "a.b", "Größe", "select", "a'b", "x;--", "{n}", " a ", "$1"]
    at = pa.array([local("2024-01-01"), local("2024-01-02")], LOCAL)
    written.append(pa.table({names[0]: at, **{name: [1, 2] for name in names[1:]}}))
    found = written.rows("2024-01-02", time_column="at.time", columns=names)
    assert found == [{"at.time": datetime(2024, 1, 2, tzinfo=UTC), **dict.fromkeys(names[1:], 2)}]
