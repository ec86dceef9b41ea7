"""The client of one API for one read: credentials, retries, no other host, limits of bytes and time."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from ssl import SSLContext
from typing import IO, Any, NamedTuple, TypeVar

import httpx
from tenacity.wait import wait_base

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.shown import shown
from evergreen.sources.attempts import Attempts, StumbleError
from evergreen.sources.http.auth import credentials_of
from evergreen.sources.http.auth.tls import refusal, trusted
from evergreen.sources.http.content_coding import ACCEPTED, unpacked
from evergreen.sources.http.cut_off import CutOff
from evergreen.sources.http.inside import Outside
from evergreen.sources.http.pace import Pace
from evergreen.sources.http.progress import Request
from evergreen.sources.http.stumble import ElsewhereError, TooMuchError
from evergreen.sources.http.zipped import is_zip, unzipped

REDIRECTS = 5
_CONNECT, _SILENCE = 10.0, 30.0  # seconds
_REMEDIES = {
    400: "check the source's path and params in pipeline.yaml",
    401: "check the key or password of the connection",
    403: "the key of the connection lacks the right to read this",
    404: "check the connection's host and the source's path in pipeline.yaml",
    422: "check the source's params in pipeline.yaml",
}
_GOOD = frozenset({200, 203, 204})
_NOT_NOW = frozenset({202, 408, 425, 429})
_NO_MORE = frozenset({404, 416})
_JSON = {"Content-Type": "application/json"}

T = TypeVar("T")


@dataclass(frozen=True)
class Api:
    """The address and credentials of an API, from a connection; the credentials are not in its `repr`."""

    base: httpx.URL
    headers: httpx.Headers = field(repr=False)
    auth: httpx.Auth | None = field(repr=False)
    key: tuple[str, str] | None = field(repr=False)
    tls: SSLContext = field(repr=False)

    @property
    def is_plain(self) -> bool:
        """Whether any HTTP client can send its requests: no challenge, no token to fetch, no certificate."""
        return self.tls is trusted() and (self.auth is None or isinstance(self.auth, httpx.BasicAuth))

    def address(self, path: str) -> str:
        """The address of the API's path on its host."""
        return self.base.raw_path.decode("ascii").rstrip("/") + path

    def without_key(self, address: str) -> str:
        """An address that the API gave, without the key that it may have repeated there."""
        if self.key is None:
            return address
        url = self.base.copy_with(raw_path=address.encode("ascii"))
        return url.copy_remove_param(self.key[0]).raw_path.decode("ascii")

    def url(self, address: str) -> httpx.URL:
        """The URL of an address, with the key if it is sent in the query."""
        url = self.base.copy_with(raw_path=address.encode("ascii"))
        return url.copy_set_param(*self.key) if self.key else url


@dataclass(frozen=True)
class Answer:
    """A good answer, unpacked. `url` is where it came from, after redirects, without the key."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str


class _Redirect(NamedTuple):
    address: str


def api_of(connection: Connection, headers: Mapping[str, str]) -> Api:
    """The API of a connection; `headers` are sent in addition to those of the connection's extra.

    The credentials are those of `credentials_of`. Raises `SourceError`.
    """
    if not connection.host:
        raise SourceError(f"connection '{connection.conn_id}' has no host: set it to the API's address")
    try:
        base = _base(connection)
        login, password = connection.login or base.username, connection.password or base.password
        known = credentials_of(replace(connection, login=login or None, password=password or None))
        every = httpx.Headers({"Accept-Encoding": ACCEPTED})
        every.update(httpx.Headers(dict(headers)))
        every.update(httpx.Headers(dict(known.headers)))
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError(
            f"connection '{connection.conn_id}': its host is no address or its key not plain "
            "text: fix the connection"
        ) from None
    bare = base.copy_with(username=None, password=None, query=None, fragment=None)
    return Api(bare, every, known.auth, known.key, known.tls)


class Session:
    """Requests pages from one API, with a limited number of retries each, until the read's deadline.

    `deadline` is a moment of `time.monotonic`, at which a running request is aborted. `where` is the prefix
    of every message, `pace` is kept by all requests. There is one request at a time. With `outside` no host
    inside a network is asked.
    """

    def __init__(
        self,
        api: Api,
        where: str,
        deadline: float,
        attempts: int,
        backoff: wait_base,
        *,
        pace: Pace | None = None,
        what: str = "the API",
        outside: Outside | None = None,
    ) -> None:
        self._api, self._where, self._what, self._pace = api, where, what, pace or Pace()
        self._attempts = Attempts(where, what, attempts, backoff, deadline)
        self._client = httpx.Client(auth=api.auth, verify=api.tls)
        self._client.headers.update(api.headers)
        self._cut_off = CutOff(self._attempts.left)
        self._outside = outside

    @property
    def api(self) -> Api:
        """The API that it asks."""
        return self._api

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._cut_off.cancel()
        self._client.close()

    def stop(self) -> None:
        """Let the deadline be now, which ends a request of another thread."""
        self._attempts.stop()
        self._pace.stop()
        self._cut_off.now()

    def ask(self, request: Request, limit: int, read: Callable[[Answer], T]) -> T | None:
        """The result of `read` for the answer; `read` may raise `StumbleError` to request a retry.

        None if the request is a probe and there is no such page. Raises `UnavailableError` after the last
        attempt or at the deadline, `SourceError` for a refusal or a redirect to another host, and
        `TooMuchError` for a body of more than `limit` bytes.
        """
        return self._attempts.run(partial(self._once, request, partial(self._answered, limit, read)))

    def save(self, request: Request, file: IO[bytes]) -> bool:
        """Write the answer's body into a file, as it is sent, and go back to its beginning.

        False if the request is a probe and there is no such page. Raises as `ask` does.
        """
        return self._attempts.run(partial(self._once, request, partial(self._saved, file))) is not None

    def has(self, address: str) -> bool:
        """Whether there is a page at the address; its body is not read. Raises as `ask` does."""
        request = Request(address, probe=True)
        return self._attempts.run(partial(self._once, request, lambda _: True)) is not None

    def _once(self, request: Request, take: Callable[[httpx.Response], T]) -> T | None:
        try:
            for _ in range(REDIRECTS + 1):
                taken = self._send(request, take)
                if not isinstance(taken, _Redirect):
                    return taken
                request = replace(request, address=taken.address)
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            # Its text may repeat the key.
            raise SourceError("the request cannot be sent: check the connection's host and key") from None
        except httpx.RequestError as error:
            self._time_left()  # at the deadline the connection is cut off by us
            if why := refusal(error):
                raise SourceError(f"{self._where}: {self._api.base.host} cannot be used: {why}") from None
            raise StumbleError(f"{self._api.base.host} failed ({type(error).__name__})") from None
        raise SourceError(f"{self._where}: {self._what} redirects in a circle: tell its owner")

    def _send(self, asked: Request, take: Callable[[httpx.Response], T]) -> T | _Redirect | None:
        """What is taken of the answer, or where it redirects; None if there is no page, and need not be."""
        self._pace.wait(self._time_left())
        left, url = self._time_left(), self._api.url(asked.address)
        if self._outside:
            self._outside.check_asked(url)
        request = self._client.build_request(
            "GET" if asked.body is None else "POST",
            url,
            content=asked.body,
            headers={**({} if asked.body is None else _JSON), **asked.headers},
            timeout=httpx.Timeout(min(_SILENCE, left), connect=min(_CONNECT, left)),
            extensions={"trace": partial(self._trace, url)},
        )
        response = self._client.send(request, stream=True)
        try:
            if response.has_redirect_location:
                return self._redirected(response)
            if asked.probe and response.status_code in _NO_MORE:
                return None
            self._check(response)
            return take(response)
        finally:
            response.close()

    def _trace(self, url: httpx.URL, event: str, info: dict[str, Any]) -> None:
        if self._outside:
            self._outside.check_reached(url, event, info)
        self._cut_off.note(event, info)

    def _answered(self, limit: int, read: Callable[[Answer], T], response: httpx.Response) -> T:
        body = b"" if response.status_code == 204 else self._body(response, limit)
        url = response.request.url
        url = url.copy_remove_param(self._api.key[0]) if self._api.key else url
        return read(Answer(response.status_code, response.headers, body, str(url)))

    def _saved(self, file: IO[bytes], response: httpx.Response) -> bool:
        file.seek(0)
        file.truncate()
        for piece in response.iter_raw():
            file.write(piece)
            self._time_left()
        file.seek(0)
        return True

    def _body(self, response: httpx.Response, limit: int) -> bytes:
        headers = response.headers
        body = self._at_most(limit, unpacked(response.iter_raw(), headers.get("Content-Encoding", "")))
        if is_zip(body, headers.get("Content-Type", "")):
            return self._at_most(limit, unzipped(body, self._where))
        return body

    def _at_most(self, limit: int, pieces: Iterable[bytes]) -> bytes:
        all_pieces, size = [], 0
        for piece in pieces:
            all_pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise TooMuchError(
                    f"{self._where}: a page of more than {limit:,} bytes, the rest of max_bytes or 64 MB a "
                    "page: ask for smaller pages, narrow the source's params or raise max_bytes"
                )
            self._time_left()
        return b"".join(all_pieces)

    def _redirected(self, response: httpx.Response) -> _Redirect:
        here = response.request.url
        try:
            there = here.join(response.headers["Location"])
            address = there.raw_path.decode("ascii")
        except (httpx.InvalidURL, ValueError):
            raise SourceError(
                f"{self._where}: {self._what} redirects to no address: tell its owner"
            ) from None
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            away = ElsewhereError(
                f"{self._where}: {self._what} redirects to {there.scheme}://{shown(there.host)}, which is "
                "not followed, because the key must not be sent elsewhere: put that address into the "
                "connection if it is right"
            )
            away.url = there.copy_remove_param(self._api.key[0]) if self._api.key else there
            raise away
        return _Redirect(self._api.without_key(address))

    def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in _GOOD:
            return
        wait = _retry_after(response.headers)
        if status in _NOT_NOW or response.is_server_error or (status == 403 and wait is not None):
            raise StumbleError(f"{self._what} answered {status}", wait)
        remedy = _REMEDIES.get(status, "check the source in pipeline.yaml")
        raise SourceError(f"{self._where}: {self._what} answered {status}: {remedy}")

    def _time_left(self) -> float:
        if (left := self._attempts.left) <= 0:
            raise UnavailableError(
                f"{self._where}: the source's timeout is over: raise it, or run again to go on from here"
            )
        return left


def _base(connection: Connection) -> httpx.URL:
    host = str(connection.host)
    base = httpx.URL(host if "://" in host else f"{connection.schema or 'https'}://{host}")
    return base.copy_with(port=connection.port) if connection.port and base.port is None else base


def _retry_after(headers: httpx.Headers) -> float | None:
    """The seconds that an answer asks to wait, by a number or by a date (counted from the answer's own)."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    try:
        moment = _moment(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    try:
        now = _moment(headers.get("Date", ""))
    except (ValueError, TypeError, IndexError, OverflowError):
        now = datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds())


def _moment(date: str) -> datetime:
    moment = parsedate_to_datetime(date)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _without_query(record: logging.LogRecord) -> bool:
    # httpx logs the URL of every request, and a key may be in its query.
    if isinstance(record.args, tuple):
        record.args = tuple(
            arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args
        )
    return True


def _no_answered_headers(record: logging.LogRecord) -> bool:
    # At the level DEBUG httpcore logs the headers of answers, which may repeat what was sent.
    return "receive_response_headers.complete" not in str(record.msg)


logging.getLogger("httpx").addFilter(_without_query)
logging.getLogger("httpcore.http11").addFilter(_no_answered_headers)
