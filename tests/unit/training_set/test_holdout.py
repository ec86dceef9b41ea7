from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evergreen.errors import NothingToDoError, SpecError
from evergreen.training_set.holdout import holdout_mask


def test_with_time_the_last_days_are_held_out(make_spec, daily_rows):
    held = holdout_mask(make_spec(), daily_rows, daily_rows["sold"], "2024-02-10")
    assert sorted(set(daily_rows["partition"][held])) == [f"2024-02-{d:02}" for d in range(3, 10)]


def test_the_holdout_is_a_stretch_of_time_even_where_days_are_missing(make_spec, daily_rows):
    rows = daily_rows[~daily_rows["partition"].isin(["2024-02-05", "2024-02-09"])]
    held = holdout_mask(make_spec(), rows, rows["sold"], "2024-02-10")
    assert rows["partition"][held].nunique() == 5
    assert rows["partition"][held].min() == "2024-02-03"


def test_a_share_of_partitions_is_rounded_up(make_spec, daily_rows):
    spec = make_spec(changes={"holdout: 7 days": "holdout: 11%"})
    held = holdout_mask(spec, daily_rows, daily_rows["sold"], "2024-02-10")
    assert daily_rows["partition"][held].nunique() == 5  # 11 % of 40 is 4.4


def test_more_than_half_of_the_partitions_is_refused(make_spec, daily_rows):
    rows = daily_rows[daily_rows["partition"] >= "2024-01-28"]  # 13 days, 7 of them held out
    with pytest.raises(NothingToDoError, match="take 7 of 13 partitions"):
        holdout_mask(make_spec(), rows, rows["sold"], "2024-02-10")


def test_exactly_half_is_allowed(make_spec, daily_rows):
    rows = daily_rows[daily_rows["partition"] >= "2024-01-27"]  # 14 days, 7 of them held out
    assert holdout_mask(make_spec(), rows, rows["sold"], "2024-02-10").mean() == 0.5


def test_a_holdout_without_rows_is_refused(make_spec, daily_rows):
    with pytest.raises(NothingToDoError, match="no rows are published in the hold-out"):
        holdout_mask(make_spec(), daily_rows, daily_rows["sold"], "2024-03-10")


def test_a_snapshot_is_stratified_and_seeded(make_spec, snapshot, people):
    spec = make_spec(snapshot)
    held = holdout_mask(spec, people, people["loyal"], "snapshot")
    assert held.sum() == 24
    assert (people["loyal"][held] == "yes").sum() == 8  # a third, as in all rows
    assert np.array_equal(held, holdout_mask(spec, people, people["loyal"], "snapshot"))
    other = make_spec(snapshot, {"metric: accuracy": "metric: accuracy\n  seed: 1"})
    assert not np.array_equal(held, holdout_mask(other, people, people["loyal"], "snapshot"))


def test_a_class_too_small_to_be_split_is_named(make_spec, snapshot, people):
    lone = people.assign(loyal=["once"] + ["no"] * 119)
    with pytest.raises(NothingToDoError, match="cannot be split"):
        holdout_mask(make_spec(snapshot), lone, lone["loyal"], "snapshot")


@pytest.mark.parametrize("share", ["51%", "90%"])
def test_a_share_that_leaves_too_little_is_refused(make_spec, snapshot, people, share):
    spec = make_spec(snapshot, {"holdout: 20%": f"holdout: {share}"})
    with pytest.raises(SpecError, match=r"training\.holdout"):
        holdout_mask(spec, people, people["loyal"], "snapshot")


def test_without_classes_the_share_is_drawn_plainly(make_spec, clusters, blobs):
    held = holdout_mask(make_spec(clusters), blobs, None, "snapshot")
    assert held.sum() == 18
    assert isinstance(held, np.ndarray)
    assert pd.Series(held).dtype == bool


def test_groups_are_held_out_as_a_whole(make_spec, snapshot, people):
    rows = people.assign(home=np.arange(120) // 4)
    spec = make_spec(snapshot, {"folds: 3": "folds: 3, group: home"})
    held = holdout_mask(spec, rows, rows["loyal"], "snapshot")
    assert not set(rows["home"][held]) & set(rows["home"][~held])
    assert held.sum() == 24  # six of thirty homes
    assert np.array_equal(held, holdout_mask(spec, rows, rows["loyal"], "snapshot"))


def test_a_class_that_is_held_out_whole_is_named(make_spec, snapshot, people):
    rows = people.assign(home=np.arange(120) // 12)
    spec = make_spec(snapshot, {"folds: 3": "folds: 3, group: home"})
    held = rows["home"][holdout_mask(spec, rows, rows["loyal"], "snapshot")].iloc[0]
    rare = rows["loyal"].where(rows["home"] != held, "rare")
    with pytest.raises(NothingToDoError, match="all rows of class rare are held out with their groups"):
        holdout_mask(spec, rows, rare, "snapshot")
