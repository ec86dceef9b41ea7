"""A key in the JSON body of a POST."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, ClassVar

import httpx

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.http.auth.settings import Credentials, Settings


class BodyKey(Settings):
    """The password in the field of the JSON body that `api_key_field` names, such as `auth.key` (dotted)."""

    needs: ClassVar = ("password",)
    marker: ClassVar = "api_key_field"

    api_key_field: str

    def credentials(self, connection: Connection) -> Credentials:
        """The key is put into the body when it is sent, so that no description or checkpoint has it."""
        auth = _IntoBody(connection.conn_id, self.api_key_field.split("."), connection.password or "")
        return Credentials(self.tls(connection), self.headers, auth=auth)


class _IntoBody(httpx.Auth):
    requires_request_body = True

    def __init__(self, conn_id: str, path: list[str], key: str) -> None:
        self._conn_id, self._path, self._key = conn_id, path, key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        content = json.dumps(self._with_key(request.content)).encode()
        headers = request.headers.copy()
        headers["Content-Length"] = str(len(content))
        yield httpx.Request(
            request.method, request.url, headers=headers, content=content, extensions=request.extensions
        )

    def _with_key(self, content: bytes) -> dict[str, Any]:
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        place = document
        for name in self._path[:-1]:
            place = place.setdefault(name, {}) if isinstance(place, dict) else None
        if not isinstance(document, dict) or not isinstance(place, dict):
            raise SourceError(
                f"connection '{self._conn_id}' puts its key into the body, and the request has no JSON "
                "object there: give the source a 'body' and 'method: POST', or use 'api_key_header'"
            )
        place[self._path[-1]] = self._key
        return document
