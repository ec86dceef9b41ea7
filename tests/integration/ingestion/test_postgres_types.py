"""Every type that a PostgreSQL source has, and the document of them, against a real server."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake.schema import ArrayType, Schema

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.rows.frame import to_frame
from tests.integration.ingestion.database import NOON, Database

ROOT = Path(__file__).resolve().parents[3]
CREATED = (
    "CREATE TYPE mood AS ENUM ('calm', 'très gai')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN positive AS integer CHECK (value > 0)",
)
SQL_NAMES = {
    "enum": "mood",
    "composite": "pair",
    "domain over integer": "positive",
    "array of enum": "mood[]",
    "array of domain over integer": "positive[]",
}
# For each type a value in SQL, and what the lake must hold for it.
VALUES: dict[str, tuple[str, Any]] = {
    "smallint": ("-32768", -32768),
    "integer": ("2147483647", 2147483647),
    "bigint": ("-9223372036854775808", -(2**63)),
    "real": ("1.5", 1.5),
    "double precision": ("0.1", 0.1),
    "numeric": ("-12345.678", -12345.678),
    "money": ("1234.5", 1234.5),
    "boolean": ("true", True),
    "text": ("grün\n'\"\\", "grün\n'\"\\"),
    "varchar(8)": ("ab ", "ab "),
    "char(4)": ("ab", "ab"),
    "timestamptz": ("2011-01-01 14:30:15.250001+02", NOON),
    "timestamp": ("2011-01-01 12:30:15.250001", NOON),
    "date": ("0001-01-01", date(1, 1, 1)),
    "time": ("05:06:07.89", "05:06:07.89"),
    "timetz": ("05:06:07+02", "05:06:07+02"),
    "interval": ("1 mon 2 days 03:00:00", "1 mon 2 days 03:00:00"),
    "uuid": ("00000000-0000-0000-0000-00000000000F", "00000000-0000-0000-0000-00000000000f"),
    "json": ('{"a":  [1, null]}', '{"a":  [1, null]}'),
    "jsonb": ('{"a":  [1, null]}', '{"a": [1, null]}'),
    "bytea": ("\\x00ff", "\\x00ff"),
    "bit(3)": ("101", "101"),
    "inet": ("10.0.0.1/24", "10.0.0.1/24"),
    "cidr": ("10.0.0.0/24", "10.0.0.0/24"),
    "macaddr": ("08:00:2b:01:02:03", "08:00:2b:01:02:03"),
    "int4range": ("[1,5]", "[1,6)"),
    "tstzrange": ("[2011-01-01 14:00+02,)", '["2011-01-01 12:00:00+00",)'),
    "point": ("(0.30000000000000004,1)", "(0.30000000000000004,1)"),
    "tsvector": ("a fat cat", "'a' 'cat' 'fat'"),
    "enum": ("très gai", "très gai"),
    "composite": ('(1,"x y")', '(1,"x y")'),
    "domain over integer": ("7", 7),
    "smallint[]": ("{1,NULL}", [1, None]),
    "integer[]": ("{}", []),
    "bigint[]": ("[0:1]={5,6}", [5, 6]),
    "real[]": ("{1.5,NULL}", [1.5, None]),
    "double precision[]": ("{0.1,Infinity}", [0.1, float("inf")]),
    "numeric[]": ("{1.10,NULL}", [1.1, None]),
    "boolean[]": ("{t,NULL,f}", [True, None, False]),
    "text[]": ('{"a,b",NULL,"NULL"}', ["a,b", None, "NULL"]),
    "date[]": ("{2011-01-01,NULL}", [date(2011, 1, 1), None]),
    "timestamptz[]": ("{2011-01-01 14:30:15.250001+02,NULL}", [NOON, None]),
    "timestamp[]": ("{2011-01-01 12:30:15.250001}", [NOON]),
    "uuid[]": ("{00000000-0000-0000-0000-00000000000F}", ["00000000-0000-0000-0000-00000000000f"]),
    "jsonb[]": ('{"{\\"a\\": 1}"}', ['{"a": 1}']),
    "array of enum": ('{calm,NULL,"très gai"}', ["calm", None, "très gai"]),
    "array of domain over integer": ("{7,NULL}", [7, None]),
}
# The same where another type is declared.
DECLARED_VALUES: dict[tuple[str, str], tuple[str, Any]] = {
    ("numeric", "decimal(12, 2)"): ("9999999999.9900", Decimal("9999999999.99")),
    ("money", "decimal(12, 2)"): ("-0.01", Decimal("-0.01")),
    ("integer", "decimal(12, 2)"): ("-7", Decimal("-7.00")),
    ("text", "decimal(12, 2)"): ("1.5", Decimal("1.50")),
    ("numeric", "int"): ("9007199254740993.00", 2**53 + 1),
    ("double precision", "int"): ("7", 7),
    ("smallint", "int"): ("7", 7),
    ("boolean", "int"): ("true", 1),
    ("text", "int"): ("0012", 12),
    ("bigint", "float"): ("7", 7.0),
    ("text", "float"): ("-1e3", -1000.0),
    ("smallint", "boolean"): ("0", False),
    ("text", "boolean"): ("true", True),
    ("timestamptz", "date"): ("2011-01-01 23:30-02", date(2011, 1, 2)),
    ("text", "date"): ("2011-01-01", date(2011, 1, 1)),
    ("date", "time"): ("2011-01-01", datetime(2011, 1, 1, tzinfo=UTC)),
    ("text", "time"): ("2011-01-01T14:30:15.250001+02:00", NOON),
    ("bigint", "text"): ("-7", "-7"),
    ("timestamptz", "text"): ("2011-01-01 14:30:15.250001+02", "2011-01-01 12:30:15.250001+00"),
    ("integer[]", "text"): ("{{1,2},{3,4}}", "{{1,2},{3,4}}"),
}


@pytest.fixture
def database(postgres_server: Connection, tmp_path: Path) -> Database:
    return Database(replace(postgres_server, conn_id="shop_db"), tmp_path)


def documented(cells: int) -> list[list[str]]:
    """The rows of the table in docs/types.md with so many cells, without the marks of Markdown."""
    lines = (ROOT / "docs" / "types.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    found = [row for row in rows if len(row) == cells and row[0] != "PostgreSQL" and set(row[0]) != {"-"}]
    assert found
    return found


def delta_type(kind: pa.DataType) -> str:
    field = Schema.from_arrow(pa.schema([("x", kind)])).fields[0].type
    return f"array<{field.element_type.type}>" if isinstance(field, ArrayType) else field.type


def seen(table: pa.Table, name: str) -> list[str]:
    """The column's types in Arrow, Delta and pandas, and in pandas without the second row, a NULL."""
    kind, column = table.schema.field(name).type, table.select([name])
    frames = (to_frame(column.slice(0, 1)), to_frame(column))
    return [str(kind), delta_type(kind), *(str(frame[name].dtype) for frame in frames)]


class TestTypes:
    @pytest.fixture
    def every(self, database: Database) -> Database:
        """The table `every`: a column of each type that is documented, with a value and a NULL."""
        types = [SQL_NAMES.get(name, name) for name in VALUES]
        columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(VALUES, types, strict=True))
        places = ", ".join(f"%s::text::{kind}" for kind in types)
        database.run("SET lc_monetary = 'C'", *CREATED, f"CREATE TABLE every ({columns})")
        with database.session() as session:
            session.execute(f"INSERT INTO every SELECT {places}", [text for text, _ in VALUES.values()])
            session.execute("INSERT INTO every DEFAULT VALUES")
        return database

    def test_the_document_has_each_type_as_it_is_in_arrow_delta_and_pandas(self, every):
        table = every.read(table="every").table()
        assert [row[0] for row in documented(5)] == list(VALUES)
        assert [[name, *seen(table, name)] for name in VALUES] == documented(5)

    def test_each_value_is_what_the_server_holds(self, every):
        rows = every.read(table="every").table().to_pylist()
        assert rows[0] == {name: value for name, (_, value) in VALUES.items()}
        assert set(rows[1].values()) == {None}
        # Texts are those that PostgreSQL itself writes.
        with every.session() as session, session.cursor() as cursor:
            cursor.execute("SET timezone = 'UTC'").execute("SELECT * FROM every")
            for index, (name, (_, value)) in enumerate(VALUES.items()):
                if isinstance(value, str) and name != "char(4)":  # which it pads with blanks
                    assert value == cursor.pgresult.get_value(0, index).decode(), name

    def test_a_sql_file_gives_the_same(self, every):
        assert every.query("SELECT * FROM every;") == every.read(table="every").table()

    def test_the_logins_own_settings_change_nothing(self, every):
        table = every.read(table="every").table()
        every.run(
            *(
                f"ALTER ROLE {every.connection.login} IN DATABASE {every.connection.schema} SET {setting}"
                for setting in (
                    "timezone = 'Asia/Tokyo'",
                    "datestyle = 'German'",
                    "intervalstyle = 'iso_8601'",
                    "bytea_output = 'escape'",
                    "extra_float_digits = 0",
                    "client_encoding = 'LATIN1'",
                )
            )
        )
        assert every.read(table="every").table() == table

    def test_the_document_has_what_a_declaration_makes(self, database):
        assert [tuple(row[:2]) for row in documented(6)] == list(DECLARED_VALUES)
        names = [f"c{index}" for index in range(len(DECLARED_VALUES))]
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in zip(names, DECLARED_VALUES, strict=True))
        database.run(f"CREATE TABLE declared ({columns})")
        with database.session() as session:
            places = ", ".join(f"%s::text::{kind}" for kind, _ in DECLARED_VALUES)
            session.execute(
                f"INSERT INTO declared SELECT {places}", [text for text, _ in DECLARED_VALUES.values()]
            )
            session.execute("INSERT INTO declared DEFAULT VALUES")
        types = {name: wanted for name, (_, wanted) in zip(names, DECLARED_VALUES, strict=True)}
        table = database.read(table="declared", types=types).table()
        assert [seen(table, name) for name in names] == [row[2:] for row in documented(6)]
        assert list(table.to_pylist()[0].values()) == [value for _, value in DECLARED_VALUES.values()]
        assert set(table.to_pylist()[1].values()) == {None}
        assert database.query("SELECT * FROM declared", types=types) == table

    def test_numbers_that_are_none(self, database):
        table = database.query(
            "SELECT * FROM (VALUES ('NaN'::real, 'NaN'::float8, 'NaN'::numeric), "
            "('Infinity', 'Infinity', 'Infinity'), ('-Infinity', '-Infinity', '-Infinity')) v(a, b, c)"
        )
        for column in table.columns:
            assert column.to_pylist() == [None, float("inf"), float("-inf")]

    # A value that its column's type cannot hold: what is declared, and what the reason says.
    UNFIT = (
        ("'infinity'::timestamptz", None, "years 1 to 9999"),
        ("'-infinity'::timestamp", None, "years 1 to 9999"),
        ("'infinity'::date", None, "years 1 to 9999"),
        ("'0044-03-15 BC'::date", None, "years 1 to 9999"),
        ("'0001-12-31 23:59 BC'::timestamptz", None, "years 1 to 9999"),
        ("'294276-12-31'::timestamp", None, "years 1 to 9999"),
        ("'{2011-01-01,infinity}'::timestamp[]", None, "years 1 to 9999"),
        ("'NaN'::numeric", "decimal(12, 2)", "'NaN' is no decimal"),
        ("'Infinity'::numeric", "decimal(12, 2)", "'Infinity' is no decimal"),
        ("12345678901.5", "decimal(12, 2)", "'12345678901.5' is no decimal"),
        ("1.505", "decimal(12, 2)", "'1.505' is no decimal"),
        ("7.5", "int", "'7.5' is no int"),
        ("9223372036854775808::numeric", "int", "'9223372036854775808' is no int"),
        ("7.5::float8", "int", "truncated"),
        ("2", "boolean", "neither true nor false"),
        ("'yes'", "boolean", "'yes' is no boolean"),
        ("'2011-13-01'", "date", "'2011-13-01' is no date"),
    )

    def test_a_value_that_its_type_cannot_hold_is_rejected_with_the_reason(self, database):
        for value, wanted, why in self.UNFIT:
            (database.folder / "query.sql").write_text(f'SELECT {value} AS "odd one"')
            rows = database.read(sql="query.sql", types={"odd one": wanted} if wanted else {})
            assert not rows.table().num_rows
            (rejected,) = rows.rejected
            assert rejected.reason.startswith("column 'odd one': ")
            assert why in rejected.reason
            assert rejected.place == "query.sql, row 1"

    # A type that cannot become the declared one, whatever the value.
    UNFIT_TYPES = (
        ("'{{1,2},{3,4}}'::int[]", None),
        ("7", "time"),
        ("now()", "float"),
        ("'{1}'::int[]", "int"),
    )

    def test_a_type_that_cannot_be_the_declared_one_is_an_error_that_names_the_column(self, database):
        for value, wanted in self.UNFIT_TYPES:
            with pytest.raises(SourceError, match=r"column 'odd one' .*: .+") as told:
                database.query(f'SELECT {value} AS "odd one"', types={"odd one": wanted} if wanted else {})
            assert "\n" not in str(told.value)

    def test_an_array_that_does_not_begin_at_one_is_the_list_of_its_values(self, database):
        for value in ("[2:3]={3,4}", "[-5:-4]={3,4}", "[0:1]={3,4}", "{3,4}"):
            assert database.query(f"SELECT '{value}'::int[] AS a").to_pylist() == [{"a": [3, 4]}]

    def test_a_number_beyond_float64_is_rejected_as_it_was(self, database):
        nearest = 2**1024 - 2**970  # from here on it is nearer to infinity
        database.run(
            "CREATE TABLE t (n int, a numeric, b numeric(12, 2))",
            f"INSERT INTO t VALUES (1, 1e400, 1), (2, 'NaN', 2), (3, 'Infinity', 3), (4, NULL, 4), "
            f"(5, {nearest}, 5), (6, {nearest - 1}, 6), (7, -1e400, 'NaN')",
        )
        for source in ({"table": "t"}, {"sql": "query.sql"}, {"table": "t", "types": {"a": "float"}}):
            (database.folder / "query.sql").write_text("SELECT * FROM t")
            rows = database.read(**source)
            assert rows.table().select(["n", "a"]).to_pylist() == [
                {"n": 2, "a": None},
                {"n": 3, "a": math.inf},
                {"n": 4, "a": None},
                {"n": 6, "a": sys.float_info.max},
            ]
            assert [json.loads(one.text)["a"] for one in rows.rejected] == [
                "1" + "0" * 400,
                str(nearest),
                "-1" + "0" * 400,
            ]
            assert {one.reason for one in rows.rejected} == {
                "column 'a': a number beyond the range of float64"
            }
        with pytest.raises(SourceError, match="out of range for type double precision") as told:
            database.query("SELECT ARRAY[1e400] AS a")
        assert len(str(told.value)) < 500

    def test_the_last_moments_of_the_calendar_are_times(self, database):
        table = database.query(
            "SELECT '0001-01-01'::timestamptz AS a, '9999-12-31 23:59:59.999999Z'::timestamptz AS b"
        )
        assert table.to_pylist() == [
            {"a": datetime.min.replace(tzinfo=UTC), "b": datetime.max.replace(tzinfo=UTC)}
        ]

    def test_a_type_that_is_younger_than_the_connection(self, database):
        database.query("SELECT 1 AS a")  # the driver has its list of types now
        database.run(
            *CREATED,
            "CREATE EXTENSION vector",
            "CREATE DOMAIN moods AS mood[]",
            "CREATE TABLE t (m mood, ms mood[], d moods, p pair, v vector(2))",
            "INSERT INTO t VALUES ('calm', '{calm,NULL}', '{calm}', '(1,x)', '[1,2.5]')",
        )
        row = {"m": "calm", "ms": ["calm", None], "d": ["calm"], "p": "(1,x)", "v": "[1,2.5]"}
        assert database.read(table="t").table().to_pylist() == [row]
        assert database.query("SELECT * FROM t").to_pylist() == [row]

    def test_a_database_in_another_encoding(self, database):
        database.run("CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0")
        try:
            old = replace(database, connection=replace(database.connection, schema="old"))
            old.run("CREATE TABLE t (größe text)", "INSERT INTO t VALUES ('grün')")
            assert old.read(table="t").table().to_pylist() == [{"größe": "grün"}]
        finally:
            database.run("DROP DATABASE old WITH (FORCE)")
