"""How far two versions agree, by hand and by scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from evergreen.shadow.agreement import Agreement, agreement
from evergreen.task import Task


def test_classes_agree_where_they_are_equal() -> None:
    found = agreement(Task.CLASSIFICATION, ["a", "b", "b", "a"], ["a", "b", "a", "a"])
    assert found == Agreement(4, equal=0.75)
    assert found.words == "75% of 4 rows are predicted alike"


def test_numbers_agree_by_their_difference_and_correlation() -> None:
    random = np.random.default_rng(0)
    one = random.normal(size=50)
    other = one + random.normal(size=50)
    other[:10] = one[:10]
    found = agreement(Task.REGRESSION, one, other)
    assert found.equal == 0.2
    assert found.difference == pytest.approx(sum(abs(a - b) for a, b in zip(one, other, strict=True)) / 50)
    assert found.correlation == pytest.approx(pearsonr(one, other).statistic)


def test_what_is_not_defined_is_none() -> None:
    found = agreement(Task.REGRESSION, [1, 1], [1, 3])
    assert found == Agreement(2, 0.5, 1.0, None)
    assert found.words.endswith("the mean difference is 1 and the correlation -")
    assert agreement(Task.REGRESSION, [], []) == Agreement(0)
    assert Agreement(0).words == "no row was predicted by both"


def test_clusters_agree_whatever_their_names() -> None:
    assert agreement(Task.CLUSTERING, [0, 0, 1, 1, 2], [2, 2, 0, 0, 1]).equal == 1
    # Of six pairs each has two together, and none is together in both: (0 - 2/3) / (2 - 2/3).
    assert agreement(Task.CLUSTERING, [0, 0, 1, 1], [0, 1, 0, 1]).equal == pytest.approx(-0.5)
