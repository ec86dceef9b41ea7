"""What a server writes to the log of requests is what was asked and what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.request_log.columns import ANSWER, LOOK_BACK, VERSION, rows_of
from evergreen.request_log.store import Kind, RequestLog
from evergreen.serving.log_writer import Bounds
from evergreen.spec import Log, Serving
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running
from tests.integration.serving.worlds import World

Rows = list[dict[str, Any]]


def logging(world: World, **log: Any) -> Pipeline:
    described = world.pipeline.spec.model_copy(update={"serving": Serving(log=Log.model_validate(log))})
    return world.pipeline.described_by(described)


@pytest.fixture
def log_of(worlds: Worlds) -> Iterator[Any]:
    """The log of a world's pipeline, which is emptied at the end."""
    logs: list[RequestLog] = []

    def find(world: World) -> RequestLog:
        logs.append(RequestLog(world.pipeline.storage, world.pipeline.name))
        return logs[-1]

    yield find
    for log in logs:
        log.remove([entry.key for found in log.look(Kind.PREDICTIONS).values() for entry in found])


def by_key(rows: Rows, keys: Sequence[str]) -> Rows:
    return sorted(rows, key=lambda row: tuple(map(str, (row[key] for key in keys))))


def test_rows_and_answers_are_kept_as_they_were(worlds: Worlds, log_of: Any) -> None:
    bikes, iris = worlds("bikes"), worlds("iris")
    logs = [log_of(bikes), log_of(iris)]
    pipelines = [logging(bikes, share=1), logging(iris, share="40%", drop=["sepal_width"])]
    with running(*pipelines, log=Bounds(seconds=3600)) as client:
        for world in (bikes, iris, iris):
            path = f"/v1/pipelines/{world.pipeline.name}/predict"
            bad = [{"flower": 1}] if world is iris else []
            said = client.post(path, json={"rows": world.raw + bad, "whole": True}).json()
            assert sum("error" in row for row in said["predictions"]) == len(bad)
            if world is bikes:
                digest = said["look_back"][world.partition]["digest"]
        assert all(log.look(Kind.PREDICTIONS) == {} for log in logs)  # nothing is written until then
    for world, log in zip((bikes, iris), logs, strict=True):
        keys = world.pipeline.spec.keys
        found = log.read(Kind.PREDICTIONS, world.partition)
        lake = world.pipeline.lake.read(Table.PARTITIONS, world.partition, world.partition)
        rows = rows_of(found)
        published = by_key(lake.select(rows.column_names).to_pylist(), keys)
        answers = [msgspec.json.decode(text) for text in found.column(ANSWER).to_pylist()]
        of_key = {tuple(row[key] for key in keys): row for row in rows.to_pylist()}
        assert len(of_key) == len(found)
        night = {world.key(row): row for row in published}
        assert of_key == {key: night[key] for key in of_key}
        assert set(found.column(VERSION).to_pylist()) == {world.version}
        assert all("prediction" in said and keys[0] not in said for said in answers)
        if world is bikes:
            assert len(rows) == len(lake)
            assert set(rows.column_names) == set(lake.column_names) - {PARTITION, world.pipeline.spec.target}
            assert set(found.column(LOOK_BACK).to_pylist()) == {digest}
        else:
            assert 30 < len(rows) < 90  # 40% of 150
            assert "sepal_width" not in rows.column_names
            assert found.column(LOOK_BACK).null_count == len(rows)


def test_a_dropped_column_that_is_none_lets_nothing_be_written(worlds: Worlds, log_of: Any) -> None:
    world = worlds("iris")
    log = log_of(world)
    with running(logging(world, share=1, drop=["sepal_widht"]), log=Bounds(rows=1, seconds=0)) as client:
        for _ in range(20):
            assert client.post("/v1/pipelines/iris/predict", json={"rows": world.raw}).status_code == 200
    assert log.look(Kind.PREDICTIONS) == {}


def test_what_is_dropped_is_told_and_fails_no_request(worlds: Worlds, log_of: Any) -> None:
    world = worlds("iris")
    log = log_of(world)
    with running(logging(world, share=1), log=Bounds(waiting=len(world.raw) - 1)) as client:
        path = "/v1/pipelines/iris/predict"
        assert client.post(path, json={"rows": world.raw}).status_code == 200
        figures = client.get("/metrics").text
        assert (
            f'evergreen_serving_logged_rows_total{{outcome="dropped",pipeline="iris"}} {len(world.raw)}'
            in figures
        )
        assert client.post(path, json={"rows": world.raw[:3]}).status_code == 200
    assert len(log.read(Kind.PREDICTIONS, world.partition)) == 3
