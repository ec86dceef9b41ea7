"""Files and object storage as a source: CSV, JSON lines and Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.sources.files.description import FileQuestion, FileSource
from evergreen.sources.kind import SourceConfig, SourceKind, Wanted

if TYPE_CHECKING:
    from evergreen.rows.batches import Rows


def _read(source: FileSource, wanted: Wanted) -> Rows:
    from evergreen.sources.files.read import read_file

    return read_file(
        source,
        wanted.folder,
        wanted.storage,
        wanted.partition,
        wanted.start,
        zone=wanted.zone,
        published=wanted.published,
    )


def ask_file(_: SourceConfig, question: FileQuestion, wanted: Wanted) -> str | None:
    """Which file is missing; None if one is there. Any kind of source may be asked so."""
    from evergreen.sources.files.locate import missing_file

    return missing_file(question.file, wanted.folder, wanted.storage, wanted.partition, wanted.start)


FILE = SourceKind(FileSource, _read, {FileQuestion: ask_file})
