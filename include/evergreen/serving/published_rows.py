"""The published rows before a partition, which its features look back to, kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

import pyarrow as pa

from evergreen.errors import NotFoundError
from evergreen.lake import PARTITION, Table
from evergreen.pipeline import Pipeline

_MOST = 8
"""How many partitions have their look-back kept."""


class PublishedRows:
    """The look-back of a pipeline's partitions from the lake; `pipeline` has the features that look back.

    Safe to use from several threads.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._version: int | None = None
        self._kept: OrderedDict[str, pa.Table] = OrderedDict()

    def refresh(self) -> None:
        """Forget what is kept if anything has been published since; raises as `Lake.version` does."""
        version = self._pipeline.lake.version(Table.PARTITIONS)
        with self._lock:
            if version != self._version:
                self._version = version
                self._kept = OrderedDict()

    def before(self, partition: str) -> pa.Table | None:
        """The published rows that the partition's features look back to; None where they do not look back."""
        first = self._pipeline.spec.looks_back_to(partition)
        if first == partition:
            return None
        with self._lock:
            kept, found = self._kept, self._kept.get(partition)
        if found is None:
            found = self._read(first, partition)
            with self._lock:
                kept[partition] = found  # no longer the one in use if it was refreshed meanwhile
                while len(kept) > _MOST:
                    kept.popitem(last=False)
        return found

    def _read(self, first: str, partition: str) -> pa.Table:
        last = self._pipeline.spec.calendar.shift(partition, -1)
        try:
            return self._pipeline.lake.read(Table.PARTITIONS, first, last)
        except NotFoundError:
            return pa.table({PARTITION: pa.array([], pa.string())})
