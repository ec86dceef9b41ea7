"""The published rows of a partition and of those that its features look back to, kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

import pyarrow as pa

from evergreen.errors import NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline

_MOST = 16
"""How many ranges of partitions are kept."""


class PublishedRows:
    """Published rows from the lake; `pipeline` has the features that look back.

    Safe to use from several threads.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._version: int | None = None
        self._kept: OrderedDict[tuple[str, str], pa.Table] = OrderedDict()

    def refresh(self) -> None:
        """Forget what is kept if anything has been published since; raises as `Lake.version` does."""
        version = self._pipeline.lake.version(Table.PARTITIONS)
        with self._lock:
            if version != self._version:
                self._version = version
                self._kept = OrderedDict()

    def before(self, partition: str) -> pa.Table | None:
        """The published rows that the partition's features look back to; None where they do not look back."""
        spec = self._pipeline.spec
        first = spec.looks_back_to(partition)
        return None if first == partition else self._between(first, spec.calendar.shift(partition, -1))

    def of(self, partition: str) -> pa.Table | None:
        """The partition's own rows, if it is published."""
        found = self._between(partition, partition)
        return found if len(found) else None

    def _between(self, first: str, last: str) -> pa.Table:
        with self._lock:
            kept, found = self._kept, self._kept.get((first, last))
        if found is None:
            try:
                found = self._pipeline.lake.read(Table.PARTITIONS, first, last)
            except NotFoundError:
                found = pa.table({PARTITION: pa.array([], pa.string())})
            with self._lock:
                kept[first, last] = found  # of no use any more if it was refreshed meanwhile
                while len(kept) > _MOST:
                    kept.popitem(last=False)
        return found
