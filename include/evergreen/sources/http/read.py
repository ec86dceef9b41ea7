"""Reads a paged API to Arrow: pages go into a temporary file, and a retry resumes after the last good one."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
from tenacity import wait_random_exponential

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.errors import EvergreenError, SourceError
from evergreen.rows.batches import Rows
from evergreen.rows.local import TIME
from evergreen.shown import shown
from evergreen.sources.checkpoint import Checkpoint, Keeper
from evergreen.sources.http.address import first_page, next_page
from evergreen.sources.http.answer import Content, read_content
from evergreen.sources.http.client import Answer, Api, Session, api_of
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.document import at
from evergreen.sources.http.paging import Page, Progress
from evergreen.sources.http.stumble import TooMuchError
from evergreen.sources.local_times import with_event_time
from evergreen.sources.text.spool import Spool

ATTEMPTS = 5
PAGE_BYTES = 64 * 2**20  # unpacked; a page is held in memory
_BACKOFF = wait_random_exponential(multiplier=0.25, max=20)
_ACCEPT = {
    "json": "application/json",
    "json_lines": "application/x-ndjson, application/jsonl, */*;q=0.5",
    "csv": "text/csv, */*;q=0.5",
}
_log = logging.getLogger(__name__)


def read_http(
    source: HttpSource,
    connection: Connection,
    partition: str,
    checkpoint: Checkpoint | None = None,
    zone: Zone = UTC_ZONE,
) -> Rows:
    """All records of the API for one partition; memory is that of a page.

    Types are as `prepare_records` says, or `prepare_texts` of CSV.

    Time-outs, resets, truncated answers, 429 (waiting as `Retry-After` says, at most 5 minutes) and
    5xx are retried, 5 times per page with growing random pauses, then raise `UnavailableError`, as does the
    end of the source's `timeout`. Raises `SourceError` for a request the API refuses, an answer of another
    shape, a repeated page, cursor or link, a `total` that is not the number of records (the last one
    counts, if it changes from page to page), more than `max_pages`, `max_bytes` or 64 MB a page, a redirect
    or link to another host, and a `time_column` that is no time.

    With a checkpoint, the pages read so far are stored at regular intervals and when an error ends the read;
    the next read resumes after the last good page. If the API refuses that, it starts from the first page.
    """
    fill = {name: value.replace("{partition}", partition) for name, value in source.headers.items()}
    api = api_of(connection, {"Accept": _ACCEPT[source.format], **fill})
    params = {name: value.replace("{partition}", partition) for name, value in source.params.items()}
    path = api.address(source.path.replace("{partition}", partition))
    deadline = time.monotonic() + source.timeout.total_seconds()
    first = first_page(source.paging.config, path, params)
    keeper = Keeper(checkpoint, _identity(source, zone, str(api.base), first))
    with Session(api, source.path, deadline, ATTEMPTS, _BACKOFF) as session:
        reading = _Reading(source, api, session, keeper, first=first, zone=zone)
        try:
            reading.all_pages()
        except BaseException:
            reading.spool.close()
            raise
    rows = reading.rows()
    return replace(rows, batches=_UntilDrained(rows, keeper))


class _Reading:
    """One read: the pages so far in a spool, and its progress."""

    def __init__(
        self, source: HttpSource, api: Api, session: Session, keeper: Keeper, *, first: str, zone: Zone
    ) -> None:
        self._source, self._zone, self._api, self._session = source, zone, api, session
        self._first, self._keeper = first, keeper
        self._whole = True  # the spool holds just the pages that the progress counts
        self._last: Content | str | None  # the last page, or the digest of its records
        self._begin()

    def all_pages(self) -> None:
        """Read to the end; any error before saves the pages so far."""
        resumed = self._resume()
        try:
            while self._progress.address is not None:
                self._check_pages()
                try:
                    self._page(self._progress, self._progress.address)
                except SourceError as error:
                    if not resumed or isinstance(error, TooMuchError):
                        raise
                    _log.warning(
                        "%s: cannot resume after the last good page and starts again: %s", self._path, error
                    )
                    self._start_over()
                resumed = False
                if self._keeper.due(self.spool.unsaved):
                    self._keeper.save(self._snapshot)
        except BaseException:
            if self._whole:
                self._keeper.save(self._snapshot)
            raise

    def rows(self) -> Rows:
        """The rows of all pages; what is wrong with them as a whole is no base for a retry."""
        try:
            self._check_total()
            rows = with_event_time(self.spool.rows(), self._source.time_column, self._zone)
            _check_time(rows.schema, self._source)
        except EvergreenError:
            self._keeper.clear()
            self.spool.close()
            raise
        return rows

    @property
    def _path(self) -> str:
        return self._source.path

    def _page(self, progress: Progress, address: str) -> None:
        progress.seen[address] = None
        answered = self._ask(progress, address)
        if answered is None:
            self._progress = replace(progress, address=None)
            return
        content, answer = answered
        self._check_repeated(content, progress)
        after = self._after(progress, content, answer)
        prepared = content.prepare(self.spool, after.pages)
        self._whole = False
        self.spool.keep(prepared)
        self._progress, self._last = after, content
        self._whole = True

    def _ask(self, progress: Progress, address: str) -> tuple[Content, Answer] | None:
        limit = min(PAGE_BYTES, self._source.max_bytes - progress.bytes)
        return self._session.get(address, limit, self._read, progress.probe)

    def _read(self, answer: Answer) -> tuple[Content, Answer]:
        return read_content(self._source, answer), answer

    def _after(self, progress: Progress, content: Content, answer: Answer) -> Progress:
        total = _total(content, self._source)
        so_far = replace(
            progress,
            pages=progress.pages + 1,
            records=progress.records + len(content),
            bytes=progress.bytes + len(answer.body),
            largest=max(progress.largest, len(content)),
            total=progress.total if total is None else total,
        )
        page = Page(len(content), content.document, answer.headers, answer.url)
        found = next_page(self._source.paging.config, self._first, so_far, page)
        if found is None:
            return replace(so_far, address=None, probe=False)
        address = self._api.without_key(found.address)
        if address in progress.seen:
            raise SourceError(f"{self._path}: the link to a page came twice: the API's paging is broken")
        return replace(so_far, address=address, probe=found.probe)

    def _check_pages(self) -> None:
        most = self._source.max_pages
        if self._progress.pages >= most and not self._progress.probe:
            raise TooMuchError(
                f"{self._path}: more than {most} pages: narrow the source's params or raise max_pages"
            )

    def _check_repeated(self, content: Content, progress: Progress) -> None:
        if not content.records or self._last is None:
            return
        if isinstance(self._last, str):
            same = content.digest() == self._last
        else:
            same = content.records == self._last.records
        if same:
            raise SourceError(
                f"{self._path}: page {progress.pages + 1} has the records of the page before it: the API's "
                "paging is broken, or the source's 'paging' is not the API's"
            )

    def _check_total(self) -> None:
        total, got = self._progress.total, self._progress.records
        if self._source.total is None or total == got or (total is None and not got):
            return
        says = f"no total under '{self._source.total}'" if total is None else f"a total of {total}"
        raise SourceError(
            f"{self._path}: the API gave {got} records and {says}: run again, or tell the API's owner"
        )

    def _resume(self) -> bool:
        kept = self._keeper.load()
        if kept is None:
            return False
        parts, state = kept
        self.spool.restore(parts, state["spool"])
        self._progress, self._last = Progress.from_dict(state["progress"]), state["last"]
        _log.info("%s: resuming after page %d", self._path, self._progress.pages)
        return True

    def _start_over(self) -> None:
        self._keeper.clear()
        self.spool.close()
        self._begin()

    def _begin(self) -> None:
        self.spool = Spool(self._source.types, self._zone)
        self._progress = Progress(self._first)
        self._last = None

    def _snapshot(self) -> tuple[bytes, dict[str, Any]]:
        last = self._last.digest() if isinstance(self._last, Content) else self._last
        part, spool = self.spool.save()
        return part, {"spool": spool, "progress": self._progress.to_dict(), "last": last}


@dataclass(frozen=True)
class _UntilDrained:
    """The batches of a read; its checkpoint is kept until all batches were taken."""

    rows: Rows
    keeper: Keeper

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self.rows
        self.keeper.clear()

    def close(self) -> None:
        self.rows.close()


def _total(content: Content, source: HttpSource) -> int | None:
    value = at(content.document, source.total) if source.total is not None else None
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        value = int(value)
    if isinstance(value, float | Decimal) and -(2.0**63) < value < 2.0**63 and value == int(value):
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise SourceError(
        f"{source.path}: '{shown(value)}' under '{source.total}' is no total: set 'total' right"
    )


def _check_time(schema: pa.Schema, source: HttpSource) -> None:
    name = source.time_column
    if name is None or not schema.names:
        return
    if name not in schema.names:
        there = ", ".join(map(shown, schema.names[:20]))
        raise SourceError(f"no field '{name}' (there: {there}): check time_column")
    if schema.field(name).type != TIME:
        raise SourceError(
            f"field '{name}' is not a time: the API must send ISO 8601 with an offset, "
            "or declare it 'time' under the source's types: then a time without an offset is local"
        )


def _identity(source: HttpSource, zone: Zone, base: str, first: str) -> str:
    """What a kept read was of: all that decides which records there are and how they are read."""
    described = source.model_dump(mode="json", exclude={"max_pages", "max_bytes", "timeout"})
    return hashlib.sha256(
        json.dumps([described, zone.name, base, first], sort_keys=True).encode()
    ).hexdigest()
