"""Partitions validated together: row-level expectations are checked on the rows of all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from evergreen.errors import EvergreenError, RefusedError, SourceError
from evergreen.rows.ahead import ahead
from evergreen.rows.batches import Rows
from evergreen.rows.blocks import BLOCK, blocks
from evergreen.spec import Spec
from evergreen.validation.judge import Judges
from evergreen.validation.profile import Profile
from evergreen.validation.validate import Check, Validated


class Group:
    """Partitions whose rows are validated together. They have the same schema."""

    def __init__(self, spec: Spec, judges: Judges) -> None:
        self._spec, self._judges = spec, judges
        self._order: list[str] = []
        self._checks: dict[str, Check] = {}
        self._failed: dict[str, EvergreenError] = {}
        self._waiting: list[tuple[Check, pa.Table]] = []
        self._waiting_rows = 0

    def __len__(self) -> int:
        return len(self._order)

    def add(self, partition: str, rows: Rows, changes: Sequence[str] = ()) -> None:
        """Read all rows of a partition; `finish` reports what is wrong with them."""
        try:
            self._judges.check(rows.schema)
        except RefusedError as error:
            rows.close()
            self.fail(partition, RefusedError(f"refused: {error}"))
            return
        self._order.append(partition)
        check = Check(
            self._spec, self._judges, partition, rows.schema, changes=changes, rejected=rows.rejected
        )
        self._checks[partition] = check
        try:
            # A partition of a few rows is in memory before a thread for it would have started.
            if not isinstance(rows.batches, list):
                rows = ahead(rows)
            self._take(check, rows)
        except (RefusedError, SourceError) as error:
            self._fail(check, error)
        finally:
            rows.close()

    def _take(self, check: Check, rows: Rows) -> None:
        for found in blocks(rows, self._spec.keys, BLOCK):
            if not (block := check.inside(found)).num_rows:
                continue
            self._waiting.append((check, block))
            self._waiting_rows += block.num_rows
            if self._waiting_rows >= BLOCK:
                self._judge()
            if check.partition in self._failed:
                break

    def fail(self, partition: str, error: EvergreenError) -> None:
        """Add a partition whose rows could not be opened."""
        self._order.append(partition)
        self._failed[partition] = self._named(partition, error)

    def finish(
        self, history: Callable[[str], Sequence[Profile]]
    ) -> Iterator[tuple[str, Validated | EvergreenError]]:
        """Each partition's outcome, in the order in which they were added.

        `history` is called for the profiles of the partitions before one after all earlier partitions of the
        group were yielded.
        """
        self._judge()
        for partition in self._order:
            if (error := self._failed.get(partition)) is not None:
                yield partition, error
                continue
            try:
                outcome: Validated | EvergreenError = self._checks[partition].finish(history(partition))
            except RefusedError as refusal:
                outcome = refusal
            yield partition, outcome

    def _judge(self) -> None:
        waiting, self._waiting, self._waiting_rows = self._waiting, [], 0
        if not waiting:
            return
        outcomes = self._judges.of_rows([block for _, block in waiting])
        for (check, block), outcome in zip(waiting, outcomes, strict=True):
            if check.partition in self._failed:
                continue
            try:
                check.add(block, outcome)
            except RefusedError as error:
                self._fail(check, error)

    def _fail(self, check: Check, error: EvergreenError) -> None:
        self._failed[check.partition] = self._named(check.partition, error)
        check.discard()

    def _named(self, partition: str, error: EvergreenError) -> EvergreenError:
        where = f"{self._spec.name} {partition}: "
        return error if str(error).startswith(where) else type(error)(f"{where}{error}")
