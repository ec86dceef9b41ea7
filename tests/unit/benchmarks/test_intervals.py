"""The interval score by hand, and the worlds that it is taken in."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.intervals import WORLDS, held, score


def test_the_score_is_the_width_and_what_is_missed() -> None:
    actual, bounds = np.array([1.0, 5.0, -2.0]), np.array([[0.0, 2.0]] * 3)
    # Twice 2 / 0.1 times what is missed: by 3 above, and by 2 below.
    assert score(actual, bounds, 0.9) == pytest.approx(2 + 20 * (3 + 2) / 3)
    assert held(actual, bounds) == pytest.approx(1 / 3)


def test_no_other_interval_has_a_better_score_than_that_of_the_quantiles() -> None:
    draw = np.random.default_rng(0).normal(size=20_000)
    right = score(draw, np.tile([-1.645, 1.645], (len(draw), 1)), 0.9)
    for reach in (1.3, 2.0):
        assert score(draw, np.tile([-reach, reach], (len(draw), 1)), 0.9) > right


def test_a_world_is_the_same_for_the_same_seed() -> None:
    for world in WORLDS.values():
        (x, y), (again, same) = world.rows(3), world.rows(3)
        assert x.equals(again)
        np.testing.assert_array_equal(y, same)
