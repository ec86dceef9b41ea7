"""Columns that come in pieces."""

from __future__ import annotations

import pyarrow as pa


def whole(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
