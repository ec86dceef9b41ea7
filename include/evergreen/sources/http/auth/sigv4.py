"""Requests signed as AWS asks for (Signature Version 4), by botocore's own signer.

<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import ClassVar
from urllib.parse import parse_qsl, quote

import httpx
from pydantic import Field

from evergreen.connections import Connection
from evergreen.sources.http.auth.settings import Credentials, Settings

_SAFE = "-_.~"  # all other characters of a query are encoded where it is signed


class SigV4(Settings):
    """The login is the access key's id, the password its secret; `service` as AWS names it: `execute-api`."""

    needs: ClassVar = ("login", "password")

    region: str
    service: str
    session_token: str | None = Field(default=None, repr=False)

    def credentials(self, connection: Connection) -> Credentials:
        """A signature of each request."""
        return Credentials(self.tls(connection), self.headers, auth=_Signed(self, connection))


class _Signed(httpx.Auth):
    requires_request_body = True

    def __init__(self, settings: SigV4, connection: Connection) -> None:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.credentials import Credentials as Keys

        # S3 alone takes a path as it is, all other services encode it once more.
        kind = S3SigV4Auth if settings.service == "s3" else SigV4Auth
        keys = Keys(connection.login, connection.password, settings.session_token)
        self._signer = kind(keys, settings.service, settings.region)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        from botocore.awsrequest import AWSRequest

        if query := request.url.query:
            request.url = request.url.copy_with(query=_canonical(query))
        own = {name: request.headers[name] for name in ("Host", "Content-Type") if name in request.headers}
        signed = AWSRequest(request.method, str(request.url), own, request.content)
        self._signer.add_auth(signed)
        request.headers.update(
            {name: str(value) for name, value in signed.headers.items() if name not in own}
        )
        yield request


def _canonical(query: bytes) -> bytes:
    pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True)
    return "&".join(f"{quote(name, safe=_SAFE)}={quote(value, safe=_SAFE)}" for name, value in pairs).encode()


def _holds_no_token(record: logging.LogRecord) -> bool:
    # At the level DEBUG botocore logs the headers that it signs, among them the session token.
    return not str(record.msg).startswith("CanonicalRequest")


logging.getLogger("botocore.auth").addFilter(_holds_no_token)
