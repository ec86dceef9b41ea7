"""The beginning of a file or of a stream of rows, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from evergreen.rows.batches import Rows
from evergreen.sources.files.decompress import plain_chunks
from evergreen.sources.files.locate import LocatedFile

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Beginning:
    """The first bytes of a file of text, unpacked; all of them unless `is_cut`."""

    raw: bytes
    is_cut: bool


class Taken(NamedTuple):
    """Some rows, whether they are all, and how many were seen, some of which may be left out."""

    rows: pa.Table
    is_whole: bool
    seen: int


def beginning(located: LocatedFile, lines: int) -> Beginning:
    """The beginning of a file with at least so many lines, if there are as many in 64 MB."""
    found: list[bytes] = []
    count = size = 0
    with located.open() as file:
        for chunk in plain_chunks(file, located.name):
            if found and (count >= lines or size + len(chunk) > _MOST_BYTES):
                return Beginning(b"".join(found), is_cut=True)
            found.append(chunk)
            count, size = count + chunk.count(b"\n"), size + len(chunk)
    return Beginning(b"".join(found), is_cut=False)


def take(rows: Rows, most: int) -> Taken:
    """At most so many of the first rows; ends the read."""
    found: list[pa.RecordBatch] = []
    seen, is_whole = 0, True
    try:
        for batch in rows:
            found.append(batch.slice(0, max(0, most - seen)))
            seen += batch.num_rows
            if seen > most:
                is_whole = False
                break
    finally:
        rows.close()
    return Taken(pa.Table.from_batches(found, rows.schema), is_whole, seen)
