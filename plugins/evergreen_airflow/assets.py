"""The assets that link a pipeline's DAGs: partitions (ingest), predictions (score), champion (train)."""

from __future__ import annotations

from airflow.sdk import Asset

from evergreen.stages import Stage


def published_by(stage: Stage, pipeline: str) -> Asset:
    """The asset that a stage of a pipeline publishes."""
    name = stage.asset
    return Asset(name=f"{pipeline}_{name}", uri=f"evergreen://{pipeline}/{name}", group="evergreen")
