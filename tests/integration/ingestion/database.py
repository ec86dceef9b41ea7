"""A fresh database of a real server, as the tests of the PostgreSQL source use it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa

from evergreen.connections import Connection
from evergreen.rows.batches import Rows
from evergreen.sources.postgres.description import PostgresSource
from evergreen.sources.postgres.read import read_postgres

DAY = (datetime(2011, 1, 1, tzinfo=UTC), datetime(2011, 1, 2, tzinfo=UTC))
NOON = datetime(2011, 1, 1, 12, 30, 15, 250001, tzinfo=UTC)


@dataclass(frozen=True)
class Database:
    """A fresh database of a real server, read as a pipeline reads it."""

    connection: Connection
    folder: Path

    def run(self, *statements: str) -> None:
        with self.session() as session:
            for statement in statements:
                session.execute(statement)

    def session(self, **changes: Any) -> psycopg.Connection[Any]:
        server = replace(self.connection, **changes)
        return psycopg.connect(
            host=server.host,
            port=server.port,
            user=server.login,
            password=server.password,
            dbname=server.schema,
            autocommit=True,
        )

    def read(self, bounds: tuple[datetime, datetime] | None = None, **source: Any) -> Rows:
        described = PostgresSource(conn_id="shop_db", **source)
        return read_postgres(described, self.connection, self.folder, *(bounds or (None, None)))

    def query(self, sql: str, bounds: tuple[datetime, datetime] | None = None, **source: Any) -> pa.Table:
        (self.folder / "query.sql").write_text(sql, encoding="utf-8")
        return self.read(bounds, sql="query.sql", **source).table()
