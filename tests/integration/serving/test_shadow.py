"""A shadow is asked what the champion answers, costs no answer anything, and leaves its evidence."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.asked.finding import Asked, Together
from evergreen.features.build import build_features
from evergreen.lake import Table
from evergreen.registry.versions import MODEL
from evergreen.request_log.store import Kind, RequestLog
from evergreen.rows.frame import to_frame
from evergreen.scoring.checked_model import load_checked_model
from evergreen.serving.answer import answer
from evergreen.serving.app import make_app
from evergreen.serving.body import read_body
from evergreen.serving.challenger import Shadow
from evergreen.serving.entrance import Entrance
from evergreen.serving.follow import Follower, State
from evergreen.serving.limits import Limits, Turns
from evergreen.serving.log_writer import Bounds, LogWriter
from evergreen.serving.meters import Meters
from evergreen.serving.served import Served
from evergreen.serving.service import Serving as Service
from evergreen.serving.shadow import Shadowing
from evergreen.shadow.evidence import all_evidence, evidence_of
from evergreen.spec import Serving
from evergreen.storage import Storage
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running, wait_for
from tests.integration.serving.test_canary import Raises
from tests.integration.serving.worlds import World, committed, iris

PREDICT = "/v1/pipelines/iris/predict"


def weak() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.001, max_iter=1000))


def shadow_of(client: httpx.Client) -> dict[str, Any]:
    said: dict[str, Any] = client.get("/ready").json()["pipelines"]["iris"].get("shadow", {})
    return said


def test_a_shadow_is_asked_all_keeps_both_predictions_and_takes_over(storage: Storage) -> None:
    world = iris(storage)
    described = world.pipeline.spec.model_copy(update={"serving": Serving(shadow="newest")})
    pipeline = world.pipeline.described_by(described)
    registry, rows, champion = pipeline.registry, world.raw, world.version
    log = RequestLog(storage, "iris")
    with running(pipeline, log=Bounds(seconds=0.1)) as client:
        before = client.post(PREDICT, json={"rows": rows}).json()
        assert shadow_of(client) == {}
        other = committed(pipeline, weak(), "snapshot", "00000000cafe")
        wait_for(lambda: shadow_of(client) == {"version": other, "asked": True})
        for _ in range(2):
            assert client.post(PREDICT, json={"rows": [*rows[:100], {"flower": 1}]}).status_code == 200
        assert client.post(PREDICT, json={"rows": rows}).json() == before
        role = f'pipeline="iris",role="shadow",version="{other}"'
        asked = f'evergreen_serving_rows_total{{outcome="predicted",{role}}}'
        wait_for(lambda: f"{asked} 350.0" in client.get("/metrics").text)
        assert f'shadow_asked{{pipeline="iris",version="{other}"}} 1.0' in client.get("/metrics").text
        wait_for(lambda: len(log.read(Kind.SHADOW, "snapshot")) == 150)  # each row once

        kept = {name: registry.read(champion, name) for name in registry.files(champion)}
        broken = "snapshot-ffffffffffff"  # its golden sample is another model's
        registry.refuse(other, "snapshot", {"verdict": "worse"})
        registry.commit(broken, kept | {MODEL: registry.read(other, MODEL)})
        wait_for(lambda: "does not predict its golden rows" in shadow_of(client).get("problem", ""))
        assert shadow_of(client)["asked"] is False
        assert client.post(PREDICT, json={"rows": rows}).json() == before
        registry.promote(other, "snapshot", {"kind": "test"})
        wait_for(lambda: client.get("/ready").json()["pipelines"]["iris"]["version"] == other)

    found = evidence_of(pipeline, other, champion)
    assert all_evidence(pipeline) == [found]
    lake = to_frame(pipeline.lake.read(Table.PARTITIONS))
    truth, features = lake["species"], build_features(pipeline.spec, lake)
    ours = load_checked_model(pipeline, other).estimator.predict(features)
    theirs = load_checked_model(pipeline, champion).estimator.predict(features)
    assert (found.rows, found.failed, found.labelled) == (150, 0, 150)
    assert found.agreement.equal == pytest.approx(np.mean(ours == theirs))
    assert found.comparison is not None
    assert found.comparison.challenger == pytest.approx(accuracy_score(truth, ours))
    assert found.comparison.champion == pytest.approx(accuracy_score(truth, theirs))


class Blocks:
    """An estimator that says nothing until it may."""

    def __init__(self, estimator: Any) -> None:
        self.estimator, self.classes_ = estimator, estimator.classes_
        self.entered, self.may = threading.Event(), threading.Event()

    def predict(self, features: Any) -> Any:
        self.entered.set()
        assert self.may.wait(60)
        return self.estimator.predict(features)

    def predict_proba(self, features: Any) -> Any:
        return self.estimator.predict_proba(features)


class Kept(LogWriter):
    """Keeps what it is offered."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None, Bounds())
        self.rows: list[dict[str, Any]] = []

    def offer(self, log: RequestLog, kind: Kind, rows: int, entries: Any) -> bool:
        found = entries()
        assert kind is Kind.SHADOW
        assert rows == sum(map(len, found.values()))
        self.rows += [row for table in found.values() for row in table.to_pylist()]
        return True


@pytest.fixture
def served(worlds: Worlds) -> Served:
    world = worlds("iris")
    schema = world.pipeline.lake.schema(Table.PARTITIONS)
    assert schema is not None
    return Served.of(load_checked_model(world.pipeline, world.version), schema)


def as_shadow(served: Served, estimator: Any, **changes: Any) -> Served:
    return replace(served, model=replace(served.model, version="other", estimator=estimator), **changes)


def asked(world: World, champion: Served, shadow: Served, rows: list[dict[str, Any]]) -> tuple[Kept, Meters]:
    """What is logged and counted of a request."""
    writer, meters = Kept(), Meters(list)
    shadowing = Shadowing(writer, meters)
    text = msgspec.json.encode({"rows": rows, "whole": False})
    body = read_body(text, exact=champion.types.exact, most_rows=1000)
    place = RequestLog(world.pipeline.storage, "iris")
    shadowing.offer(champion, shadow, place, body, answer(champion, body))
    thread = threading.Thread(target=shadowing.run)
    thread.start()
    wait_for(shadowing.is_idle)
    shadowing.stop()
    thread.join(60)
    assert not thread.is_alive()
    return writer, meters


def test_rows_that_a_shadow_cannot_predict_are_evidence_against_it(worlds: Worlds, served: Served) -> None:
    world = worlds("iris")
    longer = {row["flower"] for row in world.raw if row["petal_length"] > 1.5}
    raises = as_shadow(served, Raises(served.model.estimator, 1.5))
    writer, meters = asked(world, served, raises, [*world.raw, {"flower": 7.5}])
    assert {row["row.flower"] for row in writer.rows if row["shadow_said"] is None} == longer
    refused = "cannot be predicted: iris: the model refuses these features (RuntimeError: too long): "
    assert {(row["problem"] or refused).startswith(refused) for row in writer.rows} == {True}
    assert any(row["problem"] for row in writer.rows)
    assert (
        f'{{outcome="failed",pipeline="iris",role="shadow",version="other"}} {len(longer)}.0'.encode()
        in meters.read()
    )

    needs_all = as_shadow(served, served.model.estimator, asked=Asked(Together.PARTITION))
    writer, _ = asked(world, served, needs_all, world.raw[:3])
    assert [row["shadow_said"] for row in writer.rows] == [None] * 3
    assert "send all rows of snapshot" in writer.rows[0]["problem"]
    writer, meters = asked(world, served, needs_all, [*world.raw[:3], {"flower": 7.5}])
    assert writer.rows == []  # the champion might have been refused the same

    broken = as_shadow(served, served.model.estimator, look_back=None)
    writer, _ = asked(world, served, broken, world.raw[:3])
    assert ["AttributeError" in row["problem"] for row in writer.rows] == [True] * 3


def test_a_shadow_that_never_answers_delays_and_fails_no_answer(worlds: Worlds, served: Served) -> None:
    world = worlds("iris")
    blocks = Blocks(served.model.estimator)
    follower = Follower(world.pipeline)
    follower.state = State(served=served, champion=served.version, seen=1.0)
    follower.challenger.shadow = Shadow("other", as_shadow(served, blocks))
    meters = Meters(list)
    writer = LogWriter(meters.count_logged, Bounds())
    shadowing = Shadowing(writer, meters, waiting=300)
    turns = Turns(Limits())
    serving = Service({"iris": follower}, Limits(), 10.0, meters, turns, writer, shadowing, list)
    thread = threading.Thread(target=serving.shadowing.run)
    thread.start()
    app = Entrance(make_app(serving), None, serving.count)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.post(PREDICT, json={"rows": world.raw}) for _ in range(12)]

    answers = asyncio.run(ask())
    assert [one.status_code for one in answers] == [200] * 12
    assert [one.json()["predictions"] for one in answers] == [world.night] * 12
    assert blocks.entered.wait(60)
    # One is being asked, one waits, ten were dropped.
    assert b'evergreen_serving_shadow_dropped_rows_total{pipeline="iris"} 1500.0' in serving.meters.read()
    blocks.may.set()
    serving.shadowing.stop()
    thread.join(60)
    assert not thread.is_alive()
    serving.turns.close()
