"""A large table of PostgreSQL to a published partition: time and peak memory, compared with other ways.

The pipeline has only the checks of every pipeline: keys are present and unique, and times are within the
partition. The cost of expectations is measured by `validation`.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.alone import run_alone, tell, write_pipeline
from benchmarks.figure import ROUNDS, Figure, ratio_of_medians
from benchmarks.stores import stores
from deploy.embedded import postgres
from deploy.embedded.stack import Stack

SMALL, LARGE = 2_000_000, 10_000_000
PIPELINE = """\
name: {name}
description: Payments, as many as there are
owner: bench
schedule: "0 2 * * *"
start: 2024-01-01
partition: daily
sources:
  payments: {{postgres: {{conn_id: rentals_db, table: {name}, time_column: paid_at}}}}
task: regression
target: amount
training: {{metric: mae, candidates: [{{estimator: sklearn.linear_model.Ridge}}]}}
"""
TABLE = """
CREATE TABLE {name} AS SELECT
  timestamptz '2024-01-01 00:00:00+00' + i * interval '8 milliseconds' AS paid_at,
  i::bigint AS id,
  (random() * 1000)::float8 AS amount,
  (i % 97)::int AS shop,
  (array['card', 'cash', 'voucher', 'transfer'])[1 + i % 4] AS method,
  i % 3 = 0 AS member,
  md5(i::text) AS reference
FROM generate_series(1, {rows}) i
"""


def measure() -> list[Figure]:
    """Seconds of 2,000,000 rows x 7 columns over two others', and peak memory of 10,000,000 rows."""
    with stores() as stack:
        folder = stack.home.root / "pipelines"
        for name, rows in (("small", SMALL), ("large", LARGE)):
            _table(stack, name, rows)
            write_pipeline(folder, name, PIPELINE.format(name=name))
        spent: dict[str, list[float]] = {"copy": [], "ingest": [], "pandas": []}
        memory: dict[str, list[float]] = {"small": [], "large": []}
        for number in range(1, ROUNDS + 1):
            for kind, seconds in spent.items():
                seconds.append(run_alone(__name__, kind, str(folder), "small")[0])
            for name, peaks in memory.items():
                peaks.append(run_alone(__name__, "ingest", str(folder), name)[1])
            took = ", ".join(f"{kind} {seconds[-1]:.2f} s" for kind, seconds in spent.items())
            held = ", ".join(f"{name} {peaks[-1]:.0f} MB" for name, peaks in memory.items())
            print(f"  round {number}: {took}; {held}", flush=True)
    small, large = (statistics.median(memory[name]) for name in ("small", "large"))
    return [
        Figure(
            "2 M rows of PostgreSQL, published / COPY thrown away",
            ratio_of_medians(spent["ingest"], spent["copy"]),
            "x",
            1.3,
        ),
        Figure(
            "2 M rows of PostgreSQL, published / read_sql and to_parquet",
            ratio_of_medians(spent["ingest"], spent["pandas"]),
            "x",
            1 / 4.5,
        ),
        Figure("peak memory of 10 M rows / of 2 M rows", large / small, "x", 1.25),
        Figure("peak memory of 10 M rows", large, "MB", 900),
    ]


def _table(stack: Stack, name: str, rows: int) -> None:
    with postgres.connect(stack.ports, stack.secrets, autocommit=True) as connection:
        connection.execute(TABLE.format(name=name, rows=rows).encode())
        connection.execute(f"VACUUM ANALYZE {name}".encode())


def _copy(folder: Path, name: str) -> Callable[[], None]:
    import psycopg

    from evergreen.connections import from_environment
    from evergreen.postgres import conninfo

    address = conninfo(from_environment("rentals_db"))

    def run() -> None:
        # The same rows by the same condition: a bare `COPY table` knows no partition.
        day = "paid_at >= '2024-01-01' AND paid_at < '2024-01-02'"
        command = f"COPY (SELECT * FROM {name} WHERE {day}) TO STDOUT (FORMAT binary)".encode()  # noqa: S608
        with psycopg.connect(address) as connection, connection.cursor().copy(command) as rows:
            for _ in rows:
                pass

    return run


def _ingest(folder: Path, name: str) -> Callable[[], None]:
    import os
    import uuid

    from evergreen.ingestion.stage import ingest
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Storage

    os.environ["EVERGREEN_PIPELINES"] = str(folder)
    # Each time into a new lake, because rows that are there already would not be written.
    pipeline = Pipeline.open(name, storage=Storage.open().child(uuid.uuid4().hex))

    def run() -> None:
        published = ingest(pipeline, ["2024-01-01"])
        assert published[0].rows in (SMALL, LARGE), published

    return run


def _pandas(folder: Path, name: str) -> Callable[[], None]:
    import pandas as pd
    import sqlalchemy

    from evergreen.connections import from_environment

    found = from_environment("rentals_db")
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create(
            "postgresql+psycopg", found.login, found.password, found.host, found.port, found.schema
        )
    )

    def run() -> None:
        pd.read_sql_table(name, engine).to_parquet(folder / f"{name}.parquet")

    return run


def main() -> None:
    """Run one of the three, warm."""
    kind, folder, name = sys.argv[1:]
    tell({"copy": _copy, "ingest": _ingest, "pandas": _pandas}[kind](Path(folder), name))


if __name__ == "__main__":
    main()
