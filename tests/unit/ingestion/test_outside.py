"""Rows outside their partition: one file with all of history is cut, of others the description decides."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from evergreen.errors import RefusedError, SpecError
from evergreen.ingestion.release import release
from evergreen.ingestion.stage import ingest, publish_staged, stage_source, stage_validated
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.sources.files import read as files_read
from evergreen.spec import parse_spec
from evergreen.validation.quarantine import read_quarantine

DAYS = ["2024-01-01", "2024-01-02", "2024-01-03"]
DESCRIBED = """
name: p
description: Rows of a file
owner: team
schedule: "@daily"
start: 2024-01-01
partition: {grain}
timezone: Europe/Berlin
sources:
  rows: {{file: {{path: "{path}", time_column: at{more}}}}}
validation: {{max_quarantined: 20%}}
task: regression
target: y
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""


@pytest.fixture
def described(tmp_path, storage):
    """Makes the pipeline of one file of rows at hours of January 2024 in Berlin."""

    def make(rows, path="all.csv", more="", grain="daily"):
        folder = tmp_path / "p"
        folder.mkdir(exist_ok=True)
        (folder / "pipeline.yaml").write_text(DESCRIBED.format(path=path, more=more, grain=grain))
        (folder / "expectations.yaml").write_text("[]\n")
        name = path.replace("{partition}", "2024-01")
        (folder / name).write_text("\n".join(["at,y", *rows]) + "\n")
        return Pipeline(parse_spec(folder / "pipeline.yaml"), storage)

    return make


def hours(days=range(1, 4), per_day=24):
    return [f"2024-01-{day:02}T{hour:02}:00:00,{day}{hour:02}" for day in days for hour in range(per_day)]


def rows_by_day(pipeline):
    found = pipeline.lake.read(Table.PARTITIONS).to_pylist()
    return {day: [row["y"] for row in found if row["partition"] == day] for day in DAYS}


def test_one_file_is_cut_and_read_once_for_a_range(described, monkeypatch):
    reads = []
    real = files_read.locate
    monkeypatch.setattr(files_read, "locate", lambda *a, **k: reads.append(1) or real(*a, **k))
    pipeline = described(["2001-05-05T00:00:00,1", *reversed(hours()), "2024-01-09T00:00:00,9"])
    published = ingest(pipeline, DAYS)
    assert [(one.partition, one.rows, one.quarantined) for one in published] == [(d, 24, 0) for d in DAYS]
    assert rows_by_day(pipeline)[DAYS[1]] == [float(f"2{hour:02}") for hour in range(24)]
    assert len(reads) == 1
    monkeypatch.undo()
    assert [one.changed for day in DAYS for one in ingest(pipeline, [day])] == [False] * 3
    for day in DAYS:
        stage_source(pipeline, [day], "run", "rows")
        stage_validated(pipeline, [day], "run", datetime(2024, 2, 1, tzinfo=UTC))
    assert [one.changed for one in publish_staged(pipeline, DAYS, "run")] == [False] * 3


def test_a_file_that_cannot_be_read_is_read_once_and_fails_for_each_night(described, monkeypatch):
    reads = []
    real = files_read.locate
    monkeypatch.setattr(files_read, "locate", lambda *a, **k: reads.append(1) or real(*a, **k))
    pipeline = described([*hours(), "2024-01-03T00:00:00,NA"])
    with pytest.raises(RefusedError) as told:
        ingest(pipeline, DAYS)
    assert str(told.value).startswith("p 2024-01-01: source 'rows': all.csv:74: column 'y' has numbers")
    assert str(told.value).endswith("(so 2 more, the last 2024-01-03): 3 of 3 partitions were not published")
    assert len(reads) == 1


def test_a_record_that_cannot_be_read_goes_to_the_night_it_is_of(described):
    rows = hours()
    rows[30] = rows[30].replace(",", ",oh")
    rows[50] = "what,1"
    pipeline = described(rows, more=", types: {y: float, at: time}")
    published = ingest(pipeline, DAYS)
    assert [(one.rows, one.quarantined) for one in published] == [(24, 0), (23, 1), (23, 1)]
    assert [(one.partition, one.place) for one in read_quarantine(pipeline.lake)] == [
        (DAYS[1], "all.csv:32"),
        (DAYS[2], "all.csv:52"),
    ]


def test_a_night_without_rows_in_the_file_is_refused_and_the_others_are_not(described):
    pipeline = described(hours([1, 3]))
    with pytest.raises(RefusedError, match="1 of 3 partitions"):
        ingest(pipeline, DAYS)
    assert pipeline.lake.partitions() == [DAYS[0], DAYS[2]]


STRAY = "2002-12-31T22:00:00,5"
MONTH = {"path": "{partition}.csv", "grain": "monthly"}


def test_a_stray_row_refuses_the_month_and_the_message_says_what_may_be_written(described):
    pipeline = described([*hours(), STRAY], **MONTH)
    with pytest.raises(RefusedError, match=r"1 rows lie outside the partition, .*'outside: quarantine' or"):
        ingest(pipeline, ["2024-01"])


def test_a_stray_row_is_ignored_where_that_is_written(described):
    pipeline = described([*hours(), STRAY], more=", outside: ignore", **MONTH)
    (one,) = ingest(pipeline, ["2024-01"])
    assert (one.rows, one.quarantined) == (72, 0)


def test_stray_rows_in_quarantine_are_judged_by_nothing_else_and_can_be_corrected(described):
    pipeline = described([*hours(), STRAY, STRAY], more=", outside: quarantine", **MONTH)
    (one,) = ingest(pipeline, ["2024-01"])  # the same key twice would refuse the month
    assert (one.rows, one.quarantined) == (72, 2)
    waiting = read_quarantine(pipeline.lake, "2024-01")
    assert {(row.expectation, row.place) for row in waiting} == {("inside the partition", "")}
    assert json.loads(waiting[0].row) == {"at": "2002-12-31T21:00:00+00:00", "y": 5.0}
    assert waiting[0].reason == "at is 2002-12-31 21:00:00+00:00, outside the partition"
    assert one.report.failed[0].detail == "2 rows have another time"
    done = release(pipeline, "2024-01", by="me", changes={waiting[0].id: {"y": 6}})
    assert (done.released, len(done.remaining)) == ((), 1)  # its time is still another one


def test_too_many_stray_rows_refuse_the_month(described):
    wrong = [row.replace("2024-", "2023-") for row in hours()]
    pipeline = described([*hours()[:10], *wrong], more=", outside: quarantine", **MONTH)
    with pytest.raises(RefusedError, match=r"72 of 82 rows \(87\.8%\) would be quarantined"):
        ingest(pipeline, ["2024-01"])
    pipeline = described(wrong, more=", outside: quarantine", **MONTH)
    with pytest.raises(
        RefusedError, match="no rows: all 72 lie outside the partition: check what the source"
    ):
        ingest(pipeline, ["2024-01"])


def test_outside_is_refused_where_it_has_no_meaning(described):
    with pytest.raises(
        SpecError, match=r"outside: what is read is all of history and is cut by its time_colu"
    ):
        described([], more=", outside: quarantine")
    with pytest.raises(SpecError, match=r"outside: .*'refuse', 'quarantine' or 'ignore'"):
        described([], more=", outside: keep", **MONTH)
