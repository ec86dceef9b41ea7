from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit
from threadpoolctl import threadpool_info

from evergreen.candidates.fit import fit_challenger
from evergreen.errors import SpecError
from evergreen.evaluation.evaluate import evaluate
from evergreen.registry.model_file import dump_model, load_model
from evergreen.spec import Candidate, parse_spec
from evergreen.training_set.assemble import assemble
from tests.campaign import ROOT

AS_OF = "2024-02-10"
AS_IT_IS = {"params: {alpha: 1.0}}": "params: {alpha: 1.0}, preprocess: []}"}


def test_the_better_candidate_wins_and_both_are_on_record(make_spec, daily_rows):
    spec = make_spec(changes=AS_IT_IS)
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
    spec = make_spec(changes=AS_IT_IS)
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
    spec = make_spec(changes=AS_IT_IS)
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
    for left, right in zip(one.trials, two.trials, strict=True):
        assert left | {"seconds": 0} == right | {"seconds": 0}
    assert len(one.trials) == 4 + 1
    predictions = [c.final.predict(found.features).tobytes() for c in (one, two)]
    assert predictions[0] == predictions[1]


def test_another_seed_searches_elsewhere(make_spec, daily_rows):
    one = make_spec(changes=SEARCHED)
    first = fit_challenger(one, assemble(one, daily_rows, AS_OF, 1, {}))
    two = make_spec(changes={**SEARCHED, "metric: mae": "metric: mae\n  seed: 5"})
    second = fit_challenger(two, assemble(two, daily_rows, AS_OF, 1, {}))
    assert first.trials != second.trials


SECOND = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"


def weighted_ridge(x, y, weights, alpha=1.0):
    """Coefficients and intercept that minimise weighted squares and alpha times squared coefficients."""
    x_mean, y_mean = np.average(x, axis=0, weights=weights), np.average(y, weights=weights)
    a = (x - x_mean).T @ (weights[:, None] * (x - x_mean)) + alpha * np.eye(x.shape[1])
    slope = np.linalg.solve(a, (x - x_mean).T @ (weights * (y - y_mean)))
    return slope, y_mean - x_mean @ slope


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("steps", [False, True])
def test_recent_rows_weigh_more_in_the_fit_and_not_in_the_metric(make_spec, daily_rows, weight, steps):
    passed = f", preprocess: [{'{step: sklearn.preprocessing.FunctionTransformer}' if steps else ''}]"
    changes = {
        SECOND: "",
        "params: {alpha: 1.0}}": f"params: {{alpha: 1.0}}, recency: half-life 1 day{passed}}}",
        "window: 60 days\n  minimum: 10": "window: 3 days\n  minimum: 3",
        "holdout: 7 days": "holdout: 1 day" + ("\n  weight: price" if weight else ""),
    }
    spec = make_spec(changes=changes)
    found = assemble(spec, daily_rows, "2024-01-21", 1, {})
    challenger = fit_challenger(spec, found)
    assert found.rows["partition"].unique().tolist() == ["2024-01-18", "2024-01-19", "2024-01-20"]
    x, y = found.features.to_numpy(), found.target.to_numpy(float)
    own = found.rows["price"].to_numpy() if weight else np.ones(len(y))
    known = ~found.holdout
    # By the end of the newest partition the rows of the final model are one to three days old.
    for model, rows, age in (
        (challenger.final, np.ones(len(y), bool), np.repeat([1 / 8, 1 / 4, 1 / 2], 6)),
        (challenger.evaluated, known, np.repeat([1 / 4, 1 / 2], 6)),
    ):
        slope, intercept = weighted_ridge(x[rows], y[rows], own[rows] * age)
        np.testing.assert_allclose(model.predict(found.features), x @ slope + intercept, rtol=1e-9)
        plain = weighted_ridge(x[rows], y[rows], own[rows])
        assert not np.allclose(slope, plain[0], rtol=1e-3)
    held = np.average(
        np.abs(challenger.evaluated.predict(found.features) - y)[found.holdout], weights=own[found.holdout]
    )
    measured = evaluate(spec, found, challenger, None)
    assert measured.challenger["mae"] == pytest.approx(held, rel=1e-12)
    assert challenger.candidate["recency"] == "half-life 1 day"


def test_folds_weigh_recent_rows_as_the_final_model_does_and_score_all_alike(make_spec, daily_rows):
    spec = make_spec(changes={**AS_IT_IS, "metric: mae": "metric: mae\n  recency: half-life 4 partitions"})
    found = assemble(spec, daily_rows, AS_OF, 1, {})
    known = ~found.holdout
    x, y = found.features[known].to_numpy(), found.target[known].to_numpy()
    days = found.rows["partition"][known].to_numpy()
    names = np.unique(days)
    errors = []
    for early, late in TimeSeriesSplit(3).split(names):
        fit, score = np.isin(days, names[early]), np.isin(days, names[late])
        age = len(early) - np.searchsorted(names, days[fit])
        model = Ridge(alpha=1.0, random_state=0).fit(x[fit], y[fit], sample_weight=0.5 ** (age / 4))
        errors.append(np.abs(model.predict(x[score]) - y[score]).mean())
    trial = fit_challenger(spec, found).trials[0]
    assert trial["score"] == pytest.approx(np.mean(errors), rel=1e-9)
    assert trial["recency"] == "half-life 4 partitions"


def test_the_folds_choose_between_recency_and_none(make_spec, daily_rows):
    """After a break ten days before the hold-out the candidate that forgets wins; without one, the other."""
    line = "{estimator: sklearn.linear_model.LinearRegression%s}"
    changes = {
        "{estimator: sklearn.linear_model.Ridge, params: {alpha: 1.0}}": line % ", recency: half-life 2 days",
        SECOND: f"    - {line % ''}\n",
    }
    spec = make_spec(changes=changes)
    for moved, wanted in ((40, "half-life 2 days"), (0, None)):
        rows = daily_rows.assign(sold=daily_rows["sold"] + moved * (daily_rows["partition"] >= "2024-01-24"))
        chosen = fit_challenger(spec, assemble(spec, rows, AS_OF, 1, {})).candidate
        assert chosen.get("recency") == wanted


def test_balance_gives_the_classes_equal_sums_of_weights_after_recency(make_spec, daily_rows):
    spec = make_spec(
        changes={
            "task: regression": "task: classification",
            "metric: mae": "metric: accuracy\n  balance: true\n  recency: half-life 3 days",
            "sklearn.linear_model.Ridge, params: {alpha: 1.0}": "sklearn.dummy.DummyClassifier",
            SECOND: "",
        }
    )
    rows = daily_rows.assign(sold=(daily_rows["price"] > 4).astype(int))
    challenger = fit_challenger(spec, assemble(spec, rows, AS_OF, 1, {}))
    assert challenger.final.class_prior_ == pytest.approx([0.5, 0.5], rel=1e-12)


def test_a_space_no_larger_than_the_trials_is_tried_out_in_full(make_spec, daily_rows):
    choices = next(iter(SEARCHED.values())).replace("[0.001, 1000, log]", "{choices: [0.1, 1.0, 10.0]}")
    spec = make_spec(changes={next(iter(SEARCHED)): choices})
    challenger = fit_challenger(spec, assemble(spec, daily_rows, AS_OF, 1, {}))
    # The candidates take turns, and the second has a single trial.
    assert [t["params"].get("alpha") for t in challenger.trials] == [0.1, None, 1.0, 10.0]


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


ELSEWHERE = "import sys; from tests.unit.candidates.test_fit import tell; tell(*sys.argv[1:])"


def tell(rows, *folders):
    """Train each pipeline on the rows of a file, and print what came of it, a line each."""
    for folder in folders:
        spec = parse_spec(Path(folder) / "pipeline.yaml")
        found = assemble(spec, pd.read_parquet(rows), AS_OF, 1, {})
        challenger = fit_challenger(spec, found)
        predicted = challenger.final.predict(found.features)
        again = load_model(dump_model(challenger.final)).predict(found.features)
        document = {
            "version": found.version,
            "candidate": challenger.candidate,
            "trials": [trial | {"seconds": 0} for trial in challenger.trials],
            "metrics": evaluate(spec, found, challenger, None).challenger,
            "predictions": [hashlib.sha256(values.tobytes()).hexdigest() for values in (predicted, again)],
        }
        print(json.dumps(document))


TREES = {
    "params: {max_iter: 10}": (
        "params: {max_iter: 30, max_features: 0.5}, search: {learning_rate: [0.05, 0.5]}"
    )
}
NETWORK = {
    next(iter(SEARCHED)): (
        "{estimator: sklearn.neural_network.MLPRegressor, "
        "preprocess: [sklearn.preprocessing.StandardScaler], search: {alpha: [0.001, 10, log]}, "
        "params: {hidden_layer_sizes: [64, 32], max_iter: 60, solver: lbfgs}}"
    )
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # a few rounds will do here
def test_version_metrics_and_predictions_are_the_same_in_every_process(
    make_spec, daily_rows, tmp_path, capsys
):
    """This one, and a clean interpreter with other threads and hashes."""
    daily_rows.to_parquet(tmp_path / "rows.parquet")
    folders = []
    for name, changes in {"line": SEARCHED, "trees": TREES, "network": NETWORK}.items():
        folders.append(shutil.copytree(make_spec(changes=changes).folder, tmp_path / name / "sales"))

    tell(tmp_path / "rows.parquet", *folders)
    here = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    threads = "2" if os.environ.get(names[0]) == "1" else "1"
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ELSEWHERE, tmp_path / "rows.parquet", *folders],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **dict.fromkeys(names, threads), "PYTHONHASHSEED": "2"},
    )
    assert [json.loads(line) for line in answer.stdout.splitlines()] == here
    assert len(here) == 3
    for trained in here:
        assert len(set(trained["predictions"])) == 1
        assert len(trained["trials"]) == 5


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
