"""The outcome of each partition's validation: later ones are read while earlier ones are validated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from evergreen.errors import EvergreenError, RefusedError, SourceError
from evergreen.ingestion.conform import Conformer, UnknownTypeError
from evergreen.ingestion.published import PublishedPartitions
from evergreen.ingestion.read_as import ReadAs, submitted
from evergreen.ingestion.same_calendar import check_calendar
from evergreen.pipeline import Pipeline
from evergreen.rows.batches import Rows
from evergreen.rows.blocks import begun
from evergreen.spec import Spec
from evergreen.validation.corrections import Corrections, corrected, originals
from evergreen.validation.group import Group
from evergreen.validation.judge import Judges
from evergreen.validation.suite import load_suite
from evergreen.validation.validate import Validated

TOGETHER = 32  # partitions validated together and published in one commit
READERS = 4  # partitions read at the same time
AHEAD = 8  # partitions that are read in advance
HEAD = 8_192  # rows of each that are read in advance

Outcomes = Iterator[tuple[str, Validated | EvergreenError]]
Read = Callable[[str], Rows]


def validated(
    pipeline: Pipeline, partitions: Sequence[str], read: Read, types: ReadAs | None = None
) -> Outcomes:
    """Each partition's outcome, for the rows that `read` returns.

    They come in order, except that a partition with a column whose type only a later one tells is tried again
    at the end, when the type is known.
    """
    check_calendar(pipeline)
    keys = [pipeline.spec.calendar.check(key) for key in partitions]
    judges = Judges(pipeline.spec, load_suite(pipeline.spec))
    published = PublishedPartitions(pipeline.lake, judges.history_needed)
    run = _Run(pipeline.spec, judges, published, Corrections(pipeline.storage, pipeline.name), read, types)
    unknown: dict[str, UnknownTypeError] = {}
    for partition, outcome in run.outcomes(keys):
        if isinstance(outcome, UnknownTypeError):
            unknown[partition] = outcome
        else:
            yield partition, outcome
    yield from unknown.items() if published.schema is None else run.outcomes(list(unknown))


@dataclass(frozen=True)
class _Run:
    """What the partitions of one call have in common; `published` learns of each that may be published."""

    spec: Spec
    judges: Judges
    published: PublishedPartitions
    corrections: Corrections
    read: Read
    types: ReadAs | None

    def outcomes(self, keys: Sequence[str]) -> Outcomes:
        group = Group(self.spec, self.judges)
        with closing(_reading(keys, self.read, self.types)) as reading:
            for partition, future in reading:
                try:
                    rows, changes = self._conformed(future.result())
                    rows = corrected(rows, self.corrections.of(partition))
                except (RefusedError, SourceError) as error:
                    group.fail(partition, error)
                    continue
                # Partitions with the same schema are validated together; one with another schema is
                # validated alone.
                alone = rows.schema != self.published.schema
                if alone or len(group) >= TOGETHER:
                    yield from self._finished(group)
                    group = Group(self.spec, self.judges)
                group.add(partition, rows, changes)
                if alone:
                    yield from self._finished(group)
                    group = Group(self.spec, self.judges)
            yield from self._finished(group)

    def _finished(self, group: Group) -> Outcomes:
        for partition, outcome in group.finish(self.published.before):
            if not isinstance(outcome, Validated):
                yield partition, outcome
                continue
            self.published.accept(partition, outcome.schema, outcome.profile)
            kept = originals(outcome.quarantined, outcome.schema, self.corrections.of(partition))
            yield partition, replace(outcome, quarantined=kept)

    def _conformed(self, rows: Rows) -> tuple[Rows, tuple[str, ...]]:
        if not rows.schema.names:  # a source without rows may have no columns
            return Rows(self.published.schema or rows.schema, rows.batches, rows.rejected), ()
        policy = self.spec.validation.schema_change
        conformer = Conformer(self.published.schema, rows.schema, policy)
        self.published.check_exact(conformer.widened)
        if isinstance(rows.batches, list):
            conformed = [conformer.batch(batch) for batch in rows.batches]
            return Rows(conformer.schema, conformed, rows.rejected), conformer.changes

        def batches() -> Iterator[pa.RecordBatch]:
            with closing(rows):
                for batch in rows:
                    yield conformer.batch(batch)

        return Rows(conformer.schema, batches(), rows.rejected), conformer.changes


def _reading(
    keys: Sequence[str], read: Read, types: ReadAs | None
) -> Generator[tuple[str, Future[Rows]], None, None]:
    """Each partition with its rows; the first rows are read while earlier partitions are processed."""
    waiting = deque[tuple[str, Future[Rows]]]()
    pool = ThreadPoolExecutor(READERS)
    try:
        for key in keys:
            waiting.append((key, submitted(pool, partial(_begun, read), key, types)))
            if len(waiting) == AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        # After an error the partitions that are not read yet are not needed.
        pool.shutdown(cancel_futures=True)
        for _, future in waiting:
            if not future.cancelled() and future.exception() is None:
                future.result().close()


def _begun(read: Read, partition: str) -> Rows:
    return begun(read(partition), HEAD)
