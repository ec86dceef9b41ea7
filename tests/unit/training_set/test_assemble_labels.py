"""Training where labels come later: none that was not known as of it gets in, whatever is in the lake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from evergreen.backtest.history import History
from evergreen.errors import NothingToDoError, SpecError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.scoring.predict import partition_features
from evergreen.spec import Spec
from evergreen.storage import Storage
from evergreen.training_set.assemble import assemble
from evergreen.training_set.digest import data_digest, spec_digest
from evergreen.training_set.holdout import holdout_mask
from evergreen.training_set.read import read_window
from tests.campaign import examples

REASON = {"sentence": "because"}
VERSIONS = {"partitions": 1, "labels": 1}
PLAIN = "def build(rows):\n    return rows[['price']].assign(hour=rows['at'].dt.hour)\n"
MARKER = 987_654
LABELS = 'labels: {source: {file: {path: "labels/{partition}.csv"}}, delay: 5 partitions}\n'
CLASSES = {
    "task: regression": "task: classification",
    "metric: mae": "metric: accuracy",
    "Ridge, params: {alpha: 1.0}": "LogisticRegression",
    "HistGradientBoostingRegressor": "HistGradientBoostingClassifier",
}


@pytest.fixture
def late_spec(make_spec: Callable[..., Spec]) -> Callable[..., Spec]:
    """The description of `sales`, whose `sold` comes some partitions later."""

    def make(delay: int = 5, features: str = PLAIN, **changes: str) -> Spec:
        changed = {"target: sold\n": "target: sold\n" + LABELS.replace("5", str(delay), 1), **changes}
        return make_spec(changes=changed, features=features)

    return make


def key(number: int) -> str:
    return str(np.datetime64("2024-01-01") + number)


def without(rows: pd.DataFrame, first: str) -> pd.DataFrame:
    """The rows before any label of a partition from `first` on came."""
    return rows.assign(sold=rows["sold"].astype(float).where(rows["partition"] < first))


# Knowledge


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delay=st.integers(0, 12), as_of=st.integers(8, 40), holdout=st.integers(1, 4))
def test_no_label_that_was_not_known_enters_a_training_set(late_spec, daily_rows, delay, as_of, holdout):
    spec = late_spec(delay, **{"minimum: 10": "minimum: 1", "holdout: 7": f"holdout: {holdout}"})
    known = [k for k in range(40) if k + delay < as_of]
    assume(len(known) > 2 * holdout)
    planted = daily_rows.copy()
    number = (pd.to_datetime(planted["partition"]) - pd.Timestamp("2024-01-01")).dt.days
    planted.loc[number + delay >= as_of, "sold"] = MARKER
    found = assemble(spec, planted, key(as_of), VERSIONS, REASON)
    assert not (found.target == MARKER).any()
    assert not (found.rows["sold"] == MARKER).any()
    assert sorted(found.rows["partition"].unique()) == [key(k) for k in known]
    assert len(found.rows) == len(found.features) == len(found.target) == len(found.holdout) == 6 * len(known)
    held = found.rows["partition"][found.holdout].unique().tolist()
    assert held == [key(k) for k in known[-holdout:]]
    # What became known later, or never, makes no difference to the id of the version.
    later = assemble(spec, without(daily_rows, key(known[-1] + 1)), key(as_of), VERSIONS, REASON)
    assert later.version == found.version


def test_a_label_that_changes_makes_another_version_and_a_later_one_does_not(late_spec, daily_rows):
    spec, as_of = late_spec(), key(31)
    version = assemble(spec, daily_rows, as_of, VERSIONS, REASON).version
    changed = daily_rows.copy()
    changed.loc[changed["partition"] == key(25), "sold"] += 1
    assert assemble(spec, changed, as_of, VERSIONS, REASON).version != version
    later = daily_rows.copy()
    later.loc[later["partition"] == key(26), "sold"] += 1
    assert assemble(spec, later, as_of, VERSIONS, REASON).version == version


def test_the_delay_is_in_the_description_s_digest_and_the_source_of_labels_is_not(late_spec, make_spec):
    digest = spec_digest(late_spec(5))
    assert spec_digest(late_spec(6)) != digest
    assert spec_digest(late_spec(5, **{"labels/{partition}": "elsewhere/{partition}"})) == digest
    assert spec_digest(make_spec()) != digest


def test_rows_without_a_label_are_left_out_and_their_features_still_built(late_spec, daily_rows):
    rows = daily_rows.assign(sold=daily_rows["sold"].astype(float))
    rows.loc[[10, 11], "sold"] = np.nan
    found = assemble(late_spec(), rows, key(31), VERSIONS, REASON)
    assert len(found.rows) == 26 * 6 - 2
    assert found.target.notna().all()


def test_the_minimum_counts_partitions_whose_labels_are_known(late_spec, daily_rows):
    spec = late_spec()
    with pytest.raises(
        NothingToDoError, match=r"as of 2024-01-15 the labels of only 9 partitions .* asks for 10"
    ):
        assemble(spec, daily_rows, key(14), VERSIONS, REASON)
    shorter = {"holdout: 7": "holdout: 4"}
    assert len(assemble(late_spec(**shorter), daily_rows, key(15), VERSIONS, REASON).rows) == 60
    none = daily_rows.assign(sold=np.nan)
    with pytest.raises(NothingToDoError, match="the labels of only 0 partitions"):
        assemble(late_spec(**{"minimum: 10": "minimum: 0"}), none, key(31), VERSIONS, REASON)


def test_the_hold_out_counts_back_from_the_newest_partition_with_labels(late_spec, daily_rows):
    """Its source may be later than its delay says."""
    rows = without(daily_rows, key(20))
    found = assemble(late_spec(), rows, key(31), VERSIONS, REASON)
    assert found.rows["partition"][found.holdout].unique().tolist() == [key(k) for k in range(13, 20)]
    share = replace(
        found,
        holdout=holdout_mask(late_spec(**{"holdout: 7 days": "holdout: 20%"}), found.rows, None, key(31)),
    )
    assert share.rows["partition"][share.holdout].unique().tolist() == [key(k) for k in range(16, 20)]


# Features


@pytest.mark.parametrize(
    "body",
    ["rows[['price']].assign(before=rows['sold'].shift(600))", "rows.drop(columns=['sold'])[['price']]"],
)
def test_a_feature_function_never_sees_the_target(late_spec, daily_rows, body):
    spec = late_spec(features=f"def build(rows):\n    return {body}\n")
    with pytest.raises(SpecError, match=r"features .* failed with KeyError"):
        assemble(spec, daily_rows, key(31), VERSIONS, REASON)


def test_without_a_function_the_features_are_all_columns_but_the_target(late_spec, daily_rows):
    spec = late_spec(**{'features: {function: "features.py:build", look_back: 3 days}\n': ""})
    assert list(assemble(spec, daily_rows, key(31), VERSIONS, REASON).features.columns) == ["price"]


def test_whoever_builds_features_of_a_partition_shows_no_target_of_any(late_spec, daily_rows):
    """Scoring, a replay and the golden sample; a function may take all columns that there are."""
    body = "rows.drop(columns=['at', 'partition']).assign(seen=rows.columns.nunique())"
    spec = late_spec(features=f"def build(rows):\n    return {body}\n")
    found = assemble(spec, daily_rows, key(31), VERSIONS, REASON)
    assert list(found.features.columns) == ["price", "seen"]
    for rows in (daily_rows, daily_rows.drop(columns="sold")):
        features = partition_features(spec, rows, key(12))
        assert list(features.columns) == ["price", "seen"]
        assert set(features["seen"]) == {3}
    pd.testing.assert_frame_equal(History(spec, daily_rows).features(key(12)), features)


# Types


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        ([0, 1], "int64"),
        ([False, True], "bool"),
        (["no", "yes"], "str"),
        ([0.5, 1.0], "float64"),
    ],
)
@pytest.mark.parametrize("missing", [0, 1])
def test_classes_keep_their_names_though_some_are_not_known(late_spec, daily_rows, classes, kind, missing):
    spec = late_spec(delay=0 if not missing else 5, **CLASSES)
    sold = pd.Series([classes[price > 3] for price in daily_rows["price"]])
    found = assemble(spec, daily_rows.assign(sold=sold), key(31), VERSIONS, REASON)
    assert str(found.target.dtype) == str(found.rows["sold"].dtype) == kind
    assert found.target.tolist() == [classes[price > 3] for price in found.rows["price"]]


# The lake


def stored(spec: Spec, storage: Storage, rows: pd.DataFrame, labelled: range) -> Pipeline:
    """The rows without their target, and labels of some days, published."""
    pipeline = Pipeline(spec, storage)
    for table, columns, days in (
        (Table.PARTITIONS, ["at", "price"], range(40)),
        (Table.LABELS, ["at", "sold"], labelled),
    ):
        parts = {
            key(n): pa.Table.from_pandas(rows[rows["partition"] == key(n)][columns], preserve_index=False)
            for n in days
        }
        pipeline.lake.replace(table, parts)
    return pipeline


def test_what_is_read_of_the_lake_is_what_a_replay_is_given(late_spec, daily_rows, storage):
    spec, as_of = late_spec(), key(31)
    pipeline = stored(spec, storage, daily_rows, range(40))
    rows, versions = read_window(pipeline, as_of)
    read = assemble(spec, rows, as_of, versions, REASON)
    assert versions == {"partitions": 1, "labels": 1}
    assert read.lineage["table_versions"] == versions
    assert rows["sold"].notna().sum() == 26 * 6
    replayed = assemble(spec, History(spec, daily_rows).before(as_of), as_of, None, REASON)
    assert replayed.version == read.version
    pd.testing.assert_frame_equal(replayed.rows, read.rows, check_like=True)
    pd.testing.assert_series_equal(replayed.target, read.target)


def test_an_earlier_version_of_the_labels_gives_the_same_training_set_again(late_spec, daily_rows, storage):
    spec, as_of = late_spec(), key(31)
    pipeline = stored(spec, storage, daily_rows, range(26))
    rows, versions = read_window(pipeline, as_of)
    then = assemble(spec, rows, as_of, versions, REASON).version
    later = stored(spec, storage, daily_rows, range(40))
    assert assemble(spec, *read_again(later, as_of), REASON).version == then
    changed = daily_rows.assign(sold=daily_rows["sold"] + 1)
    corrected = stored(spec, storage, changed, range(20, 26))
    assert assemble(spec, *read_again(corrected, as_of), REASON).version != then
    assert assemble(spec, *read_again(corrected, as_of, versions), REASON).version == then


def read_again(pipeline: Pipeline, as_of: str, versions: dict[str, int] | None = None) -> tuple[Any, ...]:
    rows, found = read_window(pipeline, as_of, versions)
    return rows, as_of, found


def test_before_any_labels_were_read_there_is_nothing_to_train_on(late_spec, daily_rows, storage):
    spec = late_spec()
    pipeline = stored(spec, storage, daily_rows, range(0))
    with pytest.raises(
        NothingToDoError, match="sales: no labels were read yet: when they are due, run evergreen"
    ):
        read_window(pipeline, key(31))
    with pytest.raises(SpecError, match="sales: labels: no version of them is named"):
        read_window(pipeline, key(31), {"partitions": 1})


# Without labels


def test_without_labels_neither_digest_knows_of_them(make_spec, daily_rows):
    spec = make_spec()
    parts = ("partition", "timezone", "week_starts", "features", "task", "target", "training", "gate")
    content = spec.model_dump(mode="json", include=set(parts), exclude={"training": {"schedule", "sample"}})
    content |= {"keys": spec.keys, "time_column": spec.time_column}
    described = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    found = assemble(spec, daily_rows, key(31), VERSIONS, REASON).lineage["digests"]
    seen = daily_rows[daily_rows["partition"] < key(31)]
    assert (found["spec"], found["data"]) == (described, data_digest(seen))


def test_without_labels_the_hold_out_is_counted_from_the_as_of_day(make_spec, daily_rows):
    gap = daily_rows[~daily_rows["partition"].isin([key(29), key(30)])]
    found = assemble(make_spec(), gap, key(31), VERSIONS, REASON)
    assert found.rows["partition"][found.holdout].unique().tolist() == [key(k) for k in range(24, 29)]
    assert found.target.dtype == "int64"
