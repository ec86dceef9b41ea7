"""Validate with Great Expectations: quarantine failing rows, or refuse the partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen_airflow.operators.base import PipelineOperator, partition_of, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class ValidateOperator(PipelineOperator):
    """Join the staged sources and hold them against the pipeline's suite of expectations."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Validate the partition; a refusal fails the task without a retry and publishes nothing."""
        from evergreen.ingestion.stage import stage_validated

        partition = partition_of(context, pipeline.spec)
        report = stage_validated(pipeline, partition, run_token(context))
        self.log.info(
            "%s %s: %d rows, %d quarantined", pipeline.name, partition, report.rows, report.quarantined
        )
