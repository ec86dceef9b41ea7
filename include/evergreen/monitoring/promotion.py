"""The promotion that a night's decision asks for: of a challenger whose trial is decided in its favour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.errors import ConflictError, NothingToDoError
from evergreen.monitoring.record import monitored
from evergreen.registry.history import Event, withdrawn
from evergreen.sinks.mlflow.follow import tell_mlflow_or_warn

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


def promote_tried(pipeline: Pipeline, partition: str) -> Event:
    """Put the challenger in force that the partition's stored decision promotes, from the next one on.

    The nights of the trial stay with the champion that scored them. Once it is in force, it is the same event
    again. Raises `NothingToDoError`, with the reason, if the decision promotes none, if the partition is not
    the newest that is published, if the champion is not the one that it was compared with, or if it was
    rolled back; `NotFoundError` if the partition has not been monitored.
    """
    spec, registry = pipeline.spec, pipeline.registry
    spec.calendar.check(partition)
    record, decision = monitored(pipeline, partition)
    version, newest = decision.promotes, pipeline.lake.partitions()[-1]
    if version is None:
        raise NothingToDoError(f"{spec.name} {partition}: no challenger on trial is clearly better")
    if partition != newest:
        raise NothingToDoError(
            f"{spec.name} {partition}: {version} is not promoted by an older partition: the newest published "
            f"is {newest}"
        )
    if withdrawn(registry.history(), version):
        raise NothingToDoError(
            f"{spec.name} {partition}: {version} was rolled back and stays so: if it is wanted after all, "
            f"evergreen models promote {spec.name} {version}"
        )
    reason = {
        "kind": "trial",
        "sentence": decision.reason,
        "partition": partition,
        "evidence": decision.evidence,
    }
    try:
        event = registry.promote(version, spec.calendar.shift(partition, 1), reason, record.version)
    except ConflictError as conflict:
        raise NothingToDoError(str(conflict)) from None
    tell_mlflow_or_warn(pipeline)
    return event
