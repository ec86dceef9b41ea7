"""Every hostile value through PostgreSQL, as text and in its own types: one outcome with all readers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from evergreen.connections import Connection
from tests.integration.ingestion.database import Database
from tests.unit.sources.hostile_values import REJECTED, VALUES, Value, outcome, same

# The types of PostgreSQL that hold values of a declared type.
NATIVE = {
    "int": ("numeric", "bigint", "double precision"),
    "float": ("numeric", "double precision"),
    "decimal(20, 2)": ("numeric",),
    "decimal(38, 10)": ("numeric",),
    "date": ("date",),
    "time": ("timestamptz",),
}
# What the server makes another value of when it is stored: it does not carry it.
CHANGED = {
    "2**53 + 1": {"double precision"},
    "2**53 + 1 with a point": {"numeric", "double precision"},  # an exact number has no point of a float
    "1 and a little": {"double precision"},
    "2**63 - 1": {"double precision"},
    "2**63": {"double precision"},
    "a half": {"bigint"},
    "hexadecimal": {"numeric", "bigint", "double precision"},
    "-0.0": {"numeric"},
    "9 digits": {"timestamptz"},
    "a leap second": {"timestamptz"},
    "24:00:00": {"timestamptz"},
}


def spelt(value: Value, kind: str) -> str | None:
    """The value as the server reads it, None for a NULL."""
    if value.text == "-0001-01-01" and kind == "date":
        return "0002-01-01 BC"
    # An empty text is null in CSV, and text in PostgreSQL.
    return str(value.outcome) if value.text is None else value.text.strip('"') or None


@pytest.fixture
def database(postgres_server: Connection, tmp_path: Path) -> Database:
    return Database(replace(postgres_server, conn_id="shop_db"), tmp_path)


def stored(database: Database, kind: str, text: str | None) -> bool:
    """Put the value into the table `t`; returns whether the server takes it."""
    database.run("DROP TABLE IF EXISTS t", f"CREATE TABLE t (n bigint, x {kind})")
    try:
        with database.session() as session:
            session.execute(f"INSERT INTO t VALUES (1, %s::text::{kind})", [text])
    except (psycopg.DataError, psycopg.errors.UntranslatableCharacter):
        return False
    return True


def test_each_value_has_the_outcome_that_every_other_reader_has(database):
    differing, cells = [], 0
    for name, value in VALUES.items():
        if value.text is None and value.outcome is REJECTED:
            continue  # half a surrogate pair, which no server takes
        for kind in ("text", *NATIVE.get(value.declared, ())):
            if kind in CHANGED.get(name, ()):
                continue
            if not stored(database, kind, spelt(value, kind)):
                continue
            cells += 1
            rows = database.read(table="t", types={"x": value.declared})
            if not same(found := outcome(rows), value.outcome):
                reasons = [one.reason for one in rows.rejected]
                differing.append((name, kind, found, reasons, value.outcome))
    assert not differing, "\n".join(map(str, differing))
    assert cells > len(VALUES) + 40
