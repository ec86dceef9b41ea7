from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit
from threadpoolctl import threadpool_info

from evergreen.errors import SpecError
from evergreen.spec import Candidate
from evergreen.training.dataset import assemble
from evergreen.training.fit import fit_challenger

AS_OF = "2024-02-10"


def test_the_better_candidate_wins_and_both_are_on_record(make_spec, daily_rows):
    spec = make_spec()
    challenger = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))
    # The target is a straight line of the price: ridge finds it, ten small trees do not.
    assert challenger.candidate == {
        "estimator": "sklearn.linear_model.Ridge",
        "preprocess": [],
        "target_transform": None,
        "params": {"alpha": 1.0},
    }
    ridge, trees = challenger.trials
    assert ridge["score"] < trees["score"]


def test_the_score_of_a_trial_is_that_of_a_plain_loop(make_spec, daily_rows):
    spec = make_spec()
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    known = ~found.holdout
    x, y = found.features[known].to_numpy(), found.target[known].to_numpy()
    days = found.rows["partition"][known].to_numpy()
    names = np.unique(days)
    errors = []
    for early, late in TimeSeriesSplit(3).split(names):
        fit, score = np.isin(days, names[early]), np.isin(days, names[late])
        model = Ridge(alpha=1.0, random_state=0).fit(x[fit], y[fit])
        errors.append(np.abs(model.predict(x[score]) - y[score]).mean())
    score = fit_challenger(spec, found).trials[0]["score"]
    assert score == pytest.approx(np.mean(errors), rel=1e-12)


def test_the_evaluated_model_has_not_seen_the_holdout_and_the_final_one_has(make_spec, daily_rows):
    spec = make_spec()
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    known = ~found.holdout
    challenger = fit_challenger(spec, found)
    for model, rows in ((challenger.evaluated, known), (challenger.final, np.ones(len(known), bool))):
        alone = Ridge(alpha=1.0).fit(found.features[rows], found.target[rows])
        np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-9)
    assert not np.allclose(challenger.evaluated.coef_, challenger.final.coef_, rtol=1e-9)


def test_a_lone_candidate_without_a_search_is_not_tuned(make_spec, daily_rows):
    trees = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"
    spec = make_spec(changes={trees: ""})
    challenger = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))
    assert [trial["score"] for trial in challenger.trials] == [None]


SEARCHED = {
    "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}": (
        "{estimator: sklearn.linear_model.Ridge, search: {alpha: [0.001, 1000, log]}}"
    )
}


def test_the_same_seed_gives_the_same_model_to_the_last_bit(make_spec, daily_rows):
    spec = make_spec(changes=SEARCHED)
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    one, two = (fit_challenger(spec, found) for _ in range(2))
    assert one.trials == two.trials
    assert len(one.trials) == 4 + 1
    predictions = [c.final.predict(found.features).tobytes() for c in (one, two)]
    assert predictions[0] == predictions[1]


def test_another_seed_searches_elsewhere(make_spec, daily_rows):
    one = make_spec(changes=SEARCHED)
    first = fit_challenger(one, assemble(one, daily_rows, AS_OF, 1, {}))
    two = make_spec(changes={**SEARCHED, "metric: mae": "metric: mae\n  seed: 5"})
    second = fit_challenger(two, assemble(two, daily_rows, AS_OF, 1, {}))
    assert first.trials != second.trials


def test_a_space_no_larger_than_the_trials_is_tried_out_in_full(make_spec, daily_rows):
    choices = next(iter(SEARCHED.values())).replace("[0.001, 1000, log]", "{choices: [0.1, 1.0, 10.0]}")
    spec = make_spec(changes={next(iter(SEARCHED)): choices})
    challenger = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))
    assert [t["params"].get("alpha") for t in challenger.trials] == [0.1, 1.0, 10.0, None]


def test_a_candidate_that_cannot_be_fit_is_named(make_spec, daily_rows):
    spec = make_spec(changes={"alpha: 1.0": "alpha: -4"})
    with pytest.raises(
        SpecError, match=r"training\.candidates\.0: sklearn\.linear_model\.Ridge cannot be fit"
    ):
        fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))


def test_a_metric_that_no_candidate_can_give_is_named(make_spec, snapshot, people):
    old = "sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}"
    spec = make_spec(
        snapshot,
        {old: "sklearn.svm.LinearSVC, search: {C: [0.01, 10, log]}", "metric: accuracy": "metric: log_loss"},
    )
    with pytest.raises(SpecError, match="no candidate reached a finite log_loss"):
        fit_challenger(spec, assemble(spec, people, "snapshot", 1, {}))


def test_clustering_finds_as_many_clusters_as_there_are(make_spec, clusters, blobs):
    spec = make_spec(clusters)
    challenger = fit_challenger(spec, assemble(spec, blobs, "snapshot", 1, {}))
    assert challenger.candidate["params"]["n_clusters"] == 3
    groups = [set(challenger.final.predict(blobs[["x", "y"]].iloc[g : g + 30])) for g in (0, 30, 60)]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == 3


def test_fitting_leaves_the_number_of_threads_as_it_was(make_spec, daily_rows):
    before = [pool["num_threads"] for pool in threadpool_info()]
    spec = make_spec()
    fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))
    assert [pool["num_threads"] for pool in threadpool_info()][: len(before)] == before


def test_version_and_predictions_are_the_same_in_another_process(make_spec, daily_rows, tmp_path):
    spec = make_spec(changes=SEARCHED)
    daily_rows.to_parquet(tmp_path / "rows.parquet")
    program = (
        "import sys, hashlib, pandas as pd\n"
        "from pathlib import Path\n"
        "from evergreen.spec import parse_spec\n"
        "from evergreen.training.dataset import assemble\n"
        "from evergreen.training.fit import fit_challenger\n"
        "spec = parse_spec(Path(sys.argv[1]) / 'pipeline.yaml')\n"
        f"found = assemble(spec, pd.read_parquet(sys.argv[2]), '{AS_OF}', 1, {{}})\n"
        "final = fit_challenger(spec, found).final\n"
        "print(found.version, hashlib.sha256(final.predict(found.features).tobytes()).hexdigest())\n"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program, spec.folder, tmp_path / "rows.parquet"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    ).stdout.split()
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    predictions = fit_challenger(spec, found).final.predict(found.features)
    assert elsewhere == [found.version, hashlib.sha256(predictions.tobytes()).hexdigest()]


def test_a_feature_without_any_value_yet_teaches_nothing(make_spec, daily_rows):
    trees = {
        "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
        "params": {"max_iter": 10, "min_samples_leaf": 2},
    }
    base = make_spec()
    spec = base.model_copy(
        update={"training": base.training.model_copy(update={"candidates": (Candidate(**trees),)})}
    )
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    young = replace(found, features=found.features.assign(a_year_ago=np.nan))
    model = fit_challenger(spec, young).final
    later = young.features.assign(a_year_ago=7.0)
    np.testing.assert_array_equal(model.predict(later), model.predict(young.features.fillna(0.0)))
