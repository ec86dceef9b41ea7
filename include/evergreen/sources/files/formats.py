"""The formats of files, by their name in `pipeline.yaml`: another one is an entry here and a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

from evergreen.errors import SourceError
from evergreen.sources.files.compressions import COMPRESSIONS

if TYPE_CHECKING:
    from evergreen.calendar import Zone
    from evergreen.rows.batches import Rows
    from evergreen.sources.files.locate import LocatedFile
    from evergreen.sources.files.workbook import Workbook
    from evergreen.sources.text.dialect import CsvDialect

    Read = Callable[["Options", Sequence[LocatedFile], Zone], Rows]

NOT_READ = {
    ".xml": "XML is a tree and no table: load it into a database, or write it as JSON lines",
    ".html": "a web page is no table: ask its owner for CSV or an API",
    ".xls": "save the workbook as .xlsx",
    ".xlsb": "save the workbook as .xlsx",
    ".ods": "save the workbook as .xlsx",
    ".json": "write one record a line and name it .jsonl, or say 'format: json_lines' if it is so",
    ".pkl": "a pickle runs code when it is read: write it as Parquet",
    ".feather": "write it as Parquet",
}
"""What to do with files that are not read, by their suffixes."""


class Options(Protocol):
    """What a source's description says of its files, as far as a format needs it."""

    @property
    def types(self) -> Mapping[str, str]:
        """The declared types, by column."""

    @property
    def csv(self) -> CsvDialect:
        """How a CSV is written."""

    @property
    def excel(self) -> Workbook:
        """Which cells of a workbook are the table."""


@dataclass(frozen=True)
class Format:
    """A format: the suffixes that tell it, and its reader, which imports what it needs.

    One that has no types is read by those that its columns are published in, if they are not declared.
    """

    suffixes: tuple[str, ...]
    read: Read
    has_types: bool = True


def _csv(source: Options, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    from evergreen.sources.files.text_files import read_csv_files

    return read_csv_files(files, source.csv, source.types, zone)


def _json_lines(source: Options, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    from evergreen.sources.files.text_files import read_json_files

    return read_json_files(files, source.types, zone)


def _parquet(source: Options, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    from evergreen.sources.files.parquet_file import read_parquet_files

    return read_parquet_files(files, source.types, zone)


def _orc(source: Options, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    from evergreen.sources.files.orc_file import read_orc_files

    return read_orc_files(files, source.types, zone)


def _avro(source: Options, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    from evergreen.sources.files.avro_file import read_avro_files

    return read_avro_files(files, source.types, zone)


def _excel(source: Options, files: Sequence[LocatedFile], zone: Zone) -> Rows:
    from evergreen.sources.files.excel_file import read_excel_files

    return read_excel_files(files, source.excel, source.types, zone)


FORMATS: dict[str, Format] = {
    "csv": Format((".csv",), _csv, has_types=False),
    "json_lines": Format((".jsonl", ".ndjson"), _json_lines, has_types=False),
    "parquet": Format((".parquet", ".pq"), _parquet),
    "orc": Format((".orc",), _orc),
    "avro": Format((".avro",), _avro),
    "excel": Format((".xlsx", ".xlsm"), _excel, has_types=False),
}


def format_of(name: str) -> str:
    """The format that a file's name tells; raises `SourceError` for a name that tells none that is read."""
    path = PurePosixPath(name)
    suffix = PurePosixPath(path.stem).suffix if path.suffix.lower() in COMPRESSIONS else path.suffix
    suffix = suffix.lower()
    for format_, known in FORMATS.items():
        if suffix in known.suffixes:
            return format_
    if suffix in NOT_READ:
        raise SourceError(f"{name} is of a format that is not read ({suffix}): {NOT_READ[suffix]}")
    suffixes = ", ".join(suffix for known in FORMATS.values() for suffix in known.suffixes)
    raise SourceError(
        f"{name} has a name that does not tell its format ({suffixes}): say in the source 'format', one of "
        f"{', '.join(FORMATS)}"
    )
