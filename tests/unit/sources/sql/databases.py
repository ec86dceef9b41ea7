"""Embedded databases with tables for tests, and how their rows are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.rows.batches import Rows
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql

DAY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


@dataclass
class Embedded:
    """A database of one file (`sqlite` or `duckdb`), written by its own Python module."""

    kind: str
    folder: Path
    zone: Zone = UTC_ZONE
    connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = Connection("shop_db", self.kind, host=str(self.folder / f"shop.{self.kind}"))

    def run(self, *statements: str) -> list[Any]:
        """Run statements; the rows of the last one."""
        session: Any
        if self.kind == "sqlite":
            import sqlite3

            session = sqlite3.connect(str(self.connection.host))
        else:
            import duckdb

            session = duckdb.connect(str(self.connection.host))
        rows = []
        for statement in statements:
            rows = session.execute(statement).fetchall()
        session.commit()
        session.close()
        return rows

    def read(self, bounds: tuple[datetime, datetime] | None = None, **source: Any) -> Rows:
        """The rows of a source; `query` is the text of its SQL file."""
        if query := source.pop("query", None):
            (self.folder / "query.sql").write_text(query)
            source["sql"] = "query.sql"
        first, last = bounds or (None, None)
        described = SqlSource(conn_id="shop_db", **source)
        return read_sql(described, self.connection, self.folder, first, last, zone=self.zone)

    def rows(self, bounds: tuple[datetime, datetime] | None = None, **source: Any) -> list[dict[str, Any]]:
        """What is read, as Python values; nothing may be rejected."""
        found = self.read(bounds, **source)
        rows: list[dict[str, Any]] = found.table().to_pylist()
        assert not found.rejected
        return rows
