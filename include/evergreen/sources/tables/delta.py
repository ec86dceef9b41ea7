"""Delta tables to rows, streamed by delta-rs' own engine.

It honours deletion vectors and renamed columns, where an Arrow data set of the same files would show deleted
rows, and nulls for renamed columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError, TableNotFoundError

from evergreen.delta_errors import DENIED, last_cause, plain
from evergreen.errors import EvergreenError, SourceError, UnavailableError
from evergreen.rows.batches import Rows
from evergreen.sources.files.parquet_file import check_whole
from evergreen.sources.kind import Wanted
from evergreen.sources.tables.description import DeltaSource
from evergreen.sources.tables.place import Place, place_of
from evergreen.sources.tables.read import OpenTable, Span, read_table

# One thread of reading keeps the rows in the order of the files, and little of them in memory.
_SESSION = {"datafusion.execution.target_partitions": "1", "datafusion.execution.batch_size": "65536"}
_PANIC = "PanicException"  # of the engine, by a damaged file; no module has this class
_GONE = re.compile(r"not found|NoSuchKey|No such file")
_WORDS: tuple[tuple[re.Pattern[str], type[EvergreenError], str], ...] = (
    (
        re.compile("NoSuchBucket"),
        SourceError,
        "{where}: its bucket does not exist: create it or change the source's path",
    ),
    (DENIED, SourceError, "{where}: access denied ({found}): check the keys of its connection or storage"),
    (
        re.compile("Permission denied"),
        SourceError,
        "{where} may not be read by this user ({found}): change the rights of its files",
    ),
    (
        re.compile("Unsupported: .*"),
        SourceError,
        "{where} needs what delta-rs cannot read ({found}): take that feature out of the table",
    ),
    (
        re.compile("LogSegment end version .* not the same as the specified end version .*"),
        SourceError,
        "{where} does not have that version ({found}): change the source's version",
    ),
    (
        re.compile("Generic S3 error|error sending request|timed out"),
        UnavailableError,
        "{where} cannot be read now ({cause}): check the store, then run again",
    ),
)


def read_delta(source: DeltaSource, wanted: Wanted) -> Rows:
    """The rows of a Delta table for a partition; all of one version, also if the table is changed meanwhile.

    Raises as `read_table` does, and `SourceError` for a table, version or bucket that is not there, one that
    is damaged or needs a feature of Delta that delta-rs lacks, and keys that may not read it;
    `UnavailableError` for a store that cannot be reached, and files that are gone since the read began.
    """
    place = place_of(source.path, source.conn_id, wanted)
    with _errors(place):
        table = DeltaTable(place.address, version=source.version, storage_options=place.delta_options)
        schema = pa.schema(table.schema().to_arrow())
    return read_table(source, _opened(table, schema, place), wanted)


def _opened(table: DeltaTable, schema: pa.Schema, place: Place) -> OpenTable:
    def batches(names: Sequence[str], span: Span | None) -> Iterator[pa.RecordBatch]:
        wanted = pa.schema([schema.field(name) for name in names])
        with _errors(place):
            result = QueryBuilder(_SESSION).register("t", table).execute(_query(names, span))
            # Arrow's reader lets other threads run while it waits for the engine; iterating does not.
            for batch in pa.RecordBatchReader.from_stream(result):
                found = batch.cast(wanted)
                check_whole(found)
                yield found

    return OpenTable(f"Delta table {place.name}", schema, batches)


def _query(names: Sequence[str], span: Span | None) -> str:
    columns = ", ".join(map(_quoted, names))
    if span is None:
        return f"SELECT {columns} FROM t"  # noqa: S608 - quoted
    column, first, last = _quoted(span.column), _literal(span, span.first), _literal(span, span.last)
    return f"SELECT {columns} FROM t WHERE {column} >= {first} AND {column} < {last}"  # noqa: S608 - quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(span: Span, moment: date) -> str:
    if not isinstance(moment, datetime):
        return f"DATE '{moment.isoformat()}'"
    zone = f'Some("{span.kind.tz}")' if span.kind.tz else "None"
    microseconds = pa.scalar(moment, pa.timestamp("us", span.kind.tz)).value
    return f"arrow_cast({microseconds}, 'Timestamp(Microsecond, {zone})')"


@contextmanager
def _errors(place: Place) -> Iterator[None]:
    where = f"Delta table {place.name}"
    try:
        yield
    except TableNotFoundError:
        raise SourceError(
            f"there is no {where} that can be read: create it or change the source's path"
        ) from None
    except EvergreenError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise _explained(where, plain(error), is_open=isinstance(error, DeltaError)) from None


def _explained(where: str, text: str, *, is_open: bool) -> Exception:
    for form, kind, said in _WORDS:
        if found := form.search(text):
            return kind(said.format(where=where, found=found[0][:150], cause=last_cause(text)))
    if _GONE.search(text) and not is_open:
        return UnavailableError(
            f"{where} lacks a file of its version, maybe removed while it was read ({text[-150:]}): run "
            "again, or restore the file"
        )
    return SourceError(f"{where} cannot be read ({text[:200]}): repair the table or read an earlier version")
