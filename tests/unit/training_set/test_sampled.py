"""A training set of which a sample is drawn: its features are those of all rows, read in whatever parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from evergreen import lake
from evergreen.errors import NothingToDoError, RefusedError, SpecError
from evergreen.lake import Table
from evergreen.pipeline import Pipeline
from evergreen.registry.ids import as_of_version
from evergreen.training import stage
from evergreen.training_set import parts
from evergreen.training_set.assemble import TrainingSet, assemble
from evergreen.training_set.digest import spec_digest, training_digest
from evergreen.training_set.read import read_training_set

AS_OF = "2024-02-01"
REASON = {"sentence": "because"}
SAMPLE = {"metric: mae": "metric: mae\n  sample: 90 rows"}
PLAIN = {'features: {function: "features.py:build", look_back: 3 days}\n': ""}
SLOW = "    - {estimator: sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 10}}\n"


def arrow(rows: pd.DataFrame) -> pa.Table:
    """Rows as sources give them: whole numbers stay such where some are missing, as texts are plain ones."""
    kinds = {"sold": pa.int64(), "stock": pa.int64(), "loyal": pa.string()}
    table = pa.Table.from_pandas(rows.drop(columns="partition"), preserve_index=False)
    return table.cast(
        pa.schema([field.with_type(kinds.get(field.name, field.type)) for field in table.schema])
    )


@pytest.fixture
def publish(storage):
    """A pipeline of a description with rows published, in files of the order that they have."""

    def published(spec, rows) -> Pipeline:
        pipeline = Pipeline(spec, storage)
        days = {str(key): arrow(day) for key, day in rows.groupby("partition")}
        pipeline.lake.replace(Table.PARTITIONS, days)
        return pipeline

    return published


def assert_same(found: TrainingSet, wanted: TrainingSet) -> None:
    assert found.version == wanted.version
    pd.testing.assert_frame_equal(found.rows, wanted.rows, check_exact=True)
    pd.testing.assert_frame_equal(found.features, wanted.features, check_exact=True)
    pd.testing.assert_series_equal(found.target, wanted.target, check_exact=True)
    assert found.holdout.tolist() == wanted.holdout.tolist()


def test_without_a_sample_the_digests_are_those_of_releases_before_there_was_one(make_spec, daily_rows):
    spec = make_spec()
    assert spec_digest(spec) == "a4193615da0756a424845fff8a17f958d9d4ee9ee2f96c19cb12987304a3af8e"
    assert training_digest(spec) == "b57fad037b22ee43df4dacd41c3269c3904d82758fd03e9d0d71a9aedb4ecdcc"
    data = assemble(spec, daily_rows, AS_OF, None, REASON).lineage["digests"]["data"]
    assert data == "8c59fd29ff6f733c0e6a63a8d14c462f28bf3811f1a6ec5449175cff1f7741cc"
    assert spec_digest(make_spec(changes=SAMPLE)) != spec_digest(spec)


def test_features_look_back_at_all_rows(make_spec, daily_rows):
    whole = assemble(make_spec(), daily_rows, AS_OF, None, REASON)
    found = assemble(make_spec(changes=SAMPLE), daily_rows, AS_OF, None, REASON)
    assert found.lineage["window"] == whole.lineage["window"] | {"rows": 90, "drawn_from": 186}
    places = whole.rows["at"].isin(found.rows["at"])
    pd.testing.assert_frame_equal(found.features, whole.features[places].reset_index(drop=True))
    pd.testing.assert_frame_equal(found.rows, whole.rows[places].reset_index(drop=True))
    assert (whole.holdout[places] == found.holdout).all()


def test_the_next_training_draws_mostly_the_same_rows(make_spec, daily_rows):
    spec = make_spec(changes={"metric: mae": "metric: mae\n  sample: 50%"})
    now, later = (assemble(spec, daily_rows, day, None, REASON) for day in (AS_OF, "2024-02-02"))
    before = later.rows["partition"] < AS_OF
    assert later.rows["at"][before].tolist() == now.rows["at"].tolist()


@pytest.mark.parametrize("features", [{}, PLAIN], ids=["look-back", "plain"])
def test_read_by_parts_it_is_what_rows_in_memory_give(make_spec, daily_rows, publish, monkeypatch, features):
    # Whole numbers are floats in the partitions alone that lack some.
    rows = daily_rows.assign(stock=np.arange(240).astype(float))
    rows = rows[["at", "price", "sold", "stock", "partition"]]
    rows.loc[[20, 100], ["stock", "sold"]] = np.nan
    spec = make_spec(changes=SAMPLE | features)
    pipeline = publish(spec, rows.sample(frac=1, random_state=3))
    monkeypatch.setattr(lake, "BATCH", 5)
    monkeypatch.setattr(parts, "RECENT", 20)
    wanted = assemble(spec, rows, AS_OF, None, REASON)
    found, newest = read_training_set(pipeline, AS_OF, REASON)
    assert_same(found, wanted)
    assert len(found.rows) == 90
    if not features:
        assert newest["partition"].max() == "2024-01-31"
        # A stretch of as many days as its look-back, whose features can be built again.
        assert newest["partition"].min() == "2024-01-26"
        assert len(newest) == 6 * 6


def test_what_no_sample_needs_is_no_part_of_the_version(make_spec, daily_rows):
    spec = make_spec(changes=SAMPLE | PLAIN)
    found = assemble(spec, daily_rows, AS_OF, None, REASON)
    undrawn = ~daily_rows["at"].isin(found.rows["at"])
    changed = daily_rows.assign(price=daily_rows["price"].where(~undrawn, 0.0))
    assert assemble(spec, changed, AS_OF, None, REASON).version == found.version
    # Features that look back at such a row say something else of those that are drawn.
    looking = make_spec(changes=SAMPLE)
    louder = daily_rows.assign(sold=daily_rows["sold"].where(~undrawn, 99))
    versions = {assemble(looking, rows, AS_OF, None, REASON).version for rows in (daily_rows, louder)}
    assert len(versions) == 2


def test_a_function_that_scoring_would_build_otherwise_is_refused(make_spec, daily_rows):
    leak = "def build(rows):\n    return rows[['price']].assign(leak=rows['sold'].astype(float))\n"
    with pytest.raises(SpecError, match=r"features leak of partition 2024-01-31 differ"):
        assemble(make_spec(changes=SAMPLE, features=leak), daily_rows, AS_OF, None, REASON)


def test_what_is_missing_is_said_as_without_a_sample(make_spec, daily_rows):
    spec = make_spec(changes=SAMPLE)
    with pytest.raises(NothingToDoError, match=r"only 9 partitions .* asks for 10"):
        assemble(spec, daily_rows, "2024-01-10", None, REASON)
    with pytest.raises(NothingToDoError, match="nothing is published before 2024-01-01"):
        assemble(spec, daily_rows, "2024-01-01", None, REASON)
    with pytest.raises(SpecError, match="the rows have no column 'sold'"):
        assemble(spec, daily_rows.drop(columns="sold"), AS_OF, None, REASON)
    none = make_spec(changes={"metric: mae": "metric: mae\n  sample: 0.0001%"})
    with pytest.raises(RefusedError, match=r"training.sample: none of the 186 rows is drawn"):
        assemble(none, daily_rows, AS_OF, None, REASON)


def test_a_snapshot_is_drawn_by_row(make_spec, people, snapshot, publish, monkeypatch):
    spec = make_spec(snapshot, {"metric: accuracy": "metric: accuracy\n  sample: 50 rows"})
    monkeypatch.setattr(lake, "BATCH", 7)
    found, _ = read_training_set(publish(spec, people), "snapshot", REASON)
    assert_same(found, assemble(spec, people, "snapshot", None, REASON))
    assert len(found.rows) == 50


def test_tasks_and_shell_make_one_version_that_says_what_it_was_drawn_from(make_spec, daily_rows, publish):
    pipeline = publish(make_spec(changes=SAMPLE | {SLOW: ""}), daily_rows)
    version = stage.stage_training_set(pipeline, AS_OF, REASON, "run")
    assert as_of_version(version) == AS_OF
    assert not pipeline.staging("run").exists("training_rows.parquet")
    # What is published meanwhile is not of this run.
    louder = daily_rows[daily_rows["partition"] == "2024-01-20"].assign(sold=99)
    pipeline.lake.replace(Table.PARTITIONS, {"2024-01-20": arrow(louder)})
    stage.stage_challenger(pipeline, "run")
    stage.stage_evaluation(pipeline, "run")
    assert stage.commit_version(pipeline, "run").version == version
    card = pipeline.registry.read(version, "card.html").decode()
    assert "90 rows, drawn from 186, in 31 partitions" in card
    # Its champion is compared with a challenger of another draw.
    pipeline.registry.promote(version, AS_OF, REASON)
    wider = pipeline.spec.training.model_copy(update={"sample": 150})
    other = replace(pipeline, spec=pipeline.spec.model_copy(update={"training": wider}))
    later = stage.train(other, "2024-02-08", REASON)
    assert stage._stored_evaluation(other, later.version).champion["metrics"]["mae"] > 0
