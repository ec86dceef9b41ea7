"""A canary answers for a stable share of the keys, and never fails a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import msgspec
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.asked.finding import Asked, Together
from evergreen.features.build import build_features
from evergreen.lake import Table
from evergreen.registry.versions import MODEL
from evergreen.rows.frame import to_frame
from evergreen.scoring.checked_model import load_checked_model
from evergreen.serving.answer import Answer, answer
from evergreen.serving.body import read_body
from evergreen.serving.canary import ServedCanary, place_of
from evergreen.serving.served import Served
from evergreen.storage import Storage
from tests.integration.serving.conftest import Worlds
from tests.integration.serving.running import running, wait_for
from tests.integration.serving.worlds import World, iris, promoted

PREDICT = "/v1/pipelines/iris/predict"


def answered(client: httpx.Client, rows: list[dict[str, Any]]) -> dict[int, str]:
    """The version that has answered for each flower."""
    found = client.post(PREDICT, json={"rows": rows})
    assert found.status_code == 200
    return {row["flower"]: row["version"] for row in found.json()["predictions"]}


def canary_of(client: httpx.Client) -> dict[str, Any]:
    said: dict[str, Any] = client.get("/ready").json()["pipelines"]["iris"].get("canary", {})
    return said


def takes(client: httpx.Client, share: float) -> bool:
    """Whether the canary answers for that share."""
    said = canary_of(client)
    return bool(said.get("answers")) and said["share"] == share


def test_a_canary_takes_its_share_grows_stays_out_and_ends(storage: Storage) -> None:
    world = iris(storage)
    registry, rows, champion = world.pipeline.registry, world.raw, world.version
    weak = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    other = promoted(world.pipeline, weak, "snapshot", "00000000cafe")
    registry.rollback(champion)
    kept = {name: registry.read(champion, name) for name in registry.files(champion)}
    broken = "snapshot-aaaaaaaaaaaa"  # its golden sample is another model's
    registry.commit(broken, kept | {MODEL: registry.read(other, MODEL)})

    def expected(share: float) -> dict[int, str]:
        flowers = [row["flower"] for row in rows]
        return {one: other if place_of(other, [one]) < share else champion for one in flowers}

    with running(world.pipeline) as client:
        assert set(answered(client, rows).values()) == {champion}
        registry.canary(other, 0.2, {})
        wait_for(lambda: takes(client, 0.2))
        small = answered(client, rows)
        assert small == expected(0.2)
        assert {row["flower"]: answered(client, [row]).popitem()[1] for row in rows[:5]} == {
            row["flower"]: small[row["flower"]] for row in rows[:5]
        }
        registry.canary(other, 0.6, {})
        wait_for(lambda: takes(client, 0.6))
        large = answered(client, rows)
        assert large == expected(0.6)
        assert {one for one in small if small[one] == other} < {one for one in large if large[one] == other}
        figures = client.get("/metrics").text
        assert f'evergreen_serving_canary_share{{pipeline="iris",version="{other}"}} 0.6' in figures
        of_canary = f'pipeline="iris",role="canary",version="{other}"'
        assert f"evergreen_serving_seconds_count{{{of_canary}}}" in figures
        registry.canary(other, 1, {})
        wait_for(lambda: takes(client, 1))
        assert set(answered(client, rows).values()) == {other}
        registry.promote(other, "snapshot", {"kind": "test"})
        wait_for(lambda: canary_of(client) == {})
        assert set(answered(client, rows).values()) == {other}
        registry.canary(broken, 1, {})
        wait_for(lambda: "does not predict its golden rows" in canary_of(client).get("problem", ""))
        assert canary_of(client)["answers"] is False
        assert set(answered(client, rows).values()) == {other}
        registry.canary(broken, 0, {})
        wait_for(lambda: canary_of(client) == {})


class Raises:
    """An estimator that raises for some rows."""

    def __init__(self, estimator: Any, longest: float) -> None:
        self.estimator, self.longest = estimator, longest
        self.classes_ = estimator.classes_

    def predict(self, features: Any) -> Any:
        self._look(features)
        return self.estimator.predict(features)

    def predict_proba(self, features: Any) -> Any:
        self._look(features)
        return self.estimator.predict_proba(features)

    def _look(self, features: Any) -> None:
        if (features["petal_length"] > self.longest).any():
            raise RuntimeError("too long")


def asked(served: Served, rows: list[dict[str, Any]], canary: ServedCanary, *, whole: bool = True) -> Answer:
    text = msgspec.json.encode({"rows": rows, "whole": whole})
    return answer(served, read_body(text, exact=served.types.exact, most_rows=1000), canary)


def served_of(world: World) -> Served:
    schema = world.pipeline.lake.schema(Table.PARTITIONS)
    assert schema is not None
    return Served.of(load_checked_model(world.pipeline, world.version), schema)


def with_estimator(served: Served, estimator: Any) -> Served:
    return replace(served, model=replace(served.model, version="other", estimator=estimator))


def test_rows_that_a_canary_cannot_predict_are_the_champions(worlds: Worlds) -> None:
    world = worlds("iris")
    served, rows = served_of(world), world.raw
    canary = with_estimator(served, Raises(served.model.estimator, 1.5))
    found = asked(served, rows, ServedCanary(canary, 1))
    longer = [row["petal_length"] > 1.5 for row in rows]
    assert [row["version"] for row in found.rows] == [world.version if one else "other" for one in longer]
    assert found.failed == 0
    assert found.part is not None
    assert (found.part.rows, found.part.failed, found.part.status) == (len(rows), sum(longer), 200)
    refused = "cannot be predicted: iris: the model refuses these features (RuntimeError: too long): "
    assert (found.part.problem or "").startswith(refused)
    alone = asked(served, rows[-1:], ServedCanary(canary, 1))
    assert alone.document("iris").get("canary") is None
    assert alone.part is not None
    assert (alone.rows[0]["version"], alone.part.status) == (world.version, 422)


def test_a_canary_that_needs_more_rows_together_or_breaks_leaves_all_to_the_champion(worlds: Worlds) -> None:
    world = worlds("iris")
    served, rows = served_of(world), world.raw[:3]
    alone = asked(served, rows, ServedCanary(served, 0))
    needs_all = replace(served, asked=Asked(Together.PARTITION))
    refused = asked(served, rows, ServedCanary(needs_all, 1), whole=False)
    assert (refused.rows, refused.failed, refused.beside) == (alone.rows, 0, None)
    assert refused.part is not None
    assert (refused.part.rows, refused.part.failed, refused.part.status) == (3, 3, 422)
    assert "send all rows of snapshot" in refused.part.problem
    broken = asked(served, rows, ServedCanary(replace(served, look_back=None), 1))  # type: ignore[arg-type]
    assert (broken.rows, broken.failed, broken.beside) == (alone.rows, 0, None)
    assert broken.part is not None
    assert (broken.part.failed, broken.part.status) == (3, 500)


def test_keys_whose_rows_must_be_predicted_together(worlds: Worlds) -> None:
    """Both versions see the whole day, and each answers for its keys."""
    world = worlds("bikes")
    served = served_of(world)
    spec = world.pipeline.spec
    history = to_frame(world.pipeline.lake.read(Table.PARTITIONS))
    estimator = HistGradientBoostingRegressor(max_iter=5)
    estimator.fit(build_features(spec, history), history[spec.target])
    canary = with_estimator(served, estimator)
    of_all = asked(served, world.raw, ServedCanary(canary, 1)).rows
    found = asked(served, world.raw, ServedCanary(canary, 0.5))
    by = [row["version"] for row in found.rows]
    assert 0 < by.count("other") < len(by)
    assert found.rows == [
        of_all[at] if version == "other" else night
        for at, (version, night) in enumerate(zip(by, found_night(world, served), strict=True))
    ]
    assert found.document(spec.name)["canary"]["version"] == "other"
    assert found.document(spec.name)["canary"]["look_back"].keys() == {world.partition}


def found_night(world: World, served: Served) -> list[dict[str, Any]]:
    """What the champion says of all rows."""
    text = msgspec.json.encode({"rows": world.raw, "whole": True})
    return answer(served, read_body(text, exact=served.types.exact, most_rows=1000)).rows
