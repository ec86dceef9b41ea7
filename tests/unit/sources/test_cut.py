"""Rows of all of history cut by their time: the same rows as by a filter, each read once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain
from evergreen.rows.batches import Rejected, Rows
from evergreen.sources.cut import Cut, Told
from evergreen.sources.files.description import FileSource
from evergreen.sources.spans import Spans

HOURS = Calendar(Grain.HOURLY, "America/New_York")
FIRST = datetime(2024, 11, 3, 3, tzinfo=UTC)  # around the night in which the clocks go back
TIME = pa.timestamp("us", "UTC")


def batches(*minutes):
    schema = pa.schema([("at", TIME), ("n", pa.int64())])
    start = 0
    for some in minutes:
        times = [FIRST + timedelta(minutes=minute) for minute in some]
        yield pa.RecordBatch.from_arrays(
            [pa.array(times, TIME), pa.array(range(start, start + len(some)), pa.int64())], schema=schema
        )
        start += len(some)


CONFIG = FileSource(path="a.csv", time_column="at")


def cut_of(keys, minutes, rejected=()):
    told = Told(CONFIG, ["at", "n"], HOURS.zone)
    rows = Rows(pa.schema([("at", TIME), ("n", pa.int64())]), batches(*minutes), list(rejected))
    return Cut(rows, "at", Spans(HOURS, keys), told)


@given(
    st.lists(st.lists(st.integers(-200, 700), max_size=30), max_size=4),
    st.sets(st.integers(0, 8), min_size=1),
)
def test_each_partition_has_the_rows_of_its_time_in_their_order(minutes, hours):
    keys = [HOURS.key_of(FIRST + timedelta(hours=hour)) for hour in hours]
    cut = cut_of(keys, minutes)
    flat = [minute for some in minutes for minute in some]
    for key in reversed(keys):
        wanted = [n for n, m in enumerate(flat) if HOURS.key_of(FIRST + timedelta(minutes=m)) == key]
        assert cut.rows(key).table().column("n").to_pylist() == wanted
        assert cut.rows(key).table().column("n").to_pylist() == wanted  # as often as it is asked for


def test_a_rejected_record_goes_where_its_time_is_else_beside_the_row_before_it():
    keys = [HOURS.key_of(FIRST + timedelta(hours=hour)) for hour in range(3)]
    told = Rejected("2024-11-03T05:30:00Z,NA", "a.csv:3", "no float")
    beside = Rejected("what", "a.csv:6", "no fields")  # lines 2, 4 and 5 are the rows before it
    outside = Rejected("2024-11-04T05:30:00Z,NA", "a.csv:7", "no float")
    cut = cut_of(keys, [[0, 1, 70], [130]], [told, beside, outside])
    assert [cut.rows(key).rejected for key in keys] == [[], [beside], [told]]


def test_where_no_row_has_a_time_all_say_what_cannot_be_read():
    lost = Rejected("what", "a.csv:2", "no fields")
    keys = [HOURS.key_of(FIRST), HOURS.key_of(FIRST + timedelta(hours=1))]
    assert [cut_of(keys, [], [lost]).rows(key).rejected for key in keys] == [[lost], [lost]]


GERMAN = {"csv": {"delimiter": ";"}, "types": {"at": "date %d.%m.%Y"}}
TOLD = [
    ("2024-01-31T05:00:00Z,x", {}, datetime(2024, 1, 31, 5, tzinfo=UTC)),
    ("2024-01-31,x", {}, datetime(2024, 1, 31, 5, tzinfo=UTC)),  # a day begins at midnight in New York
    ("2024-01-31T05:00:00,x,y", {}, datetime(2024, 1, 31, 10, tzinfo=UTC)),
    ('{"n": "x", "at": "2024-01-31T05:00:00Z"}', {}, datetime(2024, 1, 31, 5, tzinfo=UTC)),
    ('{"n": "x", "at": "2024-01-31 05:00:00+00:00"}', {}, datetime(2024, 1, 31, 5, tzinfo=UTC)),
    ("31.01.2024;x", GERMAN, datetime(2024, 1, 31, 5, tzinfo=UTC)),
    ("soon,x", {}, None),
    ('{"n": 1}', {}, None),
    ("[1]", {}, None),
]


def test_the_time_of_a_record_is_told_by_its_text():
    for text, settings, moment in TOLD:
        config = FileSource(path="a.csv", time_column="at", **settings)
        assert Told(config, ["at", "n"], HOURS.zone).time(Rejected(text, "a.csv:2", "-")) == moment, text


NUMBERS = [
    ("a.csv:2", "x", {}, 0),
    ("a.csv:7", "x", {"csv": {"skip": 3}}, 2),
    ("a.csv:7", "x", {"csv": {"columns": ["at", "n"]}}, 6),
    ("a.jsonl:7", '{"at": 1}', {}, 6),
    ("a.parquet, row 7", '{"at": 1}', {}, 6),
    ("somewhere", "x", {}, 0),
]


def test_the_number_of_a_record_is_told_by_its_place():
    for place, text, settings, number in NUMBERS:
        config = FileSource(path="a", time_column="at", **settings)
        assert Told(config, ["at", "n"], HOURS.zone).number(Rejected(text, place, "-")) == number, place
