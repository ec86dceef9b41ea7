"""Every type of SQLite, DuckDB and MariaDB, and the document of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.rows.batches import Rows
from evergreen.sources.sql.description import SqlSource
from evergreen.sources.sql.read import read_sql
from tests import mariadb
from tests.integration.databases.types_page import documented, seen

NOON = datetime(2011, 1, 1, 12, 30, 15, 250001, tzinfo=UTC)
# For each type a value in SQL, and what the lake must hold for it.
SQLITE: dict[str, tuple[str, Any]] = {
    "INTEGER": ("-9223372036854775808", -(2**63)),
    "INT": ("7", 7),
    "BIGINT": ("7", 7),
    "UNSIGNED BIG INT": ("7", 7),
    "REAL": ("1", 1.0),
    "DOUBLE": ("0.1", 0.1),
    "FLOAT": ("1.5", 1.5),
    "NUMERIC": ("7", 7.0),
    "DECIMAL(10, 2)": ("1.5", 1.5),
    "BOOLEAN": ("1", True),
    "TEXT": ("'grün'", "grün"),
    "VARCHAR(8)": ("'ab '", "ab "),
    "JSON": ("'{}'", "{}"),
    "DATE": ("'2011-01-01'", date(2011, 1, 1)),
    "DATETIME": ("'2011-01-01 12:30:15.250001'", NOON),
    "TIMESTAMP": ("'2011-01-01T14:30:15.250001+02:00'", NOON),
    "TIME": ("'05:06:07'", "05:06:07"),
    "BLOB": ("x'00ff'", "\\x00ff"),
}
DUCKDB: dict[str, tuple[str, Any]] = {
    "BOOLEAN": ("true", True),
    "TINYINT": ("-128", -128),
    "SMALLINT": ("-32768", -32768),
    "INTEGER": ("2147483647", 2**31 - 1),
    "BIGINT": ("-9223372036854775808", -(2**63)),
    "HUGEINT": ("170141183460469231731687303715884105727", float(2**127)),
    "UTINYINT": ("255", 255.0),
    "USMALLINT": ("65535", 65535.0),
    "UINTEGER": ("4294967295", 4294967295.0),
    "UBIGINT": ("18446744073709551615", float(2**64)),
    "FLOAT": ("1.5", 1.5),
    "DOUBLE": ("0.1", 0.1),
    "DECIMAL(12, 2)": ("1234567890.12", 1234567890.12),
    "VARCHAR": ("'grün'", "grün"),
    "DATE": ("'0001-01-01'", date(1, 1, 1)),
    "TIMESTAMP": ("'2011-01-01 12:30:15.250001'", NOON),
    "TIMESTAMP_S": ("'2011-01-01 12:30:15'", NOON.replace(microsecond=0)),
    "TIMESTAMP_MS": ("'2011-01-01 12:30:15.25'", NOON.replace(microsecond=250000)),
    "TIMESTAMP_NS": ("'2011-01-01 12:30:15.250001'", NOON),
    "TIMESTAMP WITH TIME ZONE": ("'2011-01-01 14:30:15.250001+02'", NOON),
    "TIME": ("'05:06:07.89'", "05:06:07.89"),
    "INTERVAL": ("INTERVAL '1 month 2 days 3 hours'", "1 month 2 days 03:00:00"),
    "UUID": ("'00000000-0000-0000-0000-00000000000F'", "00000000-0000-0000-0000-00000000000f"),
    "BIT": ("'101'", "101"),
    "BLOB": ("'\\x00\\xFF'::BLOB", "\\x00ff"),
    "ENUM('calm', 'gay')": ("'gay'", "gay"),
    "JSON": ("'{\"a\": 1}'", '{"a": 1}'),
    "STRUCT(a INTEGER, b VARCHAR)": ("{'a': 1, 'b': 'x'}", '{"a":1,"b":"x"}'),
    "MAP(VARCHAR, INTEGER)": ("MAP {'a': 1}", '{"a":1}'),
    "INTEGER[]": ("[1, NULL]", [1, None]),
    "DOUBLE[]": ("[0.1]", [0.1]),
    "DECIMAL(12, 2)[]": ("[1.5, NULL]", [1.5, None]),
    "VARCHAR[]": ("['a', NULL]", ["a", None]),
    "DATE[]": ("['2011-01-01', NULL]", [date(2011, 1, 1), None]),
    "TIMESTAMP[]": ("['2011-01-01 12:30:15.250001']", [NOON]),
    "UUID[]": ("['00000000-0000-0000-0000-00000000000F']", ["00000000-0000-0000-0000-00000000000f"]),
    "INTEGER[][]": ("[[1, NULL], []]", "[[1,null],[]]"),
}
MARIADB: dict[str, tuple[str, Any]] = {
    "TINYINT": ("-128", -128),
    "TINYINT UNSIGNED": ("255", 255),
    "BOOLEAN": ("true", 1),
    "SMALLINT": ("-32768", -32768),
    "SMALLINT UNSIGNED": ("65535", 65535),
    "MEDIUMINT": ("-8388608", -8388608),
    "INT": ("2147483647", 2**31 - 1),
    "INT UNSIGNED": ("4294967295", 2**32 - 1),
    "BIGINT": ("-9223372036854775808", -(2**63)),
    "BIGINT UNSIGNED": ("9223372036854775807", 2**63 - 1),
    "YEAR": ("2011", 2011),
    "FLOAT": ("16777217.5", 16777218.0),
    "DOUBLE": ("0.1", 0.1),
    "DECIMAL(12, 2)": ("1234567890.12", 1234567890.12),
    "BIT(3)": ("b'101'", 5),
    "CHAR(4)": ("'ab  '", "ab"),
    "VARCHAR(8)": ("'ab '", "ab "),
    "TEXT": ("'grün\\n\\\\'", "grün\n\\"),
    "ENUM('calm', 'très gai')": ("'très gai'", "très gai"),
    "SET('x', 'y')": ("'x,y'", "x,y"),
    "JSON": ("'{\"a\": [1, null]}'", '{"a": [1, null]}'),
    "BINARY(2)": ("x'00ff'", "\\x00ff"),
    "BLOB": ("x'00ff'", "\\x00ff"),
    "DATE": ("'1000-01-01'", date(1000, 1, 1)),
    "DATETIME(6)": ("'2011-01-01 12:30:15.250001'", NOON),
    "TIMESTAMP(6) NULL": ("'2011-01-01 12:30:15.250001'", NOON),
    "TIME(1)": ("'-838:59:58.5'", "-838:59:58.5"),
    "UUID": ("'00000000-0000-0000-0000-00000000000F'", "00000000-0000-0000-0000-00000000000f"),
    "INET6": ("'::1'", "::1"),
    "POINT": ("ST_GeomFromText('POINT(1 2)')", "POINT(1 2)"),
}
TABLES = {"SQLite": SQLITE, "DuckDB": DUCKDB, "MariaDB": MARIADB}
Run = Callable[..., None]


@pytest.fixture(params=list(TABLES))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Connection, Run]:
    """A database's name, the connection to it, and what runs statements there."""
    if request.param == "MariaDB":
        server: Connection = request.getfixturevalue("mariadb_server")

        def maria(*statements: str) -> None:
            mariadb.run(server, *statements)

        return request.param, server, maria
    kind = request.param.lower()
    connection = Connection("shop_db", kind, str(tmp_path / f"shop.{kind}"))

    def embedded(*statements: str) -> None:
        import sqlite3

        opened: Any = (sqlite3 if kind == "sqlite" else duckdb).connect(str(connection.host))
        for statement in statements:
            opened.execute(statement)
        opened.commit()
        opened.close()

    return request.param, connection, embedded


def read(connection: Connection, folder: Path, zone: Zone = UTC_ZONE, **source: Any) -> Rows:
    described = SqlSource(conn_id="shop_db", **{"table": "every", **source})
    return read_sql(described, connection, folder, None, None, zone=zone)


def create(run: Run, values: dict[str, tuple[str, Any]]) -> None:
    """The table `every`: a column of each type with its value, and a row of NULLs."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(values))
    run(
        f"CREATE TABLE every ({columns})",
        f"INSERT INTO every VALUES ({', '.join(text for text, _ in values.values())})",
        f"INSERT INTO every VALUES ({', '.join(['NULL'] * len(values))})",
    )


def test_each_type_is_as_documented_and_each_value_what_the_database_holds(
    database: tuple[str, Connection, Run], tmp_path: Path
):
    name, connection, run = database
    values = TABLES[name]
    create(run, values)
    found = read(connection, tmp_path)
    table = found.table()
    assert found.rejected == []
    assert dict(zip(values, table.to_pylist()[0].values(), strict=True)) == {
        kind: value for kind, (_, value) in values.items()
    }
    assert set(table.to_pylist()[1].values()) == {None}
    (tmp_path / "q.sql").write_text("SELECT * FROM every")
    assert read(connection, tmp_path, table=None, sql="q.sql").table() == table
    assert seen(table, list(values)) == documented(name)


# The same where another type is declared.
DECLARED: dict[str, dict[tuple[str, str], tuple[str, Any]]] = {
    "SQLite": {
        ("NUMERIC", "decimal(12, 2)"): ("1.5", Decimal("1.50")),
        ("INTEGER", "decimal(12, 2)"): ("-7", Decimal("-7.00")),
        ("TEXT", "time"): ("'2011-01-01T14:30:15.250001+02:00'", NOON),
        ("INTEGER", "time"): ("1293885015", NOON.replace(microsecond=0)),
        ("INTEGER", "boolean"): ("0", False),
        ("REAL", "int"): ("7.0", 7),
        ("TEXT", "int"): ("'0012'", 12),
        ("INTEGER", "text"): ("-7", "-7"),
    },
    "DuckDB": {
        ("HUGEINT", "decimal(38, 0)"): ("99999999999999999999999999999999999999", Decimal("9" * 38)),
        ("HUGEINT", "int"): ("9007199254740993", 2**53 + 1),
        ("UBIGINT", "int"): ("9007199254740993", 2**53 + 1),
        ("DECIMAL(12, 2)", "decimal(12, 2)"): ("1.5", Decimal("1.50")),
        ("TIMESTAMP WITH TIME ZONE", "date"): ("'2011-01-01 23:30-02'", date(2011, 1, 2)),
        ("INTEGER[]", "text"): ("[1, 2]", "[1,2]"),
        ("BLOB", "text"): ("'ab'::BLOB", "\\x6162"),
    },
    "MariaDB": {
        ("DECIMAL(30, 2)", "decimal(30, 2)"): ("9007199254740993.01", Decimal("9007199254740993.01")),
        ("DECIMAL(20, 0)", "int"): ("9007199254740993", 2**53 + 1),
        ("BIGINT UNSIGNED", "decimal(20, 0)"): ("18446744073709551615", Decimal(2**64 - 1)),
        ("TINYINT(1)", "boolean"): ("1", True),
        ("BIT(1)", "boolean"): ("b'1'", True),
        ("BIGINT", "float"): ("7", 7.0),
        ("DATETIME(6)", "text"): ("'2011-01-01 12:30:15.250001'", "2011-01-01 12:30:15.250001"),
        ("DATE", "time"): ("'2011-01-01'", datetime(2011, 1, 1, tzinfo=UTC)),
    },
}


def test_a_declared_type(database: tuple[str, Connection, Run], tmp_path: Path):
    name, connection, run = database
    for number, ((kind, declared), (text, value)) in enumerate(DECLARED[name].items()):
        run(
            f"CREATE TABLE t{number} (a {kind}, b INTEGER)",
            f"INSERT INTO t{number} VALUES ({text}, 1)",
            f"INSERT INTO t{number} VALUES (NULL, 2)",
        )
        found = read(connection, tmp_path, table=f"t{number}", types={"a": declared})
        assert found.table().column("a").to_pylist() == [value, None], (kind, declared)
        assert found.rejected == []


# What the lake cannot hold, though the database can: the row is rejected, the others are kept.
UNFIT = {
    "DuckDB": {
        "DATE": "'infinity'",
        "TIMESTAMP WITH TIME ZONE": "'294246-12-31 00:00+00'",
        "TIMESTAMP_NS": "'2011-01-01 12:30:15.250001789'",
    },
    "MariaDB": {
        "DATE": "'0000-00-00'",
        "DATETIME": "'0000-00-00 00:00:00'",
        "TIMESTAMP": "'0000-00-00 00:00:00'",
        "DATE NULL": "'2011-02-00'",
        "BIGINT UNSIGNED": "18446744073709551615",
    },
}


def test_a_row_that_the_lake_cannot_hold_is_rejected_and_the_others_are_kept(
    database: tuple[str, Connection, Run], tmp_path: Path
):
    name, connection, run = database
    for number, (kind, text) in enumerate(UNFIT.get(name, {}).items()):
        run(
            f"CREATE TABLE u{number} (n INTEGER, a {kind})",
            f"INSERT INTO u{number} VALUES (1, NULL), (2, {text}), (3, NULL)",
        )
        found = read(connection, tmp_path, table=f"u{number}")
        assert found.table().column("n").to_pylist() == [1, 3], kind
        assert len(found.rejected) == 1, kind
        assert found.rejected[0].reason.startswith("column 'a'"), kind


def test_local_times_are_those_of_the_zone_and_moments_are_not(
    database: tuple[str, Connection, Run], tmp_path: Path
):
    name, connection, run = database
    moment = {"DuckDB": "TIMESTAMP WITH TIME ZONE", "MariaDB": "TIMESTAMP", "SQLite": "TEXT"}[name]
    local = {"DuckDB": "TIMESTAMP", "MariaDB": "DATETIME", "SQLite": "DATETIME"}[name]
    told = "'2024-01-01 12:00:00Z'" if name == "SQLite" else "'2024-01-01 12:00:00'"
    told = "'2024-01-01 12:00:00+00'" if name == "DuckDB" else told
    run(f"CREATE TABLE z (m {moment}, l {local})", f"INSERT INTO z VALUES ({told}, '2024-01-01 12:00:00')")
    rows = read(connection, tmp_path, Zone("Asia/Tokyo"), table="z", types={"m": "time"}).table().to_pylist()
    assert rows == [{"m": datetime(2024, 1, 1, 12, tzinfo=UTC), "l": datetime(2024, 1, 1, 3, tzinfo=UTC)}]


def test_the_settings_of_a_server_change_nothing(mariadb_server: Connection, tmp_path: Path):
    create(lambda *statements: mariadb.run(mariadb_server, *statements), MARIADB)
    table: pa.Table = read(mariadb_server, tmp_path).table()
    modes = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH"
    settings = {"time_zone": "'+09:00'", "sql_mode": f"'{modes}'"}
    before = {name: mariadb.run(mariadb_server, f"SELECT @@global.{name}")[0][0] for name in settings}
    try:
        mariadb.run(mariadb_server, *(f"SET GLOBAL {name} = {value}" for name, value in settings.items()))
        assert read(mariadb_server, tmp_path).table() == table
    finally:
        mariadb.run(mariadb_server, *(f"SET GLOBAL {name} = '{value}'" for name, value in before.items()))
