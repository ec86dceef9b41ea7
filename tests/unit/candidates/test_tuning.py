from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from evergreen.candidates import tuning
from evergreen.candidates.fit import fit_challenger
from evergreen.errors import SpecError
from evergreen.training_set.assemble import assemble
from evergreen.training_set.folds import folds_of
from evergreen.training_set.sample import balanced

AS_OF = "2024-02-10"
RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"
TREES = "{estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}"
LOGISTIC = "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}"
ALPHAS = {RIDGE: "{estimator: sklearn.linear_model.Ridge, search: {alpha: [0.001, 1000, log]}}"}


def untimed(trials: list[dict]) -> list[dict]:
    return [{name: value for name, value in trial.items() if name != "seconds"} for trial in trials]


def test_the_search_never_sees_the_holdout(make_spec, daily_rows):
    spec = make_spec(changes=ALPHAS)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    found = replace(found, weights=np.ones(len(found.rows)))
    held = found.holdout
    rows, features, target, weights = (
        found.rows.copy(), found.features.copy(), found.target.astype(float), found.weights.copy()
    )  # fmt: skip
    rows.loc[held, ["price", "sold"]] = -1e12
    features.loc[held] = np.nan
    target[held] = np.inf
    weights[held] = np.nan
    poisoned = replace(found, rows=rows, features=features, target=target, weights=weights)
    with pytest.raises(SpecError, match="cannot be fit"):
        fit_challenger(spec, poisoned)  # only once the search is over, with all rows
    (clean_best, clean), (best, trials) = (tuning.tune(spec, one, fitting(one)) for one in (found, poisoned))
    assert trials == clean
    assert best == clean_best
    assert all(trial.finite for trial in trials)


def fitting(training_set):
    """Fits ridge, and checks that no row held out is given."""
    known = set(training_set.features.index[~training_set.holdout])

    def fit(spec, trial, sample):
        assert set(sample.features.index) <= known
        ridge = Ridge(alpha=trial.params.get("alpha", 1.0))
        return ridge.fit(sample.features, sample.target, sample_weight=sample.weights)

    return fit


def test_no_setting_is_fit_twice_however_few_there_are(make_spec, daily_rows):
    changes = {
        RIDGE: "{estimator: sklearn.linear_model.Ridge, search: {alpha: [1, 9, int]}}",
        "trials: 4": "trials: 8",
    }
    spec = make_spec(changes=changes)
    trials = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {})).trials
    alphas = [trial["params"]["alpha"] for trial in trials if "alpha" in trial["params"]]
    assert len(alphas) == len(set(alphas)) == 8


def test_candidates_take_turns(make_spec, daily_rows):
    spec = make_spec(
        changes=ALPHAS
        | {TREES: TREES.replace("max_iter: 10", "max_iter: 2}, search: {max_depth: [1, 2, int]")}
    )
    trials = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {})).trials
    assert [trial["estimator"].rpartition(".")[2][0] for trial in trials] == list("RHRHRR")


def test_a_budget_of_time_ends_the_search_once_every_candidate_was_tried(make_spec, daily_rows, monkeypatch):
    spec = make_spec(changes=ALPHAS | {"trials: 4": "trials: 1000, within: 60 seconds"})
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    clock = count(0, 10)
    monkeypatch.setattr(tuning.time, "monotonic", lambda: next(clock))
    trials = fit_challenger(spec, found).trials
    # The clock is looked at when the search begins and before each trial after the first two.
    assert len(trials) == 2 + 5
    clock = count(0, 1000)
    assert len(fit_challenger(spec, found).trials) == 2


def test_every_trial_is_a_line_in_the_log(make_spec, daily_rows, caplog):
    spec = make_spec(changes=ALPHAS)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    with caplog.at_level(logging.INFO, logger="evergreen.candidates.tuning"):
        trials = fit_challenger(spec, found).trials
    lines = [record.getMessage() for record in caplog.records if record.name == "evergreen.candidates.tuning"]
    assert len(lines) == len(trials) == 5
    best = math.inf
    for number, (line, trial) in enumerate(zip(lines, trials, strict=True), start=1):
        best = min(best, trial["score"])
        assert line == (
            f"trial {number} of 5: {trial['estimator']} {trial['params']}: mae {trial['score']:.6g}, "
            f"best so far {best:.6g}"
        )


def test_a_trial_is_recorded_with_its_folds_and_seconds(make_spec, daily_rows):
    spec = make_spec()
    began = time.perf_counter()
    trials = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {})).trials
    spent = time.perf_counter() - began
    for trial in trials:
        assert len(trial["folds"]) == 3
        assert trial["score"] == pytest.approx(np.mean(trial["folds"]), rel=1e-12)
    assert 0 < sum(trial["seconds"] for trial in trials) < spent


def test_a_setting_of_a_search_that_cannot_be_fit_is_recorded_and_passed_over(make_spec, daily_rows, caplog):
    choices = "{estimator: sklearn.linear_model.Ridge, search: {alpha: {choices: [-1.0, 1.0]}}}"
    spec = make_spec(changes={RIDGE: choices})
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    with caplog.at_level(logging.INFO, logger="evergreen.candidates.tuning"):
        challenger = fit_challenger(spec, found)
    assert challenger.candidate["params"] == {"alpha": 1.0}
    failed = challenger.trials[0]
    assert (failed["params"], failed["score"], failed["folds"]) == ({"alpha": -1.0}, None, [])
    assert "cannot be fit with {'alpha': -1.0}" in failed["problem"]
    assert "best so far none" in caplog.records[0].getMessage()


def test_if_no_setting_can_be_fit_the_reason_is_given(make_spec, daily_rows):
    choices = "{estimator: sklearn.linear_model.Ridge, search: {alpha: {choices: [-1.0, -2.0]}}}"
    spec = make_spec(changes={RIDGE: choices, f"    - {TREES}\n": ""})
    with pytest.raises(
        SpecError, match=r"no candidate reached a finite mae .*cannot be fit with \{'alpha': -1"
    ):
        fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))


def test_of_equal_trials_the_first_candidate_wins(make_spec):
    spec = make_spec()
    trials = [
        tuning.Trial(1, {}, 1.0),
        tuning.Trial(0, {"alpha": 2}, 1.0),
        tuning.Trial(0, {"alpha": 3}, 1.0),
    ]
    assert tuning.best_of(spec, trials) is trials[1]


def test_weights_count_in_fitting_and_in_scoring(make_spec, daily_rows):
    spec = make_spec(changes={"params: {alpha: 1.0}}": "params: {alpha: 1.0}, preprocess: []}"})
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    weights = np.random.default_rng(0).uniform(0.1, 9, len(found.rows))
    challenger = fit_challenger(spec, replace(found, weights=weights))
    known = np.flatnonzero(~found.holdout)
    scores = []
    for early, late in folds_of(spec, found.rows["partition"].iloc[known], found.target.iloc[known]):
        fit, score = known[early], known[late]
        x, y = found.features.to_numpy(), found.target.to_numpy()
        model = Ridge(alpha=1.0).fit(x[fit], y[fit], sample_weight=weights[fit])
        scores.append(np.average(abs(model.predict(x[score]) - y[score]), weights=weights[score]))
    np.testing.assert_allclose(challenger.trials[0]["folds"], scores, rtol=1e-9)
    everything = Ridge(alpha=1.0).fit(found.features, found.target, sample_weight=weights)
    np.testing.assert_allclose(challenger.final.coef_, everything.coef_, rtol=1e-9)


def test_balance_weighs_the_classes_in_fitting_alone(make_spec, snapshot, people):
    changes = {
        LOGISTIC: "sklearn.linear_model.LogisticRegression, preprocess: []",
        "holdout: 20%": "holdout: 20%\n  balance: true",
    }
    spec = make_spec(snapshot, changes)
    found = assemble(spec, people, "snapshot", 1, {})
    weights = np.random.default_rng(0).uniform(0.5, 2, 120)
    for own in (None, weights):
        model = fit_challenger(spec, replace(found, weights=own)).final
        alone = LogisticRegression(random_state=0).fit(
            found.features, found.target, sample_weight=balanced(found.target, own)
        )
        np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-9)
    plain = LogisticRegression(random_state=0).fit(found.features, found.target)
    assert (model.predict(found.features) == "yes").sum() >= (plain.predict(found.features) == "yes").sum()
    assert not np.allclose(model.intercept_, plain.intercept_, rtol=0.01)


def test_two_searches_of_the_same_find_the_same(make_spec, daily_rows):
    spec = make_spec(changes=ALPHAS)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    one, two = (fit_challenger(spec, found).trials for _ in range(2))
    assert untimed(one) == untimed(two)


def test_processes_find_the_same_challenger(make_spec, daily_rows, monkeypatch):
    spec = make_spec(changes=ALPHAS)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    here = fit_challenger(spec, found)
    monkeypatch.setenv("EVERGREEN_COMPUTE", "processes:2")
    apart = fit_challenger(spec, found)
    assert untimed(apart.trials) == untimed(here.trials)
    assert apart.candidate == here.candidate
    predicted = [one.final.predict(found.features).tobytes() for one in (here, apart)]
    assert predicted[0] == predicted[1]


def test_a_setting_that_cannot_be_fit_is_passed_over_in_other_processes_too(
    make_spec, daily_rows, monkeypatch
):
    choices = "{estimator: sklearn.linear_model.Ridge, search: {alpha: {choices: [-1.0, 1.0]}}}"
    spec = make_spec(changes={RIDGE: choices})
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    here = fit_challenger(spec, found)
    monkeypatch.setenv("EVERGREEN_COMPUTE", "processes:2")
    assert untimed(fit_challenger(spec, found).trials) == untimed(here.trials)
