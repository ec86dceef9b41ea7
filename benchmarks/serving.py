"""How fast `evergreen serve` answers beside scikit-learn in this process, and how it follows promotions.

The server runs in a process of its own on a real S3 server, asked over HTTP on this machine. Server and
scikit-learn take turns in rounds: OpenMP's threads here still spin for milliseconds after a prediction, on a
core that the server's next answer would need.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from benchmarks.mlserver import Asked, beside_mlserver
from benchmarks.stores import stores
from deploy.demo_data.simulator import simulate
from deploy.embedded.home import REPOSITORY
from evergreen.asked.find import find_asked
from evergreen.features.build import build_features
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import predict

ROWS, FEATURES = 10_000, 12
SINGLE = 200  # requests of one row in a round
SEVERAL = 10  # requests of more rows in a round
CLIENTS = 16
CHANGES = int(os.environ.get("BENCH_SERVING_CHANGES", "5"))
"""Promotions, each of which is rolled back."""
EVERY = 2.0  # seconds between two looks at the champion
ONE_ROW, TAIL, MANY_ROWS, BINARY, DAY = 0.6, 5.0, 1 / 0.8, 1 / 0.95, 2.0
QUIET = 5.0  # seconds under clients before the first change
SOON = EVERY + 2.0
_JSON_LENGTH = "Inference-Header-Content-Length"
HOUSES = """\
name: houses
description: Prices from plain numbers
owner: bench
schedule: "0 2 * * *"
partition: snapshot
sources: {houses: {file: {path: houses.csv, types: {house: int}}}}
key: [house]
task: regression
target: price
training:
  holdout: 20%
  metric: mae
  candidates: [{estimator: sklearn.ensemble.HistGradientBoostingRegressor}]
"""
SUITE = "- expect_column_values_to_not_be_null: {column: x0}\n"


def measure() -> list[Figure]:
    """Requests of one row, of many, and of a day with look-back; promotions and rollbacks under clients.

    One row also beside MLServer, where it is installed.
    """
    with stores(), tempfile.TemporaryDirectory() as folder:
        _describe(Path(folder))
        houses, bikes = _houses(), _bikes()
        with _served("houses", "bike_demand") as address:
            return [
                *_one_row(address, houses),
                *beside_mlserver(houses.one_row(address), houses.estimator, houses.features.head(1)),
                _many_rows(address, houses),
                _binary(address, houses),
                _day(address, bikes),
                *_followed(address, houses),
            ]


@dataclass(frozen=True)
class _World:
    """A pipeline with published rows, its champion's estimator and the features of all rows."""

    pipeline: Pipeline
    rows: pd.DataFrame
    estimator: Any
    features: pd.DataFrame
    files: dict[str, bytes] = field(repr=False)

    def raw(self, rows: pd.DataFrame, *, whole: bool = False) -> bytes:
        """The request for rows."""
        sent = rows.drop(columns=[PARTITION, self.pipeline.spec.target]).to_dict("records")
        return msgspec.json.encode({"rows": sent, "whole": whole}, enc_hook=pd.Timestamp.isoformat)

    def one_row(self, address: str) -> Asked:
        """The request for one row of a server."""
        return Asked(address, f"/v1/pipelines/{self.pipeline.name}/predict", self.raw(self.rows.head(1)))


def _describe(folder: Path) -> None:
    shutil.copytree(REPOSITORY / "include" / "pipelines" / "bike_demand", folder / "bike_demand")
    (folder / "houses").mkdir()
    (folder / "houses" / "pipeline.yaml").write_text(HOUSES)
    (folder / "houses" / "expectations.yaml").write_text(SUITE)
    os.environ["EVERGREEN_PIPELINES"] = str(folder)


def _houses() -> _World:
    random = np.random.default_rng(5)
    found = pd.DataFrame(random.normal(size=(ROWS, FEATURES)), columns=[f"x{n}" for n in range(FEATURES)])
    price = found["x0"] * 3 + found["x1"] * found["x2"] + random.normal(size=ROWS)
    found = found.assign(house=np.arange(ROWS), price=price, partition="snapshot")
    return _promoted("houses", found, "snapshot")


def _bikes() -> _World:
    data = simulate(date(2011, 1, 1), date(2011, 2, 15))
    rows = data.rentals.merge(data.weather, left_on="rented_at", right_on="hour").drop(columns="hour")
    rows = rows[rows["wind_speed"] < 120]  # a faulty sensor's, which a night would quarantine
    at = rows["rented_at"].dt.as_unit("us")
    rows = rows.assign(rented_at=at, partition=at.dt.strftime("%Y-%m-%d"))
    return _promoted("bike_demand", rows, "2011-02-15")


def _promoted(name: str, rows: pd.DataFrame, as_of: str) -> _World:
    pipeline = Pipeline.open(name)
    spec = pipeline.spec
    _publish(pipeline, rows)
    features = build_features(spec, rows)
    model = HistGradientBoostingRegressor(max_iter=200, random_state=0).fit(features, rows[spec.target])
    files = {
        "model.skops": dump_model(model),
        "golden.parquet": golden_sample(spec, model, rows),
        "asked.json": find_asked(spec, rows, "9999").to_json(),
    }
    world = _World(pipeline, rows, model, features, files)
    _promote(world, as_of, 0)
    return world


def _promote(world: _World, as_of: str, number: int) -> str:
    """Commit the model once more under another version's name, and promote it."""
    version = f"{as_of}-{number:012x}"
    world.pipeline.registry.commit(version, world.files)
    world.pipeline.registry.promote(version, as_of, {"kind": "bench"})
    return version


def _publish(pipeline: Pipeline, rows: pd.DataFrame) -> None:
    found = pa.Table.from_pandas(rows, preserve_index=False)
    texts = [pa.string() if pa.types.is_large_string(each.type) else each.type for each in found.schema]
    found = found.cast(pa.schema(list(zip(found.column_names, texts, strict=True))))
    keys = found.column(PARTITION)
    parts = {
        key: found.filter(pc.equal(keys, key)).drop_columns([PARTITION]) for key in keys.unique().to_pylist()
    }
    pipeline.lake.replace(Table.PARTITIONS, parts)


@contextmanager
def _served(*pipelines: str) -> Iterator[str]:
    """The address of a server, once it answers for all of them."""
    command = [str(Path(sys.executable).parent / "evergreen"), "serve", *pipelines, "--port", "0"]
    with subprocess.Popen(
        [*command, "--every", str(EVERY)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stderr is not None
        lines = iter(server.stderr)
        try:
            address = "http" + next(line for line in lines if "http://" in line).partition("http")[2].strip()
            # The log of requests must be read, or the server would wait for its reader.
            threading.Thread(target=lambda: [None for _ in lines], daemon=True).start()
            deadline = time.monotonic() + 60
            while (found := httpx.get(f"{address}/ready", timeout=60)).status_code != httpx.codes.OK:
                assert time.monotonic() < deadline, found.text
                time.sleep(0.1)
            yield address
        finally:
            server.terminate()


def _asking(address: str, world: _World, body: bytes) -> Callable[[], list[dict[str, Any]]]:
    ask = Asked(address, f"/v1/pipelines/{world.pipeline.name}/predict", body).open()

    def predictions() -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = ask()["predictions"]
        return said

    return predictions


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _rounds(
    ask: Callable[[], object], bare: Callable[[], object], requests: int
) -> list[tuple[list[float], list[float]]]:
    """Of each round the seconds of the server's answers, and those in this process."""
    return [
        ([_seconds(ask) for _ in range(requests)], [_seconds(bare) for _ in range(requests)])
        for _ in range(ROUNDS)
    ]


def _ratio(rounds: list[tuple[list[float], list[float]]]) -> float:
    return statistics.median(ratio_of_medians(ours, bare) for ours, bare in rounds)


def _one_row(address: str, world: _World) -> list[Figure]:
    row, features = world.rows.head(1), world.features.head(1)
    ask = _asking(address, world, world.raw(row))
    assert ask()[0]["prediction"] == world.estimator.predict(features)[0]
    rounds = _rounds(ask, lambda: world.estimator.predict(features), SINGLE)
    tails = [float(np.quantile(ours, 0.99)) / statistics.median(ours) for ours, _ in rounds]
    return [
        Figure("1 row over HTTP, p50 / scikit-learn's predict", _ratio(rounds), "x", ONE_ROW),
        Figure("1 row over HTTP, p99 / p50", statistics.median(tails), "x", TAIL),
    ]


def _many_rows(address: str, world: _World) -> Figure:
    ask = _asking(address, world, world.raw(world.rows))
    said = [row["prediction"] for row in ask()]
    assert said == world.estimator.predict(world.features).tolist()
    rounds = _rounds(ask, lambda: world.estimator.predict(world.features), SEVERAL)
    name = f"{ROWS:,} rows in JSON over HTTP / scikit-learn's predict"
    return Figure(name, _ratio(rounds), "x", MANY_ROWS)


def _binary(address: str, world: _World) -> Figure:
    """All features as one tensor behind the JSON, by the Open Inference Protocol; the answer as well."""
    matrix = world.features.to_numpy()
    tensor = {"name": "features", "shape": list(matrix.shape), "datatype": "FP64"}
    tensor |= {"parameters": {"binary_data_size": matrix.nbytes}}
    head = msgspec.json.encode({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    headers = {_JSON_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
    body = head + matrix.tobytes()

    with httpx.Client(base_url=address, timeout=60) as client:

        def ask() -> np.ndarray:
            found = client.post(f"/v2/models/{world.pipeline.name}/infer", content=body, headers=headers)
            assert found.status_code == httpx.codes.OK, found.text
            length = int(found.headers[_JSON_LENGTH])
            [said] = msgspec.json.decode(found.content[:length])["outputs"]
            assert said["name"] == "prediction", said
            return np.frombuffer(found.content[length:], np.float64)

        bare = lambda: world.estimator.predict(world.features)  # noqa: E731 - the two are alike
        assert np.array_equal(ask(), bare())
        rounds = _rounds(ask, bare, SEVERAL)
    name = f"{ROWS:,} rows as a binary tensor over HTTP / scikit-learn's predict"
    return Figure(name, _ratio(rounds), "x", BINARY)


def _day(address: str, world: _World) -> Figure:
    spec = world.pipeline.spec
    partition = world.pipeline.lake.partitions()[-1]
    own = world.rows[world.rows[PARTITION] == partition]
    seen = world.rows[world.rows[PARTITION] >= spec.looks_back_to(partition)]
    ask = _asking(address, world, world.raw(own, whole=True))
    bare = lambda: predict(spec, world.estimator, seen, partition)  # noqa: E731 - the two are alike
    assert [row["prediction"] for row in ask()] == bare()["prediction"].tolist()
    ratio = _ratio(_rounds(ask, bare, SEVERAL))
    return Figure("a day of bike_demand over HTTP / predict() in process", ratio, "x", DAY)


@dataclass
class _Clients:
    """Clients that ask for one row again and again, and look out for the first answer by a version."""

    address: str
    world: _World
    failed: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    taken: list[tuple[float, float]] = field(default_factory=list)
    """When each request was sent, and the seconds until its answer."""
    stopped: threading.Event = field(default_factory=threading.Event)
    _awaited: tuple[str, float] = ("", 0.0)
    _arrived: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        path, body = (
            f"/v1/pipelines/{self.world.pipeline.name}/predict",
            self.world.raw(self.world.rows.head(1)),
        )
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while not self.stopped.is_set():
                began = time.monotonic()
                try:
                    found = client.post(path, content=body, headers={"Content-Type": "application/json"})
                    version = found.raise_for_status().json()["version"]
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.failed.append(repr(error))
                    continue
                self.versions.add(version)
                self.taken.append((began, time.monotonic() - began))
                awaited, since = self._awaited
                if version == awaited and began >= since:
                    self._arrived.set()

    def seconds_until(self, version: str) -> float:
        """Seconds from now to the first answer by a version, to a request that was sent after now."""
        began = time.monotonic()
        self._arrived.clear()
        self._awaited = (version, began)
        assert self._arrived.wait(120), f"no answer by {version}"
        return time.monotonic() - began


def _followed(address: str, world: _World) -> list[Figure]:
    """Promote and roll back under clients; each champion is awaited before the next one."""
    first = world.pipeline.registry.champion()
    assert first is not None
    clients = _Clients(address, world)
    threads = [threading.Thread(target=clients.ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    spent, champions = [], {first}
    reloads: list[tuple[float, float]] = []

    def await_version(version: str) -> None:
        began = time.monotonic()
        spent.append(clients.seconds_until(version))
        reloads.append((began, time.monotonic()))

    try:
        time.sleep(QUIET)
        quiet = (time.monotonic() - QUIET, time.monotonic())
        for number in range(1, CHANGES + 1):
            promoted = _promote(world, "snapshot", number)
            champions.add(promoted)
            await_version(promoted)
            world.pipeline.registry.rollback(first)
            await_version(first)
    finally:
        clients.stopped.set()
        for thread in threads:
            thread.join()
    assert clients.versions == champions
    title = f"{CHANGES} promotions and as many rollbacks under {CLIENTS} clients"
    return [
        Figure(f"failed requests in {title}", len(clients.failed), "requests", 0),
        Figure("the slowest of them, pointer to first answer", max(spent), "s", SOON),
        Figure(
            "p99 from pointer to first answer / before",
            _p99(clients, reloads) / _p99(clients, [quiet]),
            "x",
            3.0,
        ),
    ]


def _p99(clients: _Clients, spans: list[tuple[float, float]]) -> float:
    """The 99th percentile of the seconds until an answer, of the requests that were sent within spans."""
    within = [
        seconds for sent, seconds in clients.taken if any(first <= sent <= last for first, last in spans)
    ]
    return float(np.quantile(within, 0.99))
