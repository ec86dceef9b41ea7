"""MLServer as a peer of `evergreen serve`: the same model in it, asked for the same row by the same clients.

Needs `make .venv-mlserver`, or `EVERGREEN_MLSERVER_PYTHON`, an interpreter that has mlserver-sklearn.
"""

from __future__ import annotations

import copy
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import joblib
import msgspec
import pandas as pd

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from deploy.embedded.home import REPOSITORY
from tests.servers import unused_port

SINGLE = 200  # requests of one row in a round
SECONDS = 4.0  # that all clients ask in a round
PROCESSES, THREADS = 4, 4  # of the clients
ONE_ROW, MANY_CLIENTS = 0.2, 1 / 3
_PYTHON = Path(
    os.environ.get("EVERGREEN_MLSERVER_PYTHON") or REPOSITORY / ".venv-mlserver" / "bin" / "python"
)
# A batch takes as many rows as there are clients, and waits for them no longer than this (in seconds).
_BATCHING = {"max_batch_size": PROCESSES * THREADS, "max_batch_time": 0.005}


@dataclass(frozen=True)
class Asked:
    """A request for one row of a server, whose answer has the prediction somewhere in it."""

    address: str
    path: str
    body: bytes

    def open(self) -> Callable[[], Any]:
        """A client that keeps its connection: asks, and returns the answer's JSON."""
        place = urlsplit(self.address)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        headers = {"Content-Type": "application/json"}

        def ask() -> Any:
            connection.request("POST", self.path, self.body, headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == http.client.OK, content
            return msgspec.json.decode(content)

        return ask


def beside_mlserver(ours: Asked, estimator: Any, features: pd.DataFrame) -> list[Figure]:
    """One row by one client, and by sixteen, who ask both servers by turns; no figure without MLServer."""
    if not _PYTHON.exists():
        print("no MLServer to measure beside: make .venv-mlserver")
        return []
    truth = estimator.predict(features)[0]
    with _mlserver(estimator, batching=None) as address:
        theirs = Asked(address, "/v2/models/houses/infer", _request(features))
        said = (ours.open()()["predictions"][0]["prediction"], theirs.open()()["outputs"][0]["data"][0])
        assert said == (truth, truth)
        one = _one_client(ours, theirs)
    with _mlserver(estimator, _BATCHING) as address:
        many = _many_clients(ours, Asked(address, theirs.path, theirs.body))
    return [
        Figure("1 row over HTTP, p50 / MLServer's", one, "x", ONE_ROW),
        Figure(
            f"{PROCESSES * THREADS} clients: MLServer's rows a second, one a request, in its batches / ours",
            many,
            "x",
            MANY_CLIENTS,
        ),
    ]


def _request(features: pd.DataFrame) -> bytes:
    tensor = {
        "name": "features",
        "shape": list(features.shape),
        "datatype": "FP64",
        "data": features.to_numpy().ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}).encode()


@contextmanager
def _mlserver(estimator: Any, batching: dict[str, Any] | None) -> Iterator[str]:
    """The address of a server that has the model, once it answers."""
    ports = [unused_port() for _ in range(3)]
    settings = dict(zip(("http_port", "grpc_port", "metrics_port"), ports, strict=True))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        joblib.dump(_without_names(estimator), folder / "model.joblib")
        (folder / "settings.json").write_text(
            # In its own process it answers several times as fast as by the worker that it starts by default.
            json.dumps({"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **settings})
        )
        model: dict[str, Any] = {
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib"},
        }
        (folder / "model-settings.json").write_text(
            json.dumps({"name": "houses", **model, **(batching or {})})
        )
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [_PYTHON.parent / "mlserver", "start", folder], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            _wait(server, ports[0], folder / "log")
            yield f"http://127.0.0.1:{ports[0]}"
        finally:
            server.terminate()
            server.wait(60)


def _without_names(estimator: Any) -> Any:
    """A copy that takes the matrix which MLServer makes of a tensor, without a warning for each request."""
    found = copy.copy(estimator)
    del found.feature_names_in_
    return found


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/v2/models/houses/ready")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _one_client(ours: Asked, theirs: Asked) -> float:
    asking = ours.open(), theirs.open()
    ratios = []
    for _ in range(ROUNDS):
        pairs = [tuple(_seconds(ask) for ask in asking) for _ in range(SINGLE)]
        ratios.append(ratio_of_medians(*zip(*pairs, strict=True)))
    return statistics.median(ratios)


def _many_clients(ours: Asked, theirs: Asked) -> float:
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        rates = [[_rate(pool, asked) for asked in (ours, theirs)] for _ in range(ROUNDS)]
    print("requests a second, ours and MLServer's:", [[round(rate) for rate in pair] for pair in rates])
    return statistics.median(theirs / ours for ours, theirs in rates)


def _rate(pool: Any, asked: Asked) -> float:
    """Requests a second that all clients have answered."""
    return sum(pool.map(partial(_count, asked), range(PROCESSES), chunksize=1)) / SECONDS


def _count(asked: Asked, _: int) -> int:
    """How many requests the clients of one process have answered."""
    counts = [0] * THREADS
    until = time.monotonic() + SECONDS

    def run(at: int) -> None:
        ask = asked.open()
        while time.monotonic() < until:
            ask()
            counts[at] += 1

    threads = [threading.Thread(target=run, args=(at,)) for at in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
