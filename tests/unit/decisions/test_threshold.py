"""The threshold that costs least, or has the best value of a metric."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import TunedThresholdClassifierCV

from evergreen.candidates.fit import fit_challenger
from evergreen.contributions.explainable import heart_of
from evergreen.decisions.threshold import Curve, curve_of
from evergreen.errors import SpecError
from evergreen.lake import PARTITION
from evergreen.metrics import Costs, metric_named
from evergreen.registry.model_file import dump_model, load_model
from evergreen.training_set.assemble import assemble
from evergreen.training_set.folds import folds_of
from tests.campaign import examples
from tests.unit.metrics.compute import COSTS, mean_cost
from tests.unit.sales import make_spec, people, snapshot

__all__ = ["make_spec", "people", "snapshot"]

SEARCHED = "{estimator: sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}}"
ONE = "{estimator: sklearn.linear_model.LogisticRegression}"


def calibrated(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and what happened by them."""
    draw = np.random.default_rng(seed)
    chance = draw.random(rows)
    return chance, draw.random(rows) < chance


def by_costs(chance: np.ndarray, positive: np.ndarray, missed: float, false: float, **more: Any) -> Curve:
    costs = Costs(false_negative=missed, false_positive=false)
    return curve_of(chance, positive, metric_named("cost"), costs=costs, **more)


def changes(*lines: str, **more: str) -> dict[str, str]:
    """A single candidate, and more lines of `training`."""
    return {SEARCHED: ONE, "  tuning:": "".join(f"  {line}\n" for line in lines) + "  tuning:", **more}


def test_of_calibrated_probabilities_it_is_what_decision_theory_says() -> None:
    # Elkan 2001: false_positive / (false_positive + false_negative)
    chance, positive = calibrated(200_000)
    for missed, false in ((20, 1), (1, 1), (1, 4)):
        curve = by_costs(chance, positive, missed, false)
        assert curve.threshold == pytest.approx(false / (false + missed), abs=0.03)


def test_no_threshold_of_the_rows_costs_less() -> None:
    chance, positive = calibrated(150)
    weights = np.random.default_rng(1).integers(1, 4, 150).astype(float)
    for weighed in (None, weights):
        curve = by_costs(chance, positive, 3, 1, weights=weighed)

        def cost(at: float, weighed: Any = weighed) -> float:
            costs = Costs(false_negative=3, false_positive=1)
            return mean_cost(positive, chance >= at, (False, True), weights=weighed, costs=costs)

        assert curve.values.tolist() == pytest.approx([cost(at) for at in curve.thresholds])
        assert cost(curve.threshold) == pytest.approx(min(map(cost, [0, 1.1, *chance])))


def test_the_metric_is_best_there() -> None:
    chance, positive = calibrated(150, seed=4)
    curve = curve_of(chance, positive, metric_named("f1"))
    tried = [f1_score(positive, chance >= at, average="macro", zero_division=0) for at in [0, 1.1, *chance]]
    assert f1_score(positive, chance >= curve.threshold, average="macro") == pytest.approx(max(tried))


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0.01, 100))
def test_only_the_ratio_of_costs_counts_and_dearer_misses_are_fewer(
    seed: int, missed: float, false: float, times: float
) -> None:
    chance, positive = calibrated(80, seed)
    one = by_costs(chance, positive, missed, false)
    scaled = by_costs(chance, positive, missed * times, false * times)
    assert one.values[one.best] * times == pytest.approx(scaled.values[scaled.best])
    dearer = by_costs(chance, positive, missed * 3, false)
    one_missed, dearer_missed = ((positive & (chance < found.threshold)).sum() for found in (one, dearer))
    assert dearer_missed <= one_missed


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(0.1, 50))
def test_the_other_class_as_positive_with_swapped_costs_is_the_same_decision(
    seed: int, missed: float, false: float
) -> None:
    chance, positive = calibrated(80, seed)
    one = by_costs(chance, positive, missed, false)
    other = by_costs(1 - chance, ~positive, false, missed)
    assert other.values[::-1] == pytest.approx(one.values)
    if (np.isclose(one.values, one.values.min(), rtol=1e-9)).sum() == 1:  # else both are as good
        assert other.threshold == pytest.approx(1 - one.threshold)
        assert ((1 - chance >= other.threshold) == ~(chance >= one.threshold)).all()


def test_it_is_the_threshold_that_scikit_learn_tunes_on_the_same_folds() -> None:
    """Of the pooled rows of the folds, with the costs as the score of `TunedThresholdClassifierCV`."""
    draw = np.random.default_rng(3)
    features = draw.normal(size=(250, 3))
    actual = features @ [1, 0.5, 0] + draw.normal(size=250) > 0.7
    # One fold that holds all rows that are scored: scikit-learn means the score over folds, not over rows.
    folds, model = [(np.arange(150), np.arange(150, 250))], LogisticRegression()
    tuned = TunedThresholdClassifierCV(
        model,
        scoring=make_scorer(mean_cost, greater_is_better=False, classes=(False, True)),
        cv=folds,
        thresholds=300,
        store_cv_results=True,
    ).fit(features, actual)
    unseen = features[150:]
    chance = model.fit(features[:150], actual[:150]).predict_proba(unseen)[:, 1]
    ours = by_costs(chance, actual[150:], COSTS.false_negative, COSTS.false_positive)
    assert ours.values[ours.best] == pytest.approx(-tuned.best_score_)
    assert ((chance >= ours.threshold) == (chance >= tuned.best_threshold_)).all()


@pytest.mark.parametrize("positive", ["yes", "no"])
def test_a_challenger_decides_by_its_threshold(make_spec, snapshot, people, positive: str) -> None:
    lines = ("decision: {costs: {false_negative: 9, false_positive: 1}}", "calibrate: sigmoid")
    named = {"target: loyal": f'target: loyal\npositive: "{positive}"'}
    spec = make_spec(snapshot, {**changes(*lines), **named})
    draw = np.random.default_rng(2).normal(20, 4, 120)
    found = assemble(spec, people.assign(spent=draw + 5 * (people["loyal"] == "yes")), "snapshot", 1, {})
    challenger = fit_challenger(spec, found)
    for model in (challenger.evaluated, challenger.final):
        place = list(model.classes_).index(positive)
        chance = model.predict_proba(found.features)[:, place]
        assert ((chance >= model.threshold) == (model.predict(found.features) == positive)).all()
        assert model.threshold < 0.5
    assert challenger.evaluated.threshold == challenger.final.threshold
    assert challenger.candidate["decision"] == {"threshold": model.threshold, "positive": positive}
    again = load_model(dump_model(challenger.final))
    assert (again.predict(found.features) == challenger.final.predict(found.features)).all()


def test_the_search_scores_a_candidate_by_the_decision_that_it_is_completed_with(
    make_spec, snapshot, people
) -> None:
    """The weights of the classes move all probabilities up: at 0.5 the second candidate says yes always."""
    shifted = "{estimator: sklearn.linear_model.LogisticRegression, params: {class_weight: {no: 1, yes: 60}}}"
    blind = "{estimator: sklearn.linear_model.LogisticRegression, params: {C: 1.0e-9}}"
    lines = ("decision: {costs: {false_negative: 5, false_positive: 2}}", "calibrate: sigmoid")
    two = {SEARCHED: f"{blind}\n    - {shifted}", "metric: accuracy": "metric: cost"}
    spec = make_spec(snapshot, {**changes(*lines), **two})
    draw = np.random.default_rng(2).normal(20, 2, 120)
    found = assemble(spec, people.assign(spent=draw + 3 * (people["loyal"] == "yes")), "snapshot", 1, {})
    challenger = fit_challenger(spec, found)
    assert [trial["score"] for trial in challenger.trials] == sorted(
        (trial["score"] for trial in challenger.trials), reverse=True
    )
    assert "yes" in challenger.candidate["params"]["class_weight"]

    model = challenger.evaluated.estimator_  # calibrated
    known = ~found.holdout
    features, target = found.features[known], found.target[known]
    costs = []
    for before, unseen in folds_of(spec, found.rows[PARTITION][known], target):
        fold = clone(model.estimator).fit(features.iloc[before], target.iloc[before])
        chance = model.calibrated(fold.predict_proba(features.iloc[unseen]))[:, 1]
        said = np.where(chance >= challenger.evaluated.threshold, "yes", "no")
        costs.append(mean_cost(target.iloc[unseen], said, ("no", "yes")))
    assert challenger.trials[1]["folds"] == pytest.approx(costs)


def test_what_is_held_out_changes_no_threshold(make_spec, snapshot, people) -> None:
    spec = make_spec(snapshot, changes("decision: {metric: f1}", "calibrate: isotonic"))
    found = assemble(spec, people, "snapshot", 1, {})
    target = found.target.copy()
    target[found.holdout] = np.where(target[found.holdout] == "yes", "no", "yes")
    one, other = (fit_challenger(spec, each) for each in (found, replace(found, target=target)))
    assert one.evaluated.threshold == other.evaluated.threshold
    np.testing.assert_array_equal(
        one.evaluated.predict_proba(found.features), other.evaluated.predict_proba(found.features)
    )


def test_a_written_threshold_is_taken(make_spec, snapshot, people) -> None:
    spec = make_spec(snapshot, changes("decision: {threshold: 0.3}", "calibrate: isotonic"))
    model = fit_challenger(spec, assemble(spec, people, "snapshot", 1, {})).final
    assert model.threshold == 0.3
    assert isinstance(heart_of(model.estimator_).estimator, LogisticRegression)


def test_a_written_threshold_needs_no_folds(make_spec, snapshot, people) -> None:
    spec = make_spec(snapshot, changes("decision: {threshold: 0.3}"))
    lone = people.assign(loyal=np.where(np.arange(120) < 2, "yes", "no"))  # too few for folds to be of use
    assert fit_challenger(spec, assemble(spec, lone, "snapshot", 1, {})).final.threshold == 0.3


@pytest.mark.parametrize("searched", [{}, {ONE: f"{ONE}\n    - {ONE}"}])
def test_three_classes_have_no_threshold(make_spec, snapshot, people, searched) -> None:
    costs = changes("decision: {costs: {false_negative: 9, false_positive: 1}}")
    spec = make_spec(snapshot, {**costs, "metric: accuracy": "metric: cost", **searched})
    third = people.assign(loyal=pd.Series(["a", "b", "c"] * 40))
    with pytest.raises(SpecError, match=r"training\.decision: the target has 3 classes"):
        fit_challenger(spec, assemble(spec, third, "snapshot", 1, {}))


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"metric: accuracy": "metric: cost"}, r"training\.metric"),
        ({"target: loyal": "target: loyal\ngate: {limits: {cost: {max: 2}}}"}, r"gate\.limits\.cost"),
        ({"target: loyal": "target: loyal\nmonitoring: {metrics: [cost]}"}, r"monitoring\.metrics\.0"),
    ],
)
def test_a_cost_needs_costs(make_spec, snapshot, given, where) -> None:
    why = f"{where}: 'cost' needs what wrong decisions cost: write training.decision.costs$"
    with pytest.raises(SpecError, match=why):
        make_spec(snapshot, {**changes("decision: {metric: f1}"), **given})
    make_spec(snapshot, {**changes("decision: {costs: {false_negative: 9, false_positive: 1}}"), **given})


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        ("{}", "give 'threshold', 'costs' or 'metric', one of them"),
        ("{threshold: 0.3, metric: f1}", "one of them"),
        ("{threshold: 1}", "less than 1"),
        ("{costs: {false_negative: 0, false_positive: 1}}", "greater than 0"),
        ("{metric: roc_auc}", "'roc_auc' is none of accuracy, precision, recall, f1$"),
        ("{metric: cost}", "'cost' is decided by 'costs': write them in place of 'metric'"),
    ],
)
def test_a_decision_that_is_none_is_refused(make_spec, snapshot, decision: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        make_spec(snapshot, changes(f"decision: {decision}"))
