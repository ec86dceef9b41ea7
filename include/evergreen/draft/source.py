"""A look at the source that a person names for a draft, and the connection that it needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evergreen.connections import SECRET, Connect, Connection, from_environment
from evergreen.errors import SourceError
from evergreen.look import look_at
from evergreen.sources.look.address import look_at_address
from evergreen.sources.look.api import look_at_pages
from evergreen.sources.look.found import Look
from evergreen.sources.look.table import look_at_database

MOST_ROWS = 100_000
"""How many rows are looked at, of text at most 64 MB."""


@dataclass(frozen=True)
class Named:
    """The look at a source, and the variable that is to be defined, without its secrets; None if none is."""

    look: Look
    to_define: str | None = None


def look_for_draft(
    name: str,
    source: str,
    table: str | None = None,
    conn_id: str | None = None,
    connect: Connect = from_environment,
) -> Named:
    """The look at a file, the address of a table or an API, or a connection's `table`, for a pipeline `name`.

    An address of a database or an API needs a connection: `conn_id`, or one to be defined by the name of the
    pipeline. Its secrets are in the connection alone. Raises as `look_at` and `look_at_address` do, and
    `SourceError` for the source of a pipeline, whose paths are those of its folder.
    """
    if of_database := look_at_database(source, table, MOST_ROWS, conn_id or f"{name}_db"):
        look, connection = of_database
        return Named(look, None if conn_id else _definition(connection))
    if table is not None and table.startswith("/"):
        return Named(look_at_pages(source, table, MOST_ROWS, connect))
    if table is not None:
        return Named(look_at(source, table, MOST_ROWS, connect=connect))
    if found := look_at_address(source, MOST_ROWS, name, conn_id, connect):
        return Named(found.look, _definition(found.connection) if found.connection else None)
    look = look_at(source, None, MOST_ROWS, connection=conn_id, connect=connect)
    path = str(look.config.get("path", ""))
    if "://" not in path and not Path(path).is_absolute():
        raise SourceError(f"'{source}' is a pipeline's own source: name a file, an address or a table")
    return Named(look)


def _definition(connection: Connection) -> str:
    values: Mapping[str, object] = {
        "conn_type": connection.conn_type,
        "host": connection.host,
        "port": connection.port,
        "schema": connection.schema,
        "login": connection.login,
        "password": "..." if connection.password else None,
        "extra": {name: "..." if SECRET.search(name) else one for name, one in connection.extra.items()},
    }
    written = json.dumps({name: value for name, value in values.items() if value})
    return f"AIRFLOW_CONN_{connection.conn_id.upper()}='{written}'"
