from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.errors import NothingToDoError, RefusedError, SpecError
from evergreen.training_set.folds import folds_of, groups_of
from tests.campaign import examples


@settings(
    max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
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


def test_the_only_row_of_a_class_is_known_in_each_fold(make_spec, snapshot, people):
    target = pd.Series(["common", "other"] * 59 + ["rare", "rarer"])
    folds = folds_of(make_spec(snapshot), people["partition"], target)
    assert all({118, 119} <= set(known) and not {118, 119} & set(unseen) for known, unseen in folds)
    assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(118))


def test_folds_with_one_class_to_learn_from_are_left_out(make_spec, snapshot, people):
    days = pd.Series(np.repeat(pd.date_range("2024-01-01", periods=12).strftime("%Y-%m-%d"), 10))
    spec = make_spec().model_copy(update={"task": make_spec(snapshot).task})
    late = pd.Series(["no"] * 70 + ["yes", "no"] * 25)
    assert len(folds_of(spec, days, pd.Series(["no", "yes"] * 60))) == 3
    assert [len(known) for known, _ in folds_of(spec, days, late)] == [90]
    with pytest.raises(RefusedError, match=r"in each fold .* one class of 2: give more rows"):
        folds_of(spec, days, pd.Series(["no"] * 110 + ["yes"] * 10))


def test_one_partition_cannot_be_split_in_time(make_spec):
    with pytest.raises(NothingToDoError, match="two folds"):
        folds_of(make_spec(), pd.Series(["2024-01-01"] * 9), None)


def test_clustering_has_one_fold_of_all_rows(make_spec, clusters, blobs):
    [(known, unseen)] = folds_of(make_spec(clusters), blobs["partition"], None)
    assert known.tolist() == unseen.tolist() == list(range(90))


GAPS = {"1 day": 1, "36 hours": 2, "2 days": 2, "5 hours": 1, "7 days": 7}


@pytest.mark.parametrize("gap", GAPS)
def test_a_gap_in_event_time_is_left_out_before_what_is_scored(make_spec, gap):
    spec = make_spec(changes={"folds: 3": f"folds: 3, gap: {gap}"})
    at = pd.Series(pd.date_range("2024-01-01", periods=40 * 4, freq="6h"))
    partitions = at.dt.strftime("%Y-%m-%d")
    plain = folds_of(make_spec(), partitions, None)
    folds = folds_of(spec, partitions, None)
    assert len(folds) == 3
    for (known, unseen), (before, same) in zip(folds, plain, strict=True):
        assert unseen.tolist() == same.tolist()
        first = at.iloc[unseen].min()
        assert at.iloc[known].max() < first - pd.Timedelta(gap)
        # Nothing is left out but the partitions that the gap reaches into.
        left_out = set(partitions.iloc[before]) - set(partitions.iloc[known])
        assert len(left_out) == GAPS[gap]


def test_a_gap_counts_time_even_where_days_are_missing(make_spec):
    spec = make_spec(changes={"folds: 3": "folds: 2, gap: 2 days"})
    partitions = pd.Series([f"2024-01-{day:02}" for day in (1, 2, 3, 4, 5, 6, 20, 21, 22)])
    found = [(known.tolist(), unseen.tolist()) for known, unseen in folds_of(spec, partitions, None)]
    assert found == [([0], [3, 4, 5]), ([0, 1, 2, 3, 4, 5], [6, 7, 8])]


def test_a_gap_that_leaves_too_little_makes_fewer_folds_and_then_none(make_spec):
    days = pd.Series(pd.date_range("2024-01-01", periods=12).strftime("%Y-%m-%d"))
    few = folds_of(make_spec(changes={"folds: 3": "folds: 3, gap: 4 days"}), days, None)
    assert [len(known) for known, _ in few] == [2, 5]  # of three, six and nine days known
    with pytest.raises(NothingToDoError, match=r"two folds .* shorten training\.tuning\.gap"):
        folds_of(make_spec(changes={"folds: 3": "folds: 3, gap: 7 days"}), days, None)


GROUPED = {"folds: 3": "folds: 3, group: home"}


@settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(homes=st.integers(6, 40), seed=st.integers(0, 99))
def test_a_group_never_stands_on_both_sides(make_spec, snapshot, people, homes, seed):
    rows = people.assign(home=np.random.default_rng(seed).integers(0, homes, len(people)))
    for text in (snapshot, regression(snapshot)):
        spec = make_spec(text, GROUPED)
        groups = groups_of(spec, rows)
        folds = folds_of(spec, rows["partition"], rows[spec.target], groups)
        assert len(folds) == 3
        for known, unseen in folds:
            assert not set(rows["home"].iloc[known]) & set(rows["home"].iloc[unseen])
        assert sorted(np.concatenate([unseen for _, unseen in folds])) == list(range(120))


def regression(snapshot: str) -> str:
    return (
        snapshot.replace("task: classification", "task: regression")
        .replace("target: loyal", "target: spent")
        .replace("metric: accuracy", "metric: mae")
        .replace("LogisticRegression, search: {C: [0.01, 10, log]}", "Ridge")
    )


def test_classes_keep_their_shares_as_far_as_groups_allow(make_spec, snapshot, people):
    rows = people.assign(home=np.arange(120) // 3)  # a loyal one among each three
    spec = make_spec(snapshot, GROUPED)
    folds = folds_of(spec, rows["partition"], rows["loyal"], groups_of(spec, rows))
    assert all((rows["loyal"].iloc[unseen] == "yes").mean() == pytest.approx(1 / 3) for _, unseen in folds)


def test_fewer_groups_make_fewer_folds(make_spec, snapshot, people):
    spec = make_spec(snapshot, GROUPED)
    rows = people.assign(home=np.arange(120) % 2)
    assert len(folds_of(spec, rows["partition"], rows["loyal"], groups_of(spec, rows))) == 2
    alone = groups_of(spec, people.assign(home=1))
    with pytest.raises(NothingToDoError, match="two folds"):
        folds_of(spec, people["partition"], people["loyal"], alone)


def test_a_column_of_groups_that_is_not_there_is_named(make_spec, snapshot, people):
    with pytest.raises(
        SpecError, match=r"tuning\.group: the rows have no column 'home'; there: person, spent"
    ):
        groups_of(make_spec(snapshot, GROUPED), people)
    assert groups_of(make_spec(snapshot), people) is None
