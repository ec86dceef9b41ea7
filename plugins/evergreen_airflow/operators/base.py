"""The base of all operators: the pipeline, the partitions of the run, and how errors end a task."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from evergreen.calendar import SNAPSHOT, PartitionError
from evergreen.stages import INGEST, stage_of
from evergreen_airflow.connections import open_pipeline
from evergreen_airflow.lineage import Lineage, operator_lineage
from evergreen_airflow.run_notes import leave

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Asset, Context

    from evergreen.errors import EvergreenError
    from evergreen.notes import Note
    from evergreen.pipeline import Pipeline
    from evergreen.spec import Spec
    from evergreen.stages import Stage


_log = logging.getLogger(__name__)


class PipelineOperator(BaseOperator):
    """One stage of one pipeline: opens it and makes a single call into the library.

    :param pipeline: the pipeline's name (templated).
    """

    template_fields: Sequence[str] = ("pipeline",)
    ui_color = "#e3f1e3"

    def __init__(self, *, pipeline: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.lineage = Lineage()

    def execute(self, context: Context) -> None:
        """Run the stage; refusals and failures end in one line that says what to do."""
        from evergreen.errors import EvergreenError

        with task_outcome():
            try:
                self.run(open_pipeline(self.pipeline), context)
            except EvergreenError as reason:
                self._note_end(context, reason)
                raise

    def run(self, pipeline: Pipeline, context: Context) -> None:
        """The stage itself."""
        raise NotImplementedError

    def conclude(self, context: Context, spec: Spec, stage: Stage, result: Any) -> Note:
        """Log what the stage has come to, and leave it for the note of the run."""
        from evergreen.notes import OF_STAGE

        return note_run(context, self.pipeline, OF_STAGE[stage](spec, result))

    def _note_end(self, context: Context, reason: EvergreenError) -> None:
        """Log why the task ends; for the note of the run, unless it is no news that nothing was to do."""
        from evergreen.errors import NothingToDoError

        _, stage = stage_of(self.dag_id)
        leads = stage.done == self.task_id or stage.done in self.get_flat_relative_ids(upstream=False)
        note = log_end(self.pipeline, reason)
        if leads or not isinstance(reason, NothingToDoError):
            leave(context, note.text)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """What the task read and wrote, for Airflow's OpenLineage provider, which alone calls this."""
        return operator_lineage(open_pipeline(self.pipeline), self.lineage)

    def emit(self, context: Context, asset: Asset, *partitions: str, **facts: Any) -> None:
        """Attach the partitions to the asset's event, so that the next DAG runs once for each.

        `facts` describe the last partition. A run whose partitions were given as params has no partition key
        to pass on, so the keys are added to the event.
        """
        event = context["outlet_events"][asset]
        event.extra = {"partition": partitions[-1], **facts}
        if partitions != (SNAPSHOT,) and partitions != (context["dag_run"].partition_key,):
            event.add_partitions(list(partitions))


@contextmanager
def task_outcome() -> Iterator[None]:
    """Map the library's errors to Airflow's: skip, retry, or fail at once if a retry cannot help."""
    from evergreen.errors import ConflictError, EvergreenError, NothingToDoError, UnavailableError

    try:
        yield
    except NothingToDoError as reason:
        raise AirflowSkipException(str(reason)) from None
    except (UnavailableError, ConflictError) as reason:
        raise AirflowException(str(reason)) from None
    except EvergreenError as reason:
        raise AirflowFailException(str(reason)) from None


def partition_of(context: Context, pipeline: Pipeline, stage: Stage) -> str:
    """The partition that a stage's run is for: its param `partition`, its partition key, or `snapshot`.

    A run that names none takes the newest partition available to the stage, and the same one again when it is
    cleared; the log says which and why. Raises `NothingToDoError` if there is none yet.
    """
    spec, run = pipeline.spec, context["dag_run"]
    given = context["params"].get("partition") or run.partition_key
    if given:
        return spec.calendar.check(given)
    if not spec.calendar.has_time:
        return SNAPSHOT
    from evergreen.runs import chosen

    choice = chosen(pipeline, stage, run.run_id, run.logical_date or run.run_after)
    _log.info("%s", choice)
    return choice.partition


def partitions_of(context: Context, pipeline: Pipeline) -> list[str]:
    """The partitions to ingest, in order: those up to the param `to`, or only the one of `partition_of`.

    Raises `PartitionError` if `to` is before the first, or the run names no first.
    """
    params, last = context["params"], context["params"].get("to")
    if last and not (params.get("partition") or context["dag_run"].partition_key):
        raise PartitionError(
            f"{pipeline.name}: the range up to '{last}' has no first partition: trigger the run again with "
            "the param 'partition' too"
        )
    first = partition_of(context, pipeline, INGEST)
    if not last:
        return [first]
    if not (partitions := list(pipeline.spec.calendar.between(first, last))):
        raise PartitionError(
            f"{pipeline.name}: the range ends with '{last}', before its first partition '{first}': trigger "
            "the run again with the params in order"
        )
    return partitions


def log_note(pipeline: str, note: Note, level: int = logging.INFO) -> None:
    """Log a note in a short line of its own, and below it a line for each of its reasons.

    Airflow's UI shows a line as far as the window is wide.
    """
    _log.log(level, "%s %s", pipeline, note.line)
    for reason in note.reasons:
        _log.log(level, "  %s", reason)


def log_end(pipeline: str, reason: EvergreenError) -> Note:
    """Log why a task ends, as a note; Airflow itself logs it as one long line."""
    from evergreen.errors import NothingToDoError
    from evergreen.notes import ended

    note = ended(pipeline, reason)
    log_note(pipeline, note, logging.INFO if isinstance(reason, NothingToDoError) else logging.ERROR)
    return note


def note_run(context: Context, pipeline: str, note: Note) -> Note:
    """Log a note, and leave it for the note of the run."""
    log_note(pipeline, note)
    leave(context, note.text)
    return note


def run_token(context: Context) -> str:
    """A short name for the run's staging folder: the same for all its tasks and tries."""
    return hashlib.sha256(context["dag_run"].run_id.encode()).hexdigest()[:16]
