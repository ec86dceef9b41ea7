"""What every kind of authentication is: settings in a connection's extra that give credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any, ClassVar, Self

import httpx
from pydantic import Field, field_validator

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.extra import Extra
from evergreen.sources.http.auth.tls import Tls


@dataclass(frozen=True)
class Credentials:
    """What is added to each request; nothing of it is in the `repr`.

    `headers` are sent as they are, `key` is a parameter of the query, `auth` changes the request or answers a
    challenge, and `tls` is the trust in servers, with this client's certificate if it has one.
    """

    tls: SSLContext = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: tuple[str, str] | None = field(default=None, repr=False)
    auth: httpx.Auth | None = field(default=None, repr=False)


class Settings(Extra):
    """A connection's extra, as a kind of authentication reads it.

    `needs` are the fields of the connection that must be filled in, `marker` is the key that only this kind
    has. The keys here are those that every kind has.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    marker: ClassVar[str | None] = None

    auth: str | None = None
    headers: dict[str, str] = Field(default={}, repr=False)
    client_cert: Path | None = None
    client_key: Path | None = None
    client_key_password: str | None = Field(default=None, repr=False)
    ca: Path | None = None

    @field_validator("headers", mode="before")
    @classmethod
    def _mapping(cls, value: Any) -> dict[str, str]:
        if not isinstance(value or {}, Mapping):
            raise ValueError("must map names to values")
        return {str(name): str(each) for name, each in (value or {}).items()}

    @classmethod
    def of(cls, connection: Connection, kind: str) -> Self:
        """The settings of a connection; raises `SourceError` that names what is wrong, and no value."""
        settings = cls.read(connection, f"the authentication '{kind}'")
        for name in cls.needs:
            if not getattr(connection, name):
                raise SourceError(
                    f"connection '{connection.conn_id}' has no {name}, which the authentication '{kind}' "
                    "needs: set it"
                )
        return settings

    def credentials(self, connection: Connection) -> Credentials:
        """What authenticates the requests; raises `SourceError` if the settings do not give it."""
        raise NotImplementedError

    def tls(self, connection: Connection) -> SSLContext:
        """The trust in servers, and this client's certificate; raises `SourceError` for an unusable file."""
        own = Tls(self.client_cert, self.client_key, self.client_key_password, self.ca)
        return own.context(connection.conn_id)
