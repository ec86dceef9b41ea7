"""Reads a paged API to Arrow: pages go into a temporary file, and a retry resumes after the last good one."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.errors import EvergreenError, SourceError
from evergreen.rows.batches import Rows
from evergreen.rows.local import TIME
from evergreen.shown import shown
from evergreen.sources.attempts import ATTEMPTS, BACKOFF
from evergreen.sources.checkpoint import Checkpoint, Keeper
from evergreen.sources.http.address import first_page
from evergreen.sources.http.answer import Content
from evergreen.sources.http.client import Session, api_of
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.pace import Pace
from evergreen.sources.http.pages import Pages
from evergreen.sources.http.progress import Progress, Request
from evergreen.sources.http.stumble import SpoiltError, TooMuchError
from evergreen.sources.local_times import with_event_time
from evergreen.sources.placeholders import Window, filled, filled_json, filled_texts
from evergreen.sources.text.column_types import TextTypes, declared_of
from evergreen.sources.text.spool import Spool

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
    *,
    bounds: tuple[datetime | None, datetime | None] = (None, None),
    published: Mapping[str, str] = {},
) -> Rows:
    """All records of the API for one partition, which has these bounds; memory is that of a page.

    Types are as `prepare_records` says, or `prepare_texts` of CSV; `published` columns keep theirs.

    Time-outs, resets, truncated answers, 429 (waiting as `Retry-After` says, at most 5 minutes) and
    5xx are retried, 5 times per page with growing random pauses, then raise `UnavailableError`, as does the
    end of the source's `timeout`. Raises `SourceError` for a request the API refuses, an answer of another
    shape, a repeated page, cursor or link, a `total` that is not the number of records (the last one
    counts, if it changes from page to page), more than `max_pages`, `max_bytes` or 64 MB a page, a redirect
    or link to another host, and a `time_column` that is no time.

    With a checkpoint, the pages read so far are stored at regular intervals and when an error ends the read;
    the next read resumes after the last good page. If the API refuses that, it starts from the first page.
    """
    source = source.model_copy(update={"types": TextTypes(source.types, published)})
    window = Window(partition, *bounds).within(source.zone)
    headers = filled_texts(source.headers, window)
    api = api_of(connection, {"Accept": _ACCEPT[source.format], **headers})
    path, params = api.address(filled(source.path, window)), filled_texts(source.params, window)
    body = filled_json(source.body or {}, window) if source.method == "POST" else None
    deadline = time.monotonic() + source.timeout.total_seconds()
    first = first_page(source.paging.config, path, params, body)
    keeper = Keeper(checkpoint, _identity(source, zone, str(api.base), first))
    with Session(api, source.path, deadline, ATTEMPTS, BACKOFF, pace=Pace(source.rate)) as session:
        reading = _Reading(source, session, keeper, first=first, zone=zone)
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
        self, source: HttpSource, session: Session, keeper: Keeper, *, first: Request, zone: Zone
    ) -> None:
        self._source, self._zone, self._session = source, zone, session
        self._first, self._keeper = first, keeper
        self._whole = True  # the spool holds just the pages that the progress counts
        self._begin()

    def all_pages(self) -> None:
        """Read to the end; any error before saves the pages so far, unless they are void."""
        resumed = self._resume()
        try:
            while not self._pages.at_end:
                try:
                    content = self._pages.following()
                except SourceError as error:
                    if not resumed or isinstance(error, TooMuchError):
                        raise
                    _log.warning(
                        "%s: cannot resume after the last good page and starts again: %s", self._path, error
                    )
                    self._start_over()
                    content = None
                resumed = False
                self._keep(content)
        except SpoiltError:
            self._keeper.clear()
            raise
        except BaseException:
            if self._whole:
                self._keeper.save(self._snapshot)
            raise

    def rows(self) -> Rows:
        """The rows of all pages; what is wrong with them as a whole is no base for a retry."""
        try:
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

    def _keep(self, content: Content | None) -> None:
        if content is not None:
            self._whole = False
            self.spool.keep(content.prepare(self.spool, self._pages.progress.pages))
            self._whole = True
        if self._keeper.due(self.spool.unsaved):
            self._keeper.save(self._snapshot)

    def _resume(self) -> bool:
        kept = self._keeper.load()
        if kept is None:
            return False
        parts, state = kept
        self.spool.restore(parts, state["spool"])
        self._pages = self._pages_after(Progress.from_dict(state["progress"]), state["last"])
        _log.info("%s: resuming after page %d", self._path, self._pages.progress.pages)
        return True

    def _start_over(self) -> None:
        self._keeper.clear()
        self.spool.close()
        self._begin()

    def _begin(self) -> None:
        self.spool = Spool(self._source.types, self._zone)
        self._pages = self._pages_after(Progress(self._first))

    def _pages_after(self, progress: Progress, last: list[str] | None = None) -> Pages:
        return Pages(self._source, self._session, self._first, progress, last)

    def _snapshot(self) -> tuple[bytes, dict[str, Any]]:
        part, spool = self.spool.save()
        return part, {"spool": spool, "progress": self._pages.progress.to_dict(), "last": self._pages.marks()}


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


def _identity(source: HttpSource, zone: Zone, base: str, first: Request) -> str:
    """What a kept read was of: all that decides which records there are and how they are read."""
    described = source.model_dump(mode="json", exclude={"max_pages", "max_bytes", "timeout"})
    declared = sorted(declared_of(source.types))
    return hashlib.sha256(
        json.dumps([described, declared, zone.name, base, first.identity], sort_keys=True).encode()
    ).hexdigest()
