"""Check whether a night is finished by its deadline, and alert if it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import WATCH
from evergreen_airflow.operators.base import PipelineOperator, partition_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class WatchOperator(PipelineOperator):
    """Alert the receivers of the pipeline if the partition is not published, scored and monitored."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Check and alert; the task succeeds in both cases."""
        from evergreen.alerts.stage import watch

        partition = partition_of(context, pipeline, WATCH)
        late = watch(pipeline, partition)
        if late is not None:
            self.log.error("ALERT %s: %s", pipeline.name, late.text)
        self.conclude(context, pipeline.spec, WATCH, (partition, late))
