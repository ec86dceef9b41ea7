"""The assets that link a pipeline's DAGs: ingest makes partitions, score predictions, train the champion."""

from __future__ import annotations

from airflow.sdk import Asset


def partitions_asset(pipeline: str) -> Asset:
    """The pipeline's published partitions."""
    return Asset(name=f"{pipeline}_partitions", uri=f"evergreen://{pipeline}/partitions", group="evergreen")


def predictions_asset(pipeline: str) -> Asset:
    """The predictions made from them."""
    return Asset(name=f"{pipeline}_predictions", uri=f"evergreen://{pipeline}/predictions", group="evergreen")


def champion_asset(pipeline: str) -> Asset:
    """The model in force."""
    return Asset(name=f"{pipeline}_champion", uri=f"evergreen://{pipeline}/champion", group="evergreen")
