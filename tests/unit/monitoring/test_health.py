"""How a night went: rows and what is usual, quarantine, what is missing, ages and times."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.calendar import Calendar, Grain
from evergreen.errors import IntegrityError
from evergreen.lake import Table
from evergreen.monitoring.health import (
    USUAL,
    health,
    missing_before,
    ms_per_1000_rows,
    quarantined_share,
    usual_partitions,
    usual_rows,
)
from evergreen.pipeline import Pipeline
from evergreen.rows.partition_file import PartitionWriter
from evergreen.spec import parse_spec
from evergreen.stages import SCORE
from evergreen.storage import Storage
from evergreen.timings import Timing, timed

TESTS = Path(__file__).parents[2]
KIOSK = parse_spec(TESTS / "pipelines" / "kiosk" / "pipeline.yaml")
IRIS = parse_spec(TESTS.parent / "include" / "pipelines" / "iris" / "pipeline.yaml")
SCHEMA = pa.schema([("sold", pa.float64())])
VERSION = "2024-01-03-0123456789ab"


def day(number: int) -> str:
    return KIOSK.calendar.shift("2024-01-01", number)


@pytest.fixture
def pipeline(storage: Storage) -> Pipeline:
    return Pipeline(KIOSK, storage)


def publish(pipeline: Pipeline, counts: dict[str, tuple[int, int]]) -> None:
    """Partitions of so many rows, with so many in quarantine beside them."""
    files = {}
    for key, (rows, quarantined) in counts.items():
        writer = PartitionWriter(SCHEMA)
        writer.write(pa.record_batch({"sold": [float(n) for n in range(rows)]}, schema=SCHEMA))
        files[key] = writer.finish({"rows": rows, "quarantined": quarantined})
    pipeline.lake.commit(Table.PARTITIONS, files, SCHEMA)


def test_a_night_in_figures(pipeline: Pipeline) -> None:
    publish(pipeline, {day(n): (10 + n, 0) for n in (0, 1, 2, 3, 4)} | {day(8): (30, 10), day(9): (99, 0)})
    for stage, key, rows in (("ingest", day(8), 0), ("score", day(8), 30), ("train", "2024-01-03", 0)):
        body = json.dumps({"seconds": 1.5, "rows": rows}).encode()
        pipeline.storage.stage(f"kiosk/timings/{stage}/{key}.json", body)
    found = health(pipeline, day(8), VERSION, pipeline.lake.partitions())
    assert found == {
        "rows": 30,
        "usual_rows": 12.0,
        "quarantined": 0.25,
        "missing": 3,
        "age": 4,
        "seconds": {"ingest": 1.5, "score": 1.5, "train": 1.5},
        "ms_per_1000_rows": 50_000.0,
        "golden": None,
    }
    assert json.loads(json.dumps(found)) == found


def test_a_first_night_knows_little(pipeline: Pipeline) -> None:
    pipeline.lake.replace(Table.PARTITIONS, {day(4): pa.table({"sold": [1.0]})})  # without a record
    assert health(pipeline, day(4), VERSION, [day(4)]) == {
        "rows": None,
        "usual_rows": None,
        "quarantined": None,
        "missing": 0,
        "age": 1,
        "seconds": {},
        "ms_per_1000_rows": None,
        "golden": None,
    }


def test_partitions_after_it_change_nothing(pipeline: Pipeline) -> None:
    publish(pipeline, {day(n): (10, 0) for n in range(4)})
    before = health(pipeline, day(3), VERSION, pipeline.lake.partitions())
    publish(pipeline, {day(n): (1000, 500) for n in range(4, 9)})
    assert health(pipeline, day(3), VERSION, pipeline.lake.partitions()) == before


def test_a_champion_that_broke_its_golden_promise_is_named(pipeline: Pipeline) -> None:
    publish(pipeline, {day(3): (10, 0)})
    with pytest.raises(IntegrityError), timed(pipeline, SCORE, day(3)):
        raise IntegrityError("kiosk: version x does not predict its golden rows")
    found = health(pipeline, day(3), VERSION, [day(3)])
    assert found["golden"] == "IntegrityError: kiosk: version x does not predict its golden rows"


def test_a_snapshot_has_rows_and_no_time(storage: Storage) -> None:
    pipeline = Pipeline(IRIS, storage)
    publish(pipeline, {"snapshot": (150, 0)})
    found = health(pipeline, "snapshot", "snapshot-0123456789ab", ["snapshot"])
    assert (found["rows"], found["usual_rows"], found["missing"], found["age"]) == (150, None, 0, 0)


def test_a_day_is_held_against_its_weekday_where_there_are_enough() -> None:
    calendar = Calendar(Grain.DAILY)
    before = [day(n) for n in range(70)]
    assert usual_partitions(calendar, before, day(70)) == [day(n) for n in range(14, 70, 7)]
    assert usual_partitions(calendar, before[43:], day(70)) == before[-USUAL:]
    assert usual_partitions(calendar, before[42:], day(70)) == [day(n) for n in (42, 49, 56, 63)]


def test_an_hour_is_held_against_its_hour() -> None:
    calendar = Calendar(Grain.HOURLY)
    hours = [calendar.shift("2024-01-01T00", n) for n in range(24 * 35 + 1)]
    of_the_week = [hours[n] for n in range(0, 24 * 35, 24 * 7)]
    assert usual_partitions(calendar, hours[:-1], hours[-1]) == of_the_week
    of_the_day = [hours[n] for n in range(24 * 30, 24 * 35, 24)]
    assert usual_partitions(calendar, hours[24 * 30 : -1], hours[-1]) == of_the_day


def test_months_are_held_against_those_before() -> None:
    months = [f"2023-{n:02d}" for n in range(1, 13)]
    assert usual_partitions(Calendar(Grain.MONTHLY), months, "2024-01") == months[-USUAL:]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=USUAL))
def test_usual_is_the_median(rows: list[int]) -> None:
    assert usual_rows([{"rows": n} for n in rows]) == median(rows)


def test_figures_where_there_is_nothing() -> None:
    assert usual_rows([]) is None
    assert usual_rows([{}]) is None
    assert quarantined_share({}) is None
    assert quarantined_share({"rows": 0, "quarantined": 0}) == 0
    assert quarantined_share({"rows": 0, "quarantined": 3}) == 1
    assert ms_per_1000_rows(Timing(seconds=1.0)) is None
    assert missing_before(KIOSK, [], day(3)) == 0
    assert missing_before(KIOSK, [day(2)], day(3)) == 0
