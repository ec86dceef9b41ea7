"""Publish changed partitions: earlier ones, whose rows have changed in a source since, are ingested again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import INGEST
from evergreen_airflow.assets import published_by
from evergreen_airflow.lineage import of_publication
from evergreen_airflow.operators.base import PipelineOperator, note_run, partitions_of, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class PublishChangedOperator(PipelineOperator):
    """Ingest again the published partitions with rows that changed while those of the run lasted."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Ingest the partitions, and announce those that changed; skipped if there are none.

        A retry also announces what an earlier attempt may have published before it was killed.
        """
        from evergreen import notes
        from evergreen.errors import NothingToDoError
        from evergreen.ingestion.stage import ingest_changed

        published = ingest_changed(pipeline, partitions_of(context, pipeline), run_token(context))
        announced = [each for each in published if each.changed]
        if not announced:
            raise NothingToDoError(
                f"{pipeline.name}: the {len(published)} partitions that were read again are unchanged"
            )
        note_run(context, pipeline.name, notes.published(pipeline.spec, published))
        self.lineage = of_publication(announced)
        keys = [each.partition for each in announced]
        figures = notes.published(pipeline.spec, announced[-1:]).figures
        self.emit(context, published_by(INGEST, pipeline.name), *keys, **figures)
