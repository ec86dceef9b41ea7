"""The columns of a logged prediction: what was asked, and what was answered.

| column | holds |
|---|---|
| `row.<name>` | a column of the row, in the type that it is published in; the keys are among them |
| `version` | the version that answered |
| `look_back` | the digest of what its features looked back to; null where they do not look back |
| `answer` | what was predicted, as the JSON that was answered, without the keys |
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa

VERSION = "version"
LOOK_BACK = "look_back"
ANSWER = "answer"

_ROW = "row."


def logged_columns(
    rows: pa.Table,
    drop: Collection[str],
    versions: Sequence[str],
    look_backs: Sequence[str | None],
    answers: Sequence[str],
) -> pa.Table:
    """The rows (n, d) without the columns to `drop`, each with who answered it and what."""
    kept = row_columns(rows.select([name for name in rows.column_names if name not in drop]))
    said = {
        VERSION: pa.array(versions, pa.string()),
        LOOK_BACK: pa.array(look_backs, pa.string()),
        ANSWER: pa.array(answers, pa.string()),
    }
    return pa.table({**kept, **said})


def row_columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The columns of rows as they are logged, by name."""
    return {f"{_ROW}{name}": rows.column(name) for name in rows.column_names}


def rows_of(logged: pa.Table) -> pa.Table:
    """The rows that were asked for, with their columns as they are published."""
    names = [name for name in logged.column_names if name.startswith(_ROW)]
    return logged.select(names).rename_columns([name.removeprefix(_ROW) for name in names])


def column_of(logged: pa.Table, name: str) -> pa.ChunkedArray | None:
    """A column of the rows that were asked for, by its own name or as a logged one; None without it."""
    known = next((one for one in (f"{_ROW}{name}", name) if one in logged.column_names), None)
    return None if known is None else logged.column(known)
