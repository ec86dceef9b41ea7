"""The base of the operators that put a version in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import TRAIN
from evergreen_airflow.assets import published_by
from evergreen_airflow.links import CardLink, card_path
from evergreen_airflow.operators.base import PipelineOperator, note_run

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event


class PromotionOperator(PipelineOperator):
    """Tells of the version that was put in force: by its card, the note of the run, and the asset's event."""

    operator_extra_links = (CardLink(),)

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Put the version in force, and tell of it."""
        from evergreen import notes

        event = self.promoted(pipeline, context)
        self.card = card_path(pipeline.name, event.version)
        note = note_run(context, pipeline.name, notes.promoted(event))
        context["outlet_events"][published_by(TRAIN, pipeline.name)].extra = dict(note.figures)

    def promoted(self, pipeline: Pipeline, context: Context) -> Event:
        """Put the version in force; raises `NothingToDoError`, with the reason, if there is none."""
        raise NotImplementedError
