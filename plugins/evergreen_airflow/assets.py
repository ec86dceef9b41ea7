"""The assets that link a pipeline's DAGs: ingest makes partitions, score predictions, train the champion."""

from __future__ import annotations

from airflow.sdk import Asset

from evergreen.stages import Stage


def published_by(stage: Stage, pipeline: str) -> Asset:
    """What a stage of a pipeline publishes."""
    name = stage.asset
    return Asset(name=f"{pipeline}_{name}", uri=f"evergreen://{pipeline}/{name}", group="evergreen")
