from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.calendar import PartitionError
from evergreen.errors import NothingToDoError, SpecError
from evergreen.training_set.assemble import assemble
from tests.campaign import examples

AS_OF = "2024-02-01"
REASON = {"sentence": "because"}
VERSIONS = {"partitions": 1}
MARKER = 987_654


def test_nothing_from_the_as_of_day_on_gets_in(make_spec, daily_rows):
    spec = make_spec()
    marked = daily_rows.copy()
    marked.loc[marked["partition"] >= AS_OF, ["price", "sold"]] = MARKER
    clean, planted = (assemble(spec, rows, AS_OF, VERSIONS, REASON) for rows in (daily_rows, marked))
    assert planted.rows["partition"].max() == "2024-01-31"
    for frame in (planted.rows, planted.features, planted.target.to_frame()):
        assert not (frame == MARKER).any().any()
    assert planted.version == clean.version
    pd.testing.assert_frame_equal(planted.features, clean.features)


def test_rows_features_and_target_are_aligned(make_spec, daily_rows):
    found = assemble(make_spec(), daily_rows, AS_OF, VERSIONS, REASON)
    assert len(found.rows) == len(found.features) == len(found.target) == len(found.holdout) == 31 * 6
    assert found.features["price"].tolist() == found.rows["price"].tolist()
    assert found.target.tolist() == found.rows["sold"].tolist()
    assert found.rows["partition"][found.holdout].min() == "2024-01-25"


def test_the_window_starts_where_it_says_and_its_look_back_is_used(make_spec, daily_rows):
    spec = make_spec(changes={"window: 60 days": "window: 20 days"})
    found = assemble(spec, daily_rows, AS_OF, VERSIONS, REASON)
    assert found.rows["partition"].min() == "2024-01-12"
    assert found.lineage["window"] == {
        "first": "2024-01-12",
        "last": "2024-01-31",
        "partitions": 20,
        "rows": 120,
    }
    eve = daily_rows["sold"][daily_rows["partition"] == "2024-01-11"].mean()
    assert found.features["before"].iloc[0] == eve


@settings(
    max_examples=examples(10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_the_rows_does_not_matter(make_spec, daily_rows, seed):
    spec = make_spec()
    shuffled = daily_rows.sample(frac=1, random_state=seed)
    left, right = (assemble(spec, rows, AS_OF, VERSIONS, REASON) for rows in (daily_rows, shuffled))
    assert left.version == right.version
    pd.testing.assert_frame_equal(left.features, right.features)


def test_the_version_follows_from_data_description_and_code_and_nothing_else(make_spec, daily_rows):
    spec = make_spec()
    version = assemble(spec, daily_rows, AS_OF, VERSIONS, REASON).version
    assert version.startswith(f"{AS_OF}-")
    assert len(version) == len(AS_OF) + 13
    assert assemble(spec, daily_rows, AS_OF, {"partitions": 99}, {"sentence": "another"}).version == version

    other = daily_rows.copy()
    other.loc[0, "price"] += 1e-9
    assert assemble(spec, other, AS_OF, VERSIONS, REASON).version != version
    assert assemble(spec, daily_rows, "2024-02-02", VERSIONS, REASON).version[10:] != version[10:]
    same = make_spec(changes={"owner: team": "owner: others", '"@daily"': '"@hourly"'})
    assert assemble(same, daily_rows, AS_OF, VERSIONS, REASON).version == version
    described = make_spec(changes={"alpha: 1.0": "alpha: 2.0"})
    assert assemble(described, daily_rows, AS_OF, VERSIONS, REASON).version != version
    code = make_spec(features="# a comment\n" + (spec.folder / "features.py").read_text())
    assert assemble(code, daily_rows, AS_OF, VERSIONS, REASON).version != version


def test_rows_before_the_look_back_do_not_bear_on_the_version(make_spec, daily_rows):
    spec = make_spec(changes={"window: 60 days": "window: 20 days"})
    needed = daily_rows[daily_rows["partition"] >= "2024-01-09"]
    versions = {assemble(spec, rows, AS_OF, VERSIONS, REASON).version for rows in (daily_rows, needed)}
    assert len(versions) == 1
    with_less = daily_rows[daily_rows["partition"] >= "2024-01-10"]
    assert assemble(spec, with_less, AS_OF, VERSIONS, REASON).version not in versions


def test_rows_without_a_target_are_left_out(make_spec, daily_rows):
    rows = daily_rows.assign(sold=daily_rows["sold"].astype(float))
    rows.loc[[10, 11], "sold"] = np.nan
    found = assemble(make_spec(), rows, AS_OF, VERSIONS, REASON)
    assert len(found.rows) == 31 * 6 - 2
    assert found.target.notna().all()


def test_too_little_history_says_how_much_is_asked_for(make_spec, daily_rows):
    with pytest.raises(NothingToDoError, match=r"only 9 partitions .* asks for 10"):
        assemble(make_spec(), daily_rows, "2024-01-10", VERSIONS, REASON)
    with pytest.raises(NothingToDoError, match="nothing is published before 2024-01-01"):
        assemble(make_spec(), daily_rows, "2024-01-01", VERSIONS, REASON)


def test_a_key_of_another_grain_is_refused(make_spec, daily_rows):
    with pytest.raises(PartitionError, match="2024-02"):
        assemble(make_spec(), daily_rows, "2024-02", VERSIONS, REASON)


@pytest.mark.parametrize(
    "body",
    [
        "rows[['price']].assign(leak=rows['sold'].astype(float))",
        "rows[['price']].assign(leak=rows['sold'].astype(float).cummax())",
        "rows[['price']].assign(leak=rows['price'].cumsum())",
    ],
    ids=["its own target", "its own target in a running maximum", "more than the look-back"],
)
def test_features_that_scoring_could_not_build_are_refused(make_spec, daily_rows, body):
    spec = make_spec(features=f"def build(rows):\n    return {body}\n")
    with pytest.raises(SpecError, match="leak of partition 2024-01-31 differ"):
        assemble(spec, daily_rows, AS_OF, VERSIONS, REASON)


def test_features_whose_columns_depend_on_the_rows_are_refused(make_spec, daily_rows):
    body = "rows[['price']] if len(rows) < 100 else rows[['price']].assign(more=1.0)"
    spec = make_spec(features=f"def build(rows):\n    return {body}\n")
    with pytest.raises(SpecError, match="other columns"):
        assemble(spec, daily_rows, AS_OF, VERSIONS, REASON)


def test_lineage_says_what_it_was_made_of(make_spec, daily_rows):
    lineage = assemble(make_spec(), daily_rows, AS_OF, {"partitions": 7, "price": 3}, REASON).lineage
    assert (lineage["as_of"], lineage["table_versions"], lineage["reason"]) == (
        AS_OF,
        {"partitions": 7, "price": 3},
        REASON,
    )
    assert set(lineage["digests"]) == {"data", "spec", "code"}
    assert lineage["packages"]["python"].startswith("3.")
    assert lineage["packages"]["scikit-learn"] != "absent"


def test_a_snapshot_has_one_window(make_spec, snapshot, people):
    found = assemble(make_spec(snapshot), people, "snapshot", VERSIONS, REASON)
    assert found.version.startswith("snapshot-")
    assert list(found.features.columns) == ["spent", "visits"]
    assert len(found.rows) == 120


def test_clustering_has_no_target(make_spec, clusters, blobs):
    assert assemble(make_spec(clusters), blobs, "snapshot", VERSIONS, REASON).target is None


def weighted(make_spec):
    """The pipeline without a function, its rows weighted by `pieces`."""
    function = 'features: {function: "features.py:build", look_back: 3 days}\n'
    return make_spec(changes={"  metric: mae": "  weight: pieces\n  metric: mae", function: ""})


def test_weights_are_those_of_the_rows_and_no_feature(make_spec, daily_rows):
    pieces = np.arange(1, len(daily_rows) + 1)
    rows = daily_rows.assign(pieces=pieces, sold=daily_rows["sold"].astype(float))
    rows.loc[10, "sold"] = np.nan
    found = assemble(weighted(make_spec), rows.sample(frac=1, random_state=1), AS_OF, VERSIONS, REASON)
    assert found.weights.dtype == float
    assert found.weights.tolist() == [float(n) for n in range(1, 31 * 6 + 1) if n != 11]
    assert list(found.features.columns) == ["price"]
    assert assemble(make_spec(), daily_rows, AS_OF, VERSIONS, REASON).weights is None


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_weight_that_is_no_number_above_zero_is_refused(make_spec, daily_rows, wrong):
    rows = daily_rows.assign(pieces=1.0)
    rows.loc[5, "pieces"] = wrong
    with pytest.raises(SpecError, match=r"column 'pieces' has 1 values .* expect it above 0 in expectations"):
        assemble(weighted(make_spec), rows, AS_OF, VERSIONS, REASON)


def test_a_weight_that_is_not_there_or_no_number_is_refused(make_spec, daily_rows):
    spec = weighted(make_spec)
    with pytest.raises(SpecError, match=r"sales: training.weight: column 'pieces' is not in the rows"):
        assemble(spec, daily_rows, AS_OF, VERSIONS, REASON)
    for values in ("many", True):
        with pytest.raises(SpecError, match=r"column 'pieces' holds (str|bool), no numbers"):
            assemble(spec, daily_rows.assign(pieces=values), AS_OF, VERSIONS, REASON)


def test_weights_of_rows_that_are_not_trained_on_do_not_matter(make_spec, daily_rows):
    rows = daily_rows.assign(pieces=1.0)
    rows.loc[rows["partition"] >= AS_OF, "pieces"] = -1.0
    assert (assemble(weighted(make_spec), rows, AS_OF, VERSIONS, REASON).weights == 1.0).all()


def test_a_set_that_looks_back_farther_than_it_declares_is_refused(make_spec, daily_rows, tmp_path):
    place = tmp_path / "feature_sets" / "recent"
    place.mkdir(parents=True)
    # Its pipeline's own function looks back three days: so far its rows reach, but not for the set.
    (place / "features.py").write_text(
        "def build(rows):\n    return rows[[]].assign(late=rows['price'].shift(8).fillna(-1.0))\n"
    )
    declared = 'description: d\nowner: o\nfunction: "features.py:build"\nlook_back: '
    named = {"look_back: 3 days": "look_back: 3 days, sets: [recent]"}
    (place / "feature_set.yaml").write_text(declared + "2 days\n")
    found = assemble(make_spec(changes=named), daily_rows, AS_OF, VERSIONS, REASON)
    assert list(found.features.columns) == ["late", "price", "before"]
    (place / "feature_set.yaml").write_text(declared + "1 days\n")
    with pytest.raises(SpecError, match="features late of partition 2024-01-31 differ"):
        assemble(make_spec(changes=named), daily_rows, AS_OF, VERSIONS, REASON)


def test_of_named_columns_the_version_is_the_same_whoever_read_more(make_spec, daily_rows):
    rows = daily_rows.assign(kind="a", other=range(len(daily_rows)))
    named = {"look_back: 3 days}": "look_back: 3 days, columns: [price]}"}
    watched = {"task:": "monitoring: {performance: {slices: [kind]}}\ntask:"}
    whole, few, other = (
        assemble(make_spec(changes=changes), read, AS_OF, None, REASON)
        for changes, read in [(named, rows), (named, rows.drop(columns="other")), (named | watched, rows)]
    )
    assert whole.version == few.version == other.version
    assert list(few.rows) == ["at", "price", "sold", "partition"]
    assert list(other.rows) == ["at", "price", "sold", "partition", "kind"]
    assert whole.version != assemble(make_spec(), rows, AS_OF, None, REASON).version
