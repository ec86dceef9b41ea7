"""Send the alerts of a monitored partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR
from evergreen_airflow.figures import of_alerts, of_partition
from evergreen_airflow.operators.base import PipelineOperator, log_note, partition_of
from evergreen_airflow.telemetry import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class AlertOperator(PipelineOperator):
    """Notify the receivers of the pipeline of new alerts after the partition, and of those that ended."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Send what is new; all open alerts are in the log."""
        from evergreen import notes
        from evergreen.alerts.stage import alert_on

        partition = partition_of(context, pipeline, MONITOR)
        found = alert_on(pipeline, partition)
        log_note(pipeline.name, notes.alerted(partition, found))
        tell(pipeline.name, of_partition(pipeline.spec, MONITOR, partition, context), of_alerts(found))
