"""Validate with Great Expectations: quarantine failing rows, or refuse the partition."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from evergreen_airflow.lineage import of_refusal, of_validation
from evergreen_airflow.links import DataDocsLink, index_path, page_path
from evergreen_airflow.operators.base import PipelineOperator, log_note, partitions_of, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class ValidateOperator(PipelineOperator):
    """Join the staged sources and validate them with the pipeline's suite of expectations."""

    operator_extra_links = (DataDocsLink(),)

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Validate the partitions.

        A refusal fails the task without a retry and publishes nothing. In a range the other partitions are
        still published before the run fails.
        """
        from evergreen import notes
        from evergreen.ingestion.stage import stage_validated
        from evergreen.validation.validate import RefusedPartitionError

        partitions, run = partitions_of(context, pipeline), run_token(context)
        # Set before the validation, so that a refusal has the button too.
        alone = len(partitions) == 1
        self.data_docs = page_path(pipeline.name, partitions[0], run) if alone else index_path(pipeline.name)
        began = context["dag_run"].start_date or context["dag_run"].run_after
        try:
            reports = stage_validated(pipeline, partitions, run, began)
        except RefusedPartitionError as refusal:
            self.lineage = of_refusal(pipeline.spec.sources, refusal.report)
            raise
        self.lineage = of_validation(pipeline.spec.sources, reports)
        for report in reports:
            log_note(
                pipeline.name, notes.validated(report), logging.ERROR if report.refused else logging.INFO
            )
