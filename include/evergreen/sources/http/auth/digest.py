"""Digest authentication (RFC 7616)."""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar

import httpx

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.http.auth.settings import Credentials, Settings


class Digest(Settings):
    """Login and password as answers to the server's challenges; the password itself is never sent."""

    needs: ClassVar = ("login", "password")

    def credentials(self, connection: Connection) -> Credentials:
        """Digest authentication, which keeps the server's last challenge for the next request."""
        auth = _Answering(connection.conn_id, connection.login or "", connection.password or "")
        return Credentials(self.tls(connection), self.headers, auth=auth)


class _Answering(httpx.DigestAuth):
    def __init__(self, conn_id: str, login: str, password: str) -> None:
        super().__init__(login, password)
        self._conn_id = conn_id

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            yield from super().auth_flow(request)
        except (KeyError, ValueError, NotImplementedError, httpx.ProtocolError):
            raise SourceError(
                f"connection '{self._conn_id}': the API's digest challenge is malformed, or of a kind that "
                "is not supported (MD5, SHA, SHA-256 and SHA-512 with qop=auth are): use another kind"
            ) from None
