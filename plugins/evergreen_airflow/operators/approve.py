"""Approve: ask a person before a promotion, where the description says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import TaskAwaitingInput

from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.links import card_path
from evergreen_airflow.operators.base import note_run, run_token, task_outcome

if TYPE_CHECKING:
    from airflow.sdk import Context


class ApproveOperator(ApprovalOperator):
    """Ask whether the run's version may be promoted, with the gate's report in the form.

    Nobody is asked if the gate promotes the challenger by itself (the task ends at once) or finds it worse
    (the task is skipped). Otherwise the task waits, without occupying a worker. It returns an approval as an
    XCom, because Airflow deletes a task's XComs when the task runs again. The approval names its version,
    which Airflow passes back to the task with the answer, and *promote* accepts it only for that version. So
    a task that was cleared asks again, a task marked as success by hand approves nothing, and an answer never
    counts for another model.

    After a no, or no answer in time, *promote* is skipped, also if it is cleared; the history says who
    refused.

    :param pipeline: the pipeline's name (templated).
    :param within: how long to wait for an answer, from when the task asks.
    :param by: the ids, in Airflow's auth manager, of the users who may answer; empty: whoever may answer for
        the DAG.
    """

    template_fields: Sequence[str] = ("pipeline",)
    ui_color = "#e3f1e3"

    def __init__(self, *, pipeline: str, within: timedelta, by: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(
            subject=f"{pipeline}: promote the challenger to champion?",
            response_timeout=within,
            # Airflow gives this answer, without a user, when the time is over.
            defaults=self.REJECT,
            assigned_users=[{"id": user, "name": user} for user in by],
            **kwargs,
        )
        self.pipeline = pipeline

    def execute(self, context: Context) -> None:
        """Ask, and wait in the state `awaiting_input`; Airflow keeps the version with the waiting task."""
        with task_outcome():
            from evergreen.training.stage import open_question

            question = open_question(open_pipeline(self.pipeline), run_token(context))
        if question is None:
            self.log.info("%s: no approval is needed", self.pipeline)
            return
        link = f"[The model card]({card_path(self.pipeline, question.version)})"
        self.subject, self.body = question.subject, f"{link}\n\n{question.text}"
        self.log.info("%s (waiting for %s at most)", question.subject, self.response_timeout)
        try:
            super().execute(context)
        except TaskAwaitingInput as wait:
            raise TaskAwaitingInput(
                method_name=wait.method_name, kwargs={"version": question.version}, timeout=wait.timeout
            ) from None

    def execute_complete(self, context: Context, event: dict[str, Any], version: str = "") -> Any:
        """Return the approval of `version`, or record the refusal and skip *promote*."""
        from evergreen import notes

        if "error" in event or event["chosen_options"] == [self.APPROVE]:
            answer = super().execute_complete(context=context, event=event)
            user = _name(answer["responded_by_user"])
            note_run(context, self.pipeline, notes.approved(version, user))
            return {"version": version, "by": user, "at": answer["responded_at"].isoformat()}
        with task_outcome():
            self._decline(context, event, version)
        return super().execute_complete(context=context, event=event)

    def _decline(self, context: Context, event: dict[str, Any], version: str) -> None:
        from evergreen import notes
        from evergreen.training.stage import decline_staged

        user = event["responded_by_user"]
        said = f"rejected by {_name(user)}" if user else f"nobody answered within {self.response_timeout}"
        recorded = decline_staged(open_pipeline(self.pipeline), run_token(context), version, said)
        stays = "" if recorded else "it was promoted in another way meanwhile, and stays champion"
        note_run(context, self.pipeline, notes.declined(version, said, stays))


def _name(user: Any) -> str:
    return str(user["name"] or user["id"])
