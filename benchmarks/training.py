"""A tuned training, beside the same scikit-learn and Optuna calls written by hand."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import TimeSeriesSplit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from evergreen.candidates.fit import Challenger, fit_challenger
from evergreen.spec import Spec, parse_spec
from evergreen.training_set.assemble import TrainingSet, assemble

DAYS, ROWS_A_DAY, FEATURES = 200, 100, 12
TRIALS, FOLDS = 10, 3
LIMIT = 1.1
PIPELINE = f"""\
name: sales
description: Sales
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources: {{sales: {{file: {{path: sales.parquet, time_column: at}}}}}}
task: regression
target: sold
training:
  window: 365 days
  holdout: 20 days
  metric: mae
  candidates:
    - estimator: sklearn.ensemble.HistGradientBoostingRegressor
      params: {{max_iter: 40}}
      search: {{learning_rate: [0.02, 0.3, log], max_leaf_nodes: [8, 64, int], l2_regularization: [0, 1]}}
  tuning: {{trials: {TRIALS}, folds: {FOLDS}}}
"""


def measure() -> list[Figure]:
    """Seconds of tuning and fitting a challenger over those of the bare calls, which find the very same."""
    with tempfile.TemporaryDirectory() as folder:
        spec = _spec(Path(folder))
        as_of = spec.calendar.shift(spec.first_partition, DAYS)
        found = assemble(spec, _rows(), as_of, None, {})
        bare: list[float] = []
        ours: list[float] = []
        for number in range(ROUNDS + 1):
            by_hand, best, predicted = _bare(found)
            whole, challenger = _ours(spec, found)
            assert challenger.candidate["params"] == {"max_iter": 40, **best}
            assert np.array_equal(challenger.final.predict(found.features), predicted)
            if number:  # the first one imports
                bare.append(by_hand)
                ours.append(whole)
    rows = len(found.rows)
    name = f"train on {rows:,} rows x {FEATURES}, {TRIALS} trials / scikit-learn and Optuna by hand"
    return [Figure(name, ratio_of_medians(ours, bare), "x", LIMIT)]


def _ours(spec: Spec, found: TrainingSet) -> tuple[float, Challenger]:
    began = time.perf_counter()
    challenger = fit_challenger(spec, found)
    return time.perf_counter() - began, challenger


def _bare(found: TrainingSet) -> tuple[float, dict[str, float], np.ndarray]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    assert found.target is not None
    began = time.perf_counter()
    known = ~found.holdout
    x, y = found.features[known], found.target[known]
    codes, keys = pd.factorize(found.rows["partition"][known], sort=True)
    folds = [
        (np.flatnonzero(np.isin(codes, early)), np.flatnonzero(np.isin(codes, late)))
        for early, late in TimeSeriesSplit(FOLDS).split(keys)
    ]

    def objective(trial: optuna.Trial) -> float:
        params = {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.3, log=True),
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 8, 64),
            "l2_regularization": trial.suggest_float("l2_regularization", 0, 1),
        }
        errors = []
        for early, late in folds:
            model = _model(params).fit(x.iloc[early], y.iloc[early])
            errors.append(mean_absolute_error(y.iloc[late], model.predict(x.iloc[late])))
        return float(np.mean(errors))

    with threadpool_limits(limits=1):
        study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(objective, n_trials=TRIALS)
        _model(study.best_params).fit(x, y)
        final = _model(study.best_params).fit(found.features, found.target)
    spent = time.perf_counter() - began
    return spent, study.best_params, final.predict(found.features)


def _model(params: dict[str, float]) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(max_iter=40, random_state=0, **params)


def _spec(folder: Path) -> Spec:
    pipeline = folder / "sales"
    pipeline.mkdir()
    (pipeline / "pipeline.yaml").write_text(PIPELINE)
    return parse_spec(pipeline / "pipeline.yaml")


def _rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    count = DAYS * ROWS_A_DAY
    at = pd.date_range("2024-01-01", periods=count, freq=pd.Timedelta(days=1) / ROWS_A_DAY, tz="UTC")
    values = random.normal(size=(count, FEATURES))
    weather = np.sin(values[:, 0] * 3) * values[:, 1] + values[:, 2:5].sum(axis=1)
    frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(FEATURES)])
    return frame.assign(
        at=at.as_unit("us"),
        sold=100 + 20 * weather + random.normal(0, 5, count),
        partition=at.strftime("%Y-%m-%d"),
    )
