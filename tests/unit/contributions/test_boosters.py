"""Contributions by the boosting libraries add up to what the library itself says, whatever was learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen.boosters.columns import Columns
from evergreen.contributions.contributions import contributions_of, margins
from evergreen.contributions.unit import Unit, unit_of
from tests.unit.boosters.made import CLASSIFIERS, FOLD, REGRESSORS, kind_of, model, rows

SEEN = rows()
NEW = pd.concat([rows(40, seed=2), pd.DataFrame({"size": [np.nan], "age": [1.0], "town": ["Lima"]})])
NEW = NEW.reset_index(drop=True)
COUNTS = {
    "lightgbm.LGBMRegressor": [{"objective": name} for name in ("poisson", "gamma", "tweedie")],
    "xgboost.XGBRegressor": [
        {"objective": "count:poisson"},
        {"objective": "reg:gamma"},
        {"objective": "reg:tweedie", "tweedie_variance_power": 1.3},
    ],
    "catboost.CatBoostRegressor": [
        {"objective": "Poisson"},
        {"objective": "Tweedie:variance_power=1.5"},
    ],
}


def raw(fitted: Any, features: pd.DataFrame) -> np.ndarray:
    """The margin (n, outputs) as the library gives it."""
    columns = Columns(fitted.categories_)
    matrix, library = columns.matrix(features), fitted.library.own
    if library == "lightgbm":
        from evergreen.boosters.lightgbm import _plain

        found = fitted._model.predict(_plain(matrix, columns.of_categories), raw_score=True)
    elif library == "xgboost":
        from evergreen.boosters.xgboost import _matrix

        found = fitted._model.predict(_matrix(matrix, columns.of_categories), output_margin=True)
    else:
        from evergreen.boosters.catboost import _frame

        frame = _frame(matrix, columns.of_categories)
        found = fitted._model.predict(frame, prediction_type="RawFormulaVal")
    return np.asarray(found, dtype=np.float64).reshape(len(features), -1)


def check_whole(fitted: Any) -> np.ndarray:
    """The margins of new rows, which base and contributions must add up to; the base is nearly constant."""
    expected = raw(fitted, NEW)
    np.testing.assert_allclose(margins(fitted, NEW), expected, rtol=0, atol=1e-6)
    labels = fitted.predict(NEW)
    found = contributions_of(fitted, NEW, labels)
    places = [0] * len(NEW)
    if expected.shape[1] > 1:
        places = np.searchsorted(fitted.classes_, labels).tolist()
    chosen = expected[np.arange(len(NEW)), places]
    np.testing.assert_allclose(found.base + found.values.sum(axis=1), chosen, rtol=0, atol=1e-6)
    size = np.abs(expected).max()
    for place in set(places):
        base = found.base[np.asarray(places) == place]
        np.testing.assert_allclose(base, base[0], rtol=0, atol=2e-6 * max(size, 1))
    return expected


@pytest.mark.parametrize("path", REGRESSORS)
def test_a_regression_is_in_the_unit_of_the_target(path: str) -> None:
    fitted = model(path).fit(SEEN, kind_of(path))
    np.testing.assert_allclose(check_whole(fitted)[:, 0], fitted.predict(NEW), rtol=0, atol=1e-6)
    assert unit_of(fitted, NEW) is Unit.TARGET


@pytest.mark.parametrize(
    ("path", "loss"), [(path, loss) for path, losses in COUNTS.items() for loss in losses]
)
def test_a_loss_of_counts_is_in_logarithms(path: str, loss: dict[str, Any]) -> None:
    target = np.exp(kind_of(path) / 4)
    fitted = model(path, **loss).fit(SEEN, target.round() if "oisson" in str(loss) else target)
    # XGBoost takes the exponential in single precision.
    np.testing.assert_allclose(np.exp(check_whole(fitted)[:, 0]), fitted.predict(NEW), rtol=1e-6)
    assert unit_of(fitted, NEW) is Unit.LOGARITHM


@pytest.mark.parametrize("path", CLASSIFIERS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("written", ["texts", "numbers"])
def test_classes_are_in_log_odds_or_scores(path: str, classes: int, written: str) -> None:
    target = kind_of(path, classes)
    if written == "numbers":
        target = target.map({name: 7 - 2 * at for at, name in enumerate(sorted(set(target)))})
    fitted = model(path).fit(SEEN, target)
    found = check_whole(fitted)
    if classes == 2:
        found = np.column_stack([np.zeros(len(NEW)), found])
    shares = np.exp(found - found.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, fitted.predict_proba(NEW), rtol=0, atol=1e-6)
    assert unit_of(fitted, NEW) is (Unit.LOG_ODDS if classes == 2 else Unit.SCORE)
    if classes == 2:
        second, first = (contributions_of(fitted, NEW, [], place) for place in (1, 0))
        np.testing.assert_array_equal(first.values, -second.values)


@pytest.mark.parametrize("path", REGRESSORS)
def test_constraints_and_early_stopping_change_nothing_of_it(path: str) -> None:
    held = model(path, monotone_constraints={"size": 1}).fit(SEEN, kind_of(path))
    check_whole(held)
    stopped = model(path, n_estimators=200, early_stopping_rounds=5, learning_rate=0.5)
    stopped.fit(SEEN, kind_of(path), fold=FOLD)
    assert stopped.found_[stopped.library.rounds] < 200
    check_whole(stopped)
    # Of a prediction that may only grow with a feature, the least of its values contribute least.
    values = contributions_of(held, SEEN, []).values[:, 0]
    order = SEEN["size"].rank(pct=True)
    assert values[order < 0.1].max() < values[order > 0.9].min()
