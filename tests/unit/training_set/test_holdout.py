from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.errors import NothingToDoError, RefusedError, SpecError
from evergreen.spec import Spec
from evergreen.training_set.holdout import _of_each, holdout_mask
from tests.campaign import examples


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


def test_the_only_row_of_a_class_is_never_held_out(make_spec, snapshot, people):
    lone = people.assign(loyal=["once"] + ["no", "yes"] * 59 + ["twice"])
    held = holdout_mask(make_spec(snapshot), lone, lone["loyal"], "snapshot")
    assert held.sum() == 24
    assert not held[[0, 119]].any()


def test_rows_that_are_all_of_a_class_of_their_own_are_refused(make_spec, snapshot, people):
    with pytest.raises(RefusedError, match=r"120 rows cannot be split .* each is the only one of its class"):
        holdout_mask(make_spec(snapshot), people, people["person"].astype(str), "snapshot")


@pytest.mark.parametrize(
    ("rows", "why"),
    [(1, "1 held out and 0 left are too few"), (8, "2 held out and 6 left are too few for 4 classes")],
)
def test_rows_that_are_too_few_to_be_split_are_counted(make_spec, snapshot, people, rows, why):
    few = people.head(rows).assign(loyal=list("abcdabcd")[:rows])
    with pytest.raises(RefusedError, match=why):
        holdout_mask(make_spec(snapshot), few, few["loyal"], "snapshot")


def test_a_lone_group_is_not_split(make_spec, snapshot, people):
    spec = make_spec(snapshot, {"folds: 3": "folds: 3, group: home"})
    with pytest.raises(RefusedError, match=r"1 groups cannot be split .* there are too few"):
        holdout_mask(spec, people.assign(home=1), people["loyal"], "snapshot")


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


def test_the_only_group_of_a_class_is_never_held_out(make_spec, snapshot, people):
    rows = people.assign(home=np.arange(120) // 12)
    spec = make_spec(snapshot, {"folds: 3": "folds: 3, group: home"})
    before = holdout_mask(spec, rows, rows["loyal"], "snapshot")
    home = rows["home"][before].iloc[0]
    rare = rows["loyal"].where(rows["home"] != home, "rare")
    held = holdout_mask(spec, rows, rare, "snapshot")
    assert set(rows["home"][before]) - set(rows["home"][held]) == {home}
    assert held.any()


keys = st.lists(st.integers(0, 10**6), min_size=20, max_size=60, unique=True)


@settings(max_examples=examples(30))
@given(keys=keys, share=st.integers(10, 50), data=st.data())
def test_a_holdout_depends_on_keys_and_classes_and_on_nothing_else(keys, share, data):
    """In any order and with any values; its share, and that of each class, is met within one row."""
    spec = spec_of(share)
    classes = data.draw(st.lists(st.sampled_from("aab"), min_size=len(keys), max_size=len(keys)))
    classes[:8] = "aaaabbbb"
    rows = pd.DataFrame({"person": keys, "loyal": classes, "spent": 1.0, "partition": "snapshot"})
    held = holdout_mask(spec, rows, rows["loyal"], "snapshot")
    assert 0 <= held.sum() - share / 100 * len(keys) < 1 + 1e-9
    for name, size in rows["loyal"].value_counts().items():
        part = held[(rows["loyal"] == name).to_numpy()].sum()
        assert abs(part - held.sum() * size / len(keys)) < 1
        assert part < size
    order = data.draw(st.permutations(range(len(keys))))
    other = rows.iloc[list(order)].reset_index(drop=True).assign(spent=2.0)
    again = holdout_mask(spec, other, other["loyal"], "snapshot")
    assert set(other["person"][again]) == set(rows["person"][held])


@settings(max_examples=examples(30))
@given(keys=keys, gone=st.integers(0, 10), new=st.integers(0, 10))
def test_a_later_snapshot_holds_out_the_same_rows_but_for_a_few_at_the_border(keys, gone, new):
    """Either no row that was left comes in, or none that was held out, and is still there, leaves."""
    spec = spec_of(20, task="regression")
    now = [*keys[gone:], *range(2 * 10**6, 2 * 10**6 + new)]
    first, later = held_of(spec, keys), held_of(spec, now)
    came = later & (set(keys) - first)
    left = (first & set(now)) - later
    assert not came or not left
    assert len(came) + len(left) <= gone + new


@settings(max_examples=examples(30))
@given(homes=st.lists(st.integers(0, 30), min_size=20, max_size=80), share=st.integers(5, 50))
def test_a_group_stays_on_its_side_whatever_rows_it_has(homes, share):
    homes = [*homes, 0, 1, 2]
    spec = spec_of(share, group="home", task="regression")
    rows = pd.DataFrame({"person": range(len(homes)), "home": homes, "partition": "snapshot"})
    held = holdout_mask(spec, rows, None, "snapshot")
    sides = rows.assign(held=held).groupby("home")["held"].agg(["min", "max"])
    assert (sides["min"] == sides["max"]).all()
    assert 0 <= sides["min"].sum() - share / 100 * len(sides) < 1 + 1e-9
    fewer = rows.drop_duplicates("home").iloc[::-1].reset_index(drop=True)
    again = holdout_mask(spec, fewer, None, "snapshot")
    assert set(fewer["home"][again]) == set(rows["home"][held])


@settings(max_examples=examples(100))
@given(sizes=st.lists(st.integers(2, 50), min_size=1, max_size=8), share=st.floats(0.01, 0.5))
def test_the_rows_of_each_class_are_its_share_by_largest_remainders(sizes, share):
    classes = np.asarray(sizes)
    wanted = int(np.ceil(share * classes.sum()))
    held = _of_each(classes, wanted)
    assert held.sum() in (wanted, wanted - 1)
    assert (np.abs(held - wanted * classes / classes.sum()) < 1 + 1e-9).all()
    assert (held < classes).all()


def spec_of(share: int, group: str | None = None, task: str = "classification") -> Spec:
    training = {
        "holdout": share / 100,
        "metric": "accuracy" if task == "classification" else "mae",
        "candidates": [{"estimator": "sklearn.dummy.DummyClassifier"}],
        "tuning": {"group": group},
    }
    return Spec.model_validate(
        {
            "name": "sales",
            "description": "Customers",
            "owner": "team",
            "schedule": "@weekly",
            "partition": "snapshot",
            "sources": {"people": {"file": {"path": "people.csv"}}},
            "key": ["person"],
            "task": task,
            "target": "loyal",
            "training": training,
            "folder": Path("sales"),
        }
    )


def held_of(spec: Spec, keys: list[int]) -> set[int]:
    rows = pd.DataFrame({"person": keys, "partition": "snapshot"})
    return set(rows["person"][holdout_mask(spec, rows, None, "snapshot")])
