"""Monitor a scored partition: measure drift and performance, and decide on a retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR
from evergreen_airflow.operators.base import PipelineOperator, partition_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class MonitorOperator(PipelineOperator):
    """Record the measurements of the partition and the decision based on them."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Measure and decide; the decision's sentence is in the log, whether yes or no."""
        from evergreen.monitoring.stage import monitor

        decision = monitor(pipeline, partition_of(context, pipeline, MONITOR))
        self.log.info("%s: %s", pipeline.name, decision.reason)
