"""Whatever pipelines the configured folder describes, Airflow loads their DAGs: for a fork with its own."""

from __future__ import annotations

from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

from evergreen.spec import pipeline_names
from evergreen.stages import STAGES

DAGS = Path(__file__).resolve().parents[2] / "dags"


def test_every_pipeline_has_its_dags() -> None:
    bag = DagBag(str(DAGS))
    assert bag.import_errors == {}
    needed = {stage.dag_id(name) for name in pipeline_names() for stage in STAGES if not stage.optional}
    assert needed
    assert needed <= set(bag.dags)
