from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_sample_weight

from evergreen.training_set.sample import Sample, balanced

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
    sample = Sample(pd.DataFrame({"a": [1, 2, 3]}, index), pd.Series([4, 5, 6], index), weights)
    some = sample.taken(np.array([2, 0]))
    assert some.features["a"].tolist() == [3, 1]
    assert some.target.tolist() == [6, 4]
    assert some.weights is None if weights is None else some.weights.tolist() == [3.0, 1.0]
