"""A kind of source of one's own: a table of a SQLite file, with a question of its own.

All there is to a kind stands here; `KINDS["sqlite"] = SQLITE` makes it one. Below is a pipeline that uses it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from evergreen.errors import SourceError
from evergreen.sources import Question, SourceConfig, SourceKind, Wanted
from evergreen.sources.files import ask_file
from evergreen.sources.files.description import FileQuestion
from evergreen.units import Column, ConnectionId

if TYPE_CHECKING:
    import pyarrow as pa

    from evergreen.rows.batches import Rows

BATCH = 2  # rows


class SqliteSource(SourceConfig):
    """Rows of a table of a SQLite file below the pipeline's folder, whose ISO times lie in the partition."""

    path: str
    table: Column
    conn_id: ConnectionId | None = None

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class RowsQuestion(Question):
    """The source is complete once it has at least `rows` rows of the partition."""

    name: ClassVar = "rows"
    rows: int


def _open(source: SqliteSource, wanted: Wanted) -> sqlite3.Connection:
    file = wanted.folder / source.path.replace("{partition}", wanted.partition)
    if not file.is_file():
        raise SourceError(f"no SQLite file {file}: create it or change the source's path")
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True)


def _where(source: SqliteSource, wanted: Wanted) -> tuple[str, list[str]]:
    if source.time_column is None or wanted.start is None or wanted.end is None:
        return "", []
    bounds = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (wanted.start, wanted.end)]
    return f' WHERE "{source.time_column}" >= ? AND "{source.time_column}" < ?', bounds


def _read(source: SqliteSource, wanted: Wanted) -> Rows:
    from evergreen.rows.batches import Rows
    from evergreen.rows.columns import LakeTypes

    lake = LakeTypes(source.types)
    batches = _batches(source, wanted)
    schema = lake.schema(next(batches).schema)  # the first batch has no rows
    return Rows(schema, (lake.batch(batch) for batch in batches))


def _batches(source: SqliteSource, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    kinds = {"TEXT": pa.string(), "REAL": pa.float64(), "INTEGER": pa.int64()}
    where, bounds = _where(source, wanted)
    with closing(_open(source, wanted)) as database:
        columns = database.execute(f'PRAGMA table_info("{source.table}")').fetchall()
        schema = pa.schema([(name, kinds[kind]) for _, name, kind, *_ in columns])
        yield pa.RecordBatch.from_pylist([], schema)
        found = database.execute(f'SELECT * FROM "{source.table}"{where} ORDER BY rowid', bounds)
        while rows := found.fetchmany(BATCH):
            values = [dict(zip(schema.names, row, strict=True)) for row in rows]
            yield pa.RecordBatch.from_pylist(values, schema)


def _ask(source: SqliteSource, question: RowsQuestion, wanted: Wanted) -> str | None:
    where, bounds = _where(source, wanted)
    with closing(_open(source, wanted)) as database:
        (there,) = database.execute(f'SELECT count(*) FROM "{source.table}"{where}', bounds).fetchone()
    return None if there >= question.rows else f"{there} of {question.rows} rows are there"


SQLITE = SourceKind(SqliteSource, _read, {RowsQuestion: _ask, FileQuestion: ask_file})

LENDER = """
name: lender
description: Loans, of which it is known a day later whether they are repaid late
owner: tests
schedule: "@daily"
start: 2024-01-01
partition: daily
sources:
  loans:
    sqlite: {path: bank.db, table: loans, time_column: at, types: {at: time}}
    complete: {rows: 5, every: 1 minutes, within: 1 hours}
key: [loan]
task: classification
target: late
labels:
  source: {sqlite: {path: bank.db, table: outcomes, time_column: at, types: {at: time}}}
  delay: 1 partitions
training: {metric: accuracy, candidates: [{estimator: sklearn.linear_model.LogisticRegression}]}
"""


SUITE = "- expect_column_values_to_not_be_null: {column: amount}\n  severity: critical\n"


def write_lender(pipelines: Path, days: int, description: str = LENDER) -> Path:
    """The pipeline's folder, with five loans for each of the first days of January 2024."""
    folder = pipelines / "lender"
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.yaml").write_text(description)
    (folder / "expectations.yaml").write_text(SUITE)
    with closing(sqlite3.connect(folder / "bank.db")) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS loans (loan INTEGER, at TEXT, amount REAL)")
        database.execute("CREATE TABLE IF NOT EXISTS outcomes (loan INTEGER, at TEXT, late TEXT)")
    for day in range(1, days + 1):
        add_loans(folder, day)
    return folder


def add_loans(folder: Path, day: int, count: int = 5) -> None:
    """Loans of a day of January 2024, of which every second is repaid late."""
    loans = [(day * 100 + number, f"2024-01-{day:02}T{number:02}:30:00Z", number) for number in range(count)]
    with closing(sqlite3.connect(folder / "bank.db")) as database, database:
        database.executemany("INSERT INTO loans VALUES (?, ?, ? * 1.5)", loans)
        database.executemany(
            "INSERT INTO outcomes VALUES (?, ?, CASE WHEN ? % 2 THEN 'yes' ELSE 'no' END)", loans
        )
