"""The endpoint that gives OAuth 2 tokens (RFC 6749, sections 5.1 and 5.2).

No text that it answers is ever shown, because it may repeat what it was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

import httpx

from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.attempts import StumbleError
from evergreen.sources.http.auth.tls import refusal

MOST_BYTES = 2**20
_NOT_NOW = frozenset({408, 425, 429})
_REMEDIES = {
    "invalid_client": "check the connection's login and password, and 'client_auth' in its extra",
    "invalid_grant": "the refresh token was used, withdrawn or has ended: put a new one into the connection",
    "invalid_scope": "check 'scope' in the connection's extra",
    "invalid_request": "check 'scope', 'token_params' and 'client_auth' in the connection's extra",
    "unauthorized_client": "the client lacks the right to this kind of grant: ask the API's owner",
    "unsupported_grant_type": "the endpoint does not know this kind of grant: choose another 'auth'",
}
"""The errors that RFC 6749 knows: only these words of an answer are repeated."""
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Token:
    """An access token; `seconds` is its life, None if it was not told. Secrets are left out of the `repr`."""

    access: str = field(repr=False)
    seconds: float | None
    refresh: str | None = field(repr=False)


@dataclass(frozen=True)
class TokenEndpoint:
    """The endpoint at `url`; `client` is how this client names itself there: basic, or in the body."""

    conn_id: str
    url: str
    client: httpx.BasicAuth | Mapping[str, str] | None = field(repr=False)
    tls: SSLContext = field(repr=False)

    def ask(self, grant: Mapping[str, str], extensions: Mapping[str, Any]) -> Token:
        """A new token.

        Raises `StumbleError` if a retry may help: the endpoint cannot be reached, is busy or answers 5xx.
        Raises `SourceError` for any other answer without a token; a redirect is not followed.
        """
        auth, form = (
            (self.client, {}) if isinstance(self.client, httpx.BasicAuth) else (None, self.client or {})
        )
        try:
            with (
                httpx.Client(verify=self.tls, auth=auth) as client,
                client.stream(
                    "POST",
                    self.url,
                    data={**grant, **form},
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                    extensions=dict(extensions),
                ) as response,
            ):
                return self._token(response.status_code, self._body(response))
        except httpx.RequestError as error:
            if why := refusal(error):
                raise SourceError(f"{self._where} cannot be used: {why}") from None
            raise StumbleError(f"{self._where} failed ({type(error).__name__})") from None

    @property
    def _where(self) -> str:
        return f"connection '{self.conn_id}': the token endpoint {shown(httpx.URL(self.url).host)}"

    def _body(self, response: httpx.Response) -> bytes:
        body = b""
        for piece in response.iter_raw():
            body += piece
            if len(body) > MOST_BYTES:
                raise SourceError(
                    f"{self._where} answers with more than {MOST_BYTES:,} bytes: check 'token_url'"
                )
        return body

    def _token(self, status: int, body: bytes) -> Token:
        if status in _NOT_NOW or status >= 500:
            raise StumbleError(f"{self._where} answered {status}")
        answer: Any = None
        with suppress(ValueError, RecursionError):
            answer = json.loads(body)
        said = answer if isinstance(answer, dict) else {}
        error = said.get("error")
        if isinstance(error, str) and error in _REMEDIES:
            raise SourceError(f"{self._where} answered {status} {error}: {_REMEDIES[error]}")
        if status in (301, 302, 303, 307, 308):
            raise SourceError(
                f"{self._where} redirects, which is not followed, because the client's secret must not be "
                "sent elsewhere: set 'token_url' to the right address"
            )
        if status not in (200, 201):
            raise SourceError(f"{self._where} answered {status}: check 'token_url', login and password")
        access = said.get("access_token")
        if not isinstance(access, str) or not _TOKEN.fullmatch(access):
            raise SourceError(f"{self._where} answered {status} without an access_token: check 'token_url'")
        if str(said.get("token_type", "bearer")).lower() != "bearer":
            raise SourceError(f"{self._where} gives a token that is no bearer token: ask the API's owner")
        refresh = said.get("refresh_token")
        return Token(access, _seconds(said.get("expires_in")), refresh if isinstance(refresh, str) else None)


def _seconds(told: object) -> float | None:
    """The life of a token, which some endpoints tell as text; None if it is not told."""
    if isinstance(told, bool) or not isinstance(told, int | float | str):
        return None
    try:
        seconds = float(told)
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if seconds == seconds else None  # noqa: PLR0124 - NaN is no length
