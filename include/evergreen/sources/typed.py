"""Rows of sources with types (databases, Parquet) in the lake's types, by the rules that text has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected
from evergreen.rows.columns import LakeTypes
from evergreen.rows.texts import check_texts, is_text
from evergreen.sources.text.lines import Rejections
from evergreen.sources.text.types import fit


def lake_rows(
    batch: pa.RecordBatch,
    lake: LakeTypes,
    rejections: Rejections,
    place: str,
    first: int,
    *,
    known: Mapping[int, str] = {},
    sent: pa.RecordBatch | None = None,
) -> pa.RecordBatch:
    """The rows in the lake's types; those with a value that its column's type cannot hold are rejected.

    Text in a column that is declared another type is read as text of CSV is. `place` is the position of the
    rows, `first` the number of the first one; `known` says of rows by index why they are rejected, and
    `sent` has the rows as the source sent them, if the batch has lost what they were. Raises `SourceError`
    for a column whose type cannot become that of the lake, whatever its values.
    """
    read, reasons = _texts_read(batch, lake)
    reasons = {**reasons, **known}
    if not reasons:
        try:
            return lake.batch(read)
        except SourceError:
            pass  # its rows are found below
    reasons = dict(sorted({**lake.misfits(read), **reasons}.items()))
    rejections.add(
        Rejected(row_text(batch if sent is None else sent, at), f"{place} {first + at}", reason)
        for at, reason in reasons.items()
    )
    return lake.batch(read.filter(pa.array([at not in reasons for at in range(batch.num_rows)], pa.bool_())))


def row_text(batch: pa.RecordBatch, at: int) -> str:
    """A row as a JSON object; bytes that are no UTF-8 stand as `\\xff`."""
    values = {
        name: _python(column[at]) for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
    return json.dumps(values, ensure_ascii=False, default=str)


def _texts_read(batch: pa.RecordBatch, lake: LakeTypes) -> tuple[pa.RecordBatch, dict[int, str]]:
    """The batch with its columns of text that are declared another type in that type, and its misfits."""
    reasons: dict[int, str] = {}
    for at, column in enumerate(batch.schema):
        wanted = lake.types.get(column.name, "text")
        if wanted == "text" or not is_text(column.type):
            continue
        texts = batch.column(at)
        try:
            check_texts(texts)
        except pa.ArrowInvalid:
            continue  # the lake's own check says which rows
        values, misfits = fit(texts.cast(pa.string()), wanted, lake.zone)
        batch = batch.set_column(at, column.name, values)
        for row, why in misfits.items():
            reasons.setdefault(row, f"column '{column.name}': {why}")
    return batch, reasons


def _python(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except UnicodeDecodeError:
        return bytes(value.as_buffer()).decode("utf-8", "backslashreplace")
    except (ValueError, OverflowError):  # a time that Python has no name for
        if isinstance(value, pa.ListScalar):
            return [_python(one) for one in value.values]
        return value.cast(pa.string()).as_py()
