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

from evergreen.errors import SpecError

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


def check_dropped(pipeline: str, drop: Collection[str], published: Collection[str]) -> None:
    """Raise `SpecError` for a column to drop that is none.

    What should be dropped under another name must not be written.
    """
    if unknown := [name for name in drop if name not in published]:
        raise SpecError(
            f"{pipeline}: serving.log.drop: '{unknown[0]}' is no column that is published, and nothing is "
            f"logged until it is one: write one of {', '.join(published)}"
        )


def rows_of(logged: pa.Table) -> pa.Table:
    """The rows that were asked for, with their columns as they are published."""
    names = [name for name in logged.column_names if name.startswith(_ROW)]
    return logged.select(names).rename_columns([name.removeprefix(_ROW) for name in names])


def column_of(logged: pa.Table, name: str) -> pa.ChunkedArray | None:
    """A column of the rows that were asked for, in a log of any kind; None where it was not logged."""
    known = f"{_ROW}{name}"
    return logged.column(known) if known in logged.column_names else None
