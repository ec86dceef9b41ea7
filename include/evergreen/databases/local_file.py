"""The file of an embedded database, which a connection names as its host."""

from __future__ import annotations

from pathlib import Path

from evergreen.connections import Connection
from evergreen.errors import SourceError

_BEGINNINGS = {"sqlite": (0, b"SQLite format 3\x00"), "duckdb": (8, b"DUCK")}
"""The type of connection that reads a file, by the bytes at a place near its beginning."""


def type_of_file(path: str) -> str | None:
    """The type of connection for a file that is an embedded database; None for any other path."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(16)
    except OSError:
        return None
    return next((kind for kind, (at, mark) in _BEGINNINGS.items() if head[at:].startswith(mark)), None)


def local_file(connection: Connection, *, must_exist: bool) -> str:
    """The file's absolute path; raises `SourceError` where there is none."""
    name = connection.host or connection.schema or ""
    where = f"connection '{connection.conn_id}'"
    path = Path(name)
    if not path.is_absolute():
        raise SourceError(
            f"{where}: '{name}' is no absolute path: write the file's path as the connection's host"
        )
    if must_exist and not path.is_file():
        raise SourceError(f"{where}: there is no file {path}: create it or change the connection's host")
    if not path.parent.is_dir():
        raise SourceError(f"{where}: there is no folder {path.parent}: create it")
    return str(path)
