"""Where a table is: on disk, or in S3 with the storage's keys or those of a connection."""

from __future__ import annotations

from dataclasses import dataclass

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.files.address import Address
from evergreen.sources.files.locate import fill
from evergreen.sources.files.places.s3 import s3_keys, s3_settings
from evergreen.sources.kind import Wanted
from evergreen.storage import Credentials, Storage

S3_TIMES = {"s3.connect-timeout": "10", "s3.request-timeout": "60"}
"""How many seconds a request to S3 may take in pyiceberg."""


@dataclass(frozen=True)
class Keys:
    """How a table's bucket is opened; `anonymous` is without a signature."""

    credentials: Credentials
    anonymous: bool = False

    @property
    def iceberg_options(self) -> dict[str, str]:
        """What pyiceberg needs to read files in S3."""
        options = {
            "s3.region": self.credentials.region,
            "s3.endpoint": self.credentials.endpoint_url,
            "s3.access-key-id": self.credentials.access_key,
            "s3.secret-access-key": self.credentials.secret_key,
            "s3.session-token": self.credentials.session_token,
            "s3.anonymous": "true" if self.anonymous else None,
            **S3_TIMES,
        }
        return {name: value for name, value in options.items() if value}


@dataclass(frozen=True)
class Place:
    """A table's `address`, and the keys of its bucket; `name` is what errors call it."""

    name: str
    address: str
    keys: Keys | None = None

    @property
    def delta_options(self) -> dict[str, str] | None:
        """What delta-rs needs to read the table; None on disk."""
        if self.keys is None:
            return None
        options = Storage(Address.of(self.address).root, "", self.keys.credentials).delta_options
        return {**options, "AWS_SKIP_SIGNATURE": "true"} if self.keys.anonymous else options

    @property
    def iceberg_options(self) -> dict[str, str]:
        """What pyiceberg needs to read the table's files; nothing on disk."""
        return self.keys.iceberg_options if self.keys else {}


def place_of(path: str, conn_id: str | None, wanted: Wanted) -> Place:
    """The place that a path stands for in a partition.

    Raises `SourceError` for a connection that is not defined or none to S3.
    """
    name = fill(path, wanted.partition, wanted.start).rstrip("/")
    if not Address.of(name).scheme:
        return Place(name, str(wanted.folder / name))
    keys = keys_of(wanted.connect(conn_id)) if conn_id else Keys(wanted.storage.credentials)
    return Place(name, name, keys)


def keys_of(connection: Connection) -> Keys:
    """The keys of a connection to S3; raises `SourceError` if it lacks one, or has what tables cannot use."""
    settings = s3_settings(connection)
    if settings.ca:
        raise SourceError(
            f"connection '{connection.conn_id}': 'ca' in its extra is for files alone: trust it on "
            "this machine, and leave it out"
        )
    return Keys(s3_keys(connection, settings), settings.anonymous)
