from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from evergreen.evaluation.calibration import calibration_error, reliability
from evergreen.metrics.predictions import Predictions


def binary(chance, classes=("no", "yes")) -> Predictions:
    chance = np.asarray(chance, dtype=float)
    probabilities = np.column_stack([1 - chance, chance])
    return Predictions(np.asarray(classes)[probabilities.argmax(axis=1)], probabilities, classes)


def test_the_error_is_the_distance_of_what_was_said_from_what_happened():
    # 0.2 is said of ten rows and happens to three of them, 0.9 of thirty and happens to 24.
    said = np.repeat([0.2, 0.9], [10, 30])
    actual = np.repeat(["yes", "no", "yes", "no"], [3, 7, 24, 6])
    # 40 rows are too few for two bins of 50: all in one, 0.725 said on average, 0.675 happened.
    assert calibration_error(actual, binary(said)) == pytest.approx(0.05)
    many = np.tile(actual, 20), binary(np.tile(said, 20))
    found = reliability(*many)
    assert [(bin_.rows, pytest.approx(bin_.predicted), pytest.approx(bin_.observed)) for bin_ in found] == [
        (200, 0.2, 0.3),
        (600, 0.9, 0.8),
    ]
    assert calibration_error(*many) == pytest.approx(0.25 * 0.1 + 0.75 * 0.1)


def test_of_more_classes_the_likeliest_counts():
    # Guo et al. 2017: confidence 0.6 where 0.5 of the rows are right.
    probabilities = np.tile([0.1, 0.6, 0.3], (100, 1))
    actual = np.repeat([1, 2, 0], [50, 30, 20])
    found = Predictions(np.ones(100), probabilities, (0, 1, 2))
    assert calibration_error(actual, found) == pytest.approx(0.1)


def test_bins_hold_about_the_same_number_of_rows_and_at_least_fifty():
    random = np.random.default_rng(0)
    for rows in (49, 120, 700, 5_000):
        chance = random.beta(1, 20, rows)  # most of it close to 0, where bins of equal width would be empty
        found = reliability(np.where(random.random(rows) < chance, "yes", "no"), binary(chance))
        assert len(found) == min(15, max(1, rows // 50))
        sizes = [bin_.rows for bin_ in found]
        assert sum(sizes) == rows
        assert max(sizes) - min(sizes) <= 1
        assert [b.predicted for b in found] == sorted(b.predicted for b in found)


def test_a_calibrated_model_has_a_small_error_and_a_boastful_one_a_large():
    random = np.random.default_rng(1)
    chance = random.uniform(0, 1, 20_000)
    actual = np.where(random.random(20_000) < chance, "yes", "no")
    assert calibration_error(actual, binary(chance)) < 0.02
    # Says 0 or 1 where the truth is on the way to it: wrong by E|p - round(p)| = 1/4.
    assert calibration_error(actual, binary(np.round(chance))) == pytest.approx(0.25, abs=0.01)


@given(
    chance=arrays.arrays(float, st.integers(1, 300), elements=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
    seed=st.integers(0, 9),
)
def test_the_order_of_rows_and_the_name_of_the_second_class_do_not_matter(chance, seed):
    random = np.random.default_rng(seed)
    actual = np.where(random.random(len(chance)) < chance, "yes", "no")
    error = calibration_error(actual, binary(chance))
    assert 0 <= error <= 1
    order = random.permutation(len(chance))
    assert calibration_error(actual[order], binary(chance[order])) == pytest.approx(error)


@given(seed=st.integers(0, 99))
def test_a_weight_of_two_is_a_row_that_is_there_twice(seed):
    random = np.random.default_rng(seed)
    chance = random.choice([0.2, 0.7], 40)  # one bin, with and without the copies
    actual = np.where(random.random(40) < 0.5, "yes", "no")
    twice = np.arange(40) % 3 == 0
    rows = np.r_[np.arange(40), np.flatnonzero(twice)]
    weighted = calibration_error(actual, binary(chance), np.where(twice, 2.0, 1.0))
    assert weighted == pytest.approx(calibration_error(actual[rows], binary(chance[rows])))


@pytest.mark.parametrize(
    "found",
    [
        Predictions(np.array(["yes", "no"])),
        binary([0.5, math.nan]),
        Predictions(np.array([]), np.empty((0, 2)), ("no", "yes")),
    ],
)
def test_without_finite_probabilities_there_is_no_error(found):
    assert math.isnan(calibration_error(np.array(["yes", "no"])[: len(found)], found))
