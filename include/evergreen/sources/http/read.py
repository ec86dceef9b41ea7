"""Reads a paged API to Arrow: pages go into a temporary file, and a retry resumes after the last good one."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyarrow as pa

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.connections import Connection
from evergreen.errors import EvergreenError, SourceError
from evergreen.rows.batches import Rows
from evergreen.rows.local import TIME
from evergreen.shown import shown
from evergreen.sources.attempts import ATTEMPTS, BACKOFF
from evergreen.sources.checkpoint import Checkpoint, Keeper
from evergreen.sources.http.client import Session, api_of
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.for_each import Combination
from evergreen.sources.http.pace import Pace
from evergreen.sources.http.reading import Reading
from evergreen.sources.http.requests import Asked, asked_for, common_headers
from evergreen.sources.http.value_columns import with_values
from evergreen.sources.local_times import with_event_time
from evergreen.sources.placeholders import Window, filled_texts
from evergreen.sources.text.column_types import TextTypes, declared_of

_ACCEPT = {
    "json": "application/json",
    "json_lines": "application/x-ndjson, application/jsonl, */*;q=0.5",
    "csv": "text/csv, */*;q=0.5",
}
_OF_COST = {"max_pages", "max_bytes", "timeout", "rate", "parallel"}


def read_http(
    source: HttpSource,
    connection: Connection,
    partition: str,
    checkpoint: Checkpoint | None = None,
    zone: Zone = UTC_ZONE,
    *,
    bounds: tuple[datetime | None, datetime | None] = (None, None),
    published: Mapping[str, str] = {},
    values: Sequence[Combination] = ({},),
) -> Rows:
    """All records of the API for one partition, which has these bounds; memory is that of a page.

    `values` are the combinations of `for_each`: all pages of each are read, `parallel` of them at a time, and
    the rows are in the order of `values`. Their names are columns, unless the records have columns of these
    names. An error names the values that it is about. The limits of time and bytes, and the rate, are those
    of the whole read; a single value has at most `max_pages`.

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
    headers = filled_texts(common_headers(source), window)
    api = api_of(connection, {"Accept": _ACCEPT[source.format], **headers})
    deadline = time.monotonic() + source.timeout.total_seconds()
    asked = [asked_for(source, api, window, chosen) for chosen in values]
    keeper = Keeper(checkpoint, _identity(source, zone, str(api.base), asked))
    pace = Pace(source.rate)

    def open_session() -> Session:
        return Session(api, source.path, deadline, ATTEMPTS, BACKOFF, pace=pace)

    reading = Reading(source, asked, keeper, zone=zone, api=api, open_session=open_session)
    try:
        reading.all_pages()
    except BaseException:
        reading.close()
        raise
    rows = _rows(source, reading, keeper, zone)
    return replace(rows, batches=_UntilDrained(rows, keeper))


def _rows(source: HttpSource, reading: Reading, keeper: Keeper, zone: Zone) -> Rows:
    """The rows of all pages; what is wrong with them as a whole is no base for a retry."""
    try:
        rows = with_event_time(with_values(source, reading.spool, reading.runs), source.time_column, zone)
        _check_time(rows.schema, source)
    except EvergreenError:
        keeper.clear()
        reading.close()
        raise
    return rows


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


def _identity(source: HttpSource, zone: Zone, base: str, asked: Sequence[Asked]) -> str:
    """What a kept read was of: all that decides which records there are and how they are read."""
    described = source.model_dump(mode="json", exclude=_OF_COST)
    declared = sorted(declared_of(source.types))
    chains = [[one.chosen, one.first.identity] for one in asked]
    return hashlib.sha256(
        json.dumps([described, declared, zone.name, base, chains], sort_keys=True).encode()
    ).hexdigest()
