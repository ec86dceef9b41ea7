"""The digest of rows: the same names, types and values in the same order give the same one.

It is taken of the values themselves, so that neither the way they lie in memory nor the version of a file
format matters.
"""

from __future__ import annotations

import hashlib
import json

import pyarrow as pa
import pyarrow.compute as pc


class RowsDigest:
    """SHA-256 over rows that come in parts. The parts' sizes matter: give parts of a fixed size."""

    def __init__(self, schema: pa.Schema) -> None:
        names = json.dumps([[field.name, str(field.type)] for field in schema])
        self._sha = hashlib.sha256(names.encode())

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in the next rows."""
        self._sha.update(rows.num_rows.to_bytes(8, "little"))
        for column in rows.columns:
            self._add(column)

    def hexdigest(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._sha.hexdigest()

    def _add(self, column: pa.Array) -> None:
        kind = column.type
        if column.null_count:
            self._bytes(pc.is_null(column).cast(pa.uint8()))
            if pa.types.is_null(kind):
                return
        if pa.types.is_list(kind):
            self._bytes(pc.fill_null(pc.list_value_length(column), 0))
            self._add(column.flatten())
        elif pa.types.is_string(kind):
            self._bytes(pc.fill_null(pc.binary_length(column), 0))
            self._text(column)
        elif pa.types.is_boolean(kind):
            self._bytes(pc.fill_null(column, False).cast(pa.uint8()))
        elif not pa.types.is_null(kind):
            # What lies under a null is nobody's value.
            self._bytes(pc.fill_null(column, pa.scalar(0).cast(kind)) if column.null_count else column)

    def _bytes(self, column: pa.Array) -> None:
        width = column.type.bit_width // 8
        values = memoryview(column.buffers()[1]) if column.buffers()[1] else memoryview(b"")
        self._sha.update(values[column.offset * width : (column.offset + len(column)) * width])

    def _text(self, column: pa.Array) -> None:
        _, offsets, values = column.buffers()
        if not len(column) or values is None:
            return
        if column.null_count:  # only an array that was filled holds nothing under its nulls
            _, offsets, values = pc.fill_null(column, "").buffers()
            column = pc.fill_null(column, "")
        ends = memoryview(offsets).cast("i")
        self._sha.update(memoryview(values)[ends[column.offset] : ends[column.offset + len(column)]])
