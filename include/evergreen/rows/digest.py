"""The digest of rows: the same names, types and values in the same order give the same one.

It is computed from the values themselves, so it does not depend on their layout in memory or on the version
of a file format.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


class RowsDigest:
    """SHA-256 over rows in parts. The result depends on the sizes of the parts, so use a fixed size."""

    def __init__(self, schema: pa.Schema) -> None:
        names = json.dumps([[field.name, _name(field.type)] for field in schema])
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
        nulls = pc.is_null(column).to_numpy(zero_copy_only=False) if column.null_count else None
        if nulls is not None:
            self._sha.update(nulls.tobytes())
        if pa.types.is_list(kind):
            self._fixed(pc.fill_null(pc.list_value_length(column), 0), None)
            self._add(column.flatten())
        elif pa.types.is_struct(kind):
            for part in column.flatten():
                self._add(part)
        elif pa.types.is_string(kind):
            self._fixed(pc.fill_null(pc.binary_length(column), 0), None)
            self._text(pc.fill_null(column, "") if column.null_count else column)
        elif pa.types.is_boolean(kind):
            self._fixed(pc.fill_null(column, False).cast(pa.uint8()), None)
        elif not pa.types.is_null(kind):
            self._fixed(column, nulls)

    def _fixed(self, column: pa.Array, nulls: NDArray[np.bool_] | None) -> None:
        width, values = column.type.bit_width // 8, column.buffers()[1]
        if not len(column) or values is None:
            return
        found = np.frombuffer(values, np.uint8, len(column) * width, column.offset * width)
        if nulls is not None:
            # The bytes under a null are undefined.
            found = found.reshape(-1, width).copy()
            found[nulls] = 0
        self._sha.update(found.data)

    def _text(self, column: pa.Array) -> None:
        _, offsets, values = column.buffers()
        if not len(column) or values is None:
            return
        ends = memoryview(offsets).cast("i")
        self._sha.update(memoryview(values)[ends[column.offset] : ends[column.offset + len(column)]])


def _name(kind: pa.DataType) -> str:
    # Formats use different names for the items of a list.
    return f"list<{_name(kind.value_type)}>" if pa.types.is_list(kind) else str(kind)
