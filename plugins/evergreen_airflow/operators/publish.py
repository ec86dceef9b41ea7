"""Publish a partition: replace it as a whole in the lake, in one atomic commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen_airflow.assets import partitions_asset
from evergreen_airflow.operators.base import PipelineOperator, partition_of, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class PublishPartitionOperator(PipelineOperator):
    """Publish the validated rows and the quarantined ones, and announce the partition."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Replace the partition; publishing the same rows again makes no new version of the table."""
        from evergreen.ingestion.stage import publish_staged

        partition = partition_of(context, pipeline.spec)
        published = publish_staged(pipeline, partition, run_token(context))
        self.log.info(
            "%s %s: %d rows published, %d quarantined%s",
            pipeline.name,
            partition,
            published.rows,
            published.quarantined,
            "" if published.changed else " (unchanged)",
        )
        self.emit(context, partitions_asset(pipeline.name), partition, rows=published.rows)
