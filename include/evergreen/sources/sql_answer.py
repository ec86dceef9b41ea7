"""The answer of a SQL file that is asked whether a partition is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evergreen.errors import SourceError
from evergreen.shown import shown


def missing(name: str, row: Sequence[Any] | None, *, numbers: bool = False) -> str | None:
    """What the first row of the file's result says is missing; None if its first value is true.

    `numbers`: the database has no truth values, and says 1 and 0. Raises `SourceError` for an answer that is
    neither.
    """
    if row is None:
        return f"{name} answered no row"
    answer = row[0]
    if numbers and isinstance(answer, int) and answer in (0, 1):
        answer = bool(answer)
    if answer is not None and not isinstance(answer, bool):
        raise SourceError(f"{name} answered {shown(repr(answer))}, neither true nor false: fix the query")
    return None if answer else f"{name} answered {'null' if answer is None else 'false'}"
