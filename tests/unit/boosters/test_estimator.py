from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evergreen.boosters.columns import Columns
from evergreen.registry.model_file import dump_model, load_model
from tests.unit.boosters.made import (
    CLASSIFIERS,
    FOLD,
    PATHS,
    REGRESSORS,
    SAMPLED,
    answers,
    kind_of,
    model,
    price,
    rows,
)

NUMBERS = rows()[["size", "age"]]
WEIGHTS = np.random.default_rng(5).uniform(0.1, 3, 600)


def directly(path: str, target: Any, weights: Any) -> np.ndarray:
    """What the library's own scikit-learn interface answers with the same settings."""
    codes = np.unique(target, return_inverse=True)[1] if path in CLASSIFIERS else target
    if path.startswith("lightgbm"):
        import lightgbm as library

        own: dict[str, Any] = {"n_jobs": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}
    elif path.startswith("xgboost"):
        import xgboost as library

        own = {"n_jobs": 1}
    else:
        import catboost as library

        own = {"thread_count": 1, "allow_writing_files": False, "verbose": False}
    kind = getattr(library, path.rpartition(".")[2])
    fitted = kind(n_estimators=20, learning_rate=0.2, random_state=3, **own)
    fitted.fit(NUMBERS.to_numpy(), np.asarray(codes), sample_weight=weights)
    return answers(fitted, NUMBERS.to_numpy())


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("path", PATHS)
def test_it_answers_what_the_library_itself_does(path: str, weights: Any):
    target = kind_of(path)
    fitted = model(path, learning_rate=0.2).fit(NUMBERS, target, sample_weight=weights)
    np.testing.assert_array_equal(answers(fitted, NUMBERS), directly(path, target, weights))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("path", PATHS)
def test_it_is_an_estimator_of_scikit_learn(path: str, classes: int):
    features, target = rows(), kind_of(path, classes)
    fitted = model(path).fit(features, target)
    assert list(fitted.feature_names_in_) == list(features)
    assert fitted.n_features_in_ == 3
    assert fitted.score(features, target) > 0.9
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "model_")
    assert clone(fitted.set_params(n_estimators=7)).get_params()["n_estimators"] == 7
    with pytest.raises(ValueError, match="has no parameter n_jobs"):
        fitted.set_params(n_jobs=2)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(features[["age", "size", "town"]])
    if path in CLASSIFIERS:
        assert fitted.classes_.tolist() == sorted(set(target))
        probabilities = fitted.predict_proba(features)
        assert probabilities.shape == (600, classes)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_array_equal(
            fitted.predict(features), fitted.classes_[np.argmax(probabilities, axis=1)]
        )


@pytest.mark.parametrize("path", PATHS)
def test_it_predicts_the_same_after_storage_also_inside_other_estimators(path: str):
    features, target = rows(), kind_of(path)
    scaled = make_pipeline(StandardScaler().set_output(transform="pandas"), model(path))
    wrapped: Any = scaled
    if path in REGRESSORS:
        wrapped = TransformedTargetRegressor(scaled, func=np.sinh, inverse_func=np.arcsinh)
    for fitted, given in (
        (model(path).fit(features, target), features),
        (wrapped.fit(NUMBERS.fillna(0), target), NUMBERS.fillna(0)),
    ):
        kept = load_model(dump_model(fitted))
        np.testing.assert_array_equal(answers(kept, given), answers(fitted, given))


ELSEWHERE = """
import hashlib, json, sys
import pandas as pd
from evergreen.boosters.catalogue import booster_class
from evergreen.registry.model_file import load_model
from tests.unit.boosters.made import FOLD, SAMPLED, answers, kind_of, rows

for path in sys.argv[1].split():
    fitted = booster_class(path)(n_estimators=40, random_state=3, early_stopping_rounds=5, **SAMPLED[path])
    fitted.fit(rows(), kind_of(path), fold=FOLD)
    stored = open(f"{sys.argv[2]}/{path}", "rb").read()
    print(json.dumps([
        path,
        fitted.found_,
        hashlib.sha256(fitted.model_.tobytes()).hexdigest(),
        hashlib.sha256(answers(load_model(stored), rows()).tobytes()).hexdigest(),
    ]))
"""


def test_the_file_and_the_predictions_are_the_same_in_every_process(tmp_path):
    """This one, and a clean interpreter with other threads and hashes, which fits too and loads the file."""
    here = []
    for path in PATHS:
        fitted = model(path, n_estimators=40, early_stopping_rounds=5, **SAMPLED[path])
        fitted.fit(rows(), kind_of(path), fold=FOLD)
        (tmp_path / path).write_bytes(dump_model(fitted))
        digests = [
            hashlib.sha256(found).hexdigest()
            for found in (fitted.model_.tobytes(), answers(fitted, rows()).tobytes())
        ]
        here.append([path, fitted.found_, *digests])
    threads = "2" if os.environ.get("OMP_NUM_THREADS") == "1" else "1"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, " ".join(PATHS), tmp_path],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": "2"},
    )
    assert [json.loads(line) for line in answer.stdout.splitlines()] == here


@pytest.mark.parametrize("path", PATHS)
def test_texts_and_categories_are_learnt_whatever_is_missing_or_was_never_seen(path: str):
    features, target = rows(), kind_of(path)
    fitted = model(path).fit(features, target)
    as_category = features.assign(town=features["town"].astype("category"))
    np.testing.assert_array_equal(
        answers(model(path).fit(as_category, target), as_category), answers(fitted, features)
    )
    assert fitted.categories_ == (None, None, ("Bern", "Oslo", "Rome"))
    # The town matters, so it is not the number of its code that was learnt.
    moved = [answers(fitted, features.assign(town=town)) for town in ("Oslo", "Rome")]
    assert np.abs(moved[0] - moved[1]).max() > 0.2
    new = pd.DataFrame(
        {"size": [np.nan, 0.0, 1.0], "age": [1.0, np.nan, 2.0], "town": ["Lima", None, np.nan]}
    )
    found = answers(fitted, new)
    assert np.isfinite(found).all()
    # Rows are predicted one by one as they are together.
    one_by_one = np.concatenate([answers(fitted, new.iloc[[place]]) for place in range(3)])
    np.testing.assert_array_equal(found, one_by_one)


@pytest.mark.parametrize("path", REGRESSORS)
def test_that_a_value_is_missing_is_learnt(path: str):
    missing = np.arange(600) % 3 == 0
    features = rows()[["age"]].assign(seen=np.where(missing, np.nan, np.arange(600) % 7))
    target = 10.0 * missing
    fitted = model(path, learning_rate=0.5).fit(features, target)
    np.testing.assert_allclose(fitted.predict(features), target, atol=0.5)
    kept = load_model(dump_model(fitted))
    np.testing.assert_array_equal(kept.predict(features), fitted.predict(features))


def test_the_code_of_a_category_does_not_depend_on_the_order_of_rows():
    features = rows()
    shuffled = features.sample(frac=1, random_state=0)
    assert Columns.of(features) == Columns.of(shuffled)
    matrix = Columns.of(features).matrix(pd.DataFrame({"size": [1], "age": [2], "town": ["Nowhere"]}))
    assert matrix.tolist() == [[1.0, 2.0, -2.0]]


def test_numbers_are_the_same_at_once_and_column_by_column():
    numbers = pd.DataFrame(
        {
            "whole": [2**62 + 1, -3],
            "large": np.array([2**64 - 1, 0], dtype=np.uint64),
            "single": np.array([0.1, np.nan], dtype=np.float32),
            "yes": [True, False],
            "number": [-0.0, np.inf],
        }
    )
    one_by_one = Columns((*(None,) * 5, ("x",))).matrix(numbers.assign(text="x"))[:, :5]
    at_once = Columns((None,) * 5).matrix(numbers)
    assert at_once.tobytes() == one_by_one.tobytes()
    assert at_once.flags.c_contiguous
    assert at_once.flags.writeable


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pd.date_range("2024-01-01", periods=600), "'age' is of type datetime64"),
        (["old"] * 600, "'age' was a number in training and is str"),
    ],
)
def test_a_feature_of_another_kind_is_named(column: Any, message: str):
    columns = Columns.of(rows())
    other = rows().assign(age=column)
    with pytest.raises(ValueError, match=message):
        Columns.of(other).matrix(other) if "type" in message else columns.matrix(other)


@pytest.mark.parametrize("path", REGRESSORS)
def test_a_constraint_by_the_features_name_is_kept(path: str):
    features = rows().fillna({"size": 0.0, "age": 5.0})
    wavy = price(features) + 3 * np.sin(features["age"])
    grid = pd.DataFrame({"size": 0.0, "age": np.linspace(0, 10, 200), "town": "Bern"})
    free = np.diff(model(path).fit(features, wavy).predict(grid))
    assert free.min() < -1e-3
    assert free.max() > 1e-3
    for sign in (1, -1):
        held = model(path, monotone_constraints={"age": sign}).fit(features, wavy)
        assert (sign * np.diff(held.predict(grid)) >= 0).all()
    for wrong, message in (
        ({"height": 1}, "no feature height; there: size, age, town"),
        ({"town": 1}, "town is a category"),
        ({"age": 2}, "1 or -1"),
        ([1, 0, 0], "1 or -1"),
    ):
        with pytest.raises(ValueError, match=message):
            model(path, monotone_constraints=wrong).fit(features, wavy)
    with pytest.raises(ValueError, match="have no names"):
        model(path, monotone_constraints={"age": 1}).fit(features[["age"]].to_numpy(), wavy)


def best_round(path: str, features: pd.DataFrame, target: Any) -> int:
    """The number of rounds with the least squared error on the later rows, each number tried by itself."""
    known, later = FOLD
    errors = [
        np.square(
            model(path, n_estimators=rounds, learning_rate=0.3)
            .fit(features.iloc[known], target[known])
            .predict(features.iloc[later])
            - target[later]
        ).mean()
        for rounds in range(1, 41)
    ]
    return int(np.argmin(errors)) + 1


@pytest.mark.parametrize("path", REGRESSORS)
def test_the_rounds_found_on_the_fold_are_used_for_all_rows(path: str):
    features = rows()[["size", "age"]]
    target = (price(rows()) + np.random.default_rng(3).normal(0, 3, 600)).to_numpy()
    stopped = model(path, n_estimators=40, learning_rate=0.3, early_stopping_rounds=40)
    stopped.fit(features, target, fold=FOLD)
    rounds = stopped.found_[stopped.library.rounds]
    assert rounds == best_round(path, features, target) < 40
    alone = model(path, n_estimators=rounds, learning_rate=0.3).fit(features, target)
    np.testing.assert_array_equal(stopped.predict(features), alone.predict(features))
    again = model(path, learning_rate=0.3).fit(features, target, found=stopped.found_)
    np.testing.assert_array_equal(again.predict(features), alone.predict(features))


@pytest.mark.parametrize("path", CLASSIFIERS)
def test_without_rows_to_stop_on_a_model_stays_small(path: str):
    features, target = rows(200), kind_of(path)[:200]
    stopped = model(path, n_estimators=5_000, early_stopping_rounds=20)
    rounds = stopped.library.rounds
    assert stopped.fit(features, target).found_ == {rounds: 100}
    # The rows to fit lack a class, which a model of all rows must know.
    apart = (np.flatnonzero(target != "top"), np.flatnonzero(target == "top"))
    assert stopped.fit(features, target, fold=apart).found_ == {rounds: 100}
    assert stopped.classes_.tolist() == ["low", "mid", "top"]


def test_catboost_keeps_the_learning_rate_that_it_chose_for_all_rows():
    features, target = rows()[["size", "age"]], price(rows())
    found = (
        model("catboost.CatBoostRegressor", n_estimators=60, early_stopping_rounds=10)
        .fit(features, target, fold=FOLD)
        .found_
    )
    assert set(found) == {"iterations", "learning_rate"}


@pytest.mark.parametrize("path", CLASSIFIERS)
def test_a_single_class_is_refused(path: str):
    with pytest.raises(ValueError, match="of one class"):
        model(path).fit(NUMBERS, ["no"] * 600)


@pytest.mark.parametrize(
    ("path", "objective", "message"),
    [
        ("xgboost.XGBClassifier", "binary:logitraw", "no probabilities"),
        ("catboost.CatBoostRegressor", "MultiClass", "."),
    ],
)
def test_an_objective_of_another_task_is_refused(path: str, objective: str, message: str):
    with pytest.raises(Exception, match=message):
        answers(model(path, objective=objective).fit(NUMBERS, kind_of(path, 2)), NUMBERS)


QUANTILES = {
    "lightgbm.LGBMRegressor": {"objective": "quantile", "alpha": 0.9},
    "xgboost.XGBRegressor": {"objective": "reg:quantileerror", "quantile_alpha": 0.9},
    "catboost.CatBoostRegressor": {"objective": "Quantile:alpha=0.9"},
}
COUNTS = {
    "lightgbm.LGBMRegressor": {"objective": "poisson"},
    "xgboost.XGBRegressor": {"objective": "count:poisson"},
    "catboost.CatBoostRegressor": {"objective": "Poisson"},
}


@pytest.mark.parametrize("path", REGRESSORS)
def test_a_quantile_and_a_count_are_predicted_in_the_unit_of_the_target(path: str):
    target = np.random.default_rng(4).exponential(10, 600)
    common = {"n_estimators": 100, "learning_rate": 0.1}
    high = model(path, **common, **QUANTILES[path]).fit(NUMBERS, target)
    assert (target < high.predict(NUMBERS)).mean() == pytest.approx(0.9, abs=0.06)
    counts = np.random.default_rng(4).poisson(20, 600)
    count = load_model(dump_model(model(path, **common, **COUNTS[path]).fit(NUMBERS, counts)))
    assert count.predict(NUMBERS).mean() == pytest.approx(20, rel=0.05)
