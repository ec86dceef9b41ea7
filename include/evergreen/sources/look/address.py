"""A look at an address: of a table in a database, or of an API; and the connection that takes its place."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from evergreen.connections import SECRET, Connect, Connection, from_environment
from evergreen.databases.registry import DATABASES
from evergreen.errors import SourceError
from evergreen.sources.files.address import Address
from evergreen.sources.files.formats import format_of
from evergreen.sources.files.places import PLACES
from evergreen.sources.look.api import look_at_pages
from evergreen.sources.look.found import Look
from evergreen.sources.look.table import look_at_table

_DATABASES = frozenset({"postgresql", *DATABASES})


@dataclass(frozen=True)
class Addressed:
    """The look at an address, and the connection that is to be defined if there was none; it has secrets."""

    look: Look
    connection: Connection | None


def look_at_address(
    address: str, most: int, own: str, conn_id: str | None, connect: Connect
) -> Addressed | None:
    """What the table or the API of an address holds; None for a file.

    It is reached by the connection `conn_id`, or by a new one made of the address, whose id begins with
    `own`. Raises `SourceError` for an address without a table or with a secret that is no password, and as
    `look_at_table` and `look_at_pages` do.
    """
    scheme = Address.of(address).scheme.lower()
    if scheme in _DATABASES:
        return _of_table(address, most, f"{own}_db", conn_id, connect)
    if (place := PLACES.get(scheme)) is None or not place.is_url:
        return None
    _check_no_secret(address)
    if _tells_format(urlsplit(address).path):
        return None
    parts = urlsplit(address)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if conn_id is not None:
        return Addressed(look_at_pages(conn_id, path, most, connect), None)
    made = Connection(f"{own}_api", "http", f"{parts.scheme}://{parts.netloc}")
    return Addressed(look_at_pages(made.conn_id, path, most, lambda _: made), made)


def _of_table(address: str, most: int, own: str, conn_id: str | None, connect: Connect) -> Addressed:
    """The look at a table whose address is the database's, and the table as one more part of the path."""
    parts = urlsplit(address)
    database, _, table = parts.path.lstrip("/").partition("/")
    if not database or not table or "/" in table:
        raise SourceError(
            "an address of a database ends in its name and a table, as in postgres://host:5432/shop/orders, "
            "or in a schema's table, as in /shop/sales.orders; for a database that is a file, name the file, "
            "and its table with --table"
        )
    if conn_id is not None:
        return Addressed(look_at_table(conn_id, table, most, connect), None)
    bare = parts._replace(path=f"/{database}").geturl()
    made = from_environment(own, {f"AIRFLOW_CONN_{own.upper()}": bare})
    return Addressed(look_at_table(own, table, most, lambda _: made), made)


def _check_no_secret(address: str) -> None:
    parts = urlsplit(address)
    named = [key for key, _ in parse_qsl(parts.query) if SECRET.search(key)]
    if parts.username or parts.password or named:
        what = f"'{named[0]}'" if named else "a login"
        raise SourceError(
            f"the address holds {what}, which would be written into the description: put it into a "
            "connection, leave it out of the address, and name the connection with --conn"
        )


def _tells_format(path: str) -> bool:
    try:
        format_of(path)
    except SourceError:
        return False
    return True
