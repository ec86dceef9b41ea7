"""Small pipelines of each kind, as `pipeline.yaml` texts, and rows for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evergreen.spec import Spec, parse_spec

DAILY = """
name: sales
description: Sales
owner: team
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  sales: {file: {path: sales.csv, time_column: at}}
features: {function: "features.py:build", look_back: 3 days}
task: regression
target: sold
training:
  window: 60 days
  minimum: 10 partitions
  holdout: 7 days
  metric: mae
  candidates:
    - {estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}
    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}
  tuning: {trials: 4, folds: 3}
"""

FEATURES = '''
from datetime import timedelta

def build(rows):
    """Price, and the mean units sold on the day before."""
    day = rows["at"].dt.normalize()
    sold = rows["sold"].astype(float).groupby(day).mean()
    sold.index = sold.index + timedelta(days=1)
    return rows[["price"]].assign(before=day.map(sold).fillna(-1.0))
'''

SNAPSHOT = """
name: sales
description: Customers
owner: team
schedule: "@weekly"
partition: snapshot
sources:
  people: {file: {path: people.csv}}
key: [person]
task: classification
target: loyal
training:
  holdout: 20%
  metric: accuracy
  candidates:
    - {estimator: sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}}
  tuning: {trials: 5, folds: 3}
"""

CLUSTERS = (
    SNAPSHOT.replace("task: classification\ntarget: loyal", "task: clustering")
    .replace("metric: accuracy", "metric: silhouette")
    .replace(
        "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}",
        "sklearn.cluster.KMeans, params: {n_init: 3}, search: {n_clusters: [2, 6, int]}",
    )
)


@pytest.fixture
def snapshot() -> str:
    """The description of a classification without time."""
    return SNAPSHOT


@pytest.fixture
def clusters() -> str:
    """The description of a clustering."""
    return CLUSTERS


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., Spec]:
    """Writes a pipeline's folder and reads its description; `changes` replace parts of the text."""

    def make(text: str = DAILY, changes: dict[str, str] | None = None, features: str = FEATURES) -> Spec:
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        folder = tmp_path / "sales"
        folder.mkdir(exist_ok=True)
        (folder / "pipeline.yaml").write_text(text)
        (folder / "features.py").write_text(features)
        return parse_spec(folder / "pipeline.yaml")

    return make


@pytest.fixture
def daily_rows() -> pd.DataFrame:
    """Forty days from 2024-01-01 with six rows each; `sold` falls with the price."""
    random = np.random.default_rng(3)
    at = pd.date_range("2024-01-01", periods=40 * 6, freq="4h", tz="UTC").as_unit("us")
    price = random.uniform(1, 5, len(at))
    return pd.DataFrame(
        {
            "at": at,
            "price": price,
            "sold": np.round(60 - 9 * price + random.normal(0, 2, len(at))).astype(int),
            "partition": at.strftime("%Y-%m-%d"),
        }
    )


@pytest.fixture
def people() -> pd.DataFrame:
    """A snapshot of 120 people, a third of whom are loyal; the loyal spend more."""
    random = np.random.default_rng(5)
    loyal = np.arange(120) % 3 == 0
    return pd.DataFrame(
        {
            "person": np.arange(120),
            "spent": random.normal(20, 4, 120) + 15 * loyal,
            "visits": random.poisson(3, 120).astype(float),
            "loyal": np.where(loyal, "yes", "no"),
            "partition": "snapshot",
        }
    )


@pytest.fixture
def blobs() -> pd.DataFrame:
    """A snapshot of 90 rows in three well-parted groups of 30."""
    random = np.random.default_rng(1)
    centres = np.repeat(np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), 30, axis=0)
    points = centres + random.normal(0, 0.5, centres.shape)
    return pd.DataFrame(
        {"person": np.arange(90), "x": points[:, 0], "y": points[:, 1], "partition": "snapshot"}
    )
