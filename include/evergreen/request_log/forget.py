"""Forgets logged rows by their values, as a person may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from evergreen.request_log.columns import column_of
from evergreen.request_log.store import Kind, RequestLog


def forget_rows(log: RequestLog, values: Mapping[str, str]) -> int:
    """Delete the logged rows that have all these values, by column; returns how many there were.

    A value is compared by its text, a time in ISO 8601. Rows are kept in objects with others: what is left of
    an object is written first, then the object is deleted. So nothing else is lost where this is killed, and
    the next one finishes it. What servers have not written yet is not found.
    """
    forgotten = 0
    for kind in Kind:
        for partition, entries in log.look(kind).items():
            for entry in entries:
                if (rows := log.rows(entry.key)) is None:
                    continue
                left = rows.filter(pa.array([not has for has in _having(rows, values)], pa.bool_()))
                if len(left) < len(rows):
                    log.append(kind, partition, left)
                    log.remove([entry.key])
                    forgotten += len(rows) - len(left)
    return forgotten


def _having(rows: pa.Table, values: Mapping[str, str]) -> list[bool]:
    """Which of the rows have all the values; none if a column is missing."""
    found = [True] * len(rows)
    for name, value in values.items():
        column = column_of(rows, name)
        if column is None:
            return [False] * len(rows)
        found = [one and _text(there) == value for one, there in zip(found, column.to_pylist(), strict=True)]
    return found


def _text(value: Any) -> str | None:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return None if value is None else str(value)
