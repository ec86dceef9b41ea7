"""Champion, canary and shadow read other columns, and answer one request as nights of their own do."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.lake import Table
from evergreen.scoring.score import predictions
from evergreen.serving.canary import ServedCanary
from evergreen.serving.served import Served
from evergreen.spec import Spec
from evergreen.storage import Storage
from tests.integration.serving import test_canary, test_shadow
from tests.integration.serving.test_canary import served_of
from tests.integration.serving.worlds import World, committed, iris

Columns = tuple[str, ...]
ALL: Columns = ()
PETAL = ("petal_length", "petal_width")
SEPAL = ("sepal_length", "sepal_width")


@pytest.fixture(
    params=[
        pytest.param((ALL, PETAL), id="fewer"),
        pytest.param((PETAL, ALL), id="more"),
        pytest.param((PETAL, SEPAL), id="others"),
    ]
)
def two(request: pytest.FixtureRequest, storage: Storage) -> tuple[World, World]:
    """The flowers with a version of each choice of columns; today's description has the first."""
    world, (first, second) = iris(storage), request.param
    champion = replace(world, pipeline=world.pipeline.described_by(choosing(world.pipeline.spec, first)))
    versions = [version_of(champion, columns) for columns in (first, second)]
    one, other = (replace(champion, version=version) for version in versions)
    return one, other


def choosing(spec: Spec, columns: Columns) -> Spec:
    features = spec.features.model_copy(update={"columns": columns})
    return spec.model_copy(update={"features": features})


def version_of(world: World, columns: Columns) -> str:
    """A version whose features are built of these columns."""
    described = world.pipeline.described_by(choosing(world.pipeline.spec, columns))
    weak = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return committed(described, weak, world.partition, sha256(str(columns).encode()).hexdigest()[:12])


def night(world: World, served: Served) -> dict[int, Any]:
    """What the version says of each flower in a night."""
    rows = world.pipeline.lake.read(Table.PARTITIONS)
    found = predictions(served.model, rows, world.partition).to_pylist()
    return {row["flower"]: row["prediction"] for row in found}


def test_a_canary_and_its_champion_answer_as_in_nights_of_their_own(two: tuple[World, World]) -> None:
    champion, canary = map(served_of, two)
    first, second = (list(one.model.estimator.feature_names_in_) for one in (champion, canary))
    assert first != second
    found = test_canary.asked(champion, two[0].raw, ServedCanary(canary, 0.5))
    assert (found.failed, found.part and found.part.failed) == (0, 0)
    assert {row["version"] for row in found.rows} == {one.version for one in two}
    nights = {
        served.version: night(world, served) for world, served in zip(two, (champion, canary), strict=True)
    }
    said = {row["flower"]: row["prediction"] for row in found.rows}
    assert said == {row["flower"]: nights[row["version"]][row["flower"]] for row in found.rows}


def test_a_shadow_is_asked_with_the_columns_of_the_request(two: tuple[World, World]) -> None:
    champion, shadow = map(served_of, two)
    writer, _ = test_shadow.asked(two[0], champion, shadow, two[0].raw)
    theirs, ours = night(two[0], champion), night(two[1], shadow)
    assert {row["problem"] for row in writer.rows} == {None}
    for said, expected in (("said", theirs), ("shadow_said", ours)):
        found = {row["row.flower"]: json.loads(row[said])["prediction"] for row in writer.rows}
        assert found == expected
