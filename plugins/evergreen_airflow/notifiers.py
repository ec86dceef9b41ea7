"""Alerts on Airflow's events: tasks that failed after their retries or succeed again, runs past a limit.

The receivers are those of the pipeline's description (`alerts.to`); Airflow has no settings of its own.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException

from evergreen.calendar import SNAPSHOT
from evergreen.stages import Stage, stage_of
from evergreen_airflow.connections import open_pipeline

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline

_log = logging.getLogger(__name__)


class AlertNotifier(BaseNotifier):
    """Notifies the receivers of the DAG's pipeline; an unreachable receiver or storage fails nothing.

    A failure is always logged as one line that begins with ALERT, in the task's log, or in the DAG
    processor's log if the task was killed from outside.

    :param event: what happened. `failed`: a task, after its retries. `succeeded`: a task, which ends the
        alert of an earlier failure. `late`: a run went on past the limit of its stage.
    """

    def __init__(self, event: Literal["failed", "succeeded", "late"], context: Context | None = None) -> None:
        super().__init__(context)
        self.event = event

    async def async_notify(self, context: Context) -> None:
        """Notify from the triggerer; in a thread, so that a slow receiver does not block it."""
        await asyncio.to_thread(self.notify, context)

    def notify(self, context: Context) -> None:
        """Notify the receivers of the event."""
        from evergreen.errors import EvergreenError
        from evergreen.spec import load_spec

        dag_run: Any = context["dag_run"] if self.event == "late" else context.get("dag_run")
        dag_id = dag_run["dag_id"] if self.event == "late" else context["ti"].dag_id
        if self.event == "failed":
            reason = context.get("exception") or "it was ended from outside"
            _log.error("ALERT %s %s: %s", dag_id, context["ti"].task_id, reason)
        name, stage = stage_of(dag_id)
        try:
            if not load_spec(name).alerts.to:
                return
            pipeline = open_pipeline(name)
            {"failed": _failed, "succeeded": _succeeded, "late": _late}[self.event](pipeline, stage, context)
        except EvergreenError as error:
            _log.warning("%s: no alert could be sent: %s", dag_id, error)


def _failed(pipeline: Pipeline, stage: Stage, context: Context) -> None:
    from evergreen.alerts.stage import run_failed

    error = context.get("exception")
    if isinstance(error, AirflowException):
        why = " ".join(str(error).split())
    else:
        # Other errors may contain secrets; their text is only in the log, where Airflow masks them.
        why = f"{type(error).__name__}: see the task's log" if error else "it was ended from outside"
    task, partition = context["ti"].task_id, _partition(pipeline, stage, context)
    run_failed(pipeline, stage, task, partition, f"{context['ti'].dag_id}, task {task}: {why}")


def _succeeded(pipeline: Pipeline, stage: Stage, context: Context) -> None:
    from evergreen.alerts.stage import run_succeeded

    task, run = context["ti"].task_id, context["dag_run"]
    limit = pipeline.spec.alerts.limits.get(stage.name)
    in_time = False
    if limit is not None and task == stage.done:
        in_time = datetime.now(UTC) - (run.start_date or run.run_after) <= limit
    run_succeeded(pipeline, stage, task, _partition(pipeline, stage, context), in_time)


def _late(pipeline: Pipeline, stage: Stage, context: Context) -> None:
    from evergreen.alerts.stage import run_late

    run: Any = context["dag_run"]
    # A deadline also passes for a run that has failed; and a backfill's runs wait in a queue.
    if run["run_type"] != "backfill" and run["state"] in ("queued", "running"):
        given = _named(run.get("conf") or {}) or run.get("partition_key")
        run_late(pipeline, stage, given or _without(pipeline, stage, run["run_id"]))


def _partition(pipeline: Pipeline, stage: Stage, context: Context) -> str:
    run = context.get("dag_run")
    given = _named(context.get("params") or {}) or (run and run.partition_key)
    return given or _without(pipeline, stage, run.run_id if run else "")


def _named(params: Any) -> str | None:
    return params.get("to") or params.get("partition") or params.get("as_of")


def _without(pipeline: Pipeline, stage: Stage, run_id: str) -> str:
    """The partition of a run that names none; empty if it has none, or has not chosen one yet."""
    from evergreen.runs import choice_of

    if not pipeline.spec.calendar.has_time:
        return SNAPSHOT
    choice = choice_of(pipeline, stage, run_id)
    return choice.partition if choice else ""
