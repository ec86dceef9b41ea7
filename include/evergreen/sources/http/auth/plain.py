"""A secret that is sent as it is: a bearer token, basic authentication, a key in a header or in the query."""

from __future__ import annotations

from typing import ClassVar

import httpx

from evergreen.connections import Connection
from evergreen.sources.http.auth.settings import Credentials, Settings


class NoCredentials(Settings):
    """Nothing but the connection's headers, and its certificate if it has one."""

    def credentials(self, connection: Connection) -> Credentials:
        """The headers alone."""
        return Credentials(self.tls(connection), self.headers)


class Bearer(Settings):
    """The password is a token in the header `Authorization` (RFC 6750)."""

    needs: ClassVar = ("password",)

    def credentials(self, connection: Connection) -> Credentials:
        """The header with the token."""
        bearer = {"Authorization": f"Bearer {connection.password}"}
        return Credentials(self.tls(connection), self.headers | bearer)


class Basic(Settings):
    """Login and password as basic authentication (RFC 7617); the password may be empty."""

    needs: ClassVar = ("login",)

    def credentials(self, connection: Connection) -> Credentials:
        """Basic authentication."""
        auth = httpx.BasicAuth(connection.login or "", connection.password or "")
        return Credentials(self.tls(connection), self.headers, auth=auth)


class HeaderKey(Settings):
    """The password in the header that `api_key_header` names."""

    needs: ClassVar = ("password",)
    marker: ClassVar = "api_key_header"

    api_key_header: str

    def credentials(self, connection: Connection) -> Credentials:
        """The header with the key."""
        key = {self.api_key_header: connection.password or ""}
        return Credentials(self.tls(connection), self.headers | key)


class QueryKey(Settings):
    """The password in the parameter of the query that `api_key_param` names."""

    needs: ClassVar = ("password",)
    marker: ClassVar = "api_key_param"

    api_key_param: str

    def credentials(self, connection: Connection) -> Credentials:
        """The parameter with the key."""
        key = (self.api_key_param, connection.password or "")
        return Credentials(self.tls(connection), self.headers, key=key)
