"""Exports by the real converters: `make test-export`. What they get silently wrong must be refused.

They run in an environment of their own, which the other tests do without: it takes a minute to build.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline as Steps
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.boosters.lightgbm import LGBMClassifier
from evergreen.boosters.xgboost import XGBRegressor
from evergreen.candidates.pretrained import OnnxModel
from evergreen.errors import RefusedError
from evergreen.export.conversion import converters
from evergreen.export.export import export
from evergreen.export.exportable import Format
from evergreen.metrics.predictions import Predictions
from evergreen.pipeline import Pipeline
from evergreen.registry.model_file import dump_model
from evergreen.scoring.golden import golden_sample
from evergreen.spec import parse_spec
from evergreen.storage import Storage

ENVIRONMENT = Path(__file__).parents[2] / ".venv-export"
pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / ".complete").exists(), reason="no .venv-export: make test-export builds it"
)

VERSION = "2024-01-31-0123456789ab"
PIPELINE = """
name: stalls
description: Stalls at a market
owner: team
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources: {stalls: {file: {path: stalls.csv, time_column: at}}}
key: [at]
features: {function: "features.py:build"}
task: %s
%s
training: {window: 30 days, holdout: 7 days, metric: %s, candidates: [{estimator: %s}]}
"""
TASKS = {
    "regression": ("target: sold", "mae", "sklearn.linear_model.Ridge"),
    "classification": ("target: grade", "log_loss", "sklearn.linear_model.LogisticRegression"),
    "clustering": ("", "silhouette", "sklearn.cluster.KMeans"),
}
NUMBERS = ["warm", "since", "rain"]
SMALL = ["warm", "rain"]
Exporter = Callable[..., Any]


def stalls() -> pd.DataFrame:
    draw = np.random.default_rng(3)
    at = pd.date_range("2024-01-01", periods=30 * 24, freq="h", tz="UTC").as_unit("us")
    warm = 15 + 8 * draw.normal(size=len(at))
    sold = np.exp(0.08 * warm) + draw.gamma(2, size=len(at)) + 40 * (np.arange(len(at)) % 2)
    return pd.DataFrame(
        {
            "at": at,
            "warm": warm,
            # Seconds: single precision knows only every 128th of them.
            "since": 1.7e9 + 30.0 * np.arange(len(at)),
            "rain": np.where(draw.random(len(at)) < 0.2, np.nan, draw.gamma(1, size=len(at))),
            "town": draw.choice(["Bonn", "Köln", "Ulm"], len(at)),
            "sold": sold,
            "grade": np.where(sold > 20, "good", "poor"),
            "partition": at.strftime("%Y-%m-%d"),
        }
    )


@pytest.fixture
def exported(storage: Storage, tmp_path: Path) -> Exporter:
    """Fits a model, commits it with its golden sample, exports it, and gives the pipeline and the folder."""

    def make(model: Any, to: Format, columns: list[str], task: str = "regression") -> Any:
        folder = tmp_path / "stalls"
        folder.mkdir()
        (folder / "pipeline.yaml").write_text(PIPELINE % (task, *TASKS[task]))
        (folder / "features.py").write_text(f"def build(rows):\n    return rows[{columns}]\n")
        pipeline = Pipeline(parse_spec(folder / "pipeline.yaml"), storage)
        rows = stalls()
        target = {"regression": "sold", "classification": "grade"}.get(task)
        model.fit(rows[columns], rows[target]) if target else model.fit(rows[columns])
        sample = golden_sample(pipeline.spec, model, rows)
        pipeline.registry.commit(VERSION, {"model.skops": dump_model(model), "golden.parquet": sample})
        out = tmp_path / "out"
        return model, rows[columns], export(pipeline, VERSION, to, out), out

    return make


def with_towns(last: Any) -> Steps:
    towns = OneHotEncoder(sparse_output=False, handle_unknown="infrequent_if_exist")
    steps = ColumnTransformer(
        [("towns", towns, ["town"])], remainder=SimpleImputer(), verbose_feature_names_out=False
    )
    return Steps([("encoded", steps.set_output(transform="pandas")), ("last", last)])


def filled(last: Any) -> Steps:
    return Steps([("filled", SimpleImputer()), ("scaled", StandardScaler()), ("last", last)])


@pytest.mark.parametrize(
    ("model", "columns", "task"),
    [
        (HistGradientBoostingRegressor(max_iter=30, loss="poisson"), NUMBERS, "regression"),
        (
            TransformedTargetRegressor(filled(Ridge()), func=np.log1p, inverse_func=np.expm1),
            SMALL,
            "regression",
        ),
        (with_towns(Ridge()), [*SMALL, "town"], "regression"),
        (filled(LogisticRegression()), SMALL, "classification"),
        (RandomForestClassifier(20), NUMBERS, "classification"),
        (filled(KMeans(3, n_init=1)), SMALL, "clustering"),
    ],
)
def test_a_graph_gives_the_predictions_of_all_rows(
    exported: Exporter, model: Any, columns: list[str], task: str
) -> None:
    model, features, _, out = exported(model, "onnx", columns, task)
    graph = OnnxModel.read((out / "stalls" / "1" / "model.onnx").read_bytes())
    found, said = Predictions.of(graph, features), Predictions.of(model, features)
    if said.labels.dtype.kind == "f":
        np.testing.assert_allclose(found.labels, said.labels, rtol=1e-5)
    else:
        assert (found.labels == said.labels).all()
    if said.probabilities is not None:
        np.testing.assert_allclose(found.probabilities, said.probabilities, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        # The converter drops the link of `poisson`.
        (filled(HistGradientBoostingRegressor(max_iter=30, loss="poisson")), NUMBERS),
        # It fills what is missing in single precision.
        (filled(LogisticRegression()), NUMBERS),
        # It compares in single precision what a step before hands on.
        (with_towns(HistGradientBoostingRegressor(max_iter=30, min_samples_leaf=1)), [*NUMBERS, "town"]),
    ],
)
def test_a_graph_that_is_silently_wrong_is_refused(
    exported: Exporter, tmp_path: Path, model: Any, columns: list[str]
) -> None:
    task = "classification" if is_classifier(model) else "regression"
    with pytest.raises(
        RefusedError, match=r"is not exported to onnx: it predicts \d+ of \d+ golden rows"
    ) as it:
        exported(model, "onnx", columns, task)
    assert "nothing was written" in str(it.value)
    assert {file.name for file in tmp_path.iterdir()} == {"stalls"}


@pytest.mark.parametrize(
    ("model", "task"),
    [
        (HistGradientBoostingRegressor(max_iter=30, loss="poisson"), "regression"),
        (HistGradientBoostingClassifier(max_iter=30), "classification"),
        (LGBMClassifier(n_estimators=20, early_stopping_rounds=0), "classification"),
        (XGBRegressor(n_estimators=20, early_stopping_rounds=0), "regression"),
    ],
)
def test_treelite_gives_the_golden_predictions(exported: Exporter, model: Any, task: str) -> None:
    _, _, made, out = exported(model, "treelite", NUMBERS, task)
    assert made.rows == 24
    assert sorted(file.name for file in out.iterdir()) == ["checkpoint.tl", "evergreen.json"]


def test_treelite_that_is_silently_wrong_is_refused(exported: Exporter) -> None:
    """It takes the link of the exponential loss for the logistic one."""
    model = GradientBoostingClassifier(n_estimators=20, loss="exponential")
    with pytest.raises(RefusedError, match=r"is not exported to treelite: it predicts 24 of 24 golden rows"):
        exported(model, "treelite", ["warm", "since"], "classification")


def test_mlflow_reads_the_folder_which_holds_no_pickle(exported: Exporter) -> None:
    _, _, made, out = exported(with_towns(Ridge()), "mlflow", [*NUMBERS, "town"])
    assert made.largest_difference == 0
    text = (out / "MLmodel").read_text()
    assert "serialization_format: skops" in text
    assert f"version: {VERSION}" in text
    assert '"name": "town"' in text
    assert "scikit-learn==" in (out / "requirements.txt").read_text()
    names = {file.name for file in out.iterdir()}
    assert {"model.skops", "input_example.json", "evergreen.json"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert json.loads((out / "input_example.json").read_text())["columns"] == [*NUMBERS, "town"]


def test_the_environment_is_where_it_is_looked_for() -> None:
    assert converters() == ENVIRONMENT / "bin" / "python"
