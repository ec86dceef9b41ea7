"""Rows as a stream of Arrow's IPC format, read within limits whatever is in it.

See https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import flatbuffers.number_types as numbers
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from flatbuffers.table import Table as Flat

from evergreen.rows.texts import is_list, is_text
from evergreen.serving.body import WRONG, Body, check_count
from evergreen.serving.limits import Limits, too_large
from evergreen.serving.refused import RequestRefusedError
from evergreen.shown import shown

ARROW = "application/vnd.apache.arrow.stream"
"""The media type of such a stream."""

_MOST_MESSAGES = 1000
_WHOLE = b"whole"
_TRUTHS = {b"true": True, b"false": False}
# Fields of the tables in Arrow's Message.fbs, by their number.
_HEADER_TYPE, _HEADER = 1, 2
_DATA_OF_DICTIONARY = 1
_BUFFERS, _COMPRESSION = 2, 3
# What the header of a message may be.
_OF_DICTIONARY, _OF_ROWS = 2, 3
_BUFFER, _TOLD = struct.Struct("<qq"), struct.Struct("<q")
_NOT_COMPRESSED = -1


def read_stream(body: bytes, limits: Limits) -> Body:
    """The rows of a stream, and `whole` from the metadata of its schema.

    Raises `RequestRefusedError`: 422 for what is no such stream, a column of a type that no row has, and no
    rows; 413 for more rows, messages or bytes than may be. Bytes count when everything that is compressed or
    shared is written out.
    """
    try:
        _check_told(body, limits)
        with pa.ipc.open_stream(body) as stream:
            _check_types(stream.schema)
            rows = pa.Table.from_batches(_within(stream, limits), _schema(stream.schema))
    except (pa.ArrowException, OSError, ValueError, TypeError, struct.error, IndexError) as error:
        raise _wrong(f"the body is no Arrow stream: {shown(str(error))}") from None
    check_count(len(rows), limits.rows)
    return Body(rows.replace_schema_metadata(), _whole(rows.schema))


def _check_told(body: bytes, limits: Limits) -> None:
    """Refuse buffers that are too large together, before one of them is decompressed."""
    told = 0
    for number, message in enumerate(pa.ipc.MessageReader.open_stream(body)):
        told += sum(_sizes(message))
        if told > limits.body:
            raise too_large(limits)
        if number >= _MOST_MESSAGES:
            raise RequestRefusedError(
                413, f"the stream has more than {_MOST_MESSAGES:,} messages: send more rows in each"
            )


def _sizes(message: pa.ipc.Message) -> Iterator[int]:
    """How long each buffer of a message is, decompressed, as it says itself."""
    metadata = message.metadata.to_pybytes()
    root = Flat(metadata, _unsigned(metadata, 0))
    header = _inner(root, _HEADER)
    kind = root.Get(numbers.Uint8Flags, root.Pos + root.Offset(_slot(_HEADER_TYPE)))
    if header is not None and kind == _OF_DICTIONARY:
        header = _inner(header, _DATA_OF_DICTIONARY)
    elif kind != _OF_ROWS:
        return
    if header is None or not (buffers := header.Offset(_slot(_BUFFERS))):
        return
    compressed = bool(header.Offset(_slot(_COMPRESSION)))
    begin = header.Vector(buffers)
    for at in range(header.VectorLen(buffers)):
        offset, length = _BUFFER.unpack_from(metadata, begin + at * _BUFFER.size)
        if compressed and length:
            (told,) = _TOLD.unpack(message.body.slice(offset, _TOLD.size).to_pybytes())
            length = length if told == _NOT_COMPRESSED else told
        if length < 0:
            raise ValueError("a buffer has a length below zero")
        yield length


def _inner(flat: Flat, field: int) -> Flat | None:
    at = flat.Offset(_slot(field))
    return Flat(flat.Bytes, flat.Indirect(at + flat.Pos)) if at else None


def _slot(field: int) -> int:
    """Where a table's field is in its vtable."""
    return 4 + 2 * field


def _unsigned(metadata: bytes, at: int) -> int:
    return int.from_bytes(metadata[at : at + 4], "little")


def _whole(schema: pa.Schema) -> bool:
    said = (schema.metadata or {}).get(_WHOLE, b"false")
    if said not in _TRUTHS:
        raise _wrong("'whole' in the metadata of the schema is neither true nor false")
    return _TRUTHS[said]


def _check_types(schema: pa.Schema) -> None:
    for column in schema:
        if not _is_read(column.type):
            raise _wrong(
                f"field '{shown(column.name)}' is {shown(str(column.type))}, which no row has: send text, "
                "numbers, truth values, times, or lists of them"
            )

        _check_zone(column)


def _check_zone(column: pa.Field) -> None:
    kind = column.type.value_type if is_list(column.type) else column.type
    if pa.types.is_timestamp(kind):
        try:
            pa.scalar(0, kind).cast(pa.string())
        except pa.ArrowInvalid:
            raise _wrong(f"field '{shown(column.name)}' has the unknown time zone {shown(kind.tz)}") from None


def _is_read(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind) or is_list(kind):
        return _is_scalar(kind.value_type) and not types.is_string_view(kind.value_type)
    return _is_scalar(kind) or bool(types.is_null(kind))


def _is_scalar(kind: pa.DataType) -> bool:
    types = pa.types
    is_decimal = types.is_decimal(kind) and 0 <= kind.scale <= kind.precision
    is_number = types.is_integer(kind) or types.is_floating(kind) or is_decimal
    is_time = types.is_timestamp(kind) or types.is_date(kind)
    return bool(is_number or is_time or is_text(kind) or types.is_boolean(kind))


def _within(stream: Any, limits: Limits) -> Iterator[pa.RecordBatch]:
    """The valid batches of a stream, as long as they are within the limits."""
    rows = size = 0
    for batch in stream:
        rows += batch.num_rows
        check_count(rows or 1, limits.rows)
        batch.validate(full=True)
        size += sum(map(_size, batch.columns))
        if size > limits.body:
            raise too_large(limits)
        yield pa.record_batch([_without_views(values) for values in batch.columns], _schema(batch.schema))


def _schema(schema: pa.Schema) -> pa.Schema:
    """The schema with plain texts for views."""
    texts = [c.with_type(pa.string()) if pa.types.is_string_view(c.type) else c for c in schema]
    return pa.schema(texts, schema.metadata)


def _without_views(values: pa.Array) -> pa.Array:
    """Views as plain texts, one by one: Arrow's cast follows a view that is null, wherever it leads."""
    return pa.array(values.to_pylist(), pa.string()) if pa.types.is_string_view(values.type) else values


def _size(values: pa.Array) -> int:
    """The bytes of an array's values, each written out."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        if not is_text(kind.value_type):
            return int(len(values) * kind.value_type.bit_width // 8)
        sizes = pa.array(_lengths(values.dictionary))
        return int(pc.sum(sizes.take(values.indices)).as_py() or 0)
    if is_list(kind):
        return int(values.nbytes) + _size(values.flatten())
    return int(_lengths(values).sum()) if is_text(kind) else int(values.nbytes)


def _lengths(texts: pa.Array) -> np.ndarray:
    """The bytes of each text (n,), as int64."""
    if not pa.types.is_string_view(texts.type):
        found = pc.binary_length(texts)
    else:  # four words each, of which the first is the length
        words = np.frombuffer(texts.buffers()[1] or b"", np.int32)
        begin, end = 4 * texts.offset, 4 * (texts.offset + len(texts))
        found = pc.if_else(texts.is_valid(), pa.array(words[begin:end:4]), 0)
    lengths: np.ndarray = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def _wrong(why: str) -> RequestRefusedError:
    return RequestRefusedError(WRONG, why)
