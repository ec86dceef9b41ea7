"""Promote a challenger that its trial or its shadow speaks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.stages import MONITOR
from evergreen_airflow.operators.base import partition_of
from evergreen_airflow.operators.promotion import PromotionOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Event


class PromoteTriedOperator(PromotionOperator):
    """Promote the challenger that is due after the night; skipped, with the reason, if there is none."""

    def promoted(self, pipeline: Pipeline, context: Context) -> Event:
        """Record the promotion and move the champion's pointer."""
        from evergreen.shadow.stage import promote_due

        return promote_due(pipeline, partition_of(context, pipeline, MONITOR))
