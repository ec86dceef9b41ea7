"""Maintain a pipeline's storage: checkpoints, and the deletion of what nothing reads any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MAINTAIN
from evergreen_airflow.operators.base import PipelineOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline


class MaintainOperator(PipelineOperator):
    """Delete what is kept no longer; the log says what it was."""

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Maintain it; the log begins with how much was deleted."""
        from evergreen.maintenance.stage import maintain

        self.conclude(context, pipeline.spec, MAINTAIN, maintain(pipeline).parts)
