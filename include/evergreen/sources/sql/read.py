"""Reads any database to Arrow: one read-only transaction, streamed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.databases.database import Bounds, Query, Session
from evergreen.databases.registry import database, session
from evergreen.errors import SourceError
from evergreen.rows.batches import Rejected, Rows
from evergreen.rows.columns import LakeTypes
from evergreen.rows.names import check_declared, check_names
from evergreen.sources.local_times import with_event_time, within
from evergreen.sources.nearest import nearest
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql_file import Parameter, read_sql_file
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import lake_rows


def read_sql(
    source: SqlSource,
    connection: Connection,
    folder: Path,
    start: datetime | None,
    end: datetime | None,
    *,
    zone: Zone = UTC_ZONE,
) -> Rows:
    """The source's rows with `start <= time_column < end`, or all rows where no bounds are given.

    A column without a time zone holds local times of `zone`, or of the zone that its declared type names, and
    a `date` local days. A row with a value that
    is none of its column's type is rejected. Raises, here or while the batches are read, `SourceError` for
    wrong credentials, a driver that is not installed, a missing table, column or file and wrong SQL;
    `UnavailableError` if the database cannot be reached or takes longer than the source's timeout. No message
    holds a secret of the connection.
    """
    rejections = Rejections()
    bounds = Bounds.of(start, end, source.local_zone(zone))
    reading = _read(source, connection, folder, bounds, zone=zone, rejections=rejections)
    # The schema comes first, so that the transaction is open, and `close` ends it, even if no row is read.
    return with_event_time(Rows(next(reading), reading, rejections.found), source.time_column, zone)


def file_query(
    opened: Session, folder: Path, name: str, bounds: Bounds | None, *, backslashes: bool
) -> tuple[str, str, tuple[Any, ...]]:
    """A SQL file's statement, the same with NULLs for its parameters, and the parameters' values.

    Raises `SourceError` as `read_sql_file` does.
    """
    values: list[Any] = []

    def mark(parameter: Parameter) -> str:
        assert bounds is not None
        values.append(opened.value(getattr(bounds, parameter.value)))
        return opened.parameter(len(values) - 1, local=parameter.is_local)

    def null(parameter: Parameter) -> str:
        return opened.null(local=parameter.is_local)

    bounded = bounds is not None
    statement = read_sql_file(folder, name, mark, bounded=bounded, backslashes=backslashes)
    described = read_sql_file(folder, name, null, bounded=bounded, backslashes=backslashes)
    return statement, described, tuple(values)


@dataclass(frozen=True)
class _Reading:
    """How the batches of a result become those of the lake."""

    lake: LakeTypes
    rejections: Rejections
    place: str
    time_column: str | None
    bounds: Bounds | None
    columns: tuple[str, ...]


def _read(
    source: SqlSource,
    connection: Connection,
    folder: Path,
    bounds: Bounds | None,
    *,
    zone: Zone,
    rejections: Rejections,
) -> Generator[Any, None, None]:
    """The lake's schema, then the batches."""
    backslashes = database(connection).backslashes
    with session(connection, timeout=source.timeout) as opened:
        if source.sql is not None:
            query = _file(opened, source, source.sql, folder, bounds, backslashes=backslashes)
            wanted, look = tuple(query.columns), False
        else:
            query, wanted = _table(opened, source, bounds)
            look = bounds is not None and not opened.exact_bounds
        check_declared(source.types, query.columns)
        known = {name: opened.declared(kind) for name, kind in query.columns.items()}
        types = {**{name: kind for name, kind in known.items() if kind}, **query.types}
        place = f"{source.table or source.sql}, row"

        def reject(row: int, text: str, reason: str) -> None:
            rejections.add([Rejected(text, f"{place} {row + 1}", reason)])

        with closing(opened.stream(query, reject)) as batches:
            how = _Reading(
                LakeTypes(types, zone=zone),
                rejections,
                place,
                source.time_column if look else None,
                bounds,
                wanted,
            )
            yield from _lake_batches(batches, how)


def _lake_batches(batches: Iterator[Any], how: _Reading) -> Iterator[Any]:
    schema = how.lake.schema(next(batches))
    yield pa.schema([schema.field(name) for name in how.columns])
    row = 1
    for batch in batches:
        typed = lake_rows(batch, how.lake, how.rejections, how.place, row)
        if how.time_column and how.bounds:
            typed = within(typed, how.time_column, how.bounds, how.lake.zone)
        yield typed.select(how.columns)
        row += batch.num_rows


def _file(
    opened: Session, source: SqlSource, name: str, folder: Path, bounds: Bounds | None, *, backslashes: bool
) -> Query:
    statement, described, values = file_query(opened, folder, name, bounds, backslashes=backslashes)
    columns = opened.described(described)
    check_names(list(columns))
    return Query(columns, f"FROM ({statement}\n) q", values, source.types)


def _table(opened: Session, source: SqlSource, bounds: Bounds | None) -> tuple[Query, tuple[str, ...]]:
    """The query of a table, and the columns that are wanted of its."""
    assert source.table is not None
    found = opened.table(source.table)
    if found is None:
        there = opened.tables()
        raise SourceError(
            f"no table '{source.table}' ({nearest(source.table, there)}): create it or change the source's "
            "table in pipeline.yaml"
        )
    wanted = tuple(source.columns or found.columns)
    needed = tuple(dict.fromkeys([*wanted, *([source.time_column] if source.time_column else [])]))
    if missing := [name for name in needed if name not in found.columns]:
        raise SourceError(
            f"table '{source.table}' has no column '{missing[0]}' ({nearest(missing[0], found.columns)}): "
            "fix the table or the source's columns in pipeline.yaml"
        )
    check_names(list(wanted))
    columns, origin = {name: found.columns[name] for name in wanted}, f"FROM {found.sql}"
    if source.time_column is None or bounds is None:
        return Query(columns, origin, (), source.types), wanted
    kind = found.columns[source.time_column]
    condition = opened.between(source.time_column, kind, bounds)
    if condition is None:
        raise SourceError(
            f"time_column '{source.time_column}' of table '{source.table}' is of type {kind or 'none'}: name "
            "one that holds times or days, or write the query as a sql file"
        )
    if not opened.exact_bounds:
        columns = {name: found.columns[name] for name in needed}
    types = dict(source.types)
    if not opened.exact_bounds and not opened.declared(kind):
        types.setdefault(source.time_column, "time")
    return Query(columns, f"{origin} WHERE {condition[0]}", condition[1], types), wanted
