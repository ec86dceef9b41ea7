"""Labels: read those that became due with the run's partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen_airflow.lineage import Data, Lineage
from evergreen_airflow.operators.base import PipelineOperator, log_note, partitions_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class LabelsOperator(PipelineOperator):
    """Publish the labels of the partitions that are older than the run's by the labels' delay."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Read the labels; skipped if none are due yet.

        Labels that are refused fail the task without a retry. In a range the others are still published.
        """
        from evergreen import notes
        from evergreen.labels.ingest import ingest_labels

        found = ingest_labels(pipeline, partitions_of(context, pipeline))
        self.lineage = Lineage(writes=(Data("labels", sum(each.labels for each in found)),))
        for each in found:
            log_note(pipeline.name, notes.labelled(each))
