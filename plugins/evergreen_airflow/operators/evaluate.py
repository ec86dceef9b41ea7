"""Evaluate the challenger on its hold-out, together with baseline and champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen_airflow.operators.base import PipelineOperator, log_note, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class EvaluateOperator(PipelineOperator):
    """Measure challenger, dummy baseline and champion on the same hold-out rows."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Stage the metrics."""
        from evergreen import notes
        from evergreen.training.stage import stage_evaluation

        log_note(pipeline.name, notes.evaluated(stage_evaluation(pipeline, run_token(context))))
