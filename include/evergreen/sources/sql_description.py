"""What every source that is asked in SQL has in common in `pipeline.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import ClassVar, Self

from pydantic import model_validator

from evergreen.sources.event_time import ComposedTime
from evergreen.sources.kind import Changed, Question, SourceConfig
from evergreen.units import Column, ConnectionId, Duration


class TableOrSql(SourceConfig):
    """Rows of a table whose `time_column` lies in the partition, or the rows of a SQL file."""

    conn_id: ConnectionId
    """The connection of the database."""
    table: str | None = None
    """The table or view, with its schema where it needs one. Example: rentals"""
    sql: str | None = None
    """The SQL file, below the pipeline's folder; it gets the partition's bounds as `$1` or `$start` (first
    instant) and `$2` or `$end` (first instant after). Example: sql/rentals.sql
    """
    columns: tuple[Column, ...] | None = None
    """The columns that are read; default: all. Example: [rented_at, cnt]"""
    timeout: Duration = timedelta(minutes=10)
    """How long a query may take."""
    changed: Changed | None = None

    @model_validator(mode="after")
    def _table_or_sql(self) -> Self:
        if (self.table is None) == (self.sql is None):
            raise ValueError("give either 'table' or 'sql'")
        if self.table and isinstance(self.time_column, ComposedTime):
            raise ValueError(
                "time_column: a table is asked by one column of times: make a view with it, or write 'sql'"
            )
        if self.changed and (self.table is None or self.time_column is None):
            raise ValueError("changed: needs a 'table' (a view will do) with a 'time_column'")
        if self.changed and self.changed.column == self.time_column:
            raise ValueError("changed.column: is the time_column, name the one of the last change")
        return self

    @property
    def changes(self) -> Changed | None:
        """The key `changed`."""
        return self.changed

    def by_change(self, columns: Iterable[str]) -> Self:
        """The table with the time of change as its `time_column`, the event time and `columns`."""
        assert self.changed is not None
        assert self.time_column is not None
        wanted = tuple(dict.fromkeys([self.time_column, self.changed.column, *columns]))
        types = {name: kind for name, kind in self.types.items() if name in wanted}
        return self.model_copy(update={"time_column": self.changed.column, "columns": wanted, "types": types})

    def check_by_partition(self) -> None:
        """A query gets the partition's bounds, a table must have a column for them."""
        if self.table and not self.time_column:
            raise ValueError(".time_column: name the column of the rows' time")


class SqlQuestion(Question):
    """`sql` is a file whose query, given the partition's bounds as `$1` and `$2`, answers true."""

    name: ClassVar = "sql"
    sql: str
    """A SQL file whose query, given the partition's bounds as `$1` and `$2`, answers true once the source is
    complete. Example: sql/complete.sql
    """
