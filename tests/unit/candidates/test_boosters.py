"""Boosting libraries as candidates of a description."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen.boosters.catalogue import BOOSTERS, REMEDY
from evergreen.candidates.estimators import build_estimator, check_candidates, estimator_of
from evergreen.candidates.fit import fit_challenger
from evergreen.errors import NotInstalledError, SpecError
from evergreen.evaluation.evaluate import evaluate
from evergreen.evaluation.resources import measure_resources
from evergreen.spec import Spec
from evergreen.spec.gate import Resources
from evergreen.training_set.assemble import assemble
from evergreen.training_set.digest import code_digest
from evergreen.training_set.folds import folds_of, last_fold

AS_OF = "2024-02-10"
RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"
TREES = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"
REGRESSORS = [booster.paths[0] for booster in BOOSTERS.values()]
CLASSIFIERS = [booster.paths[1] for booster in BOOSTERS.values()]


def alone(make_spec: Any, path: str, rest: str = "params: {n_estimators: 400, learning_rate: 0.1}") -> Spec:
    pytest.importorskip(path.partition(".")[0], reason=f"not installed: {REMEDY}")
    return make_spec(changes={RIDGE: f"{{estimator: {path}, {rest}}}", TREES: ""})


@pytest.mark.parametrize("path", [*REGRESSORS, *CLASSIFIERS])
def test_a_library_that_is_not_installed_is_named_with_the_remedy(make_spec, path, monkeypatch):
    monkeypatch.setitem(sys.modules, path.partition(".")[0], None)
    spec = make_spec(changes={RIDGE: f"{{estimator: {path}}}"})
    with pytest.raises(SpecError) as caught:
        check_candidates(spec)
    said = str(caught.value)
    assert f"candidates.0.estimator: '{path}' cannot be used" in said
    assert said.endswith("is not installed: pip install --no-deps -r requirements-boosting.txt")
    # A description that names none of it does not need it.
    check_candidates(make_spec())


def test_a_candidate_with_a_search_is_not_left_out_for_a_missing_library(make_spec, daily_rows, monkeypatch):
    searched = "{estimator: xgboost.XGBRegressor, search: {max_depth: [2, 3]}}"
    spec = make_spec(changes={TREES: f"    - {searched}\n"})
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(NotInstalledError, match="xgboost-cpu is not installed"):
        fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))


@pytest.mark.parametrize(
    ("candidate", "message"),
    [
        ("{estimator: %s, params: {n_jobs: 4}}", "has no parameter n_jobs; allowed: .*learning_rate"),
        ("{estimator: %s, params: {train_dir: /tmp}}", "has no parameter train_dir"),
        ("{estimator: %s, search: {leafs: [1, 2]}}", "has no parameter leafs"),
    ],
)
@pytest.mark.parametrize("path", REGRESSORS)
def test_a_parameter_that_was_not_reviewed_is_refused(make_spec, path, candidate, message):
    pytest.importorskip(path.partition(".")[0], reason=f"not installed: {REMEDY}")
    with pytest.raises(SpecError, match=message):
        check_candidates(make_spec(changes={RIDGE: candidate % path}))


def test_a_classifier_is_none_for_a_regression(make_spec):
    for path in CLASSIFIERS:
        with pytest.raises(SpecError, match="does not support regression"):
            check_candidates(alone(make_spec, path))
    with pytest.raises(SpecError, match=r"'lightgbm\.LGBMRanker' is not allowed"):
        check_candidates(make_spec(changes={RIDGE: "{estimator: lightgbm.LGBMRanker}"}))


@pytest.mark.parametrize("path", REGRESSORS)
def test_early_stopping_never_sees_the_holdout_and_the_final_model_takes_its_rounds(
    make_spec, daily_rows, path
):
    spec = alone(make_spec, path, "params: {n_estimators: 400, early_stopping_rounds: 20}")
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    challenger = fit_challenger(spec, found)
    rounds = challenger.candidate["early_stopping"]
    assert rounds == challenger.evaluated.found_ == challenger.final.found_
    # Another target in the hold-out changes the final model, and neither the evaluated one nor the rounds.
    other = found.target.where(~found.holdout, -5 * found.target)
    moved = fit_challenger(spec, replace(found, target=other))
    assert moved.candidate["early_stopping"] == rounds
    held = found.features[found.holdout]
    np.testing.assert_array_equal(moved.evaluated.predict(held), challenger.evaluated.predict(held))
    assert not np.array_equal(moved.final.predict(held), challenger.final.predict(held))
    # Its own fold are the newest of the rows that are not held out.
    keys = found.rows["partition"][~found.holdout]
    known, later = last_fold(spec, keys, None)
    assert keys.iloc[known].max() < keys.iloc[later].min()
    assert keys.iloc[later].max() == keys.max()
    direct = build_estimator(spec, 0, spec.training.candidates[0].params)
    direct.fit(found.features[~found.holdout], found.target[~found.holdout], fold=(known, later))
    assert direct.found_ == rounds


@pytest.mark.parametrize("path", REGRESSORS)
def test_early_stopping_is_off_if_it_is_said(make_spec, daily_rows, path):
    spec = alone(make_spec, path, "params: {n_estimators: 30, early_stopping_rounds: 0}")
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    challenger = fit_challenger(spec, found)
    assert "early_stopping" not in challenger.candidate
    assert challenger.final.found_ == {}


@pytest.mark.parametrize("path", REGRESSORS)
def test_steps_target_and_folds_work_as_with_any_estimator(make_spec, daily_rows, path):
    rest = (
        "params: {n_estimators: 60}, search: {learning_rate: {choices: [0.05, 0.2]}}, "
        "preprocess: [sklearn.preprocessing.StandardScaler], target_transform: log1p, "
        "recency: half-life 20 days"
    )
    spec = alone(make_spec, path, rest)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    challenger = fit_challenger(spec, found)
    assert [len(trial["folds"]) for trial in challenger.trials] == [3, 3]
    inner = estimator_of(challenger.final)
    assert inner.found_ == challenger.candidate["early_stopping"]
    assert np.abs(challenger.final.predict(found.features) - found.target).mean() < 5


def test_inside_another_estimator_there_is_no_early_stopping(make_spec, daily_rows):
    inner = ", ".join(f"{{estimator: {path}, params: {{n_estimators: 12}}}}" for path in REGRESSORS)
    spec = alone(make_spec, "sklearn.ensemble.VotingRegressor", f"params: {{estimators: [{inner}]}}")
    for path in REGRESSORS:
        pytest.importorskip(path.partition(".")[0], reason=f"not installed: {REMEDY}")
    model = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {})).final
    assert [fitted.found_ for fitted in model.estimators_] == [{}, {}, {}]


def test_the_last_fold_is_the_newest_partition_where_there_are_too_few(make_spec):
    spec = make_spec()
    keys = pd.Series(["2024-01-01"] * 2 + ["2024-01-02"] * 3)
    known, later = last_fold(spec, keys, None)
    assert (known.tolist(), later.tolist()) == ([0, 1], [2, 3, 4])
    assert last_fold(spec, keys[:2], None) is None
    many = pd.Series(pd.date_range("2024-01-01", periods=20).strftime("%Y-%m-%d"))
    for own, folds in zip(last_fold(spec, many, None), folds_of(spec, many, None)[-1], strict=True):
        np.testing.assert_array_equal(own, folds)


@pytest.mark.parametrize("path", REGRESSORS)
def test_the_version_of_a_library_is_part_of_the_digest_only_if_it_is_named(make_spec, path, monkeypatch):
    from evergreen.boosters import catalogue

    plain = make_spec()
    before = code_digest(plain)
    spec = alone(make_spec, path)
    own = code_digest(spec)
    monkeypatch.setattr(catalogue, "_version", lambda package: "0.0.1")
    assert code_digest(plain) == before
    assert code_digest(spec) != own


@pytest.mark.parametrize("path", REGRESSORS)
def test_size_and_memory_are_measured(make_spec, daily_rows, path):
    spec = alone(make_spec, path)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    model = fit_challenger(spec, found).final
    limits = Resources.model_validate({"size": "10 MB", "memory": "200 MB", "latency": {"row": 1000}})
    use = measure_resources(limits, model, found.features)
    assert use is not None
    assert use.size > len(model.model_)
    assert np.isfinite(use.memory)
    assert use.row > 0


@pytest.mark.parametrize("named", ["metric: pinball_90", "metric: mae"])
def test_a_metric_on_request_is_measured_only_if_it_is_named(make_spec, daily_rows, named):
    spec = make_spec(changes={"metric: mae": named})
    found = assemble(spec, daily_rows, "2024-02-10", 1, {})
    evaluation = evaluate(spec, found, fit_challenger(spec, found), None)
    asked = {spec.training.metric} - {"mae"}
    for measured in (evaluation.challenger, evaluation.baseline, evaluation.intervals):
        assert {name for name in measured if name.startswith("pinball")} == asked
