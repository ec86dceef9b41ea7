from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.errors import NothingToDoError
from evergreen.training.folds import folds_of


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=25))
def test_with_time_the_past_is_never_scored_by_the_future(make_spec, sizes):
    days = pd.date_range("2024-01-01", periods=len(sizes)).strftime("%Y-%m-%d")
    partitions = pd.Series(np.repeat(days, sizes))
    folds = folds_of(make_spec(), partitions, None)
    assert len(folds) == min(3, len(sizes) - 1)
    for known, unseen in folds:
        assert partitions.iloc[known].max() < partitions.iloc[unseen].min()
        # Whole partitions only: those that are scored have all their rows scored.
        assert len(unseen) == partitions.isin(partitions.iloc[unseen]).sum()
    assert folds[-1][1].max() == len(partitions) - 1


def test_classes_keep_their_shares(make_spec, snapshot, people):
    folds = folds_of(make_spec(snapshot), people["partition"], people["loyal"])
    assert sorted((people["loyal"].iloc[unseen] == "yes").sum() for _, unseen in folds) == [13, 13, 14]
    assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(120))


def test_a_small_class_makes_fewer_folds(make_spec, snapshot, people):
    target = pd.Series(["rare"] * 2 + ["common"] * 118)
    assert len(folds_of(make_spec(snapshot), people["partition"], target)) == 2
    with pytest.raises(NothingToDoError, match="two folds"):
        folds_of(make_spec(snapshot), people["partition"], pd.Series(["rare"] + ["common"] * 119))


def test_one_partition_cannot_be_split_in_time(make_spec):
    with pytest.raises(NothingToDoError, match="two folds"):
        folds_of(make_spec(), pd.Series(["2024-01-01"] * 9), None)


def test_clustering_has_one_fold_of_all_rows(make_spec, clusters, blobs):
    [(known, unseen)] = folds_of(make_spec(clusters), blobs["partition"], None)
    assert known.tolist() == unseen.tolist() == list(range(90))
