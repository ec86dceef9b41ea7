"""Predictions that do not depend on the order in which nights are published and scored.

The features of a night look back. One that was scored before a night which it looks back to was there has
predictions that nobody would get again, so it is scored again once the hole is filled.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from evergreen.lake import Table
from evergreen.pipeline import Pipeline


def with_later(pipeline: Pipeline, partitions: Sequence[str]) -> list[str]:
    """What is to be scored for published partitions: those that were scored without them first, then they.

    A partition that has no predictions fills a hole. The later ones that have some, and look back to it, are
    in the order of time. They come first: where a run is killed among them the hole is still one, so that
    the next run finds them again. A partition that has predictions leaves the others as they are: what a
    correction of its rows changes is scored again by whoever asks for it.
    """
    spec = pipeline.spec
    if not spec.calendar.has_time or all(spec.looks_back_to(key) == key for key in partitions):
        return [*partitions]
    scored = pipeline.lake.files(Table.PREDICTIONS)
    holes = sorted(set(partitions) - scored.keys())
    later = sorted(scored.keys() - set(partitions))
    return [*(key for key in later if _looks_back(pipeline, key, holes)), *partitions]


def rows_read(pipeline: Pipeline, partition: str) -> dict[str, str]:
    """The files, by partition, that scoring a partition reads; other ones have other rows."""
    first = pipeline.spec.looks_back_to(partition)
    return {k: name for k, name in pipeline.lake.files(Table.PARTITIONS).items() if first <= k <= partition}


def _looks_back(pipeline: Pipeline, partition: str, holes: Sequence[str]) -> bool:
    before = bisect_left(holes, partition)
    return before > 0 and pipeline.spec.looks_back_to(partition) <= holes[before - 1]
