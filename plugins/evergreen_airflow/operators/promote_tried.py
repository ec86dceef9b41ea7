"""Promote a challenger that its trial or its shadow speaks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR, TRAIN
from evergreen_airflow.assets import published_by
from evergreen_airflow.links import CardLink, card_path
from evergreen_airflow.operators.base import PipelineOperator, note_run, partition_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class PromoteTriedOperator(PipelineOperator):
    """Promote the challenger that is due after the night; skipped, with the reason, if there is none."""

    operator_extra_links = (CardLink(),)

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Record the promotion and move the champion's pointer."""
        from evergreen import notes
        from evergreen.shadow.stage import promote_due

        event = promote_due(pipeline, partition_of(context, pipeline, MONITOR))
        self.card = card_path(pipeline.name, event.version)
        note = note_run(context, pipeline.name, notes.promoted(event))
        context["outlet_events"][published_by(TRAIN, pipeline.name)].extra = dict(note.figures)
