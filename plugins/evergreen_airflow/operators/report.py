"""Write the report of a night, and of a week that it ends, and send them to those who ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR
from evergreen_airflow.links import ReportLink, WeekReportLink, report_path
from evergreen_airflow.operators.base import PipelineOperator, partition_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class ReportOperator(PipelineOperator):
    """Write the reports that the partition's night makes, and send each to each of its receivers once."""

    operator_extra_links = (ReportLink(), WeekReportLink())

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Write and send; the reports in words are in the log."""
        from evergreen.reports.deliver import made_and_sent
        from evergreen.reports.store import is_of_week

        for written, told in made_and_sent(pipeline, partition_of(context, pipeline, MONITOR)):
            page = report_path(pipeline.name, written.report.name)
            if is_of_week(written.report.name):
                self.week_report = page  # of two weeks the later one, which comes last
            else:
                self.report = page
            for line in written.report.text.splitlines():
                self.log.info("%s", line)
            for conn_id in told:
                self.log.info("%s: sent to '%s'", pipeline.name, conn_id)
