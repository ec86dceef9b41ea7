"""The catalog of Iceberg tables that a connection describes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evergreen.connections import Connection, redacted
from evergreen.errors import SourceError
from evergreen.sources.tables.place import S3_TIMES, Keys

_NAME = "catalog_name"
_LOGIN = re.compile(r"://\S*@")
_OF_S3 = ("s3.", "client.")


def catalog_name(connection: Connection) -> str:
    """What the catalog is called: a SQL catalog keeps its tables under that name."""
    return str(connection.extra.get(_NAME) or connection.conn_id)


def catalog_options(connection: Connection) -> dict[str, Any]:
    """The properties of pyiceberg's catalog: those in the extra, and what host, login and password say.

    The host is the catalog's address if the extra has no `uri`; login and password are the credential of a
    REST catalog, a password alone is its token. Raises `SourceError` if there is neither address nor type.
    """
    options = {name: _written(value) for name, value in connection.extra.items() if name != _NAME}
    if connection.host and "uri" not in options:
        host = connection.host if "://" in connection.host else f"https://{connection.host}"
        options["uri"] = f"{host}:{connection.port}" if connection.port else host
    if connection.password:
        secret = f"{connection.login}:{connection.password}" if connection.login else connection.password
        options.setdefault("credential" if connection.login else "token", secret)
    if "uri" not in options and "type" not in options:
        raise SourceError(
            f"connection '{connection.conn_id}' describes no catalog of Iceberg tables: give its address as "
            "the host or as 'uri' in the extra, and 'type' there if the address does not show it (rest, sql, "
            "hive, glue)"
        )
    # Reading must not create the tables of a catalog in a database that has none.
    return {"init_catalog_tables": "false", **options}


def with_keys(options: dict[str, Any], keys: Keys) -> dict[str, Any]:
    """The properties with these keys of S3, unless they have keys of their own."""
    own = any(name.startswith(_OF_S3) for name in options)
    return {**(S3_TIMES if own else keys.iceberg_options), **options}


def _written(value: Any) -> Any:
    """A property as pyiceberg takes it: a text, or, as of `ssl` and `auth`, an object."""
    if isinstance(value, Mapping):
        return dict(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def without_secrets(text: str, connection: Connection | None) -> str:
    """A text of one line in which no secret of the connection stands, nor the login in an address."""
    shown = redacted(text, connection) if connection else " ".join(text.split())
    return _LOGIN.sub("://***@", shown)
