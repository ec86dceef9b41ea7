"""Whether a source's partition is complete: the source is asked before anything is read from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evergreen.errors import SourceError, StorageError, UnavailableError
from evergreen.ingestion.extract import wanted
from evergreen.pipeline import Pipeline

_SHOWN = 3  # how many partitions a line names


@dataclass(frozen=True)
class Missing:
    """The partitions that are not known to be complete, in order, and why in one line."""

    partitions: tuple[str, ...]
    reason: str


def incomplete(pipeline: Pipeline, source_name: str, partition: str) -> str | None:
    """What is missing in a source's partition, in one line; None if it is complete or has no `complete`.

    Raises `UnavailableError` if the source cannot be asked at the moment and `SourceError` if a retry cannot
    help, both prefixed with pipeline, partition and source.
    """
    source = pipeline.spec.sources[source_name]
    try:
        missing = source.missing(wanted(pipeline, partition))
    except UnavailableError as error:
        raise UnavailableError(_of(pipeline, source_name, partition, error)) from None
    except (SourceError, StorageError) as error:
        raise SourceError(_of(pipeline, source_name, partition, error)) from None
    return f"source '{source_name}' is not complete: {missing}" if missing else None


def missing(pipeline: Pipeline, source_name: str, partitions: Sequence[str]) -> Missing | None:
    """Which of the partitions are not complete; None if all are.

    A source that cannot be asked at the moment counts as not complete, also for all later partitions. Raises
    `SourceError` if a retry cannot help.
    """
    found: list[str] = []
    reasons: list[str] = []
    for number, partition in enumerate(partitions):
        try:
            line = incomplete(pipeline, source_name, partition)
        except UnavailableError as error:
            found += partitions[number:]
            reasons.append(str(error))
            break
        if line:
            found.append(partition)
            reasons.append(f"{pipeline.name} {partition}: {line}")
    return Missing(tuple(found), reasons[0] + _others(found[1:])) if found else None


def check_complete(pipeline: Pipeline, partition: str) -> None:
    """Ask all sources once; raises `UnavailableError` if the partition is not complete in one of them."""
    for source_name in pipeline.spec.sources:
        if line := incomplete(pipeline, source_name, partition):
            raise UnavailableError(f"{pipeline.name} {partition}: {line}: run again when it is complete")


def _others(partitions: Sequence[str]) -> str:
    if not partitions:
        return ""
    more = ", ..." if len(partitions) > _SHOWN else ""
    return f" (and {len(partitions)} more: {', '.join(partitions[:_SHOWN])}{more})"


def _of(pipeline: Pipeline, source_name: str, partition: str, error: Exception) -> str:
    return f"{pipeline.name} {partition}: source '{source_name}': {error}"
