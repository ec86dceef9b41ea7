"""Write the report of a night, and send it to those who ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR
from evergreen_airflow.operators.base import PipelineOperator, partition_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class ReportOperator(PipelineOperator):
    """Write the report of the partition's night, and send it to each receiver of `reports.to` once."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Write and send; the report in words is in the log."""
        from evergreen.reports.deliver import deliver
        from evergreen.reports.stage import write_night

        written = write_night(pipeline, partition_of(context, pipeline, MONITOR))
        for line in written.report.text.splitlines():
            self.log.info("%s", line)
        for conn_id in deliver(pipeline, written):
            self.log.info("%s: sent to '%s'", pipeline.name, conn_id)
