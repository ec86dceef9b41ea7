"""What a server writes to the log of requests is what was asked and what was answered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.request_log.columns import ANSWER, LOOK_BACK, VERSION, rows_of
from evergreen.request_log.store import Kind, RequestLog
from evergreen.scoring.checked_model import load_checked_model
from evergreen.serving.answer import answer
from evergreen.serving.body import Body
from evergreen.serving.log_writer import Bounds
from evergreen.serving.logged import logged
from evergreen.serving.served import Served
from evergreen.spec import Log, Serving
from evergreen.storage import Storage
from tests.conftest import ROOT
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running
from tests.integration.serving.worlds import World


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


def test_rows_and_answers_are_kept_as_they_were(worlds: Worlds, log_of: Any) -> None:
    world = worlds("iris")
    log, bad = log_of(world), [{"flower": 1}]
    pipeline = logging(world, share="40%", drop=["sepal_width"])
    with running(pipeline, log=Bounds(seconds=3600)) as client:
        for _ in range(2):
            said = client.post("/v1/pipelines/iris/predict", json={"rows": world.raw + bad}).json()
            assert sum("error" in row for row in said["predictions"]) == 1
        assert log.look(Kind.PREDICTIONS) == {}  # nothing is written until it ends
    found = log.read(Kind.PREDICTIONS, world.partition)
    rows = rows_of(found)
    answers = [msgspec.json.decode(text) for text in found.column(ANSWER).to_pylist()]
    assert set(rows.column_names) == set(world.raw[0]) - {"sepal_width"}
    assert 30 < len(rows) < 90  # 40% of 150
    published = world.pipeline.lake.read(Table.PARTITIONS, world.partition, world.partition)
    asked = {row["flower"]: row for row in published.select(rows.column_names).to_pylist()}
    night = {row["flower"]: row for row in world.night}
    for row, said in zip(rows.to_pylist(), answers, strict=True):
        assert row == asked.pop(row["flower"])
        assert {"flower": row["flower"], "version": world.version, **said} == night[row["flower"]]
    assert set(found.column(VERSION).to_pylist()) == {world.version}
    assert found.column(LOOK_BACK).null_count == len(rows)


def test_rows_that_come_as_arrow_are_logged_alike(worlds: Worlds) -> None:
    world = worlds("iris")
    columns = world.pipeline.lake.schema(Table.PARTITIONS)
    served = Served.of(load_checked_model(world.pipeline, world.version), columns)
    as_json = Body(world.raw)
    as_arrow = Body(pa.Table.from_pylist(world.raw, served.types.schema))
    one, other = (logged(served, Log(share=0.5), body, answer(served, body)) for body in (as_json, as_arrow))
    assert one.keys() == other.keys() == {world.partition}
    assert 0 < len(one[world.partition]) < len(world.raw)
    assert one[world.partition].equals(other[world.partition])


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
        for row in world.raw[:3]:
            assert client.post(path, json={"rows": [row]}).status_code == 200
    assert len(log.read(Kind.PREDICTIONS, world.partition)) == 3


WRITER = """
import sys, threading, time
import pyarrow as pa
from evergreen.request_log.store import Kind, RequestLog
from evergreen.serving.log_writer import Bounds, LogWriter
from evergreen.storage import Credentials, Storage

written = threading.Event()
storage = Storage(sys.argv[2], "", Credentials(sys.argv[1], access_key="test", secret_key="test"))
log = RequestLog(storage, "p")
writer = LogWriter(lambda *_: written.set(), Bounds(rows=10, seconds=3600))
threading.Thread(target=writer.run, daemon=True).start()
for first, count in ((0, 10), (10, 5)):
    writer.offer(log, Kind.PREDICTIONS, count, lambda: {"d": pa.table({"key": range(first, first + count)})})
    written.wait()
print("waits", flush=True)
time.sleep(600)
"""


def test_a_server_that_is_killed_loses_only_what_waited(storage: Storage) -> None:
    command = [sys.executable, "-c", WRITER, str(storage.credentials.endpoint_url), storage.bucket]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "waits\n"
        server.kill()
    found = RequestLog(storage, "p").read(Kind.PREDICTIONS, "d")
    assert sorted(found.column("key").to_pylist()) == list(range(10))
