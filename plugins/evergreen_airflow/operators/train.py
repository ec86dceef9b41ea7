"""Train a challenger: tune the candidates and fit the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen_airflow.operators.base import PipelineOperator, log_note, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class TrainOperator(PipelineOperator):
    """Fit the challenger on the staged training set."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Tune and fit; the chosen candidate is in the log."""
        from evergreen import notes
        from evergreen.training.stage import stage_challenger

        log_note(pipeline.name, notes.fitted(stage_challenger(pipeline, run_token(context))))
