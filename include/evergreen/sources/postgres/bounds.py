"""A partition's bounds as parameters of any statement of a transaction.

COPY, the only way to stream a result, takes no parameters: they are bound as settings of the transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.sources.sql_file import Parameter

Bounds = tuple[datetime, datetime]
"""A partition's first instant and the first one after it."""

_BIND = "SELECT " + ", ".join(
    f"pg_catalog.set_config('evergreen.{each.value}', ${number}, true)"
    for number, each in enumerate(Parameter, 1)
)


def mark(parameter: Parameter) -> str:
    """The parameter in SQL, in a query of its own, which is run once and not for every row."""
    kind = "timestamp" if parameter.is_local else "timestamptz"
    return f"(SELECT pg_catalog.current_setting('evergreen.{parameter.value}')::{kind})"


def bind(cursor: Any, bounds: Bounds | None, zone: Zone = UTC_ZONE) -> None:
    """Give every `mark` its value for the transaction; nothing without bounds.

    The local ones are what columns without a zone are compared with: see `Zone.reached`.
    """
    if bounds is not None:
        moments = [moment.astimezone(UTC) for moment in bounds]
        local = [zone.reached(moment.replace(tzinfo=None)) for moment in moments]
        cursor.execute(_BIND, [moment.isoformat(sep=" ") for moment in (*moments, *local)])
        cursor.fetchall()
