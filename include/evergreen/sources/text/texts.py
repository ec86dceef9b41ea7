"""Columns of text, as CSV has them: which values fit, and what all of a column may be read as."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.rows.local import TIME
from evergreen.shown import shown
from evergreen.sources.text.number_form import PLAIN, NumberForm
from evergreen.sources.text.spool import Known, Prepared, check_width
from evergreen.sources.text.types import fit, in_csv, read, skipped, type_of


def prepare_texts(
    types: Mapping[str, str],
    known: Mapping[str, Known],
    batch: pa.RecordBatch,
    zone: Zone = UTC_ZONE,
    numbers: NumberForm = PLAIN,
) -> tuple[Prepared, dict[int, str]]:
    """The rows of a batch of text columns that fit the declared `types`, for a spool that knows `known`.

    Also returns why the other rows do not fit, by their index. An undeclared column is read as `text.types`
    says of CSV; a row with a local time that the clocks of the zone skip does not fit. Raises `SourceError`
    for too many columns.
    """
    check_width(known, batch.schema.names)
    columns: dict[str, pa.Array] = {}
    misfits: dict[int, str] = {}
    for name, texts in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], reasons = fit(texts, types[name], zone, numbers) if name in types else (texts, {})
        _note(misfits, name, reasons)
    fitting = _without(pa.RecordBatch.from_pydict(columns), misfits)
    after = {
        name: Known("declared") if name in types else _narrowed(known.get(name, Known()), texts, numbers)
        for name, texts in zip(fitting.schema.names, fitting.columns, strict=True)
    }
    none: dict[int, str] = {}
    for name, column in after.items():
        if column.readings and type_of(column.readings[0]) == TIME:
            _note(none, name, skipped(fitting.column(name), zone))
    if none:
        rows = [row for row in range(batch.num_rows) if row not in misfits]
        misfits |= {rows[at]: reason for at, reason in none.items()}
        fitting = _without(fitting, none)
    return Prepared((fitting,) if fitting.num_rows else (), after), misfits


def _note(misfits: dict[int, str], name: str, reasons: Mapping[int, str]) -> None:
    for row, reason in reasons.items():
        misfits.setdefault(row, f"column '{shown(name)}': {reason}")


def _without(batch: pa.RecordBatch, rows: Mapping[int, str]) -> pa.RecordBatch:
    if not rows:
        return batch
    return batch.filter(pa.array([row not in rows for row in range(batch.num_rows)], pa.bool_()))


def _narrowed(known: Known, texts: pa.Array, numbers: NumberForm) -> Known:
    if texts.null_count == len(texts):
        return known
    readings = known.readings if known.kind else in_csv(numbers)
    return Known("text", tuple(one for one in readings if read(texts, one) is not None))
