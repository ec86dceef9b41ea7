"""Files as a source, on disk and elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.sources.files.description import FileQuestion, FileSource
from evergreen.sources.files.places import check_place
from evergreen.sources.kind import SourceConfig, SourceKind, Wanted

if TYPE_CHECKING:
    from evergreen.connections import Connection
    from evergreen.rows.batches import Rows


def _read(source: FileSource, wanted: Wanted) -> Rows:
    from evergreen.sources.files.read import read_file

    connection = wanted.connect(source.conn_id) if source.conn_id else None
    return read_file(
        source,
        wanted.folder,
        wanted.storage,
        wanted.partition,
        wanted.start,
        zone=wanted.zone,
        published=wanted.published,
        connection=connection,
    )


def ask_file(_: SourceConfig, question: FileQuestion, wanted: Wanted) -> str | None:
    """Which file is missing; None if one is there. Any kind of source may be asked so."""
    from evergreen.sources.files.locate import missing_file

    connection = wanted.connect(question.conn_id) if question.conn_id else None
    return missing_file(
        question.file,
        wanted.folder,
        wanted.storage,
        wanted.partition,
        wanted.start,
        connection=connection,
    )


def _check_connection(source: FileSource, connection: Connection) -> None:
    check_place(source.path, connection)


FILE = SourceKind(FileSource, _read, {FileQuestion: ask_file}, check_connection=_check_connection)
