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
from evergreen.scoring.score import Scored, predicting, publish, score
from evergreen.stages import SCORE
from evergreen.timings import now, timed

TOGETHER = 32  # partitions that are predicted before they are published, whatever the engine

Skipped = tuple[type[EvergreenError], ...]


@dataclass(frozen=True)
class _Predicted:
    """A partition's predictions by a version, and since when they were made; None where it is large."""

    version: str
    began: str
    table: pa.Table | None = field(default=None, repr=False)


def score_range(
    pipeline: Pipeline, partitions: Sequence[str], skipped: Skipped = ()
) -> Iterator[tuple[str, Scored | EvergreenError]]:
    """Score partitions as `evergreen.scoring.score.score` does, and give what came of each, in their order.

    An error of the kinds in `skipped` is given in place of the partition's outcome; another one is raised.
    The engine is that of `EVERGREEN_COMPUTE`; one partition, or all in this process, go one by one.
    """
    if len(partitions) < 2 or chosen().kind is Kind.LOCAL:
        for partition in partitions:
            yield partition, _one(pipeline, partition, skipped)
        return
    for key in partitions:
        pipeline.spec.calendar.check(key)
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
    began = now()
    try:
        by = predicting(pipeline, partition)
        if is_large(pipeline, by.model, partition):
            return _Predicted(by.model.version, began)
        return _Predicted(by.model.version, began, by.predictions(partition))
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
        return publish(pipeline, found.table, partition, found.version)
