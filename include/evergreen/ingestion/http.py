"""A paged JSON API to Arrow: patient with an API that stumbles, plain about one that says no."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ssl import SSLContext
from typing import Any

import httpx
import pyarrow as pa
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.ingestion.columns import TIME, normalise
from evergreen.ingestion.records import records_to_table
from evergreen.spec import HttpSource

ATTEMPTS = 5
REDIRECTS = 5
RETRY_AFTER_LIMIT = 120.0  # seconds; longer is a matter for the scheduler's own retries
_TIMEOUT = httpx.Timeout(30, connect=10)
_BACKOFF = wait_random_exponential(multiplier=0.25, max=20)
_REMEDIES = {
    400: "check the source's path and params in pipeline.yaml",
    401: "check the key or password of the connection",
    403: "the key of the connection lacks the right to read this",
    404: "check the connection's host and the source's path in pipeline.yaml",
    422: "check the source's params in pipeline.yaml",
}
_SLOW_DOWN = frozenset({408, 425, 429})


class _StumbleError(Exception):
    """The API failed in a way that another attempt may mend."""

    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


@dataclass(frozen=True)
class _Api:
    client: httpx.Client
    path: str
    deadline: float

    def page(self, params: Mapping[str, str]) -> Any:
        """The JSON document of one page, asked for as often as it takes within reason."""
        attempts = Retrying(
            retry=retry_if_exception_type(_StumbleError),
            wait=_pause,
            stop=lambda state: stop_after_attempt(ATTEMPTS)(state) or time.monotonic() > self.deadline,
            reraise=True,
        )
        try:
            return attempts(self._once, params)
        except _StumbleError as stumble:
            raise UnavailableError(
                f"{self.path}: {stumble}, {attempts.statistics['attempt_number']} times: check the API, then "
                "run again"
            ) from None

    def _once(self, params: Mapping[str, str]) -> Any:
        try:
            answer = self._follow(self.client.get(self.path, params=dict(params)))
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol):
            # Its text may repeat the key.
            raise SourceError("the request cannot be sent: check the connection's host and key") from None
        except httpx.RequestError as error:
            raise _StumbleError(f"{self.client.base_url.host} failed ({type(error).__name__})") from None
        self._check(answer)
        try:
            return json.loads(answer.content)
        except ValueError:
            raise _StumbleError("the answer is not a whole JSON document") from None

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(REDIRECTS):
            there = answer.next_request
            if there is None or _origin(there.url) != _origin(answer.request.url):
                break
            answer = self.client.send(there)
        return answer

    def _check(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if answer.is_success:
            return
        if answer.is_redirect:
            target = answer.next_request.url.host if answer.next_request else "nowhere"
            raise SourceError(
                f"{self.path}: the API redirects to {target}, which is not followed, for the key must not go "
                "elsewhere: put that address into the connection if it is right"
            )
        if status in _SLOW_DOWN or answer.is_server_error:
            raise _StumbleError(f"the API answered {status}", _retry_after(answer))
        remedy = _REMEDIES.get(status, "check the source in pipeline.yaml")
        raise SourceError(f"{self.path}: the API answered {status}: {remedy}")


def read_http(source: HttpSource, connection: Connection, partition: str) -> pa.Table:
    """All records of the API for one partition, page after page; types as in `records_to_table`.

    Time-outs, resets, broken documents, 429 (waiting as `Retry-After` says, at most 2 minutes) and 5xx are
    tried again, 5 times a page with growing random pauses, then raise `UnavailableError`. Raises
    `SourceError` for a request the API refuses, an answer of another shape, a cursor that comes twice, more
    than `max_pages` pages, a redirect to another host (which would be sent the key) and a `time_column` that
    is not ISO 8601 with an offset. No records: no rows and no columns.
    """
    params = {name: value.replace("{partition}", partition) for name, value in source.params.items()}
    with _client(connection) as client:
        api = _Api(client, source.path, time.monotonic() + source.timeout.total_seconds())
        records = _all_records(api, source, params)
    table = normalise(records_to_table(records))
    _check_time(table, source)
    return table


def _all_records(api: _Api, source: HttpSource, params: dict[str, str]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number in range(source.max_pages):
        if time.monotonic() > api.deadline:
            raise UnavailableError(
                f"{source.path}: {number} pages took longer than the source's timeout: raise it, run again"
            )
        document = api.page(params)
        records += _records(document, source)
        cursor = _at(document, source.cursor_path) if source.next else None
        if source.next is None or cursor in (None, ""):
            return records
        if str(cursor) in seen:
            raise SourceError(f"{source.path}: the cursor '{cursor}' came twice: the API's paging is broken")
        seen.add(str(cursor))
        params = {**params, source.next: str(cursor)}
    raise SourceError(
        f"{source.path}: more than {source.max_pages} pages: narrow the source's params or raise max_pages"
    )


def _records(document: Any, source: HttpSource) -> list[dict[str, Any]]:
    found = _at(document, source.records)
    if isinstance(found, list) and all(isinstance(record, dict) for record in found):
        return found
    there = ", ".join(document) if isinstance(document, dict) else f"a {type(document).__name__}"
    raise SourceError(
        f"{source.path}: no list of records under '{source.records}' (there: {there}): set the source's "
        "'records' to where they are"
    )


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _check_time(table: pa.Table, source: HttpSource) -> None:
    name = source.time_column
    if name is None or not table.num_columns:
        return
    if name not in table.column_names:
        raise SourceError(f"no field '{name}' (there: {', '.join(table.column_names)}): check time_column")
    if table.column(name).type != TIME:
        raise SourceError(f"field '{name}' is not a time: the API must send ISO 8601 with an offset")


def _client(connection: Connection) -> httpx.Client:
    if not connection.host:
        raise SourceError(f"connection '{connection.conn_id}' has no host: set it to the API's address")
    address = (
        connection.host if "://" in connection.host else f"{connection.schema or 'https'}://{connection.host}"
    )
    if connection.port and httpx.URL(address).port is None:
        address = str(httpx.URL(address).copy_with(port=connection.port))
    headers = {"Accept": "application/json"}
    auth = None
    if connection.password and (header := connection.extra.get("api_key_header")):
        headers[str(header)] = connection.password
    elif connection.login:
        auth = httpx.BasicAuth(connection.login, connection.password or "")
    elif connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    try:
        return httpx.Client(base_url=address, headers=headers, auth=auth, timeout=_TIMEOUT, verify=_tls())
    except (httpx.InvalidURL, UnicodeError):
        raise SourceError(
            f"connection '{connection.conn_id}': its host is no address or its key not plain text: mend it"
        ) from None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


@cache
def _tls() -> SSLContext:
    # Loading the authorities' certificates takes longer than reading a page.
    return httpx.create_ssl_context()


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _StumbleError) else None
    return _BACKOFF(state) if asked is None else asked


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "").strip()
    try:
        seconds = float(text) if text[:1].isdigit() else _seconds_until(text)
    except ValueError:
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_LIMIT)


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.now(UTC)).total_seconds()
