"""Promote: make the challenger the champion, by compare-and-set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import TRAIN
from evergreen_airflow.assets import published_by
from evergreen_airflow.links import CardLink, card_path
from evergreen_airflow.operators.base import PipelineOperator, note_run, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline
    from evergreen.training.approval import Approval


class PromoteOperator(PipelineOperator):
    """Promote the run's version if its gate passed; skipped, with the reason, if it was refused.

    Whether an approval is needed is read from the version; the approval is read from what *approve* returned,
    never from the state of that task.
    """

    operator_extra_links = (CardLink(),)

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Record the promotion and move the champion's pointer."""
        from evergreen import notes
        from evergreen.errors import NothingToDoError
        from evergreen.training.stage import promote_staged

        event = promote_staged(pipeline, run_token(context), self._approval(context))
        if event is None:
            raise NothingToDoError(f"{pipeline.name}: the gate refused the challenger, the champion stays")
        self.card = card_path(pipeline.name, event.version)
        note = note_run(context, pipeline.name, notes.promoted(event))
        context["outlet_events"][published_by(TRAIN, pipeline.name)].extra = dict(note.figures)

    def _approval(self, context: Context) -> Approval | None:
        from evergreen.training.approval import Approval

        if "approve" not in self.upstream_task_ids:
            return None
        answer = context["ti"].xcom_pull(task_ids="approve")
        return Approval(answer["version"], answer["by"]) if answer else None
