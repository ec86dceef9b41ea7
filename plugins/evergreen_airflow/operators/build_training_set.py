"""Build the training set as of a partition: only what was published before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen_airflow.operators.base import PipelineOperator, log_note, run_token

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class BuildTrainingSetOperator(PipelineOperator):
    """Stage the training set of the run's `as_of` (param; default: after the newest published partition)."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Stage features and target, and set the version's id; skipped if the history is too short."""
        from evergreen import notes
        from evergreen.training.stage import stage_training_set

        params = context["params"]
        version = stage_training_set(pipeline, params.get("as_of"), _reason(params), run_token(context))
        log_note(pipeline.name, notes.built(version))


def _reason(params: Any) -> dict[str, Any]:
    reason = params.get("reason") or "triggered by hand"
    return dict(reason) if isinstance(reason, dict) else {"sentence": str(reason)}
