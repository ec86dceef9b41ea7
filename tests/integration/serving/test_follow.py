"""The server follows the champion while clients ask, and never answers with what was no champion."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.pipeline import Pipeline
from evergreen.registry.versions import MODEL, file_key
from evergreen.scoring.golden import GOLDEN
from evergreen.spec import Alerts, Receiver, load_spec
from evergreen.storage import Storage
from tests.campaign import FULL, ROOT, rounds
from tests.faults.tcp_proxy import TcpProxy
from tests.integration.serving.picture import drawn
from tests.integration.serving.running import running, wait_for
from tests.integration.serving.worlds import iris, promoted
from tests.unit.alerts.conftest import serve
from tests.unit.alerts.test_delivery import connect

PREDICT = "/v1/pipelines/iris/predict"
ROW = {"flower": 1, "sepal_length": 5.9, "sepal_width": 3.0, "petal_length": 4.9, "petal_width": 1.7}
CLIENTS, ROUNDS = rounds(3, 16), rounds(1, 200)
EVERY = rounds(1, 20) / 10  # seconds between two looks at the pointer: by default 2
QUIET = rounds(0, 10)  # seconds under clients before the first change
PICTURE = ROOT / ".evergreen" / "campaign" / "promotions.svg"
PAUSE = rounds(20, 0) / 1000  # seconds between two requests of a client


def estimator(strength: float) -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


@dataclass
class Clients:
    """What clients were answered who ask for the same row again and again."""

    address: str
    answers: list[tuple[int, Any, Any]] = field(default_factory=list)
    taken: list[tuple[float, float]] = field(default_factory=list)
    """When each request was sent, and the seconds until its answer."""
    problems: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while not self.stopped.is_set():
                sent = time.monotonic()
                try:
                    found = client.post(PREDICT, json={"rows": [ROW]})
                    self.taken.append((sent, time.monotonic() - sent))
                    said = found.json()
                    first = said["predictions"][0]
                    self.answers.append((found.status_code, said["version"], first["probabilities"]))
                    self.stopped.wait(PAUSE)
                except Exception as error:  # noqa: BLE001 - whatever it is, a request has failed
                    self.problems.append(repr(error))


@contextmanager
def asking(client: httpx.Client) -> Iterator[Clients]:
    clients = Clients(str(client.base_url))
    threads = [threading.Thread(target=clients.ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield clients
    finally:
        clients.stopped.set()
        for thread in threads:
            thread.join()


def answering(client: httpx.Client) -> str:
    version: str = client.post(PREDICT, json={"rows": [ROW]}).json()["version"]
    return version


def condition(client: httpx.Client) -> dict[str, str]:
    found = client.get("/ready")
    assert found.status_code == 200  # something answers
    said: dict[str, str] = found.json()["pipelines"]["iris"]
    return said


def test_promotion_rollback_failures_and_a_storage_that_is_down(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, tell: Any
) -> None:
    endpoint = storage.credentials.endpoint_url or ""
    first = iris(storage).version
    pipeline = Pipeline(load_spec("iris"), storage)
    with ExitStack() as rest, ExitStack() as down:
        proxy = down.enter_context(TcpProxy("127.0.0.1", int(endpoint.rpartition(":")[2])))
        through = replace(storage.credentials, endpoint_url=f"http://127.0.0.1:{proxy.port}")
        receiver, hook = serve()
        rest.callback(hook.server_close)
        rest.callback(hook.shutdown)
        connect(monkeypatch, "ops", receiver.address)
        told = pipeline.spec.model_copy(update={"alerts": Alerts(to=(Receiver(conn_id="ops"),))})
        served = Pipeline(told, Storage(storage.bucket, "", through))
        with running(served, every=EVERY, alerts=True) as client:
            assert answering(client) == first
            tell(_promote_and_roll_back(pipeline, client, first))
            _refuse_broken(pipeline, client, first)
            time.sleep(5)
            print("SUBJ", receiver.subjects)
            assert receiver.subjects == [
                f"[{kind}] iris: version snapshot-{name * 12} is not served"
                for name in "ab"
                for kind in ("warning", "over")
            ]
            down.close()
            wait_for(lambda: condition(client)["condition"] == "stale")
            wait_for(lambda: receiver.subjects[4:] == ["[warning] iris: the server cannot read the storage"])
            assert answering(client) == first


def _promote_and_roll_back(pipeline: Pipeline, client: httpx.Client, first: str) -> str:
    versions: list[str] = []
    reloads: list[tuple[float, float]] = []

    def await_version(version: str) -> None:
        began = time.monotonic()
        wait_for(lambda: answering(client) == version)
        reloads.append((began, time.monotonic()))

    with asking(client) as clients:
        time.sleep(QUIET)
        for number in range(ROUNDS):
            strength = 1 / (number + 2)
            versions.append(promoted(pipeline, estimator(strength), "snapshot", f"{number:012d}"))
            await_version(versions[-1])
            pipeline.registry.rollback(first)
            await_version(first)
    assert clients.problems == []
    assert {status for status, _, _ in clients.answers} == {200}
    said: dict[str, set[str]] = {}
    for _, version, probabilities in clients.answers:
        said.setdefault(version, set()).add(str(probabilities))
    assert said.keys() <= {first, *versions}
    # Each version says one thing, and no two the same: no answer is by half of one and half of another.
    assert all(len(one) == 1 for one in said.values())
    assert len(set().union(*said.values())) == len(said)
    if FULL:
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        PICTURE.write_text(drawn(clients.taken, [began for began, _ in reloads]))
    return _told(clients, versions, reloads)


def _told(clients: Clients, versions: list[str], reloads: list[tuple[float, float]]) -> str:
    """What was counted and measured, for people."""
    spent = [ended - began for began, ended in reloads]
    during = [took for sent, took in clients.taken if any(began <= sent <= ended for began, ended in reloads)]
    before = [took for sent, took in clients.taken if sent < reloads[0][0]] or during
    tails = [1000 * float(np.quantile(each, 0.99)) for each in (before, during)]
    return (
        f"{len(versions)} promotions and as many rollbacks under {CLIENTS} clients: {len(clients.answers):,} "
        f"answers, {len(clients.problems)} failed; pointer to first answer {np.median(spent):.2f} s, at most "
        f"{max(spent):.2f} s; p99 {tails[0]:.0f} ms before, {tails[1]:.0f} ms during a reload"
    )


def _refuse_broken(pipeline: Pipeline, client: httpx.Client, first: str) -> None:
    """A version with another's golden sample, and one of which a byte is changed, stay out."""
    registry = pipeline.registry
    kept = {name: registry.read(first, name) for name in registry.files(first)}
    other = registry.read("snapshot-000000000000", MODEL)
    registry.commit("snapshot-aaaaaaaaaaaa", kept | {MODEL: other})
    registry.promote("snapshot-aaaaaaaaaaaa", "snapshot", {"kind": "test"})
    wait_for(lambda: "does not predict its golden rows" in condition(client).get("problem", ""))
    found = condition(client)
    assert (found["condition"], found["version"]) == ("behind", first)
    assert found["champion"] == "snapshot-aaaaaaaaaaaa"
    assert answering(client) == first
    figures = client.get("/metrics").text
    assert 'evergreen_serving_current{pipeline="iris"} 0.0' in figures
    assert 'evergreen_serving_failed_loads_total{pipeline="iris"} 0.0' not in figures
    registry.rollback(first)
    wait_for(lambda: condition(client)["condition"] == "current")
    registry.commit("snapshot-bbbbbbbbbbbb", kept)
    changed = bytearray(kept[GOLDEN])
    changed[len(changed) // 2] ^= 1
    pipeline.storage.child("iris").stage(file_key("snapshot-bbbbbbbbbbbb", GOLDEN), bytes(changed))
    registry.promote("snapshot-bbbbbbbbbbbb", "snapshot", {"kind": "test"})
    wait_for(lambda: "its manifest says" in condition(client).get("problem", ""))
    assert answering(client) == first
    registry.rollback(first)
    wait_for(lambda: condition(client)["condition"] == "current")
