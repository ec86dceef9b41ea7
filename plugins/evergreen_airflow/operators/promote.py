"""Promote: make the challenger the champion, by compare-and-set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen_airflow.operators.base import run_token
from evergreen_airflow.operators.promotion import PromotionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event
    from evergreen.training.approval import Approval


class PromoteOperator(PromotionOperator):
    """Promote the run's version if its gate passed; skipped, with the reason, if it was refused.

    Whether an approval is needed is read from the version; the approval is read from what *approve* returned,
    never from the state of that task.
    """

    def promoted(self, pipeline: Pipeline, context: Context) -> Event:
        """Record the promotion and move the champion's pointer."""
        from evergreen.errors import NothingToDoError
        from evergreen.training.stage import promote_staged

        event = promote_staged(pipeline, run_token(context), self._approval(context))
        if event is None:
            raise NothingToDoError(f"{pipeline.name}: the gate refused the challenger, the champion stays")
        return event

    def _approval(self, context: Context) -> Approval | None:
        from evergreen.training.approval import Approval

        if "approve" not in self.upstream_task_ids:
            return None
        answer = context["ti"].xcom_pull(task_ids="approve")
        return Approval(answer["version"], answer["by"]) if answer else None
