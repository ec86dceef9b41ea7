"""Reads PostgreSQL to Arrow: one read-only transaction, streamed, without Python objects for rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.postgres import quoted, stream, transaction
from evergreen.rows.batches import Rows
from evergreen.rows.columns import LakeTypes
from evergreen.rows.names import check_declared, check_names
from evergreen.sources.local_times import with_event_time
from evergreen.sources.postgres.bounds import Bounds, bind, mark
from evergreen.sources.postgres.description import PostgresSource
from evergreen.sources.sql_file import Parameter, read_sql_file
from evergreen.sources.text.lines import Rejections
from evergreen.sources.typed import lake_rows

# Types that arrive as what they are. NUMERIC and MONEY are asked for as doubles; others (an enum, a uuid, an
# address) as the text PostgreSQL writes for them; that of a char(n) has no padding blanks.
_PLAIN = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "name"}
    | {"timestamptz", "timestamp", "date"}
)
_EXACT = ("numeric", "money")
_TIMES = ("timestamptz", "timestamp", "date")
# Relations are tables, partitioned ones, views, materialised views and foreign tables. The join is an outer
# one so that a table without columns is told from no table.
_COLUMNS = """
    SELECT attname::text, atttypid::int8, atttypmod BETWEEN 0 AND 300 << 16 AND (atttypmod - 4) & 1024 = 0
    FROM pg_class
    LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE pg_class.oid = to_regclass($1) AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY attnum
"""
# The least whole number that becomes infinity as float64, half a step above the greatest.
_BEYOND = 2**1024 - 2**970
_SCHEMAS = """
    SELECT nspname::text FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1
"""
_TABLES = """
    SELECT format('%s.%s', nspname, relname) FROM pg_class
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    ORDER BY 1 LIMIT 20
"""
# Types with all below them: what a domain is over, what an array is of.
_TYPES = """
    WITH RECURSIVE reached AS (
        SELECT oid, typname, typbasetype, typarray FROM pg_type WHERE oid = ANY($1::text::oid[])
        UNION
        SELECT pg_type.oid, pg_type.typname, pg_type.typbasetype, pg_type.typarray FROM pg_type
        JOIN reached ON pg_type.oid = reached.typbasetype OR pg_type.typarray = reached.oid
    )
    SELECT oid::int8, typname::text, typbasetype::int8, typarray::int8 FROM reached
"""


@dataclass(frozen=True)
class _Kind:
    """A column's type as pg_type names it, below any domain; `element` is an array's.

    `is_bounded`: it is a number of so few digits that every one of them is within float64.
    """

    name: str
    element: str | None = None
    is_bounded: bool = False


@dataclass(frozen=True)
class _Query:
    """What to read: the columns with their types, and the SQL from FROM on."""

    columns: Mapping[str, _Kind]
    origin: str


def read_postgres(
    source: PostgresSource,
    connection: Connection,
    folder: Path,
    start: datetime | None,
    end: datetime | None,
    *,
    zone: Zone = UTC_ZONE,
) -> Rows:
    """The source's rows with `start <= time_column < end`, or all rows where no bounds are given.

    A column without a time zone holds local times of `zone`, or of the zone that its declared type names, and
    a `date` local days. A SQL file below
    `folder` gets the bounds as `$1` and `$2`, and as local times as `$3` and `$4`. Unchanged tables give
    their rows in the same order. Raises, here or while the batches are read, `SourceError` for wrong
    credentials, a missing table, column or file and wrong SQL;
    `UnavailableError` if the server cannot be reached, disconnects or takes longer than the source's
    timeout. No message holds the password.
    """
    bounds = None if start is None or end is None else (start, end)
    rejections = Rejections()
    reading = _read(source, connection, folder, bounds, zone=zone, rejections=rejections)
    # The schema comes first, so that the transaction is open, and `close` ends it, even if no row is read.
    return with_event_time(Rows(next(reading), reading, rejections.found), source.time_column, zone)


def _read(
    source: PostgresSource,
    connection: Connection,
    folder: Path,
    bounds: Bounds | None,
    *,
    zone: Zone,
    rejections: Rejections,
) -> Generator[Any, None, None]:
    """The lake's schema, then the batches."""
    with transaction(connection, read_only=True, timeout=source.timeout, timezone=zone.name) as cursor:
        bind(cursor, bounds, source.local_zone(zone))
        if source.sql is not None:
            query = _file_query(cursor, folder, source.sql, bounds)
        else:
            query = _table_query(cursor, source, bounds)
        check_declared(source.types, query.columns)
        selected = [_selected(name, kind, source.types.get(name)) for name, kind in query.columns.items()]
        arrays = [name for name, kind in query.columns.items() if kind.element and name not in source.types]
        # The driver would silently flatten an array of several dimensions.
        selected += [f"array_ndims({quoted(name)}) > 1" for name in arrays]
        beyond = [name for name, kind in query.columns.items() if _may_exceed(kind, source.types.get(name))]
        selected += [f"CASE WHEN {_exceeds(name)} THEN {quoted(name)}::text END" for name in beyond]
        # Every name was found in the catalogue or in the result's description, and is quoted.
        cursor.execute(f"SELECT {', '.join(selected)} {query.origin}")
        with closing(stream(cursor)) as batches:
            lake, place = LakeTypes(source.types, zone=zone), f"{source.table or source.sql}, row"
            yield from _lake_batches(batches, lake, _Checks(arrays, beyond), rejections, place)


@dataclass(frozen=True)
class _Checks:
    """What is asked for behind the columns of the source.

    Whether an array has several dimensions, for the columns `arrays`, and the text of a number that float64
    does not reach, for the columns `beyond`.
    """

    arrays: Sequence[str]
    beyond: Sequence[str]

    def __len__(self) -> int:
        return len(self.arrays) + len(self.beyond)

    def taken(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch, dict[int, str]]:
        """The source's columns, the same as they were sent, and by index why rows are rejected.

        Raises `SourceError` for an array of several dimensions.
        """
        width = batch.num_columns - len(self)
        deep, texts = batch.columns[width : width + len(self.arrays)], batch.columns[-len(self.beyond) :]
        for name, one in zip(self.arrays, deep, strict=True):
            if pc.any(one).as_py():
                raise SourceError(
                    f"column '{name}' holds an array of several dimensions: declare it text under the "
                    "source's types in pipeline.yaml"
                )
        rows = sent = batch.select(range(width))
        reasons: dict[int, str] = {}
        for name, column in zip(self.beyond, texts if self.beyond else (), strict=True):
            if column.null_count == len(column):
                continue
            at = rows.schema.get_field_index(name)
            sent = sent.set_column(at, name, pc.coalesce(column, rows.column(at).cast(pa.string())))
            for row in pc.indices_nonzero(column.is_valid()).to_pylist():
                reasons.setdefault(row, f"column '{name}': a number beyond the range of float64")
        return rows, sent, reasons


def _lake_batches(
    batches: pa.RecordBatchReader, lake: LakeTypes, checks: _Checks, rejections: Rejections, place: str
) -> Iterator[Any]:
    row = 1
    yield lake.schema(pa.schema(list(batches.schema)[: len(batches.schema) - len(checks)]))
    for batch in batches:
        rows, sent, reasons = checks.taken(batch)
        yield lake_rows(rows, lake, rejections, place, row, known=reasons, sent=sent)
        row += batch.num_rows


def _selected(name: str, kind: _Kind, wanted: str | None) -> str:
    """The column's SQL, cast so that the driver has a lossless type for it."""
    column = quoted(name)
    if wanted == "text":
        cast = f"{column}::text"
    elif kind.element:
        # A slice without bounds begins at 1, which the driver requires.
        cast = f"({column}::{_asked_for(kind.element)}[])[:]"
    elif kind.name in _EXACT and wanted and (wanted == "int" or wanted.startswith("decimal")):
        cast = f"trim_scale({column}::numeric)::text"
    elif _may_exceed(kind, wanted):
        cast = f"CASE WHEN NOT coalesce({_exceeds(name)}, false) THEN {column}::float8 END"
    elif kind.name == "money":
        cast = f"{column}::numeric::float8"
    elif kind.name in _PLAIN:
        return column
    else:
        cast = f"{column}::{_asked_for(kind.name)}"
    return f"{cast} AS {column}"


def _may_exceed(kind: _Kind, wanted: str | None) -> bool:
    """Whether a column is asked for as float64 and may have a number beyond it."""
    return kind.name == "numeric" and not kind.is_bounded and wanted in (None, "float")


def _exceeds(name: str) -> str:
    """SQL that says whether a number is beyond float64; NaN and infinities, which have no scale, are not."""
    column = quoted(name)
    return f"(({column} >= {_BEYOND} OR {column} <= -{_BEYOND}) AND scale({column}) IS NOT NULL)"


def _asked_for(name: str) -> str:
    if name in _PLAIN:
        return f"pg_catalog.{name}"
    return "float8" if name == "numeric" else "text"


def _table_query(cursor: Any, source: PostgresSource, bounds: Bounds | None) -> _Query:
    assert source.table is not None
    relation, oids, bounded = _catalogue(cursor, source.table)
    wanted = list(source.columns or oids)
    needed = (*wanted, *([source.time_column] if source.time_column else []))
    if missing := [name for name in needed if name not in oids]:
        raise SourceError(
            f"table '{source.table}' has no column '{missing[0]}' (there: {', '.join(oids)}): "
            "fix the table or the source's columns in pipeline.yaml"
        )
    if not wanted:
        raise SourceError(f"table '{source.table}' has no columns: fix the table")
    check_names(wanted)
    kinds = {
        name: replace(kind, is_bounded=name in bounded)
        for name, kind in _kinds(cursor, {name: oids[name] for name in needed}).items()
    }
    columns, origin = {name: kinds[name] for name in wanted}, f"FROM {relation}"
    if source.time_column is None or bounds is None:
        return _Query(columns, origin)
    if (kind := kinds[source.time_column]).name not in _TIMES:
        raise SourceError(
            f"time_column '{source.time_column}' of table '{source.table}' is of type {kind.name}: name one "
            "of type timestamptz, timestamp or date, or write the query as a sql file"
        )
    time = quoted(source.time_column)
    is_moment = kind.name == "timestamptz"
    start = mark(Parameter.START if is_moment else Parameter.LOCAL_START)
    end = mark(Parameter.END if is_moment else Parameter.LOCAL_END)
    return _Query(columns, f"{origin} WHERE {time} >= {start} AND {time} < {end}")


def _catalogue(cursor: Any, table: str) -> tuple[str, dict[str, int], set[str]]:
    """The table's name in SQL, its columns' types, and those of at most 300 digits before the point.

    Raises `SourceError` naming the tables there are.
    """
    schema, dot, rest = table.partition(".")
    names = [quoted(table), *([f"{quoted(schema)}.{quoted(rest)}"] if dot and schema and rest else [])]
    for name in names:
        rows = _fetched(cursor, _COLUMNS, name)
        if rows:
            named = [row for row in rows if row[0] is not None]
            return name, {row[0]: row[1] for row in named}, {row[0] for row in named if row[2]}
    schemas = [row[0] for row in _fetched(cursor, _SCHEMAS)]
    if dot and schema not in schemas:
        raise SourceError(
            f"no table '{table}': there is no schema '{schema}' (there: {', '.join(schemas)}): create "
            "it or change the source's table in pipeline.yaml"
        )
    there = ", ".join(row[0] for row in _fetched(cursor, _TABLES)) or "none"
    raise SourceError(
        f"no table '{table}' (there: {there}): create it or change the source's table in pipeline.yaml"
    )


def _kinds(cursor: Any, oids: Mapping[str, int]) -> dict[str, _Kind]:
    """The columns' types, from the catalogue: the driver does not know a type younger than its list."""
    rows = _fetched(cursor, _TYPES, "{" + ",".join(str(oid) for oid in oids.values()) + "}")
    names = {oid: name for oid, name, _, _ in rows}
    below = {oid: base for oid, _, base, _ in rows if base}
    element_of = {array: oid for oid, _, _, array in rows if array}

    def base(oid: int) -> int:
        return base(below[oid]) if oid in below else oid

    def kind(oid: int) -> _Kind:
        element = element_of.get(base(oid))
        return _Kind(names[base(oid)], names[base(element)] if element else None)

    return {name: kind(oid) for name, oid in oids.items()}


def _file_query(cursor: Any, folder: Path, name: str, bounds: Bounds | None) -> _Query:
    statement = read_sql_file(folder, name, mark, bounded=bounds is not None)
    columns = cursor.adbc_execute_schema(statement).names
    if not columns:
        raise SourceError(f"sql file '{name}' gives no columns: select some, without INTO")
    check_names(columns)
    origin = f"FROM ({statement}\n) q"
    typed = ", ".join(f"pg_typeof(q.{quoted(column)})::oid::int8" for column in columns)
    # One row of NULLs of the right types; the statement itself is not run.
    # Names are quoted, and the statement is the user's own, in a read-only transaction.
    described = f"SELECT {typed} FROM (SELECT) one LEFT JOIN (SELECT * {origin} LIMIT 0) q ON true"  # noqa: S608
    (oids,) = _fetched(cursor, described)
    return _Query(_kinds(cursor, dict(zip(columns, oids, strict=True))), origin)


def _fetched(cursor: Any, query: str, *values: str) -> list[tuple[Any, ...]]:
    cursor.execute(query, list(values) or None)
    return list(cursor.fetchall())
