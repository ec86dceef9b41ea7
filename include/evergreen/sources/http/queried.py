"""The values of `for_each`, read from a database where a query gives them."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from evergreen.errors import SourceError, UnavailableError
from evergreen.rows.batches import Rows
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import Combination, QueriedValues, Value, check_values, combinations
from evergreen.sources.kind import Wanted
from evergreen.sources.postgres import POSTGRES
from evergreen.sources.postgres.description import PostgresSource
from evergreen.sources.sql import SQL
from evergreen.sources.sql.description import SqlSource


def values_of(source: HttpSource, wanted: Wanted) -> list[Combination]:
    """All combinations of the values of `for_each`, in their order; the one without values if it has none.

    Raises `SourceError` for values that `check_values` refuses, and as the reader of the query does.
    """
    found = {
        name: _queried(name, values, wanted) if isinstance(values, QueriedValues) else values
        for name, values in source.for_each.items()
    }
    try:
        return combinations(found)
    except ValueError as error:
        raise SourceError(f"for_each: {error}") from None


def _queried(name: str, query: QueriedValues, wanted: Wanted) -> Sequence[Value]:
    """The first column of the query's rows."""
    where = f"for_each.{name}: {query.sql}"
    try:
        rows = _rows(query, wanted)
        column = rows.table().column(0)
    except (SourceError, UnavailableError) as error:
        raise type(error)(f"for_each.{name}: {error}") from None
    if rows.rejected:
        raise SourceError(f"{where}: {rows.rejected[0].place} {rows.rejected[0].reason}: fix the query")
    if not len(column):
        return []
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        raise SourceError(
            f"{where}: its first column '{rows.schema.names[0]}' is of type {column.type}: cast it to text "
            "or to a whole number"
        )
    if column.null_count:
        raise SourceError(
            f"{where}: its first column '{rows.schema.names[0]}' has a null: leave such rows out"
        )
    values: list[Value] = column.to_pylist()
    try:
        check_values(values)
    except ValueError as error:
        raise SourceError(f"{where}: among its answers {error}") from None
    return values


def _rows(query: QueriedValues, wanted: Wanted) -> Rows:
    if wanted.connect(query.conn_id).conn_type == "postgres":
        return POSTGRES.read(PostgresSource(conn_id=query.conn_id, sql=query.sql), wanted)
    return SQL.read(SqlSource(conn_id=query.conn_id, sql=query.sql), wanted)
