"""Monitor a scored partition: measure drift and performance, and decide on a retraining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR
from evergreen_airflow.figures import of_night, of_partition
from evergreen_airflow.lineage import of_monitoring
from evergreen_airflow.operators.base import PipelineOperator, partition_of
from evergreen_airflow.telemetry import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class MonitorOperator(PipelineOperator):
    """Record the measurements of the partition and the decision based on them."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Measure and decide; the log begins with the night and the decision in one line."""
        from evergreen.monitoring.stage import monitor_night

        partition = partition_of(context, pipeline, MONITOR)
        night = monitor_night(pipeline, partition)
        self.conclude(context, pipeline.spec, MONITOR, night)
        self.lineage = of_monitoring(night.record)
        tell(
            pipeline.name,
            of_partition(pipeline.spec, MONITOR, partition, context),
            of_night(pipeline.spec, night),
        )
