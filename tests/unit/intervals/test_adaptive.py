"""Levels by hand, what they depend on, and that they bring coverage back to the promise after a change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.intervals.adaptive import Seen, adapted_levels
from evergreen.intervals.conformal import ConformalRegressor
from tests.campaign import examples


def seen(parts, delay=0):
    return [Seen(np.asarray(part, dtype=float), max(0, at - delay)) for at, part in enumerate(parts)]


def test_without_anything_known_the_promise_is_used():
    assert adapted_levels((0.9, 0.99), [], 0) == (0.9, 0.99)
    assert adapted_levels((0.9,), seen([[0.0], [0.0]], 2), 0) == (0.9,)
    assert adapted_levels((0.9,), seen([[]]), 1) == (0.9,)


def test_one_partition_by_hand():
    # All of it was missed: each step size takes 0.9 of itself from the 0.1 that may be missed.
    (missed,) = adapted_levels((0.9,), seen([[0.0, 0.05]]), 1)
    assert missed == pytest.approx(1 - np.mean([0.0955, 0.091, 0.082, 0.064, 0.028, -0.044, -0.188]))
    # None of it was: each adds 0.1 of itself.
    (held,) = adapted_levels((0.9,), seen([[0.5, 0.11]]), 1)
    assert held == pytest.approx(1 - np.mean([0.1005, 0.101, 0.102, 0.104, 0.108, 0.116, 0.132]))
    # A tenth of it was, just as promised.
    (even,) = adapted_levels((0.9,), seen([[0.05, *np.linspace(0.2, 1, 9)]]), 1)
    assert even == pytest.approx(0.9)


def test_what_is_not_known_yet_changes_nothing():
    draw = np.random.default_rng(0)
    parts = [draw.random(5) for _ in range(9)]
    late = [*parts[:6], *(np.zeros(5) for _ in range(3))]
    assert adapted_levels((0.9,), seen(parts, 3), 6) == adapted_levels((0.9,), seen(late, 3), 6)
    assert adapted_levels((0.9,), seen(parts, 3), 7) != adapted_levels((0.9,), seen(late, 3), 7)


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 4), st.floats(0.1, 4))
def test_levels_are_finite_and_in_the_order_of_the_promises(seed, parts, delay, drift):
    draw = np.random.default_rng(seed)
    ranks = [draw.random(draw.integers(0, 20)) ** drift for _ in range(parts)]
    found = adapted_levels((0.99, 0.8, 0.9), seen(ranks, delay), max(0, parts - delay))
    assert all(0 <= level <= 2 for level in found)
    assert found[1] <= found[2] <= found[0]


@pytest.mark.parametrize(("change", "left"), [(1.0, 1.0), (1.8, 0.4), (0.5, 0.5)])
def test_coverage_comes_back_to_the_promise(change, left):
    """Errors grow or shrink after the 20th of 80 partitions; each has errors in common."""
    without, with_ = [], []
    for seed in range(4):
        draw = np.random.default_rng(seed)
        calibration = draw.normal(size=400) + np.repeat(draw.normal(0, 0.4, 20), 20)
        model = ConformalRegressor(None, (0.9,))
        model.calibrate(np.zeros(400), calibration, np.arange(400) // 100)
        ranks: list[np.ndarray] = []
        for at in range(80):
            size = change if at >= 20 else 1.0
            found = model.p_values(np.zeros(20), size * (draw.normal(size=20) + draw.normal(0, 0.4)))
            (level,) = adapted_levels((0.9,), seen(ranks), at)
            if at >= 30:
                without.append((found > 0.1).mean())
                with_.append((found > 1 - level).mean())
            ranks.append(found)
    off, adapted = (abs(np.mean(shares) - 0.9) for shares in (without, with_))
    # 200 partitions with errors in common: a mean scatters by about 0.008.
    assert adapted < left * off + 0.01
    if change != 1:
        assert off > 0.08


def test_the_p_value_of_the_truth_says_which_levels_hold_it():
    draw = np.random.default_rng(2)
    actual = draw.normal(size=300)
    model = ConformalRegressor(None, (0.9,)).calibrate(np.zeros(300), actual, np.arange(300) // 100)
    truth = np.append(draw.normal(size=50), [2.5, 4, 6, 9, 1e6])
    found = model.p_values(np.zeros(55), truth)
    for level in (0.0, 0.3, 0.9, 0.99, 200 / 201, 0.999, 1.05, 1.2):
        bounds = model.stretched(np.zeros(55), [level])[:, 0]
        held = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
        np.testing.assert_array_equal(held, found > 1 - level + 1e-12)
        if level <= 200 / 201:
            np.testing.assert_array_equal(bounds, model.around(np.zeros(55), [level])[:, 0])
        else:
            assert not np.isfinite(model.around(np.zeros(1), [level])).any()
    # 200 rows have scores: the largest of them is that of the level 200 / 201, and 0.1 more doubles it.
    largest, twice = model.stretched(np.zeros(1), [200 / 201, 200 / 201 + 0.1])[0, :, 1]
    assert twice == pytest.approx(2 * largest)


def test_an_exact_model_has_p_values_that_are_numbers():
    model = ConformalRegressor(None, (0.9,)).calibrate(np.ones(60), np.ones(60), np.arange(60) // 20)
    assert np.isfinite(model.p_values(np.ones(2), np.array([1.0, 5.0]))).all()
