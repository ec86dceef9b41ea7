"""PostgreSQL to Arrow: one read-only transaction, bound parameters, no row turned into a Python object."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.ingestion.columns import TIME, normalise
from evergreen.postgres import quoted, transaction
from evergreen.spec import PostgresSource

# Types that arrive as what they are. NUMERIC is asked for as a double; others (an enum, a uuid, an address)
# as the text PostgreSQL writes for them.
_PLAIN = frozenset(
    {"bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name"}
    | {"timestamptz", "timestamp", "date"}
)
_NUMERIC = "numeric"


def read_postgres(
    source: PostgresSource,
    connection: Connection,
    folder: Path,
    start: datetime | None,
    end: datetime | None,
) -> pa.Table:
    """The source's rows with `start <= time_column < end`, or all rows where no bounds are given.

    A SQL file below `folder` gets the bounds as `$1` and `$2`. Raises `SourceError` for wrong credentials,
    a missing table, column or file, and wrong SQL; `UnavailableError` where the server cannot be reached or
    takes longer than 10 minutes. No message holds the password.
    """
    with transaction(connection, read_only=True) as cursor:
        if source.sql is not None:
            query = _sql_file(folder, source.sql)
        else:
            query = _table_query(cursor, source, bounded=start is not None)
        bounds = pa.record_batch({"start": pa.array([start], TIME), "end": pa.array([end], TIME)})
        cursor.execute(query, bounds if start is not None else None)
        table = cursor.fetch_arrow_table()
    return normalise(table)


def _table_query(cursor: Any, source: PostgresSource, bounded: bool) -> str:
    assert source.table is not None
    there = _catalogue(cursor, source.table)
    wanted = source.columns or tuple(there)
    needed = (*wanted, *([source.time_column] if source.time_column else []))
    if missing := [name for name in needed if name not in there]:
        raise SourceError(
            f"table '{source.table}' has no column '{missing[0]}' (there: {', '.join(there)}): "
            "mend the table or the source's columns in pipeline.yaml"
        )
    # Every name below was found in the catalogue and is quoted; values are bound.
    selected = ", ".join(_selected(name, there[name]) for name in wanted)
    query = f"SELECT {selected} FROM {_quoted_table(source.table)}"  # noqa: S608
    if source.time_column is None or not bounded:
        return query
    time = quoted(source.time_column)
    return f"{query} WHERE {time} >= $1 AND {time} < $2 ORDER BY {time}"


def _selected(name: str, kind: str) -> str:
    if kind in _PLAIN:
        return quoted(name)
    return f"{quoted(name)}::{'float8' if kind == _NUMERIC else 'text'} AS {quoted(name)}"


def _catalogue(cursor: Any, table: str) -> dict[str, str]:
    """The table's columns in order and their types; raises `SourceError` naming the tables there are."""
    cursor.execute(
        "SELECT attname::text, typname::text FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid "
        "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [_quoted_table(table)],
    )
    if columns := dict(cursor.fetchall()):
        return columns
    cursor.execute(
        "SELECT format('%s.%s', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1 LIMIT 20"
    )
    there = ", ".join(row[0] for row in cursor.fetchall()) or "none"
    raise SourceError(
        f"no table '{table}' (there: {there}): create it or change the source's table in pipeline.yaml"
    )


def _sql_file(folder: Path, name: str) -> str:
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise SourceError(f"sql file '{name}' lies outside the pipeline's folder {folder}: move it there")
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        raise SourceError(
            f"no sql file {file}: create it or change the source's sql in pipeline.yaml"
        ) from None


def _quoted_table(table: str) -> str:
    return ".".join(quoted(part) for part in table.split("."))
