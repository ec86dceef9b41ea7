"""The stage on files and an S3 server in memory; real databases and APIs are for the integration tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.errors import NotFoundError, RefusedError, SourceError, SpecError
from evergreen.ingestion.same_calendar import check_calendar
from evergreen.ingestion.stage import ingest, publish_staged, stage_source, stage_validated
from evergreen.lake import Lake, Table
from evergreen.pipeline import Pipeline
from evergreen.sources import Source
from evergreen.spec import parse_spec

PIPELINES = Path(__file__).resolve().parents[3] / "include" / "pipelines"
NIGHT = datetime(2011, 1, 4, 2, tzinfo=UTC)
DAYS = ["2011-01-01", "2011-01-02", "2011-01-03"]

DAILY = """
name: daily
description: Sales of three shops
owner: sales-team
schedule: "@daily"
start: 2011-01-01
partition: daily
sources:
  sales: {file: {path: "{partition}.csv", time_column: at}}
  shops: {file: {path: shops.csv}}
join: [{left: sales, right: shops, on: shop, expect: many_to_one}]
validation: {max_quarantined: 50%}
key: [at, shop]
task: regression
target: sold
training: {metric: mae, candidates: [{estimator: sklearn.linear_model.Ridge}]}
"""
EXPECTATIONS = """
- expect_column_values_to_be_between: {column: sold, min_value: 0}
  severity: warning
"""


def write_day(folder, day, *sold):
    lines = [f"{day} 0{hour}:00:00,{hour},{value}" for hour, value in enumerate(sold)]
    (folder / f"{day}.csv").write_text("\n".join(["at,shop,sold", *lines]) + "\n")


@pytest.fixture
def daily(tmp_path, storage):
    """A pipeline of three days: one shop's sales of the second day are below zero."""
    folder = tmp_path / "daily"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(DAILY)
    (folder / "expectations.yaml").write_text(EXPECTATIONS)
    (folder / "shops.csv").write_text("shop,city\n0,Bern\n1,Basel\n2,Chur\n")
    write_day(folder, DAYS[0], 10, 20, 30)
    write_day(folder, DAYS[1], 11, -1, 31.5)
    write_day(folder, DAYS[2], 12, 22, 32)
    return Pipeline(parse_spec(folder / "pipeline.yaml"), storage)


def staged(pipeline, partition, run="run-1"):
    for name in pipeline.spec.sources:
        stage_source(pipeline, [partition], run, name)
    stage_validated(pipeline, [partition], run, NIGHT)
    return publish_staged(pipeline, [partition], run)[0]


def tables(pipeline):
    return {
        table: pipeline.lake.read(table).to_pylist()
        for table in (Table.PARTITIONS, Table.QUARANTINE)
        if pipeline.lake.partitions(table)
    }


def test_a_partition_holds_the_joined_rows_and_the_quarantine_the_rest(daily):
    published = ingest(daily, DAYS)
    assert [(p.partition, p.rows, p.quarantined, p.changed) for p in published] == [
        (DAYS[0], 3, 0, True),
        (DAYS[1], 2, 1, True),
        (DAYS[2], 3, 0, True),
    ]
    rows = daily.lake.read(Table.PARTITIONS, DAYS[1], DAYS[1]).to_pylist()
    assert [(row["shop"], row["sold"], row["city"]) for row in rows] == [(0, 11.0, "Bern"), (2, 31.5, "Chur")]
    (bad,) = daily.lake.read(Table.QUARANTINE).to_pylist()
    assert bad["partition"] == DAYS[1]
    assert json.loads(bad["row"])["sold"] == -1.0


def test_again_changes_nothing(daily):
    ingest(daily, DAYS)
    before = tables(daily)
    assert [p.changed for p in ingest(daily, DAYS)] == [False] * 3
    assert tables(daily) == before
    assert daily.lake.version(Table.PARTITIONS) == 1


def test_one_task_after_the_other_gives_the_same_tables_as_all_in_one(daily, storage):
    ingest(daily, DAYS)
    other = Pipeline(daily.spec, storage.child("other"))
    assert [staged(other, day).rows for day in reversed(DAYS)] == [3, 2, 3]
    assert tables(other) == tables(daily)


def test_a_fixed_source_replaces_rows_and_empties_the_quarantine(daily):
    ingest(daily, DAYS)
    write_day(daily.spec.folder, DAYS[1], 11, 21, 31.5)
    assert [p.changed for p in ingest(daily, DAYS)] == [False, True, False]
    assert daily.lake.read(Table.PARTITIONS, DAYS[1], DAYS[1]).num_rows == 3
    assert daily.lake.read(Table.QUARANTINE).num_rows == 0


def test_refused_partitions_leave_the_others_alone(daily):
    (daily.spec.folder / f"{DAYS[0]}.csv").unlink()
    write_day(daily.spec.folder, DAYS[1], -1, -1, -1)
    done = []
    with pytest.raises(
        RefusedError, match=r"^daily 2011-01-01: source 'sales'.*: 2 of 3 partitions were not published$"
    ) as told:
        ingest(daily, DAYS, done.append)
    assert "daily 2011-01-01: source 'sales': file" in str(told.value)
    assert "daily 2011-01-02: refused: 3 of 3 rows (100.0%)" in str(told.value)
    assert done == DAYS
    assert daily.lake.partitions() == [DAYS[2]]


def test_a_single_partition_keeps_its_own_error(daily):
    (daily.spec.folder / "shops.csv").unlink()
    with pytest.raises(SourceError, match=r"^daily 2011-01-01: source 'shops': file .*shops\.csv"):
        ingest(daily, DAYS[:1])


def test_a_source_that_changed_its_columns_is_refused_by_name(daily):
    ingest(daily, DAYS[:1])
    before = tables(daily)
    (daily.spec.folder / "shops.csv").write_text("shop,town\n0,Bern\n1,Basel\n2,Chur\n")
    with pytest.raises(
        RefusedError, match=r"daily 2011-01-03: column 'city' is missing; column 'town' is new"
    ):
        ingest(daily, DAYS[2:])
    table = pa.table({"shop": [0, 1, 2], "city": [7, 8, 9]})
    pq.write_table(table, daily.spec.folder / "shops.parquet")
    shops = Source.model_validate({"file": {"path": "shops.parquet"}})
    typed = daily.spec.model_copy(update={"sources": {**daily.spec.sources, "shops": shops}})
    with pytest.raises(
        RefusedError,
        match=r"2011-01-03: column 'city' was string and is int64: fix the source, declare the type it had "
        r"under the source's 'types', or allow it",
    ):
        staged(Pipeline(typed, daily.storage), DAYS[2])
    assert tables(daily) == before
    shops = Source.model_validate({"file": {"path": "shops.parquet", "types": {"city": "text"}}})
    typed = daily.spec.model_copy(update={"sources": {**daily.spec.sources, "shops": shops}})
    staged(Pipeline(typed, daily.storage), DAYS[2], "run-2")
    assert daily.lake.read(Table.PARTITIONS, DAYS[2]).column("city").to_pylist() == ["7", "8", "9"]


def test_a_column_that_is_empty_for_a_day_keeps_its_type(daily):
    ingest(daily, DAYS[:1])
    (daily.spec.folder / "shops.csv").write_text("shop,city\n0,\n1,\n2,\n")
    ingest(daily, DAYS[2:])
    assert daily.lake.read(Table.PARTITIONS, DAYS[2]).column("city").to_pylist() == [None] * 3


def test_refused_rows_publish_nothing_and_leave_the_old_partition(daily):
    staged(daily, DAYS[0])
    write_day(daily.spec.folder, DAYS[0], -1, -1, -1)
    with pytest.raises(RefusedError, match="more than max_quarantined 50"):
        staged(daily, DAYS[0], "run-2")
    with pytest.raises(RefusedError):
        ingest(daily, [DAYS[0]])
    assert daily.lake.read(Table.PARTITIONS).column("sold").to_pylist() == [10, 20, 30]


@pytest.mark.parametrize("fatal", [1, 2])
def test_killed_between_any_two_commits_it_leaves_the_old_partition_or_the_new(daily, monkeypatch, fatal):
    ingest(daily, DAYS[:1])
    write_day(daily.spec.folder, DAYS[0], -5, 21, 31)
    for name in daily.spec.sources:
        stage_source(daily, DAYS[:1], "run", name)
    stage_validated(daily, DAYS[:1], "run", NIGHT)

    calls, commit = [], Lake.commit

    def killed(lake, table, files, schema):
        calls.append(table)
        if len(calls) == fatal:
            raise KeyboardInterrupt
        return commit(lake, table, files, schema)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            publish_staged(daily, DAYS[:1], "run")
    assert daily.lake.read(Table.PARTITIONS).column("sold").to_pylist() == [10, 20, 30]

    assert publish_staged(daily, DAYS[:1], "run")[0].changed
    assert daily.lake.read(Table.PARTITIONS).column("sold").to_pylist() == [21, 31]
    assert daily.lake.read(Table.QUARANTINE).num_rows == 1


def test_publishing_again_after_the_staging_is_gone_changes_nothing(daily):
    first = staged(daily, DAYS[1])
    (again,) = publish_staged(daily, DAYS[1:2], "run-1")
    assert (again.rows, again.quarantined, again.changed) == (first.rows, first.quarantined, False)
    with pytest.raises(NotFoundError):
        publish_staged(daily, DAYS[2:3], "run-1")


def test_a_run_leaves_no_staging(daily, storage):
    staged(daily, DAYS[0])
    assert storage.list("daily/staging/") == []


def test_a_key_of_another_grain_is_refused_before_anything_is_read(daily):
    with pytest.raises(Exception, match="'2011-01' is not a key of a daily pipeline"):
        ingest(daily, ["2011-01"])
    with pytest.raises(Exception, match="'2011-01' is not a key of a daily pipeline"):
        stage_source(daily, ["2011-01"], "run", "sales")


def test_another_calendar_is_refused_where_partitions_are_published(daily, storage):
    def in_zone(zone, name="daily"):
        return Pipeline(daily.spec.model_copy(update={"timezone": zone, "name": name}), storage)

    ingest(in_zone("UTC"), DAYS[:1])
    with pytest.raises(
        SpecError, match="daily: timezone: is 'Europe/Berlin', and partitions are published with 'UTC'"
    ):
        ingest(in_zone("Europe/Berlin"), DAYS[1:2])
    assert daily.lake.partitions() == DAYS[:1]
    # What an older release published was published in UTC.
    storage.delete(["daily/calendar.json"])
    with pytest.raises(SpecError, match="write 'UTC' again, or give the pipeline another name"):
        ingest(in_zone("Asia/Kolkata"), DAYS[1:2])
    ingest(daily, DAYS[1:2])
    # Before anything is published it may change.
    for zone in ("Asia/Kolkata", "UTC"):
        check_calendar(in_zone(zone, "other"))
        assert json.loads(storage.read("other/calendar.json").body) == {
            "partition": "daily",
            "timezone": zone,
            "week_starts": "monday",
        }
