"""Files of a web server (HTTP, HTTPS, WebDAV), by the client and the kinds of authentication of APIs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

import httpx

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.shown import shown
from evergreen.sources.attempts import ATTEMPTS, BACKOFF
from evergreen.sources.files.address import Address
from evergreen.sources.files.places.absent import AbsentError
from evergreen.sources.http.client import REDIRECTS, Api, Session, api_of
from evergreen.sources.http.inside import Outside
from evergreen.sources.http.progress import Request
from evergreen.sources.http.stumble import ElsewhereError

_LONGEST = 24 * 60 * 60.0  # seconds that a copy may take; a server that is silent is given up long before
# A file is kept as it is stored, so that its name tells whether it is compressed.
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}


def open_web(address: Address, connection: Connection | None) -> Web:
    """A server, by the credentials of a connection to just this scheme, host and port, or by none."""
    try:
        url = httpx.URL(address.top)
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError(f"path '{shown(address.top)}' is no address of a file: check its host") from None
    if connection is None:
        return Web(address, _stranger(url))
    api = api_of(connection, _HEADERS)
    if _origin(api.base) != _origin(url):
        own = "{}://{}:{}".format(*_origin(api.base))
        raise SourceError(
            f"connection '{connection.conn_id}' is for {own}, and the path begins with {address.top}: write "
            "the same address in both"
        )
    return Web(address, api)


@dataclass(frozen=True)
class Web:
    """The files of a server, whose paths are written as in a URL, with their query."""

    address: Address
    api: Api

    def matching(self, pattern: str) -> Iterable[str]:
        """A web server has no list of its files."""
        raise SourceError(
            f"{self.address.top}/{pattern}: files of a web server cannot be searched for: name one"
        )

    def exists(self, path: str) -> bool:
        """Whether the server has the file; nothing of it is read."""
        return self._asked(path, lambda session, there: session.has(there))

    def copy(self, path: str, file: IO[bytes]) -> None:
        """Copy a file; a copy that breaks begins anew."""
        if not self._asked(path, lambda session, there: session.save(Request(there, probe=True), file)):
            raise AbsentError.of(self._name(path))

    def _asked(self, path: str, ask: Callable[[Session, str], bool]) -> bool:
        """What `ask` answers at the file's own server, or at the one that it redirects to.

        Nothing of the connection is sent to another server: no header, no key, no certificate. Another
        host is followed to the public Internet alone.
        """
        name, deadline = self._name(path), time.monotonic() + _LONGEST
        elsewhere = Outside(name, "the server")
        api, there = self.api, _raw(self.address.top, path)
        for _ in range(REDIRECTS + 1):
            outside = None if api.base.host == self.api.base.host else elsewhere
            with Session(
                api, name, deadline, ATTEMPTS, BACKOFF, what="the server", outside=outside
            ) as session:
                try:
                    return ask(session, there)
                except ElsewhereError as away:
                    api, there = _redirected(name, api, away.url), away.url.raw_path.decode("ascii")
        raise SourceError(f"{name}: the server redirects in a circle: tell its owner")

    def _name(self, path: str) -> str:
        return self.address.name(path)


def _raw(top: str, path: str) -> str:
    try:
        return httpx.URL(f"{top}/{path}").raw_path.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError(f"path '{shown(f'{top}/{path}')}' is no address of a file: check it") from None


def _redirected(name: str, api: Api, url: httpx.URL) -> Api:
    allowed = ("https",) if api.base.scheme == "https" else ("http", "https")
    if url.scheme not in allowed or not url.host:
        raise SourceError(
            f"{name}: the server redirects to {shown(url.scheme)}://{shown(url.host)}, which is not followed "
            f"from {api.base.scheme}://: give the file's address there as the source's path if it is right"
        )
    return _stranger(url)


def _stranger(url: httpx.URL) -> Api:
    """A server that is sent nothing but the request."""
    port = f":{url.port}" if url.port else ""
    host = f"[{url.host}]" if ":" in url.host else url.host
    return api_of(Connection(url.host, "http", f"{url.scheme}://{host}{port}"), _HEADERS)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
