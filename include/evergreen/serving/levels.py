"""The levels that bounds use, where intervals adapt: those that a night would use for the same partition."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from evergreen.errors import NotFoundError
from evergreen.lake import Table
from evergreen.scoring.adapted import adapts, levels_in_use
from evergreen.scoring.checked_model import CheckedModel
from evergreen.scoring.score import predicted_again

_TABLES = (Table.PARTITIONS, Table.PREDICTIONS, Table.LABELS)
_MOST = 64
"""Partitions whose levels are kept."""

_Seen = tuple[int | None, ...]
"""The versions of the tables that levels are learnt from."""


class Levels:
    """The levels in use of a version. Safe to use from several threads."""

    def __init__(self, model: CheckedModel) -> None:
        self._model = model
        self._lock = threading.Lock()
        self._seen: _Seen = ()
        self._kept: dict[str, Sequence[float] | None] = {}

    @property
    def adapt(self) -> bool:
        """Whether they differ by partition."""
        return adapts(self._model.pipeline.spec, self._model.estimator)

    def of(self, partition: str) -> Sequence[float] | None:
        """Those of a partition, None where they are the ones promised; raises as `levels_in_use` does."""
        if not self.adapt:
            return None
        seen = tuple(map(self._version, _TABLES))
        with self._lock:
            if seen != self._seen or len(self._kept) > _MOST:
                self._seen, self._kept = seen, {}
            kept = self._kept
        if partition not in kept:
            again = partial(predicted_again, self._model)
            kept[partition] = levels_in_use(self._model.pipeline, self._model, partition, again)
        return kept[partition]

    def _version(self, table: Table) -> int | None:
        try:
            return self._model.pipeline.lake.version(table)
        except NotFoundError:
            return None
