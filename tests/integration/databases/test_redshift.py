"""What reads Redshift, against PostgreSQL: the same driver and protocol, though not that server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql

DAY = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))


@pytest.fixture
def redshift(postgres_server: Connection) -> Connection:
    with psycopg.connect(
        host=postgres_server.host,
        port=postgres_server.port,
        user=postgres_server.login,
        password=postgres_server.password,
        dbname=postgres_server.schema,
    ) as session:
        session.execute(
            "CREATE TABLE sales (sold timestamptz, local timestamp, day date, price numeric(12, 2))"
        )
        session.execute(
            "INSERT INTO sales VALUES ('2024-01-01 01:00+00', '2024-01-01 01:00', '2024-01-01', 0.1), "
            "('2024-01-02 00:00+00', '2024-01-02 00:00', '2024-01-02', 2)"
        )
    return replace(postgres_server, conn_type="redshift")


def test_a_table_and_a_query_are_read(redshift: Connection, tmp_path: Path):
    types = {"price": "decimal(12, 2)"}
    for column in ("sold", "local", "day"):
        source = SqlSource(conn_id="x", table="sales", time_column=column, types=types)
        rows = read_sql(source, redshift, tmp_path, *DAY).table().to_pylist()
        assert [row["price"] for row in rows] == [Decimal("0.10")], column
    (tmp_path / "q.sql").write_text("SELECT sold, price FROM sales WHERE sold >= $start AND sold < $end")
    rows = read_sql(SqlSource(conn_id="x", sql="q.sql"), redshift, tmp_path, *DAY).table().to_pylist()
    assert [row["price"] for row in rows] == [0.1]


def test_what_is_wrong_is_told(redshift: Connection, tmp_path: Path):
    with pytest.raises(SourceError, match=r"no table 'sale' \(nearest: public\.sales\)"):
        read_sql(SqlSource(conn_id="x", table="sale"), redshift, tmp_path, None, None)
    (tmp_path / "q.sql").write_text("SELECT pg_sleep(60)::text AS a")
    slow = SqlSource.model_validate({"conn_id": "x", "sql": "q.sql", "timeout": "1 seconds"})
    with pytest.raises(UnavailableError, match="longer than its timeout"):
        read_sql(slow, redshift, tmp_path, None, None).table()
    secret = replace(redshift, password="hidden word")
    with pytest.raises((SourceError, UnavailableError)) as told:
        read_sql(SqlSource(conn_id="x", table="sales"), secret, tmp_path, None, None)
    assert "hidden word" not in str(told.value)
