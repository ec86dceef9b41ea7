"""Gate: check the evaluation by the rules of the description."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import TRAIN
from evergreen_airflow.figures import of_training
from evergreen_airflow.lineage import of_commit
from evergreen_airflow.links import CardLink, card_path
from evergreen_airflow.operators.base import PipelineOperator, run_token
from evergreen_airflow.telemetry import tell

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class GateOperator(PipelineOperator):
    """Judge the challenger, commit its version, and check the stored model with its golden sample."""

    operator_extra_links = (CardLink(),)

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """A refusal is an outcome, not a failure: the task is green and the log says why."""
        from evergreen.training.stage import commit_version

        committed = commit_version(pipeline, run_token(context))
        self.card = card_path(pipeline.name, committed.version)
        self.conclude(context, pipeline.spec, TRAIN, committed)
        self.lineage = of_commit(committed)
        tell(pipeline.name, of_training(committed))
