"""What every kind of authentication is: settings in a connection's extra that give credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any, ClassVar, Self

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.shown import shown
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


class Settings(BaseModel):
    """A connection's extra, as a kind of authentication reads it.

    `needs` are the fields of the connection that must be filled in, `marker` is the key that only this kind
    has. The keys here are those that every kind has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
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
        where = f"connection '{connection.conn_id}'"
        try:
            settings = cls.model_validate(dict(connection.extra))
        except ValidationError as error:
            raise SourceError(f"{where}: {_problem(cls, kind, error)}") from None
        for name in cls.needs:
            if not getattr(connection, name):
                raise SourceError(f"{where} has no {name}, which the authentication '{kind}' needs: set it")
        return settings

    def credentials(self, connection: Connection) -> Credentials:
        """What authenticates the requests; raises `SourceError` if the settings do not give it."""
        raise NotImplementedError

    def tls(self, connection: Connection) -> SSLContext:
        """The trust in servers, and this client's certificate; raises `SourceError` for an unusable file."""
        own = Tls(self.client_cert, self.client_key, self.client_key_password, self.ca)
        return own.context(connection.conn_id)


def _problem(settings: type[Settings], kind: str, error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(settings.model_fields))
        return f"'{shown(key)}' in its extra is no key of the authentication '{kind}': allowed are {allowed}"
    if first["type"] == "missing":
        return f"its extra has no '{key}', which the authentication '{kind}' needs: add it"
    if not key:
        return f"its extra {first['msg'].removeprefix('Value error, ')}"
    return f"'{key}' in its extra {_must(first['type'], first['msg'])}"


def _must(kind: str, message: str) -> str:
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return f"is wrong ({message[:1].lower()}{message[1:]})"
