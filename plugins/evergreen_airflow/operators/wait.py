"""Wait until a source is complete before its partition is read, without occupying a worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evergreen_airflow.operators.base import PipelineOperator, log_note, partitions_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from evergreen.ingestion.completeness import Missing
    from evergreen.pipeline import Pipeline
    from evergreen.sources import Complete
    from evergreen_airflow.triggers import SourceCompleteTrigger

_SILENT = timedelta(minutes=15)
"""How long after the deadline the scheduler waits for a silent trigger."""


class WaitForSourceOperator(PipelineOperator):
    """Wait until a source is complete for the run's partitions, as its `complete` in `pipeline.yaml` says.

    The task checks once and then defers to a trigger. When the trigger fires, the task runs again and checks
    the source itself. The wait ends `complete.within` after the run's start, which Airflow stores: neither a
    retry nor a restart of Airflow's programs extends it.

    :param source: the source's name in `pipeline.yaml`.
    """

    template_fields = (*PipelineOperator.template_fields, "source")

    def __init__(self, *, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source

    def execute(self, context: Context, event: Any = None) -> None:
        """Check, and defer while the source is not complete; the trigger's `event` is not used."""
        super().execute(context)

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """Check once; defers, or after the deadline fails with what is missing."""
        from evergreen import notes
        from evergreen.errors import SourceError
        from evergreen.ingestion.completeness import missing

        complete = pipeline.spec.sources[self.source].complete
        if complete is None:
            return
        partitions = partitions_of(context, pipeline)
        still = missing(pipeline, self.source, partitions)
        if still is None:
            log_note(pipeline.name, notes.complete(partitions, self.source))
            return
        began = context["dag_run"].start_date or context["dag_run"].run_after
        until = began + complete.within
        left = until - datetime.now(UTC)
        if left <= timedelta(0):
            raise SourceError(
                f"{still.reason}; asked since {began:%Y-%m-%d %H:%M:%S} UTC, for longer than the "
                f"{_words(complete.within)} of complete.within: see why '{self.source}' is late, then clear "
                "this task, or allow more time in pipeline.yaml"
            )
        self.log.info("%s; asking again every %s, for %s", still.reason, _words(complete.every), _words(left))
        # If no triggerer runs, the scheduler times the task out, and the retry says what is missing.
        self.defer(
            trigger=self._trigger(still, complete, until), method_name="execute", timeout=left + _SILENT
        )

    def _trigger(self, still: Missing, complete: Complete, until: datetime) -> SourceCompleteTrigger:
        from evergreen_airflow.triggers import SourceCompleteTrigger

        return SourceCompleteTrigger(
            pipeline=self.pipeline,
            source=self.source,
            partitions=still.partitions,
            every=complete.every.total_seconds(),
            until=until.isoformat(),
        )


def _words(length: timedelta) -> str:
    return str(timedelta(seconds=round(length.total_seconds())))
