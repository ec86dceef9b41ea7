"""Tables, SQL files and troubles of a PostgreSQL source, against a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.postgres import stream, transaction
from evergreen.rows.batches import Rows
from tests.integration.ingestion.database import DAY, Database


@pytest.fixture
def database(postgres_server: Connection, tmp_path: Path) -> Database:
    return Database(replace(postgres_server, conn_id="shop_db"), tmp_path)


class TestTables:
    def test_only_rows_within_the_bounds_come_whatever_kind_of_time_it_is(self, database):
        for kind in ("timestamptz", "timestamp", "date"):
            database.run(
                f"CREATE TABLE t (at {kind}, n int)",
                "INSERT INTO t VALUES ('2010-12-31 23:59:59.999999+00', 1), ('2011-01-01 00:00+00', 2), "
                "('2011-01-01 23:59:59.999999+00', 3), ('2011-01-02 00:00+00', 4), (NULL, 5)",
            )
            found = database.read(DAY, table="t", time_column="at", columns=["n"]).table()
            assert found.to_pydict() == {"n": [2, 3]}
            assert database.query("SELECT n FROM t WHERE at >= $1 AND at < $2", DAY).to_pydict() == {
                "n": [2, 3]
            }
            assert database.read(table="t", time_column="at").table().num_rows == 5
            database.run("DROP TABLE t")

    def test_a_table_without_rows_has_its_types(self, database):
        database.run("CREATE TABLE t (a int, b numeric, c text[])")
        for table in (database.read(table="t").table(), database.query("SELECT * FROM t")):
            assert table.schema.types == [pa.int32(), pa.float64(), pa.list_(pa.string())]
            assert table.num_rows == 0

    @pytest.mark.parametrize("table", ['Mixed "Case"', "grün.Tabelle 1", "a.b", "public.plain", "plain"])
    def test_names_are_taken_as_they_are(self, database, table):
        database.run(
            "CREATE SCHEMA grün",
            'CREATE TABLE "Mixed ""Case""" (a int)',
            'CREATE TABLE grün."Tabelle 1" (a int)',
            'CREATE TABLE "a.b" (a int)',
            "CREATE TABLE plain (a int)",
        )
        assert database.read(table=table).table().column_names == ["a"]

    def test_columns_have_any_name_and_come_in_the_order_asked_for(self, database):
        database.run('CREATE TABLE t ("a ""b""" int, größe int, "C" int)', "INSERT INTO t VALUES (1, 2, 3)")
        names = ["C", 'a "b"', "größe"]
        assert database.read(table="t", columns=names).table().to_pydict() == dict(
            zip(names, [[3], [1], [2]], strict=True)
        )

    def test_all_kinds_of_tables_are_read(self, database):
        database.run(
            "CREATE TABLE base (k int, gone int, n numeric GENERATED ALWAYS AS (k * 1.5) STORED) "
            "PARTITION BY RANGE (k)",
            "CREATE TABLE base_1 PARTITION OF base FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE base_2 PARTITION OF base FOR VALUES FROM (10) TO (20)",
            "INSERT INTO base VALUES (1, 0), (11, 0)",
            "ALTER TABLE base DROP gone",
            "CREATE VIEW seen AS SELECT * FROM base",
            "CREATE MATERIALIZED VIEW kept AS SELECT * FROM base",
        )
        for table in ("base", "seen", "kept"):
            assert database.read(table=table).table().to_pydict() == {"k": [1, 11], "n": [1.5, 16.5]}
        database.run(
            "CREATE FOREIGN DATA WRAPPER nothing",
            "CREATE SERVER far FOREIGN DATA WRAPPER nothing",
            "CREATE FOREIGN TABLE abroad (a int) SERVER far",
        )
        with pytest.raises(SourceError, match='foreign-data wrapper "nothing" has no handler'):
            database.read(table="abroad")

    def test_unchanged_rows_come_in_the_same_order_whoever_else_scans_the_table(self, database):
        database.run(
            "CREATE TABLE wide AS SELECT i, repeat('x', 2000) AS filling FROM generate_series(1, 20000) i"
        )
        with database.session() as session, session.transaction():
            # Somebody is in the middle of the table, and a scan of PostgreSQL's own would begin there.
            session.execute("DECLARE c CURSOR FOR SELECT i FROM wide")
            session.execute("MOVE 10000 FROM c")
            first = session.execute("SELECT i FROM wide").fetchone()
            found = database.read(table="wide", columns=["i"]).table().column("i").to_pylist()
        assert first[0] > 1
        assert found == list(range(1, 20001))

    ABSENT = (
        ({"table": "nope"}, r"no table 'nope' \(there: public\.T, sales\.orders\): create it or change"),
        ({"table": "shop.orders"}, r"no schema 'shop' \(there: public, sales\): create it or change"),
        ({"table": "sales.nope"}, r"no table 'sales\.nope' \(there: public\.T, sales\.orders\)"),
        ({"table": "t"}, r"no table 't' \(there: public\.T"),
        ({"table": "a.b.c.d"}, r"no table 'a\.b\.c\.d'"),
        ({"table": "T", "columns": ["x"]}, r"table 'T' has no column 'x' \(there: a, b\): fix"),
        ({"table": "T", "time_column": "x"}, r"table 'T' has no column 'x'"),
        ({"table": "T", "time_column": "a"}, r"time_column 'a' of table 'T' is of type int4: name one"),
        ({"table": "T", "columns": ["a", "a"]}, r"column 'a' comes more than once"),
        (
            {"table": "T", "types": {"x": "int"}},
            r"no column 'x' \(there: a, b\): fix the source's types",
        ),
        (
            {"table": "T", "types": {"a": "decimal(39, 0)"}},
            r"type 'decimal\(39, 0\)' is not a type of the lake",
        ),
        ({"table": "sales.orders"}, r"column 'partition' has the name of the lake's own column"),
        ({"table": "T_id"}, r"no table 'T_id'"),
    )

    def test_what_is_not_there_is_named_with_what_is(self, database):
        database.run(
            'CREATE TABLE "T" (a int, b text)',
            'CREATE INDEX "T_id" ON "T" (a)',
            "CREATE SCHEMA sales",
            "CREATE TABLE sales.orders (partition text)",
        )
        for source, problem in self.ABSENT:
            with pytest.raises(SourceError, match=problem) as told:
                database.read(DAY, **source)
            assert "\n" not in str(told.value)

    def test_a_table_without_columns_is_an_error(self, database):
        database.run("CREATE TABLE t ()")
        with pytest.raises(SourceError, match="table 't' has no columns: fix the table"):
            database.read(table="t")
        with pytest.raises(SourceError, match=r"sql file 'query\.sql' gives no columns"):
            database.query("SELECT FROM t")

    def test_a_login_without_the_right_to_read(self, database):
        database.run(
            "CREATE TABLE t (a int, b int)",
            "CREATE SCHEMA hidden",
            "CREATE TABLE hidden.t (a int)",
            "CREATE ROLE guest LOGIN PASSWORD 'guests secret'",
        )
        guest = replace(
            database, connection=replace(database.connection, login="guest", password="guests secret")
        )
        try:
            for table, problem in (("t", "permission denied for table t"), ("hidden.t", "schema hidden")):
                with pytest.raises(SourceError, match=f"{problem}.*fix the statement or the grants") as told:
                    guest.read(table=table)
                assert "guests secret" not in str(told.value)
            database.run("GRANT SELECT (a) ON t TO guest")
            assert guest.read(table="t", columns=["a"]).table().num_rows == 0
        finally:
            database.run("DROP OWNED BY guest", "DROP ROLE guest")


class TestSqlFiles:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 'a;$1' AS a, $1 AS b",
            "-- a comment; with $3\nSELECT 'a;$1' AS a, $1 AS b; -- the end;",
            "/* nested /* $3 ; */ */ SELECT 'a;$1' AS a, $1 AS b ;;\n/* ; */",
            "\ufeffWITH q AS (SELECT $$a;$1$$ AS a) SELECT a, $1 AS b FROM q",
            "(SELECT E'a;\\x241' AS a, $1 AS b) -- no newline at the end",
            "SELECT $x$a;$1$x$ AS a, $1 AS b WHERE 'it''s;' <> 'not' ORDER BY 1 LIMIT 1;",
            "VALUES ('a;$1', $1)",
        ],
    )
    def test_comments_quotes_and_semicolons_are_understood(self, database, sql):
        assert [*database.query(sql, DAY).to_pylist()[0].values()] == ["a;$1", DAY[0]]

    REFUSED = (
        ("SELECT 1 AS a; SELECT 2 AS a", "holds more than one statement: leave one"),
        ("SELECT 1 AS a) q; DROP TABLE t; --", "holds more than one statement"),
        ("DELETE FROM t", r"begins with DELETE, and a read-only transaction runs SELECT"),
        ("COMMIT", "begins with COMMIT"),
        ("-- nothing", "begins with nothing"),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", "data-modifying statement"),
        ("SELECT * INTO u FROM t", "gives no columns: select some, without INTO"),
        ("SELECT emptied() AS n", "cannot execute DELETE in a read-only transaction"),
        ("SELECT nextval('numbers')", r"cannot execute nextval\(\) in a read-only transaction"),
        ("SELECT * FROM t FOR UPDATE", "cannot execute SELECT FOR UPDATE in a read-only transaction"),
        ("SELECT nope FROM t", 'column "nope" does not exist'),
        ("SELECT * FROM nope", 'relation "nope" does not exist'),
        ("SELECT FROM WHERE", "syntax error at or near"),
        ("SELECT 1 AS a, 2 AS a", "column 'a' comes more than once"),
        ("SELECT 1 AS partition", "column 'partition' has the name of the lake's own"),
        ("SELECT $5::int AS a", r"asks for \$5, and there are only \$1 and \$2"),
        ("SELECT 1 / (100000 - i) AS a FROM generate_series(1, 200000) i", "division by zero"),
    )

    def test_what_cannot_run_is_refused_in_a_line_and_changes_nothing(self, database):
        database.run(
            "CREATE TABLE t (a int)",
            "INSERT INTO t VALUES (1)",
            "CREATE SEQUENCE numbers",
            "CREATE FUNCTION emptied() RETURNS int LANGUAGE plpgsql AS "
            "$$ BEGIN DELETE FROM t; RETURN 0; END $$",
        )
        for sql, problem in self.REFUSED:
            with pytest.raises(SourceError, match=problem) as told:
                database.query(sql, DAY)
            assert "\n" not in str(told.value)
            assert len(str(told.value)) < 500
        assert database.query("SELECT * FROM t").to_pydict() == {"a": [1]}

    def test_a_parameter_needs_a_partition_in_time(self, database):
        with pytest.raises(SourceError, match=r"asks for \$1, and a pipeline without partitions in time"):
            database.query("SELECT $1 AS a")

    def test_a_file_that_is_not_there_outside_or_no_text(self, database):
        with pytest.raises(SourceError, match=r"no sql file .*/nope\.sql: create it"):
            database.read(sql="nope.sql")
        with pytest.raises(SourceError, match="lies outside the pipeline's folder"):
            database.read(sql="../query.sql")
        (database.folder / "old.sql").write_bytes("SELECT 'grün'".encode("latin1"))
        with pytest.raises(SourceError, match="is not UTF-8: save it as UTF-8"):
            database.read(sql="old.sql")

    def test_its_limits_are_those_of_the_source(self, database):
        table = database.query(
            "SELECT current_setting('statement_timeout') AS t, "
            "current_setting('transaction_read_only') AS r, current_setting('transaction_isolation') AS i",
            timeout="3 minutes",
        )
        assert table.to_pylist() == [{"t": "3min", "r": "on", "i": "repeatable read"}]
        with pytest.raises(UnavailableError, match=r"statement timeout: .*raise the source's timeout"):
            database.query("SELECT pg_sleep(60)", timeout="1 second")
        limit = "SELECT setting::int AS t FROM pg_settings WHERE name = 'statement_timeout'"
        assert database.query(limit, timeout="9999 weeks").to_pydict() == {"t": [2**31 - 1]}


class TestTroubleOnTheWay:
    """Two million numbers take several batches; trouble comes after the first."""

    SOURCE = "SELECT i, repeat('x', 50) AS filling FROM generate_series(1, 2000000) i"

    def begun(self, database: Database) -> tuple[Rows, int]:
        (database.folder / "query.sql").write_text(self.SOURCE)
        rows = database.read(sql="query.sql")
        return rows, next(iter(rows)).num_rows

    def sessions(self, database: Database, do: str = "pid", where: str = "query LIKE 'COPY%'") -> list[Any]:
        ours = "application_name = 'evergreen' AND datname = current_database()"
        found = f"SELECT {do} FROM pg_stat_activity WHERE {ours} AND {where}"
        with database.session() as session:
            return session.execute(found).fetchall()

    @pytest.mark.parametrize(
        ("do", "problem"),
        [
            ("pg_terminate_backend(pid)", r"server closed the connection|terminating connection"),
            ("pg_cancel_backend(pid)", "canceling statement due to user request"),
        ],
    )
    def test_a_server_that_stops_is_unavailable(self, database, do, problem):
        rows, first = self.begun(database)
        assert self.sessions(database, do) == [(True,)]
        with pytest.raises(UnavailableError, match=problem) as told:
            rows.table()
        assert "\n" not in str(told.value)
        assert (database.connection.password or "") not in str(told.value)
        assert 0 < first < 2_000_000
        assert self.query_count(database) == 2_000_000
        print(f"stopped after {first} rows by {do}, then read whole")

    def test_a_value_that_the_driver_cannot_read_is_no_server_that_is_down(self, database):
        """The reader asks for arrays in a form that the driver has; here one is asked for as it is."""
        with (  # noqa: PT012 - the error comes from the end of the transaction
            pytest.raises(SourceError, match="cast the column to text in SQL, or leave it out") as told,
            transaction(database.connection, read_only=True) as cursor,
        ):
            cursor.execute("SELECT '[2:3]={3,4}'::int[] AS a")
            stream(cursor).read_all()
        assert "\n" not in str(told.value)

    def query_count(self, database: Database) -> int:
        return sum(batch.num_rows for batch in database.read(sql="query.sql"))

    def test_a_restart_between_two_reads_is_not_noticed(self, database):
        assert database.query("SELECT 1 AS a").num_rows == 1
        until(lambda: len(self.sessions(database, where="true")) == 1)  # the server has ended the reader's
        gone = self.sessions(database, "pg_terminate_backend(pid)", "true")
        assert gone == [(True,)]  # the one that is kept to make others from
        assert database.query("SELECT 2 AS a").to_pydict() == {"a": [2]}

    @pytest.mark.parametrize("read_some", [True, False])
    def test_an_abandoned_read_leaves_no_session(self, database, read_some):
        (database.folder / "query.sql").write_text(self.SOURCE)
        rows = database.read(sql="query.sql")
        if read_some:
            next(iter(rows))
        assert len(self.sessions(database)) == 1
        rows.close()
        until(lambda: not self.sessions(database))

    def test_one_state_of_the_database_is_read(self, database):
        database.run(
            "CREATE TABLE t AS SELECT i, repeat('x', 50) AS filling FROM generate_series(1, 500000) i"
        )
        rows = database.read(table="t", columns=["i"])
        database.run("DELETE FROM t WHERE i % 2 = 0", "INSERT INTO t VALUES (0, '')")
        assert rows.table().column("i").to_pylist() == list(range(1, 500001))

    def test_batches_are_read_as_they_are_taken(self, database):
        before = pa.total_allocated_bytes()
        peak, count = 0, 0
        (database.folder / "query.sql").write_text(self.SOURCE)
        for batch in database.read(sql="query.sql"):
            peak, count = max(peak, pa.total_allocated_bytes() - before), count + 1
            assert batch.num_rows
        assert count > 4
        assert peak < 64 * 2**20


def until(there: Callable[[], bool]) -> None:
    """Ask until it is so; the test's own timeout ends it."""
    while not there():
        time.sleep(0.02)
