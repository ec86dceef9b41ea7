"""A session of PostgreSQL's own client on the embedded server."""

from __future__ import annotations

from typing import Any

import psycopg

from evergreen.connections import Connection


def connected(server: Connection) -> psycopg.Connection[Any]:
    """A session, which commits when its block ends."""
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.login,
        password=server.password,
        dbname=server.schema,
        client_encoding="utf8",
    )
