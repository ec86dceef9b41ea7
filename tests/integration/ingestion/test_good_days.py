"""Days on which all is well, or nearly: what is published, and that it is published once."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from evergreen.ingestion.stage import ingest
from evergreen.lake import Table

ROOT = Path(__file__).resolve().parents[3]
BIKE = ROOT / "include" / "pipelines" / "bike_demand"
HOUR_CSV = ROOT.parent / "shared" / "data" / "bike_sharing" / "hour.csv"
CONDITIONS = {"1": "clear", "2": "mist", "3": "light_rain", "4": "heavy_rain"}
DAYS = ["2011-01-01", "2011-01-02", "2011-01-03"]
PAGES = 3  # of ten hours each make a day


def test_a_night_publishes_the_joined_hours_of_its_day_only(world, weather):
    published = world.night(DAYS[1])
    assert (published.rows, published.quarantined, published.changed) == (24, 0, True)
    rows = world.pipeline.lake.read(Table.PARTITIONS)
    assert {field.name: str(field.type) for field in rows.schema} == {
        "rented_at": "timestamp[us, tz=UTC]",
        "holiday": "bool",
        "casual": "int32",
        "registered": "int32",
        "cnt": "int32",
        "temperature": "double",
        "feels_like": "double",
        "humidity": "double",
        "wind_speed": "double",
        "condition": "string",
        "partition": "string",
    }
    assert rows.to_pylist() == world.rows_of(DAYS[1])
    assert [query.get("cursor") for query in weather.asked] == [None, "10", "20"]


def test_nights_in_any_order_and_all_at_once_give_the_same_rows(world):
    for day in reversed(DAYS):
        world.night(day)
    other = replace(world, storage=world.storage.child("other"))
    ingest(other.pipeline, DAYS)
    assert other.pipeline.lake.read(Table.PARTITIONS).equals(world.pipeline.lake.read(Table.PARTITIONS))


def test_a_second_time_changes_nothing(world, weather):
    ingest(world.pipeline, DAYS)
    version = world.pipeline.lake.version(Table.PARTITIONS)
    assert [p.changed for p in ingest(world.pipeline, DAYS)] == [False] * 3
    assert not world.night(DAYS[0]).changed
    assert world.pipeline.lake.version(Table.PARTITIONS) == version
    assert len(weather.asked) == PAGES * (3 + 3 + 1)


def test_a_bad_hour_goes_to_quarantine_and_the_day_is_published(world, rentals):
    rentals.run("UPDATE rentals SET cnt = 1 WHERE rented_at = '2011-01-02 05:00Z'")
    (published,) = ingest(world.pipeline, [DAYS[1]])
    assert (published.rows, published.quarantined) == (23, 1)
    (bad,) = world.pipeline.lake.read(Table.QUARANTINE).to_pylist()
    original = json.loads(bad["row"])
    assert (original["rented_at"], original["cnt"], original["condition"]) == (
        "2011-01-02T05:00:00+00:00",
        1,
        "mist",
    )
    assert "cnt is 1, registered is 50" in bad["reason"]


def test_a_sql_file_gets_the_bounds_and_numeric_becomes_a_number(world, tmp_path):
    (tmp_path / "rentals.sql").write_text(
        "SELECT rented_at, holiday, casual, registered, cnt, cnt * 1.5 AS worth FROM rentals "
        "WHERE rented_at >= $1 AND rented_at < $2"
    )
    for name in ("expectations.yaml", "pipeline.yaml"):
        (tmp_path / name).write_text((BIKE / name).read_text())
    pipeline = world.with_rentals(table=None, sql="rentals.sql")
    pipeline = replace(pipeline, spec=pipeline.spec.model_copy(update={"folder": tmp_path}))
    (published,) = ingest(pipeline, [DAYS[0]])
    assert published.rows == 24
    rows = pipeline.lake.read(Table.PARTITIONS)
    assert str(rows.schema.field("worth").type) == "double"
    assert rows.column("worth").to_pylist() == [1.5 * cnt for cnt in rows.column("cnt").to_pylist()]


@pytest.mark.skipif(not HOUR_CSV.exists(), reason=f"{HOUR_CSV} is not there")
def test_the_strangest_days_of_the_real_file_are_published_whole(world, weather, rentals):
    """Two blizzards, a hurricane (one hour on 2012-10-29), a day without a humidity sensor, the last day."""
    strange = {
        "2011-01-18": 12,
        "2011-01-27": 8,
        "2011-03-10": 22,
        "2012-10-29": 1,
        "2012-10-30": 11,
        "2012-12-31": 24,
    }
    rentals.run("DELETE FROM rentals")
    weather.days = {}
    with HOUR_CSV.open() as lines:
        for row in csv.DictReader(lines):
            if row["dteday"] in strange:
                load_real(weather, rentals, row)
    published = {p.partition: p for p in ingest(world.pipeline, list(strange))}
    assert {day: p.rows for day, p in published.items()} == strange
    assert all(p.quarantined == 0 for p in published.values())
    humidity = [r for r in published["2011-03-10"].report.failed if "humidity" in r.expectation]
    assert [(r.severity, r.unexpected) for r in humidity] == [("info", 22)]


def load_real(weather, rentals, row) -> None:
    moment = datetime.fromisoformat(row["dteday"]).replace(tzinfo=UTC) + timedelta(hours=int(row["hr"]))
    rentals.insert([(moment, row["holiday"] == "1", row["casual"], row["registered"], row["cnt"])])
    weather.days.setdefault(row["dteday"], []).append(
        {
            "hour": moment.isoformat(),
            "temperature": round(float(row["temp"]) * 47 - 8, 2),
            "feels_like": round(float(row["atemp"]) * 66 - 16, 2),
            "humidity": round(float(row["hum"]) * 100, 1),
            "wind_speed": round(float(row["windspeed"]) * 67, 2),
            "condition": CONDITIONS[row["weathersit"]],
        }
    )
