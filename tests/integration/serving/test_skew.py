"""What was answered beside what is published since: by a real lake, log and version."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from evergreen.errors import NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.request_log.store import Kind, RequestLog
from evergreen.scoring.checked_model import load_checked_model
from evergreen.serving.answer import answer
from evergreen.serving.body import read_body
from evergreen.serving.logged import logged
from evergreen.serving.served import Served
from evergreen.skew.compare import Cause, Skew
from evergreen.skew.measure import measure_skew
from evergreen.spec import Log
from evergreen.storage import Storage
from tests.integration.serving.worlds import World, kiosk


def ask(world: World, partition: str, change: Any = None) -> pa.Table:
    """Log what is answered to the published rows of a partition; returns these rows."""
    pipeline = world.pipeline
    served = Served.of(load_checked_model(pipeline, world.version), pipeline.lake.schema(Table.PARTITIONS))
    rows = World(pipeline, world.version, partition).raw
    body = read_body(msgspec.json.encode({"rows": rows, "whole": True}), exact=False, most_rows=1000)
    for key, found in logged(served, Log(share=1), body, answer(served, body)).items():
        RequestLog(pipeline.storage, pipeline.name).append(Kind.PREDICTIONS, key, found)
    return pipeline.lake.read(Table.PARTITIONS, partition, partition).drop_columns([PARTITION])


def publish(world: World, partition: str, rows: pa.Table) -> None:
    world.pipeline.lake.replace(Table.PARTITIONS, {partition: rows})


def doubled(rows: pa.Table, column: str, at: int) -> pa.Table:
    values = rows.column(column).to_pylist()
    values[at] = values[at] * 2 + 1
    place = rows.column_names.index(column)
    return rows.set_column(place, column, pa.array(values, rows.schema.field(column).type))


def test_published_changes_are_found_and_told_apart(storage: Storage) -> None:
    world = kiosk(storage)
    pipeline, day = world.pipeline, world.partition
    assert measure_skew(pipeline, day) == Skew()
    rows = ask(world, day)
    count = len(rows)
    assert measure_skew(pipeline, day) == Skew(rows=count, predicted=count, equal=count)
    publish(world, day, doubled(rows, "temperature", 0).slice(0, count - 1))
    found = measure_skew(pipeline, day)
    assert (found.rows, found.unpublished, found.inputs) == (count, 1, 1)
    assert {name: one.rows for name, one in found.columns.items()} == {"temperature": 1}
    assert found.columns["temperature"].example.served == rows.column("temperature")[0].as_py()
    assert Cause.UNEXPLAINED not in found.predictions
    publish(world, day, rows)
    before = pipeline.spec.calendar.shift(day, -1)
    earlier = pipeline.lake.read(Table.PARTITIONS, before, before).drop_columns([PARTITION])
    publish(world, before, doubled(earlier, "sold", 0))
    found = measure_skew(pipeline, day)
    assert (found.inputs, list(found.predictions)) == (0, [Cause.LOOK_BACK])
    after = pipeline.spec.calendar.shift(day, 1)
    log = RequestLog(pipeline.storage, pipeline.name)
    log.append(Kind.PREDICTIONS, after, log.read(Kind.PREDICTIONS, day))
    with pytest.raises(NotFoundError, match="this partition is not published: run evergreen ingest kiosk"):
        measure_skew(pipeline, after)
