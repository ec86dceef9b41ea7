"""Keeps in PostgreSQL what online requests look back to: the newest partitions, as the lake has them.

The lake is the truth, and is written first. What the table lacks, has of older rows, or no longer needs is
found by comparing the digests of both, whatever has happened before: a run that died in between is caught up
by the next one. A reader takes no blob whose digest is not the lake's, so it never sees the difference.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.errors import EvergreenError, IntegrityError, NothingToDoError
from evergreen.lake import Table
from evergreen.look_back.blob import blob_of, digest_of, file_rows, rows_of
from evergreen.look_back.store import Kept, Store, opened

if TYPE_CHECKING:
    import pyarrow as pa

    from evergreen.connections import Connection
    from evergreen.pipeline import Pipeline

_TOGETHER = 32  # partitions written in one transaction
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What was changed in the table: partitions written and removed, and how many it has now."""

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: int = 0


def keep_look_back(pipeline: Pipeline, *, check: bool = False) -> Change:
    """Make the table hold the partitions that features look back to from after the newest one, and no others.

    With `check` the blobs that are there are read too, and written again if their rows are not right.

    Raises `NothingToDoError` if the description names no connection for them, `IntegrityError` for a damaged
    file of the lake, `UnavailableError` or `SourceError` where database or storage fail; what was written
    until then stays.
    """
    look_back = pipeline.spec.serving.look_back
    if look_back is None or look_back.conn_id is None:
        raise NothingToDoError(
            f"{pipeline.name}: no connection for its look-back: name one in serving.look_back.conn_id"
        )
    connection = pipeline.connect(look_back.conn_id)
    change = Change()
    while True:
        more = _kept_up(pipeline, connection, check)
        change = Change((*change.written, *more.written), (*change.removed, *more.removed), more.kept)
        if len(more.written) < _TOGETHER:
            return change


def keep_look_back_or_warn(pipeline: Pipeline) -> None:
    """The same after a publication, where it is described: a database that fails only makes a warning.

    Servers read from the lake what the table lacks, and the next run writes it.
    """
    look_back = pipeline.spec.serving.look_back
    if look_back is None or look_back.conn_id is None:
        return
    try:
        keep_look_back(pipeline)
    except EvergreenError as error:
        _log.warning(
            "%s: the look-back of online requests is not kept up, and servers read it from the lake until "
            "the next run or evergreen look-back %s: %s",
            pipeline.name,
            pipeline.name,
            error,
        )


def forget_look_back(name: str, connection: Connection) -> int:
    """Remove all that the table has of the pipeline called `name`; returns how many partitions that were."""
    with opened(connection, name) as store:
        return store.forget()


def looked_back_to(pipeline: Pipeline, files: Mapping[str, str]) -> dict[str, str]:
    """Of the lake's partitions (`Lake.files`) those that the one after the newest looks back to."""
    calendar = pipeline.spec.calendar
    if not files or not calendar.has_time:
        return {}
    first = pipeline.spec.looks_back_to(calendar.shift(max(files), 1))
    return {key: name for key, name in files.items() if key >= first}


def published_rows(pipeline: Pipeline, partition: str, digest: str) -> pa.Table:
    """The rows of a partition's file in the lake, in the columns that it was published with.

    Raises `IntegrityError` if the file is damaged, `NotFoundError` if it is gone.
    """
    file = f"{pipeline.name}/lake/{Table.PARTITIONS}/partition={partition}/{digest}.parquet"
    try:
        return file_rows(pipeline.storage.read(file).body, digest)
    except IntegrityError as error:
        raise IntegrityError(
            f"{pipeline.name} {partition}: {pipeline.storage.uri(file)} is damaged ({error}): delete it and "
            f"make it again: evergreen ingest {pipeline.name} --partition {partition}"
        ) from None


def _kept_up(pipeline: Pipeline, connection: Connection, check: bool) -> Change:
    """One transaction: writes some of what is missing, the newest first, and removes what is not needed."""
    with opened(connection, pipeline.name) as store:
        store.lock()
        # Read behind the lock: whoever comes last has seen what all before it had published.
        files = looked_back_to(pipeline, pipeline.lake.files(Table.PARTITIONS))
        needed = {key: digest for key, name in files.items() if (digest := digest_of(name))}
        there = store.digests()
        for key in _damaged(store, there) if check else ():
            there[key] = ""
        removed = sorted(there.keys() - needed.keys())
        missing = sorted((key for key in needed if there.get(key) != needed[key]), reverse=True)[:_TOGETHER]
        for key in removed:
            store.delete(key)
        for key in missing:
            rows = published_rows(pipeline, key, needed[key])
            store.write(key, Kept(needed[key], blob_of(rows)))
    kept = len((there.keys() - set(removed)) | set(missing))
    return Change(tuple(missing), tuple(removed), kept)


def _damaged(store: Store, there: Mapping[str, str]) -> list[str]:
    """The partitions in the table whose blob does not have the rows of its digest."""
    found = []
    for key in there:
        for kept in store.read(key, key).values():
            try:
                rows_of(kept.blob, kept.digest)
            except IntegrityError:
                found.append(key)
    return found
