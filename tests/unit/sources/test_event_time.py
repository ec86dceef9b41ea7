"""Event times that stand in several columns: how they are described, and which moments they are."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pydantic import ValidationError

from evergreen.calendar import Calendar, Grain, zone_of
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources import Source, Wanted
from evergreen.sources.composed_times import with_composed_time

PARTS = ["year", "month", "day", "hour"]


def source(time_column, kind="file", **more):
    settings = {"path": "all.csv"} if kind == "file" else {"conn_id": "db", "table": "rows"}
    return Source.model_validate({kind: {**settings, **more, "time_column": time_column}})


def composed(columns, zone="UTC", **written):
    column = source({"from": PARTS[: len(columns)], **written}).time_column
    table = pa.table(columns)
    rows = with_composed_time(Rows.of(table), column, zone_of(zone))
    return rows.table(), rows.rejected


def of(values, zone="UTC"):
    found, rejected = composed({name: [value] for name, value in zip(PARTS, values, strict=False)}, zone)
    return found.column("time").to_pylist(), [one.reason for one in rejected]


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


MOMENTS = [
    ("a day", (2024, 2, 29), "UTC", utc(2024, 2, 29)),
    ("an hour", (2024, 1, 31, 23), "UTC", utc(2024, 1, 31, 23)),
    ("the hour 24 is the day's end", (2024, 12, 31, 24), "UTC", utc(2025, 1, 1)),
    ("numbers of text formats", (2024.0, 1.0, 31.0, 5.0), "UTC", utc(2024, 1, 31, 5)),
    ("digits as text", ("2024", "01", "31", "05"), "UTC", utc(2024, 1, 31, 5)),
    ("decimals", (Decimal(2024), Decimal(1), Decimal(31), Decimal(5)), "UTC", utc(2024, 1, 31, 5)),
    ("local time", (2024, 7, 1, 0), "Europe/Berlin", utc(2024, 6, 30, 22)),
    ("the first of two", (2024, 10, 27, 2), "Europe/Berlin", utc(2024, 10, 27, 0)),
    ("24 where the night is longer", (2024, 10, 26, 24), "Europe/Berlin", utc(2024, 10, 26, 22)),
]


def test_parts_say_a_moment():
    for name, values, zone, moment in MOMENTS:
        assert of(values, zone) == ([moment], []), name


MISFITS = [
    ((2023, 2, 29, 0), "UTC", "year 2023, month 2, day 29, hour 0: no such time"),
    ((2024, 13, 1, 0), "UTC", "year 2024, month 13, day 1, hour 0: no such time"),
    ((2024, 0, 1, 0), "UTC", "year 2024, month 0, day 1, hour 0: no such time"),
    ((2024, 1, 1, 25), "UTC", "year 2024, month 1, day 1, hour 25: no such time"),
    ((2024, 1, 1, -1), "UTC", "year 2024, month 1, day 1, hour -1: no such time"),
    ((0, 1, 1, 1), "UTC", "year 0, month 1, day 1, hour 1: no such time"),
    ((2024, 1, 1, 5.5), "UTC", "year 2024, month 1, day 1, hour 5.5: no such time"),
    ((2024, "Jan", 1, 5), "UTC", "year 2024, month Jan, day 1, hour 5: no such time"),
    ((2024, 1, 1, None), "UTC", "column 'hour' has no value, so there is no time"),
    (
        (2024, 3, 31, 2),
        "Europe/Berlin",
        "2024-03-31 02:00:00 does not exist in Europe/Berlin, where the clocks went from 02:00 to 03:00",
    ),
]


def test_a_row_without_a_time_is_rejected_and_says_why():
    for values, zone, why in MISFITS:
        assert of(values, zone) == ([], [why])


def test_the_others_of_its_batch_stay_and_its_values_are_kept():
    found, rejected = composed({"year": [2024, 2024, 2024], "month": [1, 99, 3], "day": [1, 1, 1]})
    assert found.column("time").to_pylist() == [utc(2024, 1, 1), utc(2024, 3, 1)]
    assert [(one.place, json.loads(one.text)) for one in rejected] == [
        ("row 2", {"year": 2024, "month": 99, "day": 1})
    ]


def test_a_date_with_hour_and_minute():
    column = source({"from": {"date": "dteday", "hour": "hr", "minute": "mi"}, "name": "at"}).time_column
    rows = pa.table({"dteday": [date(2024, 1, 31), None], "hr": [24, 1], "mi": [0, 0]})
    found = with_composed_time(Rows.of(rows), column, zone_of("Asia/Kolkata"))
    assert found.table().column("at").to_pylist() == [utc(2024, 1, 31, 18, 30)]
    assert [one.reason for one in found.rejected] == ["column 'dteday' has no value, so there is no time"]
    late = with_composed_time(Rows.of(rows.slice(0, 1).set_column(2, "mi", [[1]])), column, zone_of("UTC"))
    assert late.table().num_rows == 0
    assert late.rejected[0].reason == "date 2024-01-31, hour 24, minute 1: no such time"


def test_a_column_that_is_missing_or_there_already():
    with pytest.raises(
        SourceError, match=r"there is no column 'day' .*, the day of the time: fix the source"
    ):
        composed({"year": [2024], "month": [1], "dy": [1]})
    with pytest.raises(SourceError, match="there is a column 'hour' already: give the composed one another"):
        composed({"year": [2024], "month": [1], "day": [1], "hour": [1]}, name="hour")


WRONG = [
    ({"from": ["year", "month", "day", "hour", "minute", "second", "x"]}, "columns are at most year, month"),
    ({"from": {"month": "m"}}, "name either a 'date' or a 'year'"),
    ({"from": {"year": "y", "day": "d"}}, "name the column of the month too"),
    ({"from": {"date": "d", "minute": "m"}}, "name the column of the hour too"),
    ({"from": {"date": "d", "day": "x"}}, "a 'date' has year, month and day: leave these out"),
    ({"from": ["y"], "zone": "Mars"}, "zone: "),
    ({"form": ["y"]}, "no such key, did you mean 'from'"),
]


def test_a_wrong_description_says_what_is_allowed():
    for written, why in WRONG:
        with pytest.raises(ValidationError) as caught:
            source(written)
        assert why in str(caught.value), written


def test_a_table_of_a_database_is_asked_by_one_column():
    with pytest.raises(ValidationError, match="a table is asked by one column of times: make a view"):
        source({"from": PARTS}, "postgres")
    assert source({"from": PARTS}, "postgres", table=None, sql="rows.sql").time_column == "time"


def test_it_is_written_and_copied_as_it_was_described():
    described = source({"from": {"date": "d", "hour": "h"}, "name": "at", "zone": "UTC"})
    column = pickle.loads(pickle.dumps(described.time_column))
    assert (column, column.parts, column.zone) == ("at", described.time_column.parts, "UTC")
    written = described.model_dump(mode="json")["config"]["time_column"]
    assert Source.model_validate(
        {"file": {"path": "a.csv", "time_column": written}}
    ) == Source.model_validate({"file": {"path": "a.csv", "time_column": column}})


def test_a_whole_file_is_cut_and_misfits_go_to_the_night_they_stand_in(tmp_path):
    lines = ["year,month,day,hour,x", "2024,1,1,23,1", "2024,1,1,25,2", "2024,1,2,0,3", "2024,1,2,x,4"]
    (tmp_path / "all.csv").write_text("\n".join([*lines, "2024,1,2,1,oh"]) + "\n")
    described = source({"from": PARTS, "name": "at"}, types={"x": "int", "hour": "int"})
    found = {}
    for day in ("2024-01-01", "2024-01-02"):
        wanted = Wanted(day, Calendar(Grain.DAILY), tmp_path, None, None)
        rows = described.read(wanted)
        found[day] = rows.table().column("x").to_pylist(), [one.text for one in rows.rejected]
    assert found["2024-01-01"][0] == [1]
    assert found["2024-01-02"] == ([3], ["2024,1,2,x,4", "2024,1,2,1,oh"])
    assert [json.loads(text)["hour"] for text in found["2024-01-01"][1]] == [25]
