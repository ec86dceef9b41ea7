"""A look at files: CSV in any dialect, and all other formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from evergreen.calendar import UTC_ZONE
from evergreen.errors import SourceError
from evergreen.look.compose import Material, composed
from evergreen.look.description import source_name
from evergreen.look.forced import forcing
from evergreen.look.found import Look
from evergreen.look.sample import beginning
from evergreen.look.sniff.dialect import sniff_csv
from evergreen.rows.batches import Rows
from evergreen.sources import Source
from evergreen.sources.files.compressions import COMPRESSIONS
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.formats import FORMATS, NOT_READ, format_of
from evergreen.sources.files.locate import LocatedFile, locate
from evergreen.sources.files.text_files import read_csv_files, read_json_files
from evergreen.sources.local_times import with_event_time
from evergreen.sources.text.number_form import NumberForm
from evergreen.storage import Storage

_SNAPSHOT = "snapshot"


def look_at_file(path: str, most: int) -> Look:
    """What the file or files of a path hold, told from at most so many rows.

    Raises `SourceError` for a file that is absent, damaged, or of a format that is not read, and
    `UnavailableError` for a storage that cannot be reached.
    """
    path = path if "://" in path else str(Path(path).absolute())
    files = _located(path)
    if not files:
        raise SourceError(f"no file matches {path}: name one that is there")
    format_, is_told = _format(files[0].name)
    config: dict[str, Any] = {"path": path} if is_told else {"path": path, "format": format_}
    if format_ != "csv":
        return composed(Material(path, _name(path), "file", config, partial(_read, most=most), most))
    return composed(_of_csv(path, config, files[0], most))


def _of_csv(path: str, config: Mapping[str, Any], first: LocatedFile, most: int) -> Material:
    begin = beginning(first, most)
    sniffed = sniff_csv(first.name, begin.raw, is_cut=begin.is_cut)
    dialect = sniffed.dialect
    numbers = NumberForm(dialect.decimal, dialect.thousands or "")
    return Material(
        path,
        _name(path),
        "file",
        {**config, "csv": dialect.model_dump(mode="json", exclude_defaults=True)},
        partial(_read, most=sniffed.records if begin.is_cut else most + 1),
        most,
        types=sniffed.types,
        encoding=sniffed.encoding,
        told=sniffed.told,
        unsure=sniffed.doubts,
        forcing=lambda name, _: forcing(
            sniffed.texts[name], numbers, lambda row: f"line {sniffed.line(row)}"
        ),
        is_whole=not begin.is_cut,
    )


def _read(source: Source, most: int) -> Rows:
    """The rows by the description, as they are read for a partition; of text only the first ones."""
    config = source.config
    assert isinstance(config, FileSource)
    files = _located(config.path)
    format_ = config.format or format_of(files[0].name)
    if format_ == "csv":
        rows = read_csv_files(files, config.csv, config.types, most=most)
    elif format_ == "json_lines":
        rows = read_json_files(files, config.types, most=most + 1)
    else:
        rows = FORMATS[format_].read(config, files, UTC_ZONE)
    return with_event_time(rows, config.time_column, UTC_ZONE)


def _located(path: str) -> Sequence[LocatedFile]:
    if "://" not in path and Path(path).is_file():
        return [LocatedFile(Path(path).name, path=Path(path))]
    storage: Any = Storage.open() if "://" in path else None
    return locate(path, Path.cwd(), storage, _SNAPSHOT, None)


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
