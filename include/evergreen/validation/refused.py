"""The rows that would have gone to quarantine with a partition that was refused: kept to be looked at.

They are at `<pipeline>/refused/<partition>.json`: those of the last attempt, until the partition is
published.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evergreen.errors import EvergreenError
from evergreen.readable import readable
from evergreen.storage import Storage
from evergreen.together import together
from evergreen.validation.quarantine import Quarantined
from evergreen.validation.validate import RefusedPartitionError

MOST = 10_000
"""Rows of an attempt that are kept, the first ones."""


@dataclass(frozen=True)
class RefusedAttempt:
    """The last attempt at a partition: why it was refused, its first bad rows, and how many there were."""

    partition: str
    reason: str
    rows: tuple[Quarantined, ...]
    count: int


class RefusedRows:
    """The refused attempts of a pipeline."""

    def __init__(self, storage: Storage, pipeline: str) -> None:
        self._storage, self._folder = storage, f"{pipeline}/refused/"

    def keep(self, refused: Mapping[str, EvergreenError]) -> None:
        """Keep the rows of partitions that were refused for them."""

        def write(one: tuple[str, RefusedPartitionError]) -> None:
            partition, error = one
            rows = error.quarantined.slice(0, MOST).to_pylist()
            told = {"reason": str(error), "count": error.quarantined.num_rows, "rows": rows}
            body = json.dumps(told, ensure_ascii=False).encode()
            self._storage.stage(self._key(partition), body, "application/json")

        together(write, [(p, e) for p, e in refused.items() if isinstance(e, RefusedPartitionError)])

    def of(self, partition: str) -> RefusedAttempt | None:
        """The attempt at a partition; None if the last one was not refused for its rows."""
        found = self._storage.find(self._key(partition))
        if found is None:
            return None
        key = self._key(partition)
        with readable(
            key.partition("/")[0], key, self._storage, "delete it, then ingest the partition again"
        ):
            told = json.loads(found.body)
            rows = tuple(Quarantined(partition, **row) for row in told["rows"])
            return RefusedAttempt(partition, told["reason"], rows, told["count"])

    def partitions(self) -> list[str]:
        """The partitions with such an attempt, sorted."""
        return [
            key.removeprefix(self._folder).removesuffix(".json") for key in self._storage.list(self._folder)
        ]

    def clear(self, partitions: Iterable[str]) -> None:
        """Delete what is kept of partitions that are published now."""
        self._storage.delete(map(self._key, partitions))

    def _key(self, partition: str) -> str:
        return f"{self._folder}{partition}.json"
