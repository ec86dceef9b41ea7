"""Score a partition with the champion as of that partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import SCORE
from evergreen_airflow.assets import published_by
from evergreen_airflow.figures import of_partition, of_scored
from evergreen_airflow.lineage import of_scoring
from evergreen_airflow.operators.base import PipelineOperator, partition_of
from evergreen_airflow.telemetry import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class ScoreOperator(PipelineOperator):
    """Write the partition's predictions to the lake, and to a database where the description asks."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Score the partition, and before it those that were scored without it and look back to it.

        Skipped, with the reason, if there was no champion.
        """
        from evergreen.scoring.order import with_later
        from evergreen.scoring.score import score

        partition = partition_of(context, pipeline, SCORE)
        *again, scored = [score(pipeline, each) for each in with_later(pipeline, [partition])]
        note = self.conclude(context, pipeline.spec, SCORE, scored)
        self.lineage = of_scoring(scored)
        tell(pipeline.name, of_partition(pipeline.spec, SCORE, partition, context), of_scored(scored))
        changed = [each.partition for each in again if each.changed]
        self.emit(context, published_by(SCORE, pipeline.name), *changed, partition, **note.figures)
