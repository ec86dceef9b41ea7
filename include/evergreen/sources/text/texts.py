"""Columns of text, as CSV has them: which values fit, and what all of a column may be read as."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from evergreen.shown import shown
from evergreen.sources.text.spool import Known, Prepared, check_width
from evergreen.sources.text.types import IN_CSV, fit, read


def prepare_texts(
    types: Mapping[str, str], known: Mapping[str, Known], batch: pa.RecordBatch
) -> tuple[Prepared, dict[int, str]]:
    """The rows of a batch of text columns that fit the declared `types`, for a spool that knows `known`.

    Also returns why the other rows do not fit, by their index. An undeclared column is read as `text.types`
    says of CSV. Raises `SourceError` for too many columns.
    """
    check_width(known, batch.schema.names)
    columns: dict[str, pa.Array] = {}
    misfits: dict[int, str] = {}
    for name, texts in zip(batch.schema.names, batch.columns, strict=True):
        columns[name], reasons = fit(texts, types[name]) if name in types else (texts, {})
        for row, reason in reasons.items():
            misfits.setdefault(row, f"column '{shown(name)}': {reason}")
    fitting = pa.RecordBatch.from_pydict(columns)
    if misfits:
        rows = pa.array([row not in misfits for row in range(batch.num_rows)], pa.bool_())
        fitting = fitting.filter(rows)
    after = {
        name: Known("declared") if name in types else _narrowed(known.get(name, Known()), texts)
        for name, texts in zip(fitting.schema.names, fitting.columns, strict=True)
    }
    return Prepared((fitting,) if fitting.num_rows else (), after), misfits


def _narrowed(known: Known, texts: pa.Array) -> Known:
    if texts.null_count == len(texts):
        return known
    readings = known.readings if known.kind else IN_CSV
    return Known("text", tuple(one for one in readings if read(texts, one) is not None))
