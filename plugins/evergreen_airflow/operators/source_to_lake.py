"""Source to lake: stage one source's rows of a run's partitions, whatever the source's kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen_airflow.lineage import Lineage, staged
from evergreen_airflow.operators.base import PipelineOperator, log_note, partitions_of, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class SourceToLakeOperator(PipelineOperator):
    """Stage one source's rows of the run's partitions.

    :param source: the source's name in `pipeline.yaml`.
    """

    template_fields = (*PipelineOperator.template_fields, "source")

    def __init__(self, *, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Read the source and stage its rows."""
        from evergreen import notes
        from evergreen.ingestion.stage import stage_source

        partitions = partitions_of(context, pipeline)
        rows = stage_source(pipeline, partitions, run_token(context), self.source)
        self.lineage = Lineage(writes=(staged(self.source, rows=rows),))
        log_note(pipeline.name, notes.staged(partitions, self.source, rows))
