"""The number of a row in its files, as a column: a name for rows that have none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.shown import shown


def with_row_number(rows: Rows, name: str | None) -> Rows:
    """The rows with a column `name`, int64, that numbers them from 1 on; as they are without a name.

    Raises `SourceError` for a column of that name, and, here or while the rows are read, for a record that
    cannot be read: once it is mended, the rows after it would have other numbers.
    """
    if name is None:
        return rows
    if name in rows.schema.names:
        rows.close()
        raise SourceError(
            f"there is a column '{shown(name)}' already: give the source's row_number another name"
        )
    schema = rows.schema.append(pa.field(name, pa.int64()))
    return Rows(schema, _numbered(rows, schema))


def _numbered(rows: Rows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    first = 1
    try:
        _check_all_read(rows)
        for batch in rows:
            _check_all_read(rows)
            numbers = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)
        _check_all_read(rows)
    finally:
        rows.close()


def _check_all_read(rows: Rows) -> None:
    if rows.rejected:
        one = rows.rejected[0]
        raise SourceError(
            f"{one.place}: {one.reason}: the rows after it cannot be numbered, mend it or give the pipeline "
            "a key of columns instead of the source's row_number"
        )
