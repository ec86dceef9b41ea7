"""Rows in JSON that are read at once are those that are read value by value; of others nothing is said."""

from __future__ import annotations

import pyarrow as pa
import pytest

from evergreen.calendar import UTC_ZONE
from evergreen.serving.body import read_body
from evergreen.serving.row_types import RowTypes
from evergreen.serving.typed_rows import TypedRows

SCHEMA = pa.schema(
    {
        "id": pa.int32(),
        "size": pa.float64(),
        "new": pa.bool_(),
        "the town": pa.string(),
        "at": pa.timestamp("us", "UTC"),
        "born": pa.date32(),
    }
)
TYPES = RowTypes(SCHEMA, (), UTC_ZONE)
ROW = (
    b'{"id": 1, "size": 2.5, "new": true, "the town": "Ulm", "at": "2024-01-31T08:00:00Z", '
    b'"born": "2000-02-29"}'
)


def rows() -> TypedRows:
    found = TypedRows.of(TYPES)
    assert found is not None
    return found


def body(*texts: bytes, rest: bytes = b"") -> bytes:
    return b'{"rows": [' + b", ".join(texts) + b"]" + rest + b"}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"2.5", b"2"),
        (b"2.5", b"null"),
        (b"true", b"null"),
        (b'"Ulm"', b'"K\xc3\xb6ln"'),
        (b'"Ulm"', b"null"),
        (b"08:00:00Z", b"08:00:00+05:30"),
        (b'"born": "2000-02-29"', b'"born": null'),
    ],
)
@pytest.mark.parametrize("rest", [b"", b', "whole": false'])
def test_plain_rows_are_read_as_value_by_value(old: bytes, new: bytes, rest: bytes) -> None:
    text = body(ROW, ROW.replace(old, new), rest=rest)
    found = rows().read(text, 2)
    assert found is not None
    [*arrays] = found.values()
    assert (
        pa.Table.from_arrays(arrays, schema=SCHEMA)
        == TYPES.read(read_body(text, exact=False, most_rows=2).rows).rows
    )


@pytest.mark.parametrize(
    "row",
    [
        ROW.replace(b"1,", b"1.5,"),
        ROW.replace(b"1,", b"1.0,"),
        ROW.replace(b"1,", b"2147483648,"),
        ROW.replace(b"1,", b'"1",'),
        ROW.replace(b"2.5", b"9007199254740993"),
        ROW.replace(b"2.5", b"true"),
        ROW.replace(b"2.5", b"1e999"),
        ROW.replace(b"true", b"1"),
        ROW.replace(b"Ulm", b"\\u0000"),
        ROW.replace(b"08:00:00Z", b"08:00:00"),
        ROW.replace(b"2000-02-29", b"2001-02-29"),
        ROW.replace(b'"id": 1, ', b""),
        ROW.replace(b'"id": 1', b'"id": 1, "size": 2.5'),
        ROW.replace(b'"id": 1', b'"id": 1, "other": 2'),
        b"null",
        b"[]",
        b"{" * 100_000,
    ],
)
def test_of_rows_that_may_be_wrong_nothing_is_said(row: bytes) -> None:
    assert rows().read(body(ROW), 2) is not None
    assert rows().read(body(ROW, row), 2) is None


@pytest.mark.parametrize(
    "text",
    [body(), body(ROW, ROW, ROW), body(ROW, rest=b', "whole": null'), body(ROW, rest=b', "rows": []'), b""],
)
def test_other_bodies_are_left_to_the_general_way(text: bytes) -> None:
    assert rows().read(text, 2) is None


@pytest.mark.parametrize("kind", [pa.decimal128(5, 2), pa.list_(pa.string()), pa.float32()])
def test_columns_that_cannot_be_read_at_once(kind: pa.DataType) -> None:
    assert TypedRows.of(RowTypes(pa.schema({"a": kind}), (), UTC_ZONE)) is None


def test_a_type_of_the_description_that_reads_otherwise() -> None:
    assert TypedRows.of(RowTypes(pa.schema({"a": pa.string()}), (), UTC_ZONE, {"a": "date %d.%m.%Y"})) is None
