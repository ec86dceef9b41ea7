"""A large table of SQLite and of MariaDB to a published partition: time and peak memory.

It is held against the driver's own fetch of the same rows into Arrow, thrown away: ADBC's for SQLite, that of
PyMySQL's unbuffered cursor for MariaDB. Where no mariadbd is installed, its figures are left out, and a line
says so.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.alone import run_alone, tell, write_pipeline
from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from benchmarks.stores import stores
from evergreen.connections import Connection
from tests import mariadb

SMALL, LARGE = 2_000_000, 10_000_000
PIPELINE = """\
name: {name}
description: Payments, as many as there are
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  payments:
    sql: {{conn_id: payments_db, table: {name}, time_column: paid_at, timeout: 2 hours}}
task: regression
target: amount
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""
COLUMNS = """
    (paid_at {time}, id BIGINT, amount DOUBLE, shop INTEGER, method VARCHAR(8), member BOOLEAN,
     reference VARCHAR(32))
"""
SQLITE_ROWS = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
    INSERT INTO {name} SELECT strftime('%Y-%m-%d %H:%M:%f', 1704067200 + i * 0.008, 'unixepoch'), i,
        abs(random() % 1000000) / 1000.0, i % 97,
        CASE i % 4 WHEN 0 THEN 'card' WHEN 1 THEN 'cash' WHEN 2 THEN 'voucher' ELSE 'transfer' END,
        i % 3 = 0, lower(hex(randomblob(16))) FROM n
"""
MARIADB_ROWS = """
    INSERT INTO {name} SELECT timestamp'2024-01-01 00:00:00' + INTERVAL seq * 8000 MICROSECOND, seq,
        rand() * 1000, seq % 97, elt(1 + seq % 4, 'card', 'cash', 'voucher', 'transfer'), seq % 3 = 0,
        md5(seq)
    FROM seq_1_to_{rows}
"""
DAY = "paid_at >= '2024-01-01' AND paid_at < '2024-01-02'"


def measure() -> list[Figure]:
    """For each database seconds of 2,000,000 rows x 7 over the driver's, and memory of 10,000,000."""
    figures = []
    with stores() as stack:
        folder = stack.home.root / "pipelines"
        for name in ("small", "large"):
            write_pipeline(folder, name, PIPELINE.format(name=name))
        figures += _measured("SQLite", _sqlite(stack.home.root / "payments.db"), folder)
        if mariadb.is_installed():
            with _mariadb() as connection:
                figures += _measured("MariaDB", connection, folder)
        else:
            print("  MariaDB is left out: no mariadbd is installed here", flush=True)
    return figures


def _measured(database: str, connection: Connection, folder: Path) -> list[Figure]:
    os.environ["AIRFLOW_CONN_PAYMENTS_DB"] = json.dumps(
        {
            "conn_type": connection.conn_type,
            "host": connection.host,
            "port": connection.port,
            "login": connection.login,
            "password": connection.password,
            "schema": connection.schema,
        }
    )
    spent: dict[str, list[float]] = {"driver": [], "ingest": []}
    memory: dict[str, list[float]] = {"small": [], "large": []}
    for number in range(1, ROUNDS + 1):
        for kind, seconds in spent.items():
            seconds.append(run_alone(__name__, kind, str(folder), "small")[0])
        for name, peaks in memory.items():
            peaks.append(run_alone(__name__, "ingest", str(folder), name)[1])
        took = ", ".join(f"{kind} {seconds[-1]:.2f} s" for kind, seconds in spent.items())
        held = ", ".join(f"{name} {peaks[-1]:.0f} MB" for name, peaks in memory.items())
        print(f"  {database}, round {number}: {took}; {held}", flush=True)
    small, large = (statistics.median(memory[name]) for name in ("small", "large"))
    ratio = ratio_of_medians(spent["ingest"], spent["driver"])
    return [
        Figure(f"2 M rows of {database}, published / the driver's fetch thrown away", ratio, "x", 2),
        Figure(f"peak memory of 10 M rows of {database} / of 2 M rows", large / small, "x", 1.25),
    ]


def _sqlite(path: Path) -> Connection:
    with closing(sqlite3.connect(path)) as session, session:
        for name, rows in (("small", SMALL), ("large", LARGE)):
            session.execute(f"CREATE TABLE {name} {COLUMNS.format(time='DATETIME')}")
            session.execute(SQLITE_ROWS.format(name=name, rows=rows))
    return Connection("payments_db", "sqlite", str(path))


@contextmanager
def _mariadb() -> Iterator[Connection]:
    with mariadb.mariadb("--innodb-buffer-pool-size=512M") as server:
        mariadb.run(server, "CREATE DATABASE bench")
        connection = replace(server, conn_id="payments_db", schema="bench")
        for name, rows in (("small", SMALL), ("large", LARGE)):
            mariadb.run(
                connection,
                f"CREATE TABLE {name} {COLUMNS.format(time='DATETIME(6)')}",
                MARIADB_ROWS.format(name=name, rows=rows),
            )
        yield connection


def _driver(folder: Path, name: str) -> Callable[[], None]:
    import adbc_driver_sqlite.dbapi
    import pyarrow as pa
    import pymysql
    from pymysql.cursors import SSCursor

    from evergreen.connections import from_environment

    found = from_environment("payments_db")
    # The same rows by the same condition.
    statement = f"SELECT * FROM {name} WHERE {DAY}"  # noqa: S608 - the benchmark's own

    def sqlite() -> None:
        with (
            adbc_driver_sqlite.dbapi.connect(f"file:{found.host}?mode=ro") as session,
            session.cursor() as cursor,
        ):
            cursor.execute(statement)
            assert sum(batch.num_rows for batch in cursor.fetch_record_batch()) == SMALL

    def mysql() -> None:
        session = pymysql.connect(
            host=found.host or "",
            port=found.port or 0,
            user=found.login,
            password=found.password or "",
            database=found.schema,
            cursorclass=SSCursor,
        )
        fetched = 0
        with session, session.cursor() as cursor:
            cursor.execute(statement)
            while rows := cursor.fetchmany(8192):
                columns = [pa.array(values) for values in zip(*rows, strict=True)]
                fetched += len(pa.RecordBatch.from_arrays(columns, [str(number) for number in range(7)]))
        assert fetched == SMALL

    return sqlite if found.conn_type == "sqlite" else mysql


def _ingest(folder: Path, name: str) -> Callable[[], None]:
    import uuid

    from evergreen.connections import from_environment
    from evergreen.ingestion.stage import ingest
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage

    import_module("evergreen.sources.sql.read")
    import_module(f"evergreen.databases.{from_environment('payments_db').conn_type}")
    os.environ["EVERGREEN_PIPELINES"] = str(folder)
    # Each time into a new lake, because rows that are there already would not be written.
    pipeline = Pipeline.open(name, storage=Storage.open().child(uuid.uuid4().hex))

    def run() -> None:
        published = ingest(pipeline, ["2024-01-01"])
        assert published[0].rows in (SMALL, LARGE), published

    return run


def main() -> None:
    """Run one of the two, warm."""
    kind, folder, name = sys.argv[1:]
    tell({"driver": _driver, "ingest": _ingest}[kind](Path(folder), name))


if __name__ == "__main__":
    main()
