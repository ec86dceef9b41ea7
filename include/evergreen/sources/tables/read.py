"""The rows of an opened table for a partition: which columns, which rows, in the lake's types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from evergreen.databases.database import Bounds
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.rows.columns import LakeTypes
from evergreen.rows.names import check_declared
from evergreen.rows.texts import is_text
from evergreen.sources.kind import Wanted
from evergreen.sources.local_times import with_event_time, within
from evergreen.sources.nearest import nearest
from evergreen.sources.tables.description import TableSource
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import lake_rows


@dataclass(frozen=True)
class Span:
    """The rows to read: `first <= column < last`, both of the column's type (`kind`)."""

    column: str
    kind: pa.DataType
    first: date | datetime
    last: date | datetime


@dataclass(frozen=True)
class OpenTable:
    """One state of a table: how errors call it, its columns, and a function that reads some of them."""

    name: str
    schema: pa.Schema
    batches: Callable[[Sequence[str], Span | None], Iterator[pa.RecordBatch]]


def read_table(source: TableSource, table: OpenTable, wanted: Wanted) -> Rows:
    """The table's rows with `time_column` in the partition, or all of them, in the lake's types.

    A time without a zone is local in the zone of its declared type or the partition's, a day is local too. A
    table that is the partition's own, by `{partition}` in its path, is read whole. Raises, here or while the
    rows are read, `SourceError` for columns that are not there or that the lake does not have, and a
    `time_column` that holds no times; and what `batches` raises. Rows that do not fit are rejected.
    """
    names = _checked_columns(source, table)
    bounds = _bounds(source, wanted)
    span, look = None, False
    if bounds and source.time_column:
        span = _span(source, table, bounds)
        look = span is None
    lake, rejections = LakeTypes(source.types, zone=wanted.zone), Rejections()
    read = list(names)
    if look and source.time_column and source.time_column not in names:
        read.append(source.time_column)
    fields = [table.schema.field(name) for name in read]
    schema = lake.schema(pa.schema(fields))

    def batches() -> Iterator[pa.RecordBatch]:
        row = 1
        for batch in table.batches(read, span):
            typed = lake_rows(batch, lake, rejections, f"{table.name}, row", row)
            row += batch.num_rows
            if look and bounds and source.time_column:
                typed = within(typed, source.time_column, bounds, source.local_zone(wanted.zone))
            yield typed.select(names)

    rows = Rows(pa.schema([schema.field(name) for name in names]), batches(), rejections.found)
    return with_event_time(rows, source.time_column, wanted.zone)


def _bounds(source: TableSource, wanted: Wanted) -> Bounds | None:
    if source.asks_by_partition:
        return None
    return Bounds.of(wanted.start, wanted.end, source.local_zone(wanted.zone))


def _checked_columns(source: TableSource, table: OpenTable) -> list[str]:
    """The columns that are wanted; `SourceError` for one that is not there."""
    there = table.schema.names
    wanted = list(source.columns or there)
    needed = [*wanted, source.time_column] if source.time_column else wanted
    if missing := [name for name in needed if name not in there]:
        raise SourceError(
            f"{table.name} has no column '{missing[0]}' ({nearest(missing[0], there)}): fix the table or the "
            "source's columns in pipeline.yaml"
        )
    check_declared(source.types, needed)
    return wanted


def _span(source: TableSource, table: OpenTable, bounds: Bounds) -> Span | None:
    """What the table is asked for; None if its texts are to be read as times first."""
    name = source.time_column
    assert name is not None
    kind = table.schema.field(name).type
    if pa.types.is_date(kind):
        return Span(name, kind, *bounds.days)
    if pa.types.is_timestamp(kind) and kind.tz:
        return Span(name, kind, bounds.start, bounds.end)
    if pa.types.is_timestamp(kind):
        return Span(name, kind, bounds.local_start, bounds.local_end)
    if is_text(kind) and source.types.get(name, "").startswith(("date", "time")):
        return None
    raise SourceError(
        f"time_column '{name}' of {table.name} is of type {kind}: name one that holds times or days, or "
        f"declare under the source's types how its texts are written: {{{name}: time}}"
    )
