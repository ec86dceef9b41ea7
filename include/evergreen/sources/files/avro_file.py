"""Avro files (object container files of the specification 1.12) to rows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any

import fastavro
import pyarrow as pa
from fastavro.read import SchemaResolutionError

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.shown import shown
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.typed_files import Again, TypedFile, TypedFormat, read_typed_files

_BATCH_ROWS = 8_192  # as Python objects they are many times that
_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
    "fixed": pa.binary(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("us", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "timestamp-nanos": pa.timestamp("ns", "UTC"),
    "local-timestamp-millis": pa.timestamp("us"),
    "local-timestamp-micros": pa.timestamp("us"),
    "local-timestamp-nanos": pa.timestamp("ns"),
    "uuid": pa.string(),
}


def read_avro_files(files: Sequence[LocatedFile], types: Mapping[str, str], zone: Zone = UTC_ZONE) -> Rows:
    """The rows of Avro files; raises as `read_typed_files` does.

    A field that is a union of null and one other type is a column with nulls; one of several types has no
    type in the lake and is an error.
    """
    return read_typed_files(_AVRO, files, types, zone)


@contextmanager
def _open(file: IO[bytes], _: Again) -> Iterator[TypedFile]:
    records = fastavro.reader(file)
    written = records.writer_schema
    if not isinstance(written, dict) or written.get("type") != "record":
        raise SourceError("its schema is no record, so its values have no columns: write records")
    schema = pa.schema([(field["name"], _type(field["name"], field["type"])) for field in written["fields"]])
    yield TypedFile(schema, lambda: _batches(records, schema))


def _batches(records: Iterator[Any], schema: pa.Schema) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    while some := list(islice(records, _BATCH_ROWS)):
        columns = [_array([record[field.name] for record in some], field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(columns, schema=schema), {}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, kind)


def _type(name: str, written: Any) -> pa.DataType:
    if isinstance(written, list):
        others = [each for each in written if each != "null"]
        if len(others) > 1:
            kinds = ", ".join(str(each.get("type") if isinstance(each, dict) else each) for each in others)
            raise SourceError(
                f"column '{shown(name)}' is a union of several types ({kinds}), which the lake does not "
                "have: write it as one type"
            )
        return _type(name, others[0]) if others else pa.null()
    if not isinstance(written, dict):
        return _named(name, written)
    if written.get("logicalType") == "decimal":
        return pa.decimal128(written["precision"], written.get("scale", 0))
    if (logical := written.get("logicalType")) in _LOGICAL:
        return _LOGICAL[logical]
    if written["type"] == "array":
        return pa.list_(_type(name, written["items"]))
    return _named(name, written["type"])


def _named(name: str, kind: Any) -> pa.DataType:
    if kind not in _PLAIN:
        what = kind if kind in ("record", "map") else f"of the named type {shown(kind)}"
        raise SourceError(
            f"column '{shown(name)}' is {what}, which the lake does not have: write its fields as columns"
        )
    return _PLAIN[kind]


# What a damaged file makes of the library's readers of values.
_DAMAGE = (ValueError, EOFError, IndexError, KeyError, TypeError, ArithmeticError, struct.error, zlib.error)

_AVRO = TypedFormat("Avro", _open, (*_DAMAGE, SchemaResolutionError))
