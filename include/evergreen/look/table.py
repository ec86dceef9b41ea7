"""A look at a table, of a database or of a lake."""

from __future__ import annotations

from functools import partial
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
    config = {"conn_id": conn_id, "table": table}
    read = partial(_read, connect=connect)
    return composed(Material(f"{conn_id} {table}", source_name(table), kind, config, read, most))


def look_at_delta(path: str, most: int, connect: Connect) -> Look:
    """What a Delta table on disk holds, told from at most so many rows. Raises as `look_at_table` does."""
    place = Path(path).absolute()
    read = partial(_read, connect=connect)
    return composed(Material(str(place), source_name(place.name), "delta", {"path": str(place)}, read, most))


def _read(source: Source, connect: Connect) -> Rows:
    storage: Any = None  # none of these is in it
    return source.read(Wanted("snapshot", _SNAPSHOT, Path.cwd(), storage, connect))
