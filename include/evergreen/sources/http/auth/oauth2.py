"""OAuth 2: an access token by client credentials or by a refresh token (RFC 6749, sections 4.4 and 6)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator
from typing import ClassVar, Literal
from urllib.parse import quote_plus

import httpx
from pydantic import Field, field_validator

from evergreen.connections import Connection
from evergreen.sources.http.auth.settings import Credentials, Settings
from evergreen.sources.http.auth.token_endpoint import TokenEndpoint
from evergreen.sources.http.auth.tokens import Tokens

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class OAuth2(Settings):
    """The login is the client's id, the password its secret; they are sent to `token_url` and nowhere else.

    `client_auth` says whether as basic authentication or in the body. `token_params` are further parameters
    of the request for a token, such as `audience`.
    """

    token_url: str
    client_auth: Literal["basic", "body"] = "basic"
    scope: str | None = None
    token_params: dict[str, str] = Field(default={}, repr=False)

    @field_validator("token_url")
    @classmethod
    def _secure(cls, value: str) -> str:
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL:
            raise ValueError("is no address: write it like https://login.example.org/token") from None
        if not url.host or (url.scheme != "https" and not (url.scheme == "http" and url.host in _LOOPBACK)):
            raise ValueError("must begin with https://, because the client's secret is sent there")
        if url.userinfo:
            raise ValueError("must not hold a login: use those of the connection")
        return value

    def credentials(self, connection: Connection) -> Credentials:
        """A token in the header `Authorization`, fetched when the first request is sent."""
        tls = self.tls(connection)
        endpoint = TokenEndpoint(connection.conn_id, self.token_url, self._client(connection), tls)
        return Credentials(tls, self.headers, auth=_Bearing(_kept(self, connection), endpoint, self._grant()))

    def _grant(self) -> dict[str, str]:
        raise NotImplementedError

    def _client(self, connection: Connection) -> dict[str, str] | httpx.BasicAuth | None:
        login, password = connection.login or "", connection.password or ""
        if self.client_auth == "body" or not password:
            secret = {"client_secret": password} if password else {}
            return {"client_id": login, **secret}
        return httpx.BasicAuth(quote_plus(login), quote_plus(password))

    def _asked(self, grant: dict[str, str]) -> dict[str, str]:
        return {**grant, **({"scope": self.scope} if self.scope else {}), **self.token_params}


class ClientCredentials(OAuth2):
    """A token for the client itself."""

    needs: ClassVar = ("login", "password")

    def _grant(self) -> dict[str, str]:
        return self._asked({"grant_type": "client_credentials"})


class RefreshToken(OAuth2):
    """A token for the user who gave consent, by the `refresh_token` that the client got then.

    If the server answers with a new refresh token, this process uses that one from then on.
    """

    needs: ClassVar = ("login",)

    refresh_token: str = Field(repr=False)

    def _grant(self) -> dict[str, str]:
        return self._asked({"grant_type": "refresh_token", "refresh_token": self.refresh_token})


class _Bearing(httpx.Auth):
    """Sends the kept token, and after a 401 once a renewed one."""

    def __init__(self, tokens: Tokens, endpoint: TokenEndpoint, grant: dict[str, str]) -> None:
        self._tokens, self._endpoint, self._grant = tokens, endpoint, grant

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self._tokens.valid(self._endpoint, self._grant, request.extensions)
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            token = self._tokens.valid(self._endpoint, self._grant, request.extensions, refused=token)
            request.headers["Authorization"] = f"Bearer {token}"
            yield request


_ALL: dict[str, Tokens] = {}
_LOCK = threading.Lock()


def _kept(settings: OAuth2, connection: Connection) -> Tokens:
    """The tokens of this process for a connection; a connection that was changed begins anew."""
    parts = (connection.conn_id, connection.login, connection.password, settings.model_dump(mode="json"))
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    with _LOCK:
        return _ALL.setdefault(digest, Tokens())
