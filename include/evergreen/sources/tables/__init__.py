"""Tables of a lake as sources: Delta and Iceberg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.sources.files import ask_file
from evergreen.sources.files.description import FileQuestion
from evergreen.sources.kind import SourceKind, Wanted
from evergreen.sources.tables.description import DeltaSource, IcebergSource

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.rows.batches import Rows


def _read_delta(source: DeltaSource, wanted: Wanted) -> Rows:
    from evergreen.sources.tables.delta import read_delta

    return read_delta(source, wanted)


def _check_keys(_: DeltaSource, connection: Connection) -> None:
    from evergreen.sources.tables.place import keys_of

    keys_of(connection)


def _read_iceberg(source: IcebergSource, wanted: Wanted) -> Rows:
    from evergreen.sources.tables.iceberg import read_iceberg

    return read_iceberg(source, wanted)


def _check_catalog(source: IcebergSource, connection: Connection) -> None:
    from evergreen.sources.tables.catalog import catalog_options
    from evergreen.sources.tables.place import keys_of

    if source.table:
        catalog_options(connection)
    else:
        keys_of(connection)


DELTA = SourceKind(DeltaSource, _read_delta, {FileQuestion: ask_file}, check_connection=_check_keys)
ICEBERG = SourceKind(IcebergSource, _read_iceberg, {FileQuestion: ask_file}, check_connection=_check_catalog)
