"""Scoring of a range of partitions: predicted by the workers of an engine, published here, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from evergreen.compute.choice import Kind, chosen
from evergreen.compute.spread import spread
from evergreen.errors import EvergreenError
from evergreen.pipeline import Pipeline
from evergreen.scoring.large import is_large
from evergreen.scoring.order import rows_read, with_later
from evergreen.scoring.score import Scored, predicting, publish, score
from evergreen.stages import SCORE
from evergreen.timings import now, timed

TOGETHER = 32  # partitions that are predicted before they are published, whatever the engine

Skipped = tuple[type[EvergreenError], ...]


@dataclass(frozen=True)
class _Predicted:
    """A partition's predictions by a version, since when they were made, and the files that they are of.

    None in place of the predictions where the partition is large.
    """

    version: str
    began: str
    read: dict[str, str]
    table: pa.Table | None = field(default=None, repr=False)


def score_range(
    pipeline: Pipeline, partitions: Sequence[str], skipped: Skipped = ()
) -> Iterator[tuple[str, Scored | EvergreenError]]:
    """Score partitions as `evergreen.scoring.score.score` does, and give what came of each, in their order.

    Those that were scored before one of them was there come first, see `evergreen.scoring.order`. An error of
    the kinds in `skipped` is given in place of the partition's outcome; another one is raised.
    The engine is that of `EVERGREEN_COMPUTE`; one partition, or all in this process, go one by one.
    """
    for key in partitions:
        pipeline.spec.calendar.check(key)
    partitions = with_later(pipeline, partitions)
    if len(partitions) < 2 or chosen().kind is Kind.LOCAL:
        for partition in partitions:
            yield partition, _one(pipeline, partition, skipped)
        return
    with spread(_predicted, (pipeline, skipped)) as task:
        for start in range(0, len(partitions), TOGETHER):
            part = partitions[start : start + TOGETHER]
            found = task.over(part, named=lambda key: f"{pipeline.name} {key}: scoring")
            for partition, predicted in zip(part, found, strict=True):
                yield partition, _published(pipeline, partition, predicted, skipped)


def _one(pipeline: Pipeline, partition: str, skipped: Skipped) -> Scored | EvergreenError:
    try:
        return score(pipeline, partition)
    except skipped as error:
        return error


def _predicted(shared: tuple[Pipeline, Skipped], partition: str) -> _Predicted | EvergreenError:
    """In a worker: the predictions of a partition, read from the lake and not written to it."""
    pipeline, skipped = shared
    began, read = now(), rows_read(pipeline, partition)
    try:
        by = predicting(pipeline, partition)
        if is_large(pipeline, by.model, partition):
            return _Predicted(by.model.version, began, read)
        return _Predicted(by.model.version, began, read, by.predictions(partition))
    except skipped as error:
        return error


def _published(
    pipeline: Pipeline, partition: str, found: _Predicted | EvergreenError, skipped: Skipped
) -> Scored | EvergreenError:
    if isinstance(found, EvergreenError):
        return found
    if found.table is None:
        return _one(pipeline, partition, skipped)
    with timed(pipeline, SCORE, partition) as timing:
        timing.began, timing.rows = found.began, len(found.table)
        scored = publish(pipeline, found.table, partition, found.version)
    return scored if found.read == rows_read(pipeline, partition) else _one(pipeline, partition, skipped)
