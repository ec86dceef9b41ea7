"""Storage and database are down under load: what was loaded answers on, and catches up once they are back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import httpx
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingRegressor

from evergreen.connections import Connection
from evergreen.lake import PARTITION, Table
from evergreen.look_back.keep import keep_look_back, keep_look_back_or_warn
from evergreen.pipeline import Pipeline
from evergreen.scoring.score import score
from evergreen.spec import LookBack, Serving
from evergreen.storage import Storage
from tests.campaign import rounds
from tests.faults.tcp_proxy import TcpProxy
from tests.integration.serving.running import running, wait_for
from tests.integration.serving.worlds import World, bikes, promoted

SECONDS, CLIENTS = rounds(1, 60), rounds(2, 8)
PREDICT = "/v1/pipelines/bike_demand/predict"


@dataclass
class Clients:
    """What clients were answered who ask again and again for the hours of a day."""

    address: str
    body: bytes
    told: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """The predictions, by version and digest of the look-back."""
    answers: int = 0
    failed: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self) -> None:
        with httpx.Client(base_url=self.address, timeout=60) as client:
            while not self._stopped.wait(0.02):
                found = client.post(PREDICT, content=self.body, headers={"Content-Type": "application/json"})
                with self._lock:
                    self._take(found)

    def _take(self, found: httpx.Response) -> None:
        if found.status_code != 200:
            self.failed.append(found.text)
            return
        said = found.json()
        [looked_back] = said["look_back"].values()
        name = (said["version"], looked_back["digest"])
        self.told.setdefault(name, set()).add(json.dumps(said["predictions"]))
        self.answers += 1

    def __enter__(self) -> Clients:
        self._threads = [threading.Thread(target=self.ask) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def test_answers_go_on_without_storage_and_without_database(
    storage: Storage, postgres_server: Connection, tell: Callable[[str], None]
) -> None:
    world = bikes(storage)
    spec = world.pipeline.spec.model_copy(update={"serving": Serving(look_back=LookBack(conn_id="db"))})
    pipeline = Pipeline(spec, storage, lambda conn_id: replace(postgres_server, conn_id=conn_id))
    keep_look_back(pipeline)
    expected = [world.night]
    endpoint = storage.credentials.endpoint_url or ""
    with (
        TcpProxy("127.0.0.1", int(endpoint.rpartition(":")[2])) as store,
        TcpProxy(postgres_server.host, postgres_server.port or 5432) as database,
    ):
        through = replace(storage.credentials, endpoint_url=f"http://127.0.0.1:{store.port}")
        served = Pipeline(
            spec,
            Storage(storage.bucket, "", through),
            lambda conn_id: replace(postgres_server, conn_id=conn_id, host="127.0.0.1", port=database.port),
        )
        body = json.dumps({"rows": world.raw, "whole": True}).encode()
        with running(served) as client, Clients(str(client.base_url), body) as clients:
            wait_for(lambda: clients.answers > 5)
            store.down = True
            other = promoted(pipeline, HistGradientBoostingRegressor(max_iter=7), world.partition, "b" * 12)
            score(pipeline, world.partition)
            expected.append(world.night)
            answered = _wait(clients)
            assert {version for version, _ in clients.told} == {world.version}
            store.down = False
            wait_for(lambda: any(version == other for version, _ in clients.told))

            database.down = True
            known = len(clients.told)
            _change_the_day_before(pipeline, world)
            keep_look_back_or_warn(pipeline)
            score(pipeline, world.partition)
            expected.append(world.night)
            wait_for(lambda: len(clients.told) > known)
            answered += _wait(clients)
            database.down = False
    assert clients.failed == []
    assert [json.loads(*said) for said in clients.told.values()] == expected
    tell(
        f"storage and database down for {SECONDS} s each under {CLIENTS} clients: {answered} answers "
        f"meanwhile, {len(clients.failed)} failed"
    )


def _wait(clients: Clients) -> int:
    """The answers within the outage."""
    before = clients.answers
    time.sleep(SECONDS)
    wait_for(lambda: clients.answers > before + 5)
    return clients.answers - before


def _change_the_day_before(pipeline: Pipeline, world: World) -> None:
    day = pipeline.spec.calendar.shift(world.partition, -1)
    rows = pipeline.lake.read(Table.PARTITIONS, day, day).drop_columns([PARTITION])
    at = rows.schema.get_field_index("cnt")
    changed = pa.array(pd.Series(rows.column("cnt").to_pylist()) + 50, rows.schema.field(at).type)
    pipeline.lake.replace(Table.PARTITIONS, {day: rows.set_column(at, rows.schema.field(at), changed)})
