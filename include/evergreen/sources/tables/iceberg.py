"""Iceberg tables to rows, by pyiceberg: one file after another, a batch at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta

import pyarrow as pa
from pyiceberg import exceptions as said
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, GreaterThanOrEqual, LessThan, Reference
from pyiceberg.expressions.literals import literal
from pyiceberg.io import load_file_io
from pyiceberg.io.pyarrow import ArrowScan, _read_all_delete_files, schema_to_pyarrow
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import FileScanTask, StaticTable, Table

from evergreen.connections import Connection
from evergreen.databases.deadline import Deadline
from evergreen.databases.errors import TimedOutError
from evergreen.errors import EvergreenError, SourceError, UnavailableError
from evergreen.rows.batches import Rows
from evergreen.sources.files.parquet_file import check_whole
from evergreen.sources.kind import Wanted
from evergreen.sources.nearest import nearest
from evergreen.sources.tables.catalog import catalog_name, catalog_options, with_keys, without_secrets
from evergreen.sources.tables.description import IcebergSource
from evergreen.sources.tables.place import Keys, place_of
from evergreen.sources.tables.read import OpenTable, Span, read_table

CATALOG_TIMEOUT = timedelta(minutes=2)
"""How long a catalog may take to find a table."""

_NO_TABLE = (said.NoSuchTableError, said.NoSuchNamespaceError, said.NoSuchIdentifierError)
_REFUSED = (said.UnauthorizedError, said.ForbiddenError, said.OAuthError, said.AuthorizationExpiredError)
_DENIED = re.compile("ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH")
_STORE = re.compile("AWS Error|curlCode|timed out")
_REMOTE = ("requests", "sqlalchemy")
_KEYS = "check the keys of its connection or storage"
_NOT_NOW, _LATER = "cannot be read now", "check catalog and store, then run again"
# The first kind of error that fits: what it means, and what to do.
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[EvergreenError], str, str], ...] = (
    ((said.NotInstalledError, ImportError), SourceError, "needs a library that is not there", "install it"),
    (_REFUSED, SourceError, "may not be read: access denied", _KEYS),
    ((PermissionError,), SourceError, "may not be read by this user", "change the rights of its files"),
    (
        (FileNotFoundError,),
        UnavailableError,
        "lacks a file of its snapshot, maybe removed while it was read",
        "run again, or restore the file",
    ),
    ((said.RESTError, ConnectionError, TimeoutError), UnavailableError, _NOT_NOW, _LATER),
)


def read_iceberg(source: IcebergSource, wanted: Wanted) -> Rows:
    """The rows of an Iceberg table for a partition; all of one snapshot, also if the table changes meanwhile.

    Raises as `read_table` does, and `SourceError` for a table or snapshot that is not there, one that is
    damaged or has what pyiceberg cannot read, and credentials that may not read it; `UnavailableError` for a
    catalog or store that cannot be reached, and files that are gone since the read began.
    """
    connection = wanted.connect(source.conn_id) if source.conn_id and source.table else None
    where = f"Iceberg table {source.table or source.path}"
    with _errors(where, connection, is_open=True):
        table = _of_catalog(source, connection, wanted) if connection else _of_file(source, wanted)
        if source.snapshot_id is not None and table.snapshot_by_id(source.snapshot_id) is None:
            raise SourceError(
                f"{where} has no snapshot {source.snapshot_id} ({_snapshots(table)}): change snapshot_id"
            )
        fields = schema_to_pyarrow(table.scan(snapshot_id=source.snapshot_id).projection())
    schema = pa.schema([(field.name, field.type) for field in fields])

    def batches(names: Sequence[str], span: Span | None) -> Iterator[pa.RecordBatch]:
        wanted_schema = pa.schema([schema.field(name) for name in names])
        scan = table.scan(_condition(span), tuple(names), snapshot_id=source.snapshot_id)
        with _errors(where, connection, is_open=False):
            projected = scan.projection()
            arrow = _Streamed(scan.table_metadata, scan.io, projected, scan.row_filter)
            for task in scan.plan_files():
                for batch in arrow.batches(task):
                    check_whole(batch)
                    yield batch.select(names).cast(wanted_schema)

    return read_table(source, OpenTable(where, schema, batches), wanted)


class _Streamed(ArrowScan):
    """A scan that has one batch in memory, where `to_record_batches` has the rows of several whole files."""

    def batches(self, task: FileScanTask) -> Iterator[pa.RecordBatch]:
        """The rows of one file."""
        deletes = _read_all_delete_files(self._io, [task])
        return self._record_batches_from_scan_tasks_and_deletes([task], deletes)


def _of_catalog(source: IcebergSource, connection: Connection, wanted: Wanted) -> Table:
    options = with_keys(catalog_options(connection), Keys(wanted.storage.credentials))
    name = source.table
    assert name is not None

    def load() -> Table:
        catalog = load_catalog(catalog_name(connection), **options)
        try:
            return catalog.load_table(name)
        except _NO_TABLE:
            there: list[str] = []
            with suppress(*_NO_TABLE):
                there = [".".join(found) for found in catalog.list_tables(name.rpartition(".")[0])]
            raise SourceError(
                f"connection '{connection.conn_id}' has no Iceberg table {name} ({nearest(name, there)}): "
                "create it or change the source's table"
            ) from None

    try:
        # The requests of pyiceberg to a catalog have no time limit of their own.
        return Deadline(CATALOG_TIMEOUT).abandoning(load)
    except TimedOutError:
        raise UnavailableError(
            f"the catalog of connection '{connection.conn_id}' does not answer within "
            f"{CATALOG_TIMEOUT.total_seconds():g} seconds: check that it runs, then run again"
        ) from None


def _of_file(source: IcebergSource, wanted: Wanted) -> Table:
    assert source.path is not None
    place = place_of(source.path, source.conn_id, wanted)
    io = load_file_io(place.iceberg_options, place.address)
    metadata = FromInputFile.table_metadata(io.new_input(place.address))
    # Not `StaticTable.from_metadata`: there the table's own properties choose its endpoint and classes.
    return StaticTable(("file", place.address), metadata, place.address, io, NoopCatalog("file"))


def _condition(span: Span | None) -> BooleanExpression:
    if span is None:
        return AlwaysTrue()
    column, first, last = Reference(span.column), literal(span.first), literal(span.last)
    return And(GreaterThanOrEqual(term=column, value=first), LessThan(term=column, value=last))


def _snapshots(table: Table) -> str:
    newest = [str(snapshot.snapshot_id) for snapshot in table.snapshots()[-5:]]
    return f"the newest: {', '.join(newest)}" if newest else "it has none"


@contextmanager
def _errors(where: str, connection: Connection | None, *, is_open: bool) -> Iterator[None]:
    try:
        yield
    except EvergreenError:
        raise
    except Exception as error:  # noqa: BLE001 - catalogs, stores and formats have each errors of their own
        text = without_secrets(f"{type(error).__name__}: {error}", connection)[:250]
        raise _explained(where, error, text, is_open=is_open) from None


def _explained(where: str, error: Exception, text: str, *, is_open: bool) -> Exception:
    if _DENIED.search(text):
        return SourceError(f"{where}: access denied ({text}): {_KEYS}")
    if isinstance(error, FileNotFoundError) and is_open:
        return SourceError(f"{where} has no metadata there ({text}): write it or change the source's path")
    for kinds, meaning, problem, remedy in _MEANINGS:
        if isinstance(error, kinds):
            return meaning(f"{where} {problem} ({text}): {remedy}")
    if type(error).__module__.startswith(_REMOTE) or _STORE.search(text):
        return UnavailableError(f"{where} {_NOT_NOW} ({text}): {_LATER}")
    return SourceError(f"{where} cannot be read ({text}): repair it, or read another snapshot")
