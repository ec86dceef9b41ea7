"""A look at files: CSV in any dialect, and all other formats."""

from __future__ import annotations

import glob
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from evergreen.calendar import SNAPSHOT, UTC_ZONE
from evergreen.connections import Connect, from_environment
from evergreen.description import explain
from evergreen.errors import SourceError
from evergreen.rows.batches import Rows
from evergreen.sources import Source
from evergreen.sources.files.address import Address
from evergreen.sources.files.compressions import COMPRESSIONS
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.formats import FORMATS, NOT_READ, format_of
from evergreen.sources.files.locate import LocatedFile, locate
from evergreen.sources.files.text_files import read_csv_files, read_json_files
from evergreen.sources.local_times import with_event_time
from evergreen.sources.look.compose import Material, composed
from evergreen.sources.look.description import source_name
from evergreen.sources.look.found import Look
from evergreen.sources.look.sample import beginning
from evergreen.sources.look.sniff.dialect import sniff_csv
from evergreen.storage import Storage


def look_at_file(
    path: str, most: int, conn_id: str | None = None, connect: Connect = from_environment
) -> Look:
    """What the file or files of a path hold, told from at most so many rows.

    `conn_id` is the connection with the keys of an address. Raises `SourceError` for a file that is absent,
    damaged, or of a format that is not read, and `UnavailableError` for a place that cannot be reached.
    """
    source = _described(path, conn_id)
    files = _located(source, connect)
    if not files:
        raise SourceError(f"no file matches {source.path}: name one that is there")
    format_, is_told = _format(files[0].name)
    config = source.model_dump(mode="json", exclude_unset=True)
    config |= {} if is_told else {"format": format_}
    with tempfile.TemporaryDirectory(prefix="evergreen-") as folder:
        here = [_copied(file, Path(folder) / str(number)) for number, file in enumerate(files)]
        read = partial(_read, files=here, most=most + 1)
        has_types = FORMATS[format_].has_types
        name = _name(source.path)
        material = Material(source.path, name, "file", config, read, most, has_types=has_types)
        return composed(_of_csv(material, here) if format_ == "csv" else material)


def _copied(file: LocatedFile, path: Path) -> LocatedFile:
    """The file on disk: it is read several times."""
    if file.path:
        return file
    with file.open() as there, path.open("wb") as here:
        shutil.copyfileobj(there, here)
    return LocatedFile(file.name, path)


def _of_csv(material: Material, files: Sequence[LocatedFile]) -> Material:
    begin = beginning(files[0], material.most)
    sniffed = sniff_csv(files[0].name, begin.raw, is_cut=begin.is_cut)
    if begin.is_cut:
        read = partial(_read, files=files, most=sniffed.records)
        material = replace(material, read=read, is_whole=False)
    return material.written(sniffed)


def _described(path: str, conn_id: str | None) -> FileSource:
    """The description of a path as a person writes it in a shell, where a file's name may be any."""
    if not Address.of(path).scheme:
        path = glob.escape(str(Path(path).absolute())) if Path(path).exists() else str(Path(path).absolute())
    try:
        return FileSource.model_validate({"path": path, **({"conn_id": conn_id} if conn_id else {})})
    except ValidationError as error:
        raise SourceError(explain(FileSource, error)) from None


def _read(source: Source, files: Sequence[LocatedFile], most: int) -> Rows:
    """The rows by the description, as they are read for a partition; of text only the first ones."""
    config = source.config
    assert isinstance(config, FileSource)
    format_ = config.format or format_of(files[0].name)
    if format_ == "csv":
        rows = read_csv_files(files, config.csv, config.types, most=most)
    elif format_ == "json_lines":
        rows = read_json_files(files, config.types, most=most)
    else:
        rows = FORMATS[format_].read(config, files, UTC_ZONE)
    return with_event_time(rows, config.time_column, UTC_ZONE)


def _located(source: FileSource, connect: Connect) -> Sequence[LocatedFile]:
    connection = connect(source.conn_id) if source.conn_id else None
    # Only S3 without keys of its own is opened by the storage's.
    is_stored = Address.of(source.path).scheme == "s3" and connection is None
    storage: Any = Storage.open() if is_stored else None
    files = locate(source.path, Path.cwd(), storage, SNAPSHOT, None, connection=connection)
    return [replace(file, name=Path(file.name).name) if file.path else file for file in files]


def _format(name: str) -> tuple[str, bool]:
    """The format of a file, and whether its name tells it: one that tells none is tried as CSV."""
    path = PurePosixPath(name)
    plain = PurePosixPath(path.stem) if path.suffix.lower() in COMPRESSIONS else path
    try:
        return format_of(name), True
    except SourceError:
        if plain.suffix.lower() in NOT_READ:
            raise
        return "csv", False


def _name(path: str) -> str:
    return source_name(PurePosixPath(path).name.partition(".")[0])
