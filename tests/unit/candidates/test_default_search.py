from __future__ import annotations

import pytest

from evergreen.boosters.catalogue import BOOSTERS, REMEDY
from evergreen.candidates.default_search import DEFAULT_SEARCHES, search_of
from evergreen.candidates.estimators import check_candidates
from evergreen.candidates.fit import fit_challenger
from evergreen.candidates.search import parse_search
from evergreen.errors import SpecError
from evergreen.spec import Candidate
from evergreen.training_set.assemble import assemble

RIDGE = "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}"
FIRST = "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}"


@pytest.mark.parametrize("path", DEFAULT_SEARCHES)
def test_every_default_is_a_search_of_parameters_that_its_estimator_has(make_spec, snapshot, path):
    if path.partition(".")[0] in BOOSTERS:
        pytest.importorskip(path.partition(".")[0], reason=f"not installed: {REMEDY}")
    if path.endswith(("Classifier", "LogisticRegression")):
        spec = make_spec(snapshot, {FIRST: f"{path}, search: default"})
    else:
        spec = make_spec(changes={RIDGE: f"{{estimator: {path}, search: default}}"})
    check_candidates(spec)
    assert parse_search("here", DEFAULT_SEARCHES[path])


def test_what_a_candidate_sets_is_not_searched(make_spec):
    given = Candidate(
        estimator="sklearn.ensemble.HistGradientBoostingRegressor", params={"max_iter": 7}, search="default"
    )
    found = search_of("here", given)
    assert found == {
        name: space for name, space in DEFAULT_SEARCHES[given.label].items() if name != "max_iter"
    }
    pytest.importorskip("catboost", reason=f"not installed: {REMEDY}")
    rounds = Candidate(
        estimator="catboost.CatBoostRegressor", params={"iterations": 7, "max_depth": 3}, search="default"
    )
    assert set(search_of("here", rounds)) == {"learning_rate", "l2_leaf_reg"}


def test_an_estimator_without_a_default_is_named(make_spec):
    spec = make_spec(changes={RIDGE: "{estimator: sklearn.svm.SVR, search: default}"})
    with pytest.raises(SpecError, match=r"candidates\.0\.search: sklearn\.svm\.SVR has no default search"):
        check_candidates(spec)


def test_it_is_tuned_as_a_search_that_is_written_out(make_spec, daily_rows):
    spec = make_spec(changes={RIDGE: "{estimator: sklearn.linear_model.Ridge, search: default}"})
    written = make_spec(
        changes={RIDGE: "{estimator: sklearn.linear_model.Ridge, search: {alpha: [0.001, 1000, log]}}"}
    )
    trials = [
        [
            trial | {"seconds": 0}
            for trial in fit_challenger(one, assemble(one, daily_rows, "2024-02-10", 1, {})).trials
        ]
        for one in (spec, written)
    ]
    assert trials[0] == trials[1]
    assert len(trials[0]) == 5
