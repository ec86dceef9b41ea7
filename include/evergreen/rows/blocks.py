"""Rows in blocks: the unit that is joined, validated and written, whatever the size of a source's batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import pyarrow as pa

from evergreen.rows.batches import Rows

BLOCK = 131_072  # rows


def blocks(rows: Rows, keys: Sequence[str], size: int = BLOCK) -> Iterator[pa.Table]:
    """The rows in blocks of `size`, the last one smaller; none for no rows.

    Rows that all fit into one block are sorted by `keys`, so that another order of the source does not change
    the partition. More rows stay in the order of the source.
    """
    waiting: list[pa.RecordBatch] = []
    count, single = 0, True
    for batch in rows:
        waiting.append(batch)
        count += batch.num_rows
        while count > size:
            table = pa.Table.from_batches(waiting, rows.schema)
            yield table.slice(0, size)
            rest = table.slice(size)
            waiting, count, single = rest.to_batches(), rest.num_rows, False
    if count:
        table = pa.Table.from_batches(waiting, rows.schema)
        yield _sorted(table, keys) if single else table


def begun(rows: Rows, size: int) -> Rows:
    """The same rows, of which the first `size` (or all, if there are fewer) are already in memory."""
    remaining = iter(rows)
    read: list[pa.RecordBatch] = []
    count = 0
    for batch in remaining:
        read.append(batch)
        count += batch.num_rows
        if count >= size:
            return Rows(rows.schema, _rest(read, remaining, rows), rows.rejected)
    rows.close()
    return Rows(rows.schema, read, rows.rejected)


def _rest(
    read: list[pa.RecordBatch], remaining: Iterator[pa.RecordBatch], rows: Rows
) -> Iterator[pa.RecordBatch]:
    try:
        yield from chain(read, remaining)
    finally:
        rows.close()


def _sorted(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    present = [(key, "ascending") for key in keys if key in table.column_names]
    return table.sort_by(present) if present else table
