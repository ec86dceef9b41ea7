"""A pipeline with sets and lookups through the stages, from training to the monitoring of a scored day."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from evergreen.lake import Table
from evergreen.monitoring.stage import monitor
from evergreen.scoring.golden import GOLDEN
from evergreen.scoring.predict import PREDICTION
from evergreen.scoring.score import score
from evergreen.training import stage
from evergreen.training.version_files import LINEAGE

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
