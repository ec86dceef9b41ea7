"""The threshold that costs least, or has the best value of a metric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from evergreen.candidates.fit import fit_challenger
from evergreen.decisions.threshold import by_costs, by_metric, cost_of
from evergreen.errors import SpecError
from evergreen.metrics import metric_named
from evergreen.registry.model_file import dump_model, load_model
from evergreen.spec.decision import Costs
from evergreen.training_set.assemble import assemble
from tests.campaign import examples
from tests.unit.sales import make_spec, people, snapshot

__all__ = ["make_spec", "people", "snapshot"]

SEARCHED = "{estimator: sklearn.linear_model.LogisticRegression, search: {C: [0.01, 10, log]}}"
ONE = "{estimator: sklearn.linear_model.LogisticRegression}"


def calibrated(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and what happened by them."""
    draw = np.random.default_rng(seed)
    chance = draw.random(rows)
    return chance, draw.random(rows) < chance


def changes(*lines: str, **more: str) -> dict[str, str]:
    """A single candidate, and more lines of `training`."""
    return {SEARCHED: ONE, "  tuning:": "".join(f"  {line}\n" for line in lines) + "  tuning:", **more}


def test_of_calibrated_probabilities_it_is_what_decision_theory_says() -> None:
    # Elkan 2001: false_positive / (false_positive + false_negative)
    chance, positive = calibrated(200_000)
    for missed, false in ((20, 1), (1, 1), (1, 4)):
        curve = by_costs(chance, positive, Costs(false_negative=missed, false_positive=false))
        assert curve.threshold == pytest.approx(false / (false + missed), abs=0.03)


def test_no_threshold_of_the_rows_costs_less() -> None:
    chance, positive = calibrated(150)
    costs, ones = Costs(false_negative=3, false_positive=1), np.ones(150)
    curve = by_costs(chance, positive, costs)
    found = cost_of(costs, positive, chance >= curve.threshold, ones)
    assert found == min(cost_of(costs, positive, chance >= at, ones) for at in [0, 1.1, *chance])
    assert curve.values[curve.best] == pytest.approx(found)


def test_the_metric_is_best_there() -> None:
    chance, positive = calibrated(150, seed=4)
    curve = by_metric(chance, positive, metric_named("f1"))
    tried = [f1_score(positive, chance >= at, average="macro", zero_division=0) for at in [0, 1.1, *chance]]
    assert f1_score(positive, chance >= curve.threshold, average="macro") == pytest.approx(max(tried))


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0.01, 100))
def test_only_the_ratio_of_costs_counts_and_dearer_misses_are_fewer(
    seed: int, missed: float, false: float, times: float
) -> None:
    chance, positive = calibrated(80, seed)
    one = by_costs(chance, positive, Costs(false_negative=missed, false_positive=false))
    scaled = by_costs(chance, positive, Costs(false_negative=missed * times, false_positive=false * times))
    assert one.values[one.best] * times == pytest.approx(scaled.values[scaled.best])
    dearer = by_costs(chance, positive, Costs(false_negative=missed * 3, false_positive=false))
    one_missed, dearer_missed = ((positive & (chance < found.threshold)).sum() for found in (one, dearer))
    assert dearer_missed <= one_missed


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
    assert isinstance(model.estimator_.estimator, LogisticRegression)


def test_a_written_threshold_needs_no_folds(make_spec, snapshot, people) -> None:
    spec = make_spec(snapshot, changes("decision: {threshold: 0.3}"))
    lone = people.assign(loyal=np.where(np.arange(120) < 2, "yes", "no"))  # too few for folds to be of use
    assert fit_challenger(spec, assemble(spec, lone, "snapshot", 1, {})).final.threshold == 0.3


def test_three_classes_have_no_threshold(make_spec, snapshot, people) -> None:
    spec = make_spec(snapshot, changes("decision: {threshold: 0.3}"))
    third = people.assign(loyal=pd.Series(["a", "b", "c"] * 40))
    with pytest.raises(SpecError, match=r"training\.decision: the target has 3 classes"):
        fit_challenger(spec, assemble(spec, third, "snapshot", 1, {}))


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        ("{}", "give 'threshold', 'costs' or 'metric', one of them"),
        ("{threshold: 0.3, metric: f1}", "one of them"),
        ("{threshold: 1}", "less than 1"),
        ("{costs: {false_negative: 0, false_positive: 1}}", "greater than 0"),
        ("{metric: roc_auc}", "'roc_auc' is none of accuracy"),
    ],
)
def test_a_decision_that_is_none_is_refused(make_spec, snapshot, decision: str, why: str) -> None:
    with pytest.raises(SpecError, match=why):
        make_spec(snapshot, changes(f"decision: {decision}"))
