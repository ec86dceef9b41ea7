"""Trigger `<pipeline>_train`: on a decision of the monitor, or for a pipeline's first champion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk.exceptions import AirflowSkipException

from evergreen.stages import MONITOR, TRAIN
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.links import TriggeredRunLink
from evergreen_airflow.operators.base import log_end, note_run, partition_of, task_outcome

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.monitoring.training_request import TrainingRequest
    from evergreen.pipeline import Pipeline


class TriggerTrainingOperator(TriggerDagRunOperator):
    """Start one training for one request: its id names the run, so a retry or a clear starts no second one.

    The decision is passed to the training in `conf.reason`, and stored in the version's lineage and card.

    :param pipeline: the pipeline's name (templated).
    """

    template_fields: Sequence[str] = ("pipeline",)
    ui_color = "#e3f1e3"
    operator_extra_links = (TriggeredRunLink(),)

    def __init__(self, *, pipeline: str, **kwargs: Any) -> None:
        super().__init__(
            trigger_dag_id=TRAIN.dag_id(pipeline), logical_date=None, skip_when_already_exists=True, **kwargs
        )
        self.pipeline = pipeline

    def execute(self, context: Context) -> None:
        """Trigger the requested training; skipped, with the reason, if there is none."""
        from evergreen import notes
        from evergreen.errors import EvergreenError

        with task_outcome():
            try:
                request = self.request(open_pipeline(self.pipeline), context)
            except EvergreenError as reason:
                log_end(self.pipeline, reason)
                raise
        self._check_none_is_under_way(request, context)
        self.trigger_run_id = request.run_id
        self.conf = {"as_of": request.as_of, "reason": request.reason}
        note_run(context, self.pipeline, notes.asked(request))
        super().execute(context)

    def _check_none_is_under_way(self, request: TrainingRequest, context: Context) -> None:
        """Skip while a training that an earlier decision started for the same reason has not ended."""
        if not request.earlier:
            return
        run_ids = list(request.earlier)
        if context["ti"].get_dr_count(self.trigger_dag_id, run_ids=run_ids, states=["queued", "running"]):
            raise AirflowSkipException(
                f"{self.pipeline}: {request.run_id} is not started: an earlier training within the cooldown "
                f"has not ended yet and covers this decision too: see {self.trigger_dag_id}"
            )

    def request(self, pipeline: Pipeline, context: Context) -> TrainingRequest:
        """The requested training; raises `NothingToDoError` with the reason if there is none."""
        raise NotImplementedError


class RetrainOperator(TriggerTrainingOperator):
    """Act on the monitor's decision for the run's partition, if it is the newest that is published."""

    def request(self, pipeline: Pipeline, context: Context) -> TrainingRequest:
        """The retraining that the monitor decided on."""
        from evergreen.monitoring.training_request import retraining_request

        return retraining_request(pipeline, partition_of(context, pipeline, MONITOR))


class TrainFirstChampionOperator(TriggerTrainingOperator):
    """Train a pipeline's first champion as soon as its history has the required minimum length."""

    def request(self, pipeline: Pipeline, context: Context) -> TrainingRequest:
        """The first training."""
        from evergreen.monitoring.training_request import first_training_request

        return first_training_request(pipeline)
