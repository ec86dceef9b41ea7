from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from evergreen.calendar import Calendar, Grain, Length
from evergreen.training_set.sample import Sample, balanced, recent
from evergreen.units import HalfLife

LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 100)), min_size=1, max_size=40)


@given(rows=LABELS)
def test_every_class_weighs_the_same_and_proportions_within_it_stay(rows):
    target, own = pd.Series([label for label, _ in rows]), np.array([weight for _, weight in rows])
    found = balanced(target, own)
    sums = pd.Series(found).groupby(target).sum()
    np.testing.assert_allclose(sums, own.sum() / len(sums), rtol=1e-9)
    for label in set(target):
        ratio = found[target == label] / own[target == label]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=40))
def test_without_weights_it_is_what_scikit_learn_calls_balanced(labels):
    target = pd.Series(labels)
    np.testing.assert_allclose(balanced(target, None), compute_sample_weight("balanced", target), rtol=1e-12)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 3.0])])
def test_rows_are_taken_by_position_whatever_their_index(weights):
    index = [7, 7, 3]
    keys = pd.Series(["2024-01-01", "2024-01-02", "2024-01-03"], index)
    sample = Sample(pd.DataFrame({"a": [1, 2, 3]}, index), pd.Series([4, 5, 6], index), keys, weights)
    some = sample.taken(np.array([2, 0]))
    assert some.features["a"].tolist() == [3, 1]
    assert some.target.tolist() == [6, 4]
    assert some.partitions.tolist() == ["2024-01-03", "2024-01-01"]
    assert some.weights is None if weights is None else some.weights.tolist() == [3.0, 1.0]


DAYS = ["2024-03-29", "2024-03-30", "2024-03-31"]


@pytest.mark.parametrize(
    ("grain", "keys", "half_life", "wanted"),
    [
        # The newest partition ends one partition after its start.
        (Grain.DAILY, DAYS, Length(1), [1 / 8, 1 / 4, 1 / 2]),
        (Grain.DAILY, DAYS, Length(1, "day"), [1 / 8, 1 / 4, 1 / 2]),
        (Grain.DAILY, DAYS, Length(2, "day"), [2**-1.5, 1 / 2, 2**-0.5]),
        (Grain.HOURLY, ["2024-03-29T00", "2024-03-29T23"], Length(1, "day"), [1 / 2, 2 ** (-1 / 24)]),
        # A hole in history is time that passed, for lengths of both kinds.
        (Grain.WEEKLY, ["2024-03-04", "2024-03-25"], Length(2, "week"), [1 / 4, 2**-0.5]),
        (Grain.MONTHLY, ["2024-01", "2024-04"], Length(2), [1 / 4, 2**-0.5]),
        # Years of 365.25 days on average; from 2024-01-01 to 2025-01-01 are 366 days.
        (
            Grain.MONTHLY,
            ["2024-01", "2024-12"],
            Length(1, "year"),
            [2 ** (-366 / 365.25), 2 ** (-31 / 365.25)],
        ),
    ],
)
def test_a_row_counts_half_after_the_half_life(grain, keys, half_life, wanted):
    rows = pd.Series([key for key in keys for _ in range(2)])[::-1]
    found = recent(Calendar(grain), rows, HalfLife(half_life), None)
    np.testing.assert_allclose(found, np.repeat(wanted, 2)[::-1], rtol=1e-4)


def test_a_local_day_of_25_hours_is_as_old_as_it_is():
    # Lengths in days are elapsed time here: an hour more or less is no matter to a weight.
    calendar, rows = Calendar(Grain.DAILY, "Europe/Berlin"), pd.Series(["2024-10-26", "2024-10-27"])
    assert recent(calendar, rows, HalfLife(Length(1, "day")), None) == pytest.approx(
        [2 ** (-49 / 24), 2 ** (-25 / 24)]
    )
    assert recent(calendar, rows, HalfLife(Length(1)), None) == pytest.approx([1 / 4, 1 / 2])


@given(
    own=st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    half_life=st.integers(1, 400),
    later=st.integers(0, 2000),
)
def test_recency_multiplies_what_rows_weigh_and_does_not_depend_on_the_date(own, half_life, later):
    calendar, length = Calendar(Grain.DAILY), HalfLife(Length(half_life, "day"))
    moved = pd.Series([calendar.shift(day, later) for day in DAYS])
    found = recent(calendar, moved, length, np.array(own))
    np.testing.assert_allclose(found, own * recent(calendar, pd.Series(DAYS), length, None), rtol=1e-12)
    assert (np.diff(found / own) > 0).all()
    assert (found / own < 1).all()
