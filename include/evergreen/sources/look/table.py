"""A look at a table, of a database or of a lake."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from evergreen.calendar import SNAPSHOT, Calendar, Grain
from evergreen.connections import Connect, Connection
from evergreen.databases.local_file import type_of_file
from evergreen.databases.registry import DATABASES, session
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources import Source, Wanted
from evergreen.sources.look.compose import Material, composed
from evergreen.sources.look.description import source_name
from evergreen.sources.look.found import Look
from evergreen.storage import Credentials, Storage

_WHOLE = Calendar(Grain(SNAPSHOT))
_KINDS = {"postgres": "postgres", "iceberg": "iceberg"}
"""The kinds of source with a type of connection of their own; that of all others is `sql`."""


def look_at_table(conn_id: str, table: str, most: int, connect: Connect) -> Look:
    """What a table holds, told from at most so many rows, which are those that the database gives first.

    Raises `SourceError` for a connection or table that is not there, and `UnavailableError` for a database
    that cannot be reached.
    """
    kind = _KINDS.get(connect(conn_id).conn_type, "sql")
    config = {"conn_id": conn_id, "table": table}
    read = partial(_read, connect=connect)
    return composed(Material(f"{conn_id} {table}", source_name(table), kind, config, read, most))


def look_at_database(path: str, table: str | None, most: int, conn_id: str) -> tuple[Look, Connection] | None:
    """What a table of an embedded database's file holds, and its connection, which is to be called so.

    None for a path that is no such file. Raises as `look_at_table`, and `SourceError` without a table.
    """
    if (kind := type_of_file(path)) is None:
        return None
    connection = Connection(conn_id, kind, str(Path(path).absolute()))
    if table is None:
        there = ", ".join(tables(connection)) or "none"
        raise SourceError(f"'{path}' is a database ({kind}): name a table too (there: {there})")
    return look_at_table(conn_id, table, most, lambda _: connection), connection


def tables(connection: Connection) -> list[str]:
    """The tables of a connection's database; none for what is no database of the kind `sql`."""
    found = DATABASES.get(connection.conn_type)
    if found is None or found.read is None:
        return []
    with session(connection) as opened:
        return opened.tables()


def kind_of_lake(path: str) -> str | None:
    """The kind of a lake's table on disk: a folder of Delta's, or a metadata file of Iceberg's."""
    if (Path(path) / "_delta_log").is_dir():
        return "delta"
    return "iceberg" if path.endswith(".metadata.json") else None


def look_at_lake(kind: str, path: str, most: int, connect: Connect) -> Look:
    """What a lake's table on disk holds, told from at most so many rows. Raises as `look_at_table` does."""
    place = Path(path).absolute()
    read = partial(_read, connect=connect)
    name = source_name(place.name.partition(".")[0])
    return composed(Material(str(place), name, kind, {"path": str(place)}, read, most))


def _read(source: Source, connect: Connect) -> Rows:
    # None of these is in the storage, but a catalog may name tables that its keys open.
    storage = Storage("", "", Credentials.from_environment())
    return source.read(Wanted(SNAPSHOT, _WHOLE, Path.cwd(), storage, connect))
