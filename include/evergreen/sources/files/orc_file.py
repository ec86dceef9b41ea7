"""ORC files to rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
from pyarrow import orc

from evergreen.calendar import UTC_ZONE, Zone
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.shown import shown
from evergreen.sources.files.locate import LocatedFile
from evergreen.sources.files.typed_files import Again, TypedFile, TypedFormat, read_typed_files

_BATCH_ROWS = 65_536
_TOO_FAR = "out of range for nanosecond"


def read_orc_files(files: Sequence[LocatedFile], types: Mapping[str, str], zone: Zone = UTC_ZONE) -> Rows:
    """The rows of ORC files, a stripe in memory at a time; raises as `read_typed_files` does."""
    return read_typed_files(_ORC, files, types, zone)


@contextmanager
def _open(file: IO[bytes], _: Again) -> Iterator[TypedFile]:
    found = orc.ORCFile(file)
    yield TypedFile(found.schema, lambda: _batches(found))


def _batches(file: orc.ORCFile) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    for number in range(file.nstripes):
        stripe = _stripe(file, number)
        stripe.validate()
        for begin in range(0, stripe.num_rows, _BATCH_ROWS):
            yield stripe.slice(begin, _BATCH_ROWS), {}


def _stripe(file: orc.ORCFile, number: int) -> pa.RecordBatch:
    """A stripe; raises `SourceError` naming the column for a time that Arrow cannot read of ORC."""
    try:
        return file.read_stripe(number)
    except pa.ArrowInvalid as error:
        if _TOO_FAR not in str(error):
            raise
    for name in file.schema.names:
        try:
            file.read_stripe(number, columns=[name])
        except pa.ArrowInvalid:
            break
    raise SourceError(
        f"column '{shown(name)}' holds a time outside of the years 1678 to 2261, the only ones that are read "
        "of ORC: write the file as Parquet, or the time as text"
    )


_ORC = TypedFormat("ORC", _open, (ValueError,))
