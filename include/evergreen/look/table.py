"""A look at a table of a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evergreen.calendar import Calendar, Grain
from evergreen.connections import Connect
from evergreen.look.compose import Material, composed
from evergreen.look.description import source_name
from evergreen.look.found import Look
from evergreen.rows.batches import Rows
from evergreen.sources import Source, Wanted

_SNAPSHOT = Calendar(Grain.SNAPSHOT)


def look_at_table(conn_id: str, table: str, most: int, connect: Connect) -> Look:
    """What a table holds, told from at most so many rows, which are those that the database gives first.

    Raises `SourceError` for a connection or table that is not there, and `UnavailableError` for a database
    that cannot be reached.
    """
    kind = "postgres" if connect(conn_id).conn_type == "postgres" else "sql"
    config: dict[str, Any] = {"conn_id": conn_id, "table": table}

    def read(source: Source) -> Rows:
        storage: Any = None  # no database is in one
        return source.read(Wanted("snapshot", _SNAPSHOT, Path.cwd(), storage, connect))

    return composed(Material(f"{conn_id} {table}", source_name(table), kind, config, read, most))
