"""Publish partitions: each is replaced as a whole in the lake, in an atomic commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import INGEST
from evergreen_airflow.assets import published_by
from evergreen_airflow.figures import of_partition, of_published
from evergreen_airflow.lineage import of_publication
from evergreen_airflow.operators.base import PipelineOperator, partitions_of, run_token
from evergreen_airflow.telemetry import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class PublishPartitionOperator(PipelineOperator):
    """Publish the validated rows and the quarantined ones, and announce the partitions."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Replace the partitions; publishing the same rows again makes no new version of the table.

        Of a range only the newest partition is announced, unless the param `announce` is `all`. If some
        partitions were refused, the others are published, and the task fails and announces nothing.
        """
        from evergreen import notes
        from evergreen.ingestion.stage import publish_staged

        published = publish_staged(pipeline, partitions_of(context, pipeline), run_token(context))
        self.conclude(context, pipeline.spec, INGEST, published)
        self.lineage = of_publication(published)
        newest = published[-1]
        tell(
            pipeline.name,
            of_partition(pipeline.spec, INGEST, newest.partition, context),
            of_published(newest),
        )
        keys = [each.partition for each in published]
        announced = keys if context["params"].get("announce") == "all" else keys[-1:]
        figures = notes.published(pipeline.spec, [newest]).figures
        self.emit(context, published_by(INGEST, pipeline.name), *announced, **figures)
