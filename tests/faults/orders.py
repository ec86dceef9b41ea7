"""The pipeline `orders`: a table whose rows come late, are corrected, deleted and moved to other days.

The class keeps the table's rows beside the database, and so says what the lake must hold of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg

from evergreen.connections import Connection
from evergreen.lake import PARTITION, Lake, Table

NAME = "orders"

Rows = dict[tuple[Table, str], Counter["Order"]]
"""How often each row is in a table of the lake, by table and partition."""


@dataclass(frozen=True, order=True)
class Order:
    """A row: an amount below zero breaks the expectation."""

    id: int
    at: datetime
    amount: int
    changed_at: datetime

    @property
    def day(self) -> str:
        """The partition that it belongs to."""
        return str(self.at.date())

    @property
    def table(self) -> Table:
        """The table of the lake that it belongs to."""
        return Table.QUARANTINE if self.amount < 0 else Table.PARTITIONS


class Orders:
    """The source's table, and what is in it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = replace(connection, conn_id="orders_db")
        self.rows: dict[int, Order] = {}
        self.execute(
            "CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz, amount int, changed_at timestamptz)"
        )

    def put(self, *orders: Order) -> None:
        """Insert or replace rows."""
        self.rows |= {order.id: order for order in orders}
        with self._session() as session, session.cursor() as cursor:
            cursor.execute("DELETE FROM orders WHERE id = ANY(%s)", [[each.id for each in orders]])
            values = [(each.id, each.at, each.amount, each.changed_at) for each in orders]
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s)", values)

    def change(self, number: int, when: datetime, **values: object) -> None:
        """Change values of a row at a moment."""
        self.put(replace(self.rows[number], changed_at=when, **values))  # type: ignore[arg-type]

    def delete(self, number: int) -> None:
        """Delete a row without a trace."""
        del self.rows[number]
        self.execute("DELETE FROM orders WHERE id = %s", number)

    def clear(self) -> None:
        """Delete all rows."""
        self.rows = {}
        self.execute("TRUNCATE orders")

    def expected(self, days: Iterable[str]) -> Rows:
        """What the lake must hold of these days."""
        wanted, found = set(days), Rows()
        for order in self.rows.values():
            if order.day in wanted:
                found.setdefault((order.table, order.day), Counter())[order] += 1
        return found

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement; `rows` does not hear of it."""
        with self._session() as session:
            session.execute(statement, values)  # type: ignore[arg-type]

    def _session(self) -> psycopg.Connection[tuple[object, ...]]:
        server = self.connection
        address = psycopg.conninfo.make_conninfo(
            host=server.host,
            port=server.port,
            user=server.login,
            password=server.password,
            dbname=server.schema,
        )
        return psycopg.connect(address)


def published(lake: Lake) -> Rows:
    """What the lake holds."""
    found = Rows()
    for table in (Table.PARTITIONS, Table.QUARANTINE):
        there = lake.find(table)
        for row in there.to_pylist() if there is not None else []:
            values = json.loads(row["row"]) if table is Table.QUARANTINE else row
            order = Order(
                values["id"], _moment(values["at"]), values["amount"], _moment(values["changed_at"])
            )
            found.setdefault((table, row[PARTITION]), Counter())[order] += 1
    return found


def _moment(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
