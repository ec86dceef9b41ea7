"""Whole pipelines in Europe/Berlin through both changes of the clocks: ingest, train, score, monitor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from evergreen.calendar import Length
from evergreen.ingestion.stage import ingest
from evergreen.lake import Table
from evergreen.monitoring.stage import monitor
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from evergreen.storage import Storage
from evergreen.training.stage import train

BERLIN = ZoneInfo("Europe/Berlin")
DESCRIPTION = """
name: {name}
description: Ice sold by a kiosk in Berlin
owner: tests
schedule: "0 3 * * *"
timezone: Europe/Berlin
start: {start}
partition: {grain}
sources:
  sales: {{file: {{path: "{{partition}}.csv", time_column: at}}}}
features: {{look_back: {look_back}}}
task: regression
target: sold
training:
  window: {window}
  minimum: 10 partitions
  holdout: {holdout}
  metric: mae
  candidates: [{{estimator: sklearn.linear_model.Ridge, preprocess: [sklearn.impute.SimpleImputer]}}]
"""
EXPECTATIONS = """
- expect_column_values_to_not_be_null: {column: sold}
"""


def described(folder: Path, storage: Storage, **facts: str) -> Pipeline:
    place = folder / facts["name"]
    place.mkdir()
    (place / "pipeline.yaml").write_text(DESCRIPTION.format(**facts))
    (place / "expectations.yaml").write_text(EXPECTATIONS)
    return Pipeline(parse_spec(place / "pipeline.yaml"), storage)


def write(pipeline: Pipeline, partition: str, times: list[str]) -> None:
    rows = [f"{at},{n % 7},{10 + n % 7}" for n, at in enumerate(times)]
    (pipeline.spec.folder / f"{partition}.csv").write_text("\n".join(["at,x,sold", *rows, ""]))


def moments(first: datetime, last: datetime, step: timedelta) -> list[datetime]:
    """Moments from the first to before the last, in Berlin's own clocks: the other source of this test."""
    count = (last - first) // step
    return [(first + n * step).astimezone(BERLIN) for n in range(count)]


@pytest.mark.parametrize(
    ("change", "rows", "utc"),
    [
        ("2024-03-31", 23, (datetime(2024, 3, 30, 23, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC))),
        ("2024-10-27", 25, (datetime(2024, 10, 26, 22, tzinfo=UTC), datetime(2024, 10, 27, 23, tzinfo=UTC))),
    ],
)
def test_days_of_23_and_of_25_hours(
    tmp_path: Path, storage: Storage, change: str, rows: int, utc: tuple[datetime, datetime]
):
    at = datetime.fromisoformat(change).replace(tzinfo=BERLIN)
    first = (at - timedelta(days=16)).date().isoformat()
    facts = {"grain": "daily", "look_back": "2 days", "window": "30 days", "holdout": "3 days"}
    pipeline = described(tmp_path, storage, name="daily", start=first, **facts)
    calendar = pipeline.spec.calendar
    assert pipeline.spec.first_partition == first
    days = list(calendar.between(first, calendar.shift(change, 1)))
    for hour in moments(calendar.start(days[0]), calendar.end(days[-1]), timedelta(hours=1)):
        file = pipeline.spec.folder / f"{hour:%Y-%m-%d}.csv"
        # Without an offset, but in the two hours that the clocks show twice.
        twice = hour.replace(fold=0).utcoffset() != hour.replace(fold=1).utcoffset()
        text = hour.isoformat() if twice else hour.replace(tzinfo=None).isoformat()
        kept = file.read_text() if file.exists() else "at,x,sold\n"
        file.write_text(f"{kept}{text},{hour.hour % 7},{10 + hour.hour % 7}\n")

    published = ingest(pipeline, days)
    assert {one.partition: one.rows for one in published} == {
        day: rows if day == change else 24 for day in days
    }
    assert not sum(one.quarantined for one in published)
    times = pipeline.lake.read(Table.PARTITIONS, change, change).column("at").to_pylist()
    assert (min(times), max(times)) == (utc[0], utc[1] - timedelta(hours=1))

    assert train(pipeline, calendar.shift(change, -1), {}).promoted
    for day in calendar.between(calendar.shift(change, -1), days[-1]):
        assert score(pipeline, day).rows == (rows if day == change else 24)
        monitor(pipeline, day)
    monitored = pipeline.lake.read(Table.MONITORING).select(["partition", "rows"]).to_pylist()
    assert {row["partition"]: row["rows"] for row in monitored}[change] == rows


@pytest.mark.parametrize(
    ("change", "keys"),
    [
        ("2024-03-31", ["2024-03-31T01", "2024-03-31T03", "2024-03-31T04"]),
        ("2024-10-27", ["2024-10-27T01", "2024-10-27T02", "2024-10-27T02b", "2024-10-27T03"]),
    ],
)
def test_hours_that_are_skipped_and_hours_that_come_twice(
    tmp_path: Path, storage: Storage, change: str, keys: list[str]
):
    facts = {"grain": "hourly", "look_back": "2 hours", "window": "2 days", "holdout": "5 hours"}
    pipeline = described(tmp_path, storage, name="hourly", start=change, **facts)
    calendar = pipeline.spec.calendar
    first = calendar.back(keys[0], Length(1, "day"))
    hours = list(calendar.between(first, keys[-1]))
    assert [key for key in hours if keys[0] <= key <= keys[-1]] == keys
    for key in hours:
        quarters = moments(calendar.start(key), calendar.end(key), timedelta(minutes=15))
        write(pipeline, key, [at.isoformat() for at in quarters])

    published = ingest(pipeline, hours)
    assert {one.partition: one.rows for one in published} == dict.fromkeys(hours, 4)
    times = pipeline.lake.read(Table.PARTITIONS).column("at").to_pylist()
    assert sorted(times) == [calendar.start(first) + n * timedelta(minutes=15) for n in range(4 * len(hours))]

    assert train(pipeline, keys[0], {}).promoted
    for key in calendar.between(keys[0], hours[-1]):
        assert score(pipeline, key).rows == 4
        monitor(pipeline, key)
    monitored = pipeline.lake.read(Table.MONITORING).column("partition").to_pylist()
    assert sorted(monitored) == list(calendar.between(keys[0], hours[-1]))


def test_a_row_of_an_hour_that_is_skipped_is_quarantined_and_the_others_are_published(
    tmp_path: Path, storage: Storage
):
    facts = {"grain": "daily", "look_back": "2 days", "window": "30 days", "holdout": "3 days"}
    pipeline = described(tmp_path, storage, name="daily", start="2024-03-31", **facts)
    write(pipeline, "2024-03-31", [f"2024-03-31T{hour:02}:00" for hour in range(24)])
    (published,) = ingest(pipeline, ["2024-03-31"])
    assert (published.rows, published.quarantined) == (23, 1)
    (kept,) = pipeline.lake.read(Table.QUARANTINE).to_pylist()
    assert kept["row"] == "2024-03-31T02:00,2,12"
    assert "2024-03-31 02:00:00 does not exist in Europe/Berlin" in kept["reason"]
