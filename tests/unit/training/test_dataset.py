from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.errors import NothingToDoError, SpecError
from evergreen.partition import PartitionError
from evergreen.training.dataset import assemble

AS_OF = "2024-02-01"
REASON = {"sentence": "because"}
MARKER = 987_654


def test_nothing_from_the_as_of_day_on_gets_in(make_spec, daily_rows):
    spec = make_spec()
    marked = daily_rows.copy()
    marked.loc[marked["partition"] >= AS_OF, ["price", "sold"]] = MARKER
    clean, planted = (assemble(spec, rows, AS_OF, 1, REASON) for rows in (daily_rows, marked))
    assert planted.rows["partition"].max() == "2024-01-31"
    for frame in (planted.rows, planted.features, planted.target.to_frame()):
        assert not (frame == MARKER).any().any()
    assert planted.version == clean.version
    pd.testing.assert_frame_equal(planted.features, clean.features)


def test_rows_features_and_target_are_aligned(make_spec, daily_rows):
    found = assemble(make_spec(), daily_rows, AS_OF, 1, REASON)
    assert len(found.rows) == len(found.features) == len(found.target) == len(found.holdout) == 31 * 6
    assert found.features["price"].tolist() == found.rows["price"].tolist()
    assert found.target.tolist() == found.rows["sold"].tolist()
    assert found.rows["partition"][found.holdout].min() == "2024-01-25"


def test_the_window_starts_where_it_says_and_its_look_back_is_used(make_spec, daily_rows):
    spec = make_spec(changes={"window: 60 days": "window: 20 days"})
    found = assemble(spec, daily_rows, AS_OF, 1, REASON)
    assert found.rows["partition"].min() == "2024-01-12"
    assert found.lineage["window"] == {
        "first": "2024-01-12",
        "last": "2024-01-31",
        "partitions": 20,
        "rows": 120,
    }
    eve = daily_rows["sold"][daily_rows["partition"] == "2024-01-11"].mean()
    assert found.features["before"].iloc[0] == eve


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16))
def test_the_order_of_the_rows_does_not_matter(make_spec, daily_rows, seed):
    spec = make_spec()
    shuffled = daily_rows.sample(frac=1, random_state=seed)
    left, right = (assemble(spec, rows, AS_OF, 1, REASON) for rows in (daily_rows, shuffled))
    assert left.version == right.version
    pd.testing.assert_frame_equal(left.features, right.features)


def test_the_version_follows_from_data_description_and_code_and_nothing_else(make_spec, daily_rows):
    spec = make_spec()
    version = assemble(spec, daily_rows, AS_OF, 1, REASON).version
    assert version.startswith(f"{AS_OF}-")
    assert len(version) == len(AS_OF) + 13
    assert assemble(spec, daily_rows, AS_OF, 99, {"sentence": "another"}).version == version

    other = daily_rows.copy()
    other.loc[0, "price"] += 1e-9
    assert assemble(spec, other, AS_OF, 1, REASON).version != version
    assert assemble(spec, daily_rows, "2024-02-02", 1, REASON).version[10:] != version[10:]
    same = make_spec(changes={"owner: team": "owner: others", '"@daily"': '"@hourly"'})
    assert assemble(same, daily_rows, AS_OF, 1, REASON).version == version
    described = make_spec(changes={"alpha: 1.0": "alpha: 2.0"})
    assert assemble(described, daily_rows, AS_OF, 1, REASON).version != version
    code = make_spec(features="# a comment\n" + (spec.folder / "features.py").read_text())
    assert assemble(code, daily_rows, AS_OF, 1, REASON).version != version


def test_rows_before_the_look_back_do_not_bear_on_the_version(make_spec, daily_rows):
    spec = make_spec(changes={"window: 60 days": "window: 20 days"})
    needed = daily_rows[daily_rows["partition"] >= "2024-01-09"]
    versions = {assemble(spec, rows, AS_OF, 1, REASON).version for rows in (daily_rows, needed)}
    assert len(versions) == 1
    with_less = daily_rows[daily_rows["partition"] >= "2024-01-10"]
    assert assemble(spec, with_less, AS_OF, 1, REASON).version not in versions


def test_rows_without_a_target_are_left_out(make_spec, daily_rows):
    rows = daily_rows.assign(sold=daily_rows["sold"].astype(float))
    rows.loc[[10, 11], "sold"] = np.nan
    found = assemble(make_spec(), rows, AS_OF, 1, REASON)
    assert len(found.rows) == 31 * 6 - 2
    assert found.target.notna().all()


def test_too_little_history_says_how_much_is_asked_for(make_spec, daily_rows):
    with pytest.raises(NothingToDoError, match=r"only 9 partitions .* asks for 10"):
        assemble(make_spec(), daily_rows, "2024-01-10", 1, REASON)
    with pytest.raises(NothingToDoError, match="nothing is published before 2024-01-01"):
        assemble(make_spec(), daily_rows, "2024-01-01", 1, REASON)


def test_a_key_of_another_grain_is_refused(make_spec, daily_rows):
    with pytest.raises(PartitionError, match="2024-02"):
        assemble(make_spec(), daily_rows, "2024-02", 1, REASON)


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
        assemble(spec, daily_rows, AS_OF, 1, REASON)


def test_features_whose_columns_depend_on_the_rows_are_refused(make_spec, daily_rows):
    body = "rows[['price']] if len(rows) < 100 else rows[['price']].assign(more=1.0)"
    spec = make_spec(features=f"def build(rows):\n    return {body}\n")
    with pytest.raises(SpecError, match="other columns"):
        assemble(spec, daily_rows, AS_OF, 1, REASON)


def test_lineage_says_what_it_was_made_of(make_spec, daily_rows):
    lineage = assemble(make_spec(), daily_rows, AS_OF, 7, REASON).lineage
    assert (lineage["as_of"], lineage["table_versions"], lineage["reason"]) == (
        AS_OF,
        {"partitions": 7},
        REASON,
    )
    assert set(lineage["digests"]) == {"data", "spec", "code"}
    assert lineage["packages"]["python"].startswith("3.")
    assert lineage["packages"]["scikit-learn"] != "absent"


def test_a_snapshot_has_one_window(make_spec, snapshot, people):
    found = assemble(make_spec(snapshot), people, "snapshot", 1, REASON)
    assert found.version.startswith("snapshot-")
    assert list(found.features.columns) == ["spent", "visits"]
    assert len(found.rows) == 120


def test_clustering_has_no_target(make_spec, clusters, blobs):
    assert assemble(make_spec(clusters), blobs, "snapshot", 1, REASON).target is None
