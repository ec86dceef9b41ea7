"""`evergreen look` at a table of a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.look import look_at
from tests.integration.ingestion.database import Database


def test_a_table_of_postgresql(postgres_server: Connection, tmp_path: Path) -> None:
    Database(postgres_server, tmp_path).run(
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.orders (id bigint, at timestamptz, day text, code text, amount numeric(12, 2), "
        "ok boolean)",
        "INSERT INTO shop.orders SELECT n, timestamptz '2024-01-01' + n * interval '1 hour', "
        "to_char(date '2024-01-15' + n, 'DD.MM.YYYY'), '0' || n, n / 4.0, n % 2 = 0 "
        "FROM generate_series(1, 100) n",
    )
    found = look_at("shop_db", "shop.orders", 50, connect=lambda _: postgres_server)
    assert (found.rows, found.is_whole) == (50, False)
    assert [one.type for one in found.columns] == ["int", "time", "date %d.%m.%Y", "text", "float", "boolean"]
    assert found.times == ["at", "day"]
    assert found.unsure == ("time_column: at or day",)
    assert yaml.safe_load(found.yaml) == {
        "sources": {
            "shop_orders": {
                "postgres": {
                    "conn_id": "shop_db",
                    "table": "shop.orders",
                    "types": {"day": "date %d.%m.%Y"},
                }
            }
        }
    }
    with pytest.raises(SourceError, match=r"no table 'shop\.order'"):
        look_at("shop_db", "shop.order", connect=lambda _: postgres_server)
