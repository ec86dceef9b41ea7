"""Sets hold the true class as often as they promise, of each class, and grow with the level."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from evergreen.backtest.held_out import HeldOut
from evergreen.decisions.calibrated import Calibrated
from evergreen.decisions.learn import Learnt
from evergreen.errors import RefusedError
from evergreen.intervals.sets import ConformalClassifier
from evergreen.metrics.predictions import Predictions
from evergreen.registry.model_file import dump_model, load_model
from tests.campaign import examples

LEVELS = (0.9, 0.99)


def classifier(classes, levels=(0.9,)):
    """A model whose probabilities are its features."""
    model = SimpleNamespace(classes_=np.array(list(classes)), predict_proba=np.asarray)
    return ConformalClassifier(model, levels)


def two(chance_of_b):
    chance_of_b = np.asarray(chance_of_b, dtype=float)
    return np.column_stack([1 - chance_of_b, chance_of_b])


def test_known_sets_of_two_classes():
    # Rows of "a" have 0.1 to 0.9 as the probability of "b", those of "b" 0.91 to 0.99: nine rows a class.
    of_a, of_b = np.arange(1, 10) / 10, 0.9 + np.arange(1, 10) / 100
    actual = np.repeat(["a", "b"], 9)
    found = classifier("ab", (0.8, 0.9)).calibrate(two(np.append(of_a, of_b)), actual)
    # 80% keeps the ceil(10 * 0.8) = 8 best rows of a class: "a" to 0.8, "b" from 0.92; 90% all nine.
    sets = found.around(two([0.05, 0.8, 0.85, 0.9, 0.915, 0.92, 0.95]))
    as_text = [["".join(np.array(["a", "b"])[one]) for one in sets[:, level]] for level in (0, 1)]
    assert as_text[1] == ["a", "a", "a", "a", "b", "b", "b"]
    # 0.85 and 0.9 are beyond both at 80%: of such rows more truly are "a". 0.915 is nearer to "b".
    assert as_text[0] == ["a", "a", "a", "a", "b", "b", "b"]
    np.testing.assert_allclose(found.p_values(two([0.85, 0.915])), [[0.2, 0.1], [0.1, 0.2]])


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_follows_its_law(level):
    """Of m rows of a class, beside n that it was calibrated by, a beta-binomial number is covered."""
    rows, new, covered = 25, 30, []
    for seed in range(400):
        draw = np.random.default_rng(seed)
        actual = np.repeat([0, 1], rows)
        chance = draw.beta(1 + actual, 2 - actual)
        found = classifier([0, 1], (level,)).calibrate(two(chance), actual)
        truth = np.repeat([1], new)
        values = found.p_values(two(draw.beta(2, 1, new)))
        covered.append(int((values[np.arange(new), truth] > 1 - level + 1e-12).sum()))
    kept = int(np.ceil((rows + 1) * level - 1e-9))
    law = stats.betabinom(new, kept, rows + 1 - kept)
    # The rarest counts are taken together, so that at least five are expected of each.
    edges = np.unique(law.ppf(np.linspace(0.02, 0.98, 12)))
    seen = np.bincount(np.searchsorted(edges, covered), minlength=len(edges) + 1)
    expected = 400 * np.diff(np.concatenate([[0], law.cdf(edges), [1]]))
    assert stats.chisquare(seen[expected > 0], expected[expected > 0]).pvalue > 0.001


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.booleans())
def test_sets_grow_with_the_level_and_are_never_empty(seed, classes, weighted):
    draw = np.random.default_rng(seed)
    said = draw.dirichlet(np.full(classes, 0.5), 80).round(1)
    actual = draw.choice(classes, 80, p=draw.dirichlet(np.ones(classes)))
    weights = draw.integers(0, 3, 80).astype(float) if weighted else None
    found = classifier(range(classes), (0.5,)).calibrate(said, actual, weights)
    sets = found.around(draw.dirichlet(np.full(classes, 0.5), 30), [0.0, 0.3, 0.5, 0.8, 0.95, 0.999, 1.0])
    assert sets.any(axis=2).all()
    assert (sets[:, 1:] >= sets[:, :-1]).all()
    assert sets[:, -1].all()


def test_a_class_that_is_rare_is_covered_as_well():
    def world(seed, rows=3000):
        draw = np.random.default_rng(seed)
        actual = (draw.random(rows) < 0.06).astype(int)
        return pd.DataFrame({"x": draw.normal(size=rows) + 1.5 * actual}), actual

    x, y = world(0)
    model = LogisticRegression().fit(*world(1))
    found = ConformalClassifier(model, (0.9,)).calibrate(model.predict_proba(x), y)
    x, y = world(2, 20_000)
    members = found.predict_set(x)[:, 0]
    covered = members[np.arange(len(y)), y]
    # About 180 rows of the class are learnt from: their coverage scatters by 0.022.
    assert covered[y == 1].mean() == pytest.approx(0.9, abs=0.06)
    assert covered[y == 0].mean() == pytest.approx(0.9, abs=0.02)


def test_the_rarest_classes_are_taken_together():
    actual = np.repeat(list("abcde"), [3, 100, 5, 60, 1])
    said = np.random.default_rng(0).dirichlet(np.ones(5), len(actual))
    found = classifier("abcde").calibrate(said, actual)
    assert found.group_of_.tolist() == [0, 2, 0, 1, 0]
    assert [len(scores) for scores in found.scores_] == [9, 60, 100]
    one = classifier("abcde", (0.99,)).calibrate(said, actual)
    assert one.group_of_.tolist() == [0, 0, 0, 0, 0]
    with pytest.raises(RefusedError, match=r"sets: 99.5% needs at least 199 rows .* there are 169: ask"):
        classifier("abcde", (0.9, 0.995)).calibrate(said, actual)


def test_a_row_of_weight_2_counts_as_two_and_of_weight_0_not_at_all():
    draw = np.random.default_rng(3)
    said, actual = draw.dirichlet(np.ones(3), 300), draw.integers(0, 3, 300)
    weights = np.tile([0.0, 1.0, 1.0, 1.0], 75)
    some = classifier(range(3)).calibrate(said[weights > 0], actual[weights > 0])
    for heavier in (weights, 2 * weights):
        weighted = classifier(range(3)).calibrate(said, actual, heavier)
        np.testing.assert_allclose(weighted.p_values(said), some.p_values(said))
    # Of 19 rows of a class the heaviest counts as two of 20: it weighs 2 / (20 + 20 / 19).
    chance = np.arange(1, 20) / 20
    one = classifier([0, 1], (0.5,)).calibrate(two(chance), np.zeros(19), np.append(np.ones(18), 2))
    assert one.p_values(two([0.94]))[0, 0] == pytest.approx(1 - 18 / (20 + 20 / 19))


def test_a_probability_that_differs_in_the_last_digit_is_the_same():
    said, actual = two(np.repeat([0.3, 0.7], 20)), np.tile([0, 1], 20)
    found = classifier([0, 1]).calibrate(said, actual)
    for off in (-1e-15, 1e-15):
        np.testing.assert_array_equal(found.p_values(said + off), found.p_values(said))


def test_sets_are_of_the_candidate_within_calibration_and_threshold():
    draw = np.random.default_rng(5)
    x = pd.DataFrame({"x": draw.normal(size=400)})
    y = np.where(x["x"] + draw.normal(size=400) > 0, "yes", "no")
    model = LogisticRegression().fit(x, y)
    said = model.predict_proba(x)
    around = Calibrated(None, "isotonic").calibrate(said, y, model.classes_)
    decided = Learnt(("no", "yes"), around, 0.2, "yes").around(model)
    plain, whole = (ConformalClassifier(one, LEVELS).calibrate(said, y) for one in (model, decided))
    np.testing.assert_array_equal(whole.predict_set(x), plain.predict_set(x))
    np.testing.assert_array_equal(whole.predict(x), decided.predict(x))


def test_a_stored_model_gives_the_same_sets():
    draw = np.random.default_rng(1)
    x = pd.DataFrame({"x": draw.normal(size=300)})
    y = np.array(["a", "b", "c"])[np.digitize(x["x"] + draw.normal(size=300), [-1, 1])]
    model = LogisticRegression().fit(x, y)
    found = ConformalClassifier(model, LEVELS[:1]).calibrate(model.predict_proba(x), y)
    again = load_model(dump_model(found))
    assert again.levels == LEVELS[:1]
    assert list(again.feature_names_in_) == ["x"]
    np.testing.assert_array_equal(again.predict_set(x), found.predict_set(x))
    said = Predictions.of(again, x)
    assert said.sets is not None
    kept = Predictions.of(HeldOut.from_dict(HeldOut(said).to_dict()), x)
    for other in (kept, Predictions.joined([said.taken(np.arange(9)), said.taken(np.arange(9, 300))])):
        np.testing.assert_array_equal(other.sets, said.sets)
        np.testing.assert_array_equal(other.probabilities, said.probabilities)
        assert (other.levels, other.classes) == (said.levels, said.classes)


def test_joined_sets_of_other_classes_are_of_all():
    one = Predictions(np.array(["a"]), np.ones((1, 1)), ("a",), levels=(0.9,), sets=np.ones((1, 1, 1), bool))
    sets = np.array([[[True, False]]])
    other = Predictions(np.array(["b"]), np.array([[0.9, 0.1]]), ("b", "c"), levels=(0.9,), sets=sets)
    joined = Predictions.joined([one, other])
    assert joined.sets is not None
    assert joined.sets[:, 0].tolist() == [[True, False, False], [False, True, False]]
    assert Predictions.joined([one, Predictions(np.array(["a"]), np.ones((1, 1)), ("a",))]).sets is None
