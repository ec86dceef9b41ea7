"""Where files may lie, beside the local disk: another place is an entry here and a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.sources.files.address import Address
from evergreen.sources.files.places.place import PlaceKind

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.sources.files.places.place import Place
    from evergreen.storage import Storage


def _s3(address: Address, connection: Connection | None, storage: Storage | None) -> Place:
    from evergreen.sources.files.places.s3 import open_s3

    return open_s3(address, connection, storage)


def _gs(address: Address, connection: Connection | None, storage: Storage | None) -> Place:
    from evergreen.sources.files.places.gs import open_gs

    return open_gs(address, connection, storage)


def _az(address: Address, connection: Connection | None, storage: Storage | None) -> Place:
    from evergreen.sources.files.places.az import open_az

    return open_az(address, connection, storage)


def _sftp(address: Address, connection: Connection | None, storage: Storage | None) -> Place:
    from evergreen.sources.files.places.sftp import open_sftp

    return open_sftp(address, connection, storage)


def _web(address: Address, connection: Connection | None, _: Storage | None) -> Place:
    from evergreen.sources.files.places.web import open_web

    return open_web(address, connection)


PLACES: dict[str, PlaceKind] = {
    "s3": PlaceKind(_s3),
    "gs": PlaceKind(_gs),
    "az": PlaceKind(_az, needs_connection=True),
    "sftp": PlaceKind(_sftp, needs_connection=True),
    "https": PlaceKind(_web, is_listed=False, is_url=True),
    "http": PlaceKind(_web, is_listed=False, is_url=True),
}
"""The places by the scheme of their addresses."""


def check_place(path: str, connection: Connection) -> None:
    """Raise `SourceError` if a connection lacks what the place of an address needs; asks nobody."""
    address = Address.of(path)
    PLACES[address.scheme].open(address, connection, None)
