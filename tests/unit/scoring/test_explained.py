"""What `explain` publishes, from the description to the lake, and its check by the golden sample."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.svm import SVR

from evergreen.boosters.catalogue import REMEDY, booster_class
from evergreen.contributions.explainable import keep_means
from evergreen.errors import IntegrityError, NotInstalledError, SpecError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.checked_model import load_checked_model
from evergreen.scoring.golden import golden_sample
from evergreen.scoring.predict import partition_features
from evergreen.scoring.score import score
from evergreen.spec import parse_spec
from tests.unit.scoring.conftest import sales

DAY = "2024-01-20"
VERSION = "2024-01-12-0123456789ab"


def explained(kiosk: Pipeline, most: int = 1) -> Pipeline:
    return replace(kiosk, spec=kiosk.spec.model_copy(update={"explain": most}))


def fitted(pipeline: Pipeline, model: Any) -> Any:
    rows = sales()
    days = [f"2024-01-{day:02d}" for day in range(5, 12)]
    features = pd.concat([partition_features(pipeline.spec, rows, day) for day in days])
    model.fit(features, rows.loc[features.index, "sold"])
    keep_means(model, features)
    return model


def committed(pipeline: Pipeline, model: Any, **golden: Any) -> None:
    rows = sales()
    sample = golden_sample(pipeline.spec, golden.get("of", model), rows[rows["partition"] < "2024-01-12"])
    pipeline.registry.commit(VERSION, {"model.skops": dump_model(model), "golden.parquet": sample})
    pipeline.registry.promote(VERSION, "2024-01-12", {})


@pytest.mark.parametrize(
    "model",
    [LinearRegression(), HistGradientBoostingRegressor(max_iter=10, min_samples_leaf=3, random_state=0)],
)
def test_contributions_are_published_with_their_base(kiosk: Pipeline, model: Any) -> None:
    pipeline = explained(kiosk, most=50)
    committed(pipeline, fitted(pipeline, model))
    assert score(pipeline, DAY).changed
    assert not score(pipeline, DAY).changed  # deterministic
    rows = pipeline.lake.read(Table.PREDICTIONS).to_pylist()
    assert rows
    names = {one["feature"] for one in rows[0]["contributions"]}
    features = partition_features(pipeline.spec, sales(), DAY)
    assert names == set(features.columns)
    for row in rows:
        sizes = [abs(one["value"]) for one in row["contributions"]]
        assert sizes == sorted(sizes, reverse=True)
        whole = row["base"] + sum(one["value"] for one in row["contributions"])
        assert abs(whole - row["prediction"]) < 1e-6


def test_the_golden_check_covers_them(kiosk: Pipeline) -> None:
    pipeline = explained(kiosk)
    model, other = (fitted(pipeline, LinearRegression()) for _ in range(2))
    other.means_ = np.asarray(other.means_) + 1
    committed(pipeline, model, of=other)
    with pytest.raises(IntegrityError, match=r"values of '(contributions|base)' are predicted differently"):
        load_checked_model(pipeline, VERSION)


@pytest.mark.parametrize("now", [None, 1, 2, 50])
def test_how_many_are_published_may_change_under_a_champion(kiosk: Pipeline, now: int | None) -> None:
    before = explained(kiosk, most=2)
    committed(before, fitted(before, LinearRegression()))
    after = kiosk if now is None else explained(kiosk, most=now)
    score(after, DAY)
    rows = after.lake.read(Table.PREDICTIONS).to_pylist()
    if now is None:
        assert "contributions" not in rows[0]
    else:
        count = partition_features(kiosk.spec, sales(), DAY).shape[1]
        assert {len(row["contributions"]) for row in rows} == {min(now, count)}


def test_a_champion_that_cannot_be_explained_scores_without(
    kiosk: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    # It was trained before the description asked for contributions.
    committed(kiosk, fitted(kiosk, SVR()))
    score(explained(kiosk), DAY)
    assert "contributions" not in pipeline_columns(kiosk)
    assert "no contributions are published until a new version is trained" in caplog.text


@pytest.mark.parametrize("path", ["sklearn", "lightgbm.LGBMRegressor"])
def test_without_the_library_that_explains_a_night_stops_and_says_how_to_install_it(
    kiosk: Pipeline, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    pipeline = explained(kiosk)
    kind = booster_class(path)
    model = HistGradientBoostingRegressor(max_iter=5) if kind is None else kind(n_estimators=5)
    committed(pipeline, fitted(pipeline, model))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "lightgbm", None)
        for ask in (score, partial(load_checked_model, version=VERSION)):
            with pytest.raises(NotInstalledError) as caught:
                ask(pipeline, DAY) if ask is score else ask(pipeline)
            said = str(caught.value)
            what = "explain: contributions are computed by LightGBM" if kind is None else f"version {VERSION}"
            assert said == f"kiosk: {what}: lightgbm is not installed: {REMEDY}"
        assert pipeline.lake.find(Table.PREDICTIONS) is None
        # The model itself needs no LightGBM: without 'explain' it is scored.
        if kind is None:
            assert score(kiosk, DAY).changed
    assert score(pipeline, DAY).changed
    assert pipeline.lake.read(Table.PREDICTIONS).column("contributions").null_count == 0


def pipeline_columns(pipeline: Pipeline) -> list[str]:
    return list(pipeline.lake.read(Table.PREDICTIONS).column_names)


@pytest.mark.parametrize(
    ("said", "words"), [("explain: 0", "explain"), ("explain: 500", "explain"), ("explain: yes", "explain")]
)
def test_how_many_are_published_is_a_number(kiosk: Pipeline, said: str, words: str) -> None:
    file = kiosk.spec.folder / "pipeline.yaml"
    file.write_text(f"{file.read_text()}\n{said}\n")
    with pytest.raises(SpecError, match=words):
        parse_spec(file)
