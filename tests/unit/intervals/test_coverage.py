"""Coverage counted by hand, and put together from parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.intervals.coverage import Covered, correlation, covered, covered_by_partition, pooled
from evergreen.metrics.predictions import Predictions
from evergreen.signals.sequential import widening

LEVELS = (0.9, 0.99)


def said(lower, upper):
    bounds = np.stack([np.column_stack([lower, lower]), np.column_stack([upper, upper])], axis=2)
    bounds[:, 1] += [-1.0, 1.0]
    return Predictions(np.zeros(len(bounds)), bounds=bounds, levels=LEVELS)


def test_rows_are_counted_with_their_ends_and_without_those_that_are_unknown():
    lower, upper = np.array([0.0, 0, 0, 0, np.nan]), np.array([2.0, 2, 2, 4, np.nan])
    found = covered([2.0, 2.5, np.nan, -3, 1], said(lower, upper))
    assert found == (Covered(0.9, 3, 1, 8 / 3), Covered(0.99, 3, 2, 14 / 3))


def test_without_intervals_or_a_truth_there_is_nothing():
    assert covered([1.0], Predictions(np.array([1.0]))) == ()
    assert covered([np.nan], said(np.zeros(1), np.ones(1))) == ()
    assert covered_by_partition(["a"], [np.nan], said(np.zeros(1), np.ones(1))) == {}


def test_sets_are_counted_with_how_many_classes_they_hold():
    sets = np.array([[[1, 0, 0], [1, 1, 0]], [[0, 1, 0], [0, 1, 1]], [[0, 0, 1], [1, 1, 1]]], dtype=bool)
    told = Predictions(np.array(["a", "b", "c"]), np.eye(3), ("a", "b", "c"), levels=LEVELS, sets=sets)
    assert covered(["a", "c", None], told) == (Covered(0.9, 2, 1, 1.0), Covered(0.99, 2, 2, 2.0))
    # A class that the model does not know is in no set.
    parts = covered_by_partition(["k2", "k1", "k2"], ["d", "b", "a"], told)
    assert parts == {
        "k1": (Covered(0.9, 1, 1, 1.0), Covered(0.99, 1, 1, 2.0)),
        "k2": (Covered(0.9, 2, 0, 1.0), Covered(0.99, 2, 1, 2.5)),
    }


def test_an_infinite_bound_holds_everything():
    (found, _) = covered([1e9], said(np.array([-np.inf]), np.array([np.inf])))
    assert (found.rows, found.covered, found.width) == (1, 1, math.inf)
    assert found.to_dict() == {"level": 0.9, "rows": 1, "covered": 1, "width": None}
    assert Covered.from_dict(found.to_dict()) == found


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(-2, 4), st.floats(0, 2)), min_size=1, max_size=30)
)
def test_partitions_add_up_to_their_rows(rows):
    keys, actual, upper = (list(column) for column in zip(*rows, strict=True))
    told = said(np.zeros(len(rows)), np.array(upper))
    parts = covered_by_partition(keys, actual, told)
    assert list(parts) == sorted(set(keys))
    for number, whole in enumerate(covered(actual, told)):
        of_level = [part[number] for part in parts.values()]
        assert sum(part.covered for part in of_level) == whole.covered
        assert sum(part.rows for part in of_level) == whole.rows == len(rows)
        np.testing.assert_allclose(sum(p.rows * p.width for p in of_level) / len(rows), whole.width)
    (key,) = keys[:1]
    mine = np.array([other == key for other in keys])
    assert parts[key] == covered(np.array(actual)[mine], told.taken(mine))


def units(rows, missed, level=0.9):
    return [Covered(level, n, n - m, 1.0) for n, m in zip(rows, missed, strict=True)]


def test_the_correlation_by_hand():
    # Shares missed 0.2, 0 and 0.1 of 10 rows each: a mean square of 10 * 0.02 / 2 = 0.1, where 0.09 is usual.
    effect = 0.1 / 0.09 * widening(3) ** 2
    assert correlation(units([10, 10, 10], [2, 0, 1])) == pytest.approx((effect - 1) / 9)
    assert correlation(units([10, 10], [1, 1])) == 0
    assert correlation(units([10, 10], [10, 0])) == 1
    assert correlation(units([1, 1, 1], [0, 1, 0])) == 0  # no two rows of a unit
    assert correlation(units([10], [1])) is None


@pytest.mark.parametrize("of", [0.0, 0.05, 0.3])
def test_the_correlation_is_that_of_the_rows(of):
    draw = np.random.default_rng(1)
    rows = draw.integers(5, 60, 4000)
    a = 0.1 * (1 / of - 1) if of else None  # beta-binomial: 1 / (a + b + 1) is the correlation
    chance = draw.beta(a, 9 * a, 4000) if of else np.full(4000, 0.1)
    assert correlation(units(rows, draw.binomial(rows, chance))) == pytest.approx(of, abs=0.02)


def test_parts_of_a_level_are_pooled():
    assert pooled([Covered(0.9, 2, 1, 3.0), Covered(0.9, 6, 6, 1.0)]) == Covered(0.9, 8, 7, 1.5)
