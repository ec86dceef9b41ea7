"""A pipeline with sets and lookups through the stages, from training to the monitoring of a scored day."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.backtest.history import History
from evergreen.backtest.policies import parse_policy
from evergreen.backtest.replay import replay
from evergreen.errors import SpecError
from evergreen.lake import Table
from evergreen.monitoring.stage import monitor
from evergreen.registry.versions import LINEAGE
from evergreen.scoring.golden import GOLDEN
from evergreen.scoring.published import PREDICTION
from evergreen.scoring.score import score
from evergreen.training import stage
from evergreen.training_set.read import read_window
from tests.unit.features.conftest import CLOCK, DEMAND, OWN

AS_OF = "2024-04-08"
TREES = "sklearn.ensemble.HistGradientBoostingRegressor, params: {max_iter: 5}"


def test_a_version_trained_with_lookups_scores_and_is_monitored(open_shops):
    pipeline = open_shops.open(changes={"sklearn.linear_model.Ridge": TREES})
    version = stage.stage_training_set(pipeline, AS_OF, {"sentence": "a test"}, "run")
    stage.stage_challenger(pipeline, "run")
    stage.stage_evaluation(pipeline, "run")
    stage.commit_version(pipeline, "run")

    lineage = json.loads(pipeline.registry.read(version, LINEAGE))
    assert set(lineage["table_versions"]) == {"partitions", "offer"}
    golden = pq.read_table(pa.BufferReader(pipeline.registry.read(version, GOLDEN)))
    assert {"offer_price", "offer_special", "offer_leaflets", "offer_label"} <= set(golden.column_names)

    if pipeline.registry.champion() is None:
        pipeline.registry.promote(version, AS_OF, {"sentence": "a test"})
    assert score(pipeline, AS_OF).version == version
    first = pipeline.lake.read(Table.PREDICTIONS, AS_OF, AS_OF).column(PREDICTION).to_pylist()
    assert len(first) >= 10
    assert not score(pipeline, AS_OF).changed
    assert monitor(pipeline, AS_OF).reason


SPOILT = """    {returned} = {result}
    rows["offer_price"] = 0.0
    rows.loc[:, "sold"] = -1.0
    rows.drop(columns=["shop", "partition"], errors="ignore", inplace=True)
    rows.sort_values("at", ascending=False, inplace=True)
    return {returned}
"""


def spoiling(source: str) -> str:
    """The feature function, which changes its rows in place once it has built its features."""
    body, _, result = source.rpartition("    return ")
    return body + SPOILT.format(returned="features", result=result.strip())


def outcome(shops):
    """What training, scoring (with the golden check), a rebuilt training set and a backtest give."""
    pipeline = shops.open()
    assert pipeline.spec.training.candidates[0].label == TREES.partition(",")[0]
    trained = stage.train(pipeline, AS_OF, {"sentence": "a test"})
    if pipeline.registry.champion() is None:
        pipeline.registry.promote(trained.version, AS_OF, {"sentence": "a test"})
    score(pipeline, AS_OF)
    rows, _ = read_window(pipeline, "2024-04-10")
    replayed = replay(
        pipeline.spec, History(pipeline.spec, rows), parse_policy("every 7"), "2024-03-25", "2024-04-05"
    )
    scored = pipeline.lake.read(Table.PREDICTIONS, AS_OF, AS_OF).column(PREDICTION).to_numpy()
    return trained.metrics, scored, replayed.value


def test_functions_that_change_their_rows_give_the_same_in_every_stage(open_shops):
    open_shops.open(changes={"sklearn.linear_model.Ridge": TREES})
    metrics, scored, value = outcome(open_shops)
    for file, source in (
        ("sales/features.py", OWN),
        ("feature_sets/clock/features.py", CLOCK),
        ("feature_sets/demand/features.py", DEMAND),
    ):
        (open_shops.folder / file).write_text(spoiling(source))
    again = outcome(open_shops)
    assert again[0] == metrics
    assert np.array_equal(again[1], scored)
    assert again[2] == value


def test_a_set_that_sorts_its_rows_is_refused_by_name(open_shops):
    file = open_shops.folder / "feature_sets/clock/features.py"
    file.write_text(
        CLOCK.replace("    angle =", '    rows = rows.sort_values("shop", ignore_index=True)\n    angle =')
    )
    with pytest.raises(SpecError, match=r"feature_sets/clock/features\.py:build\) returned \d+ rows for"):
        stage.train(open_shops.open(), AS_OF, {"sentence": "a test"})
