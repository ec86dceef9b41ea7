"""Files as a source, as `pipeline.yaml` describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from evergreen.sources.files.address import Address
from evergreen.sources.files.formats import FORMATS
from evergreen.sources.files.patterns import is_pattern
from evergreen.sources.files.places import PLACES, check_place
from evergreen.sources.files.workbook import Workbook
from evergreen.sources.kind import Question, SourceConfig
from evergreen.sources.text.dialect import CsvDialect, Delimiter
from evergreen.units import Column, ConnectionId, OneOfNames

if TYPE_CHECKING:
    from evergreen.connections import Connection


def _known_format(value: str) -> str:
    if value not in FORMATS:
        raise ValueError(f"write one of {', '.join(FORMATS)}")
    return value


def _checked_path(path: str) -> str:
    if re.search(r"[{}\0]", re.sub(r"\{partition(:[^{}]*)?\}", "", path)):
        raise ValueError("braces may contain only '{partition}' and forms of it like '{partition:%Y/%m/%d}'")
    address = Address.of(path)
    if not address.scheme:
        return path
    if (kind := PLACES.get(address.scheme)) is None:
        schemes = ", ".join(f"{scheme}://" for scheme in PLACES)
        raise ValueError(f"must be a path on disk, or begin with one of {schemes}")
    if "@" in address.root:
        raise ValueError(
            "must hold no login or password: put them into a connection, and name it as 'conn_id'"
        )
    if kind.is_url and "#" in path:
        raise ValueError("must not hold '#': write it as %23 where it is part of a file's name")
    if not kind.is_listed and is_pattern(path if not kind.is_url else path.partition("?")[0]):
        raise ValueError(
            f"files of {address.scheme}:// cannot be searched for: name one file, and write '*' as %2A and "
            "'[' as %5B where they are part of its name"
        )
    return path


FilePath = Annotated[str, Field(min_length=1), AfterValidator(_checked_path)]


def _check_connection_named(path: str, conn_id: str | None) -> None:
    """Raise `ValueError` for an address that needs a connection and has none, or the other way round."""
    address = Address.of(path)
    if not address.scheme and conn_id:
        raise ValueError("a file on disk needs no connection: leave out 'conn_id'")
    if address.scheme and PLACES[address.scheme].needs_connection and not conn_id:
        raise ValueError(f"{address.scheme}:// needs 'conn_id', the connection with its keys")


class FileSource(SourceConfig):
    """Files of rows; those of text may be compressed with gzip, zstd or ZIP."""

    path: FilePath
    """The path below the pipeline's folder, an absolute one, or an address (`PLACES`): `{partition}` is the
    partition's key, `{partition:%Y/%m/%d}` its first instant in that form, and `*`, `?`, `[...]` and `**`
    match many files. Example: days/{partition}.csv
    """
    conn_id: ConnectionId | None = None
    """The connection with the keys of an address. Example: files_bucket"""
    format: Annotated[str, AfterValidator(_known_format), OneOfNames("a format", FORMATS)] | None = None
    """The format; default: by the name's suffixes."""
    csv: CsvDialect = CsvDialect()
    """How a CSV is written."""
    excel: Workbook = Workbook()
    delimiter: Delimiter | None = None
    """Short for `csv: {delimiter: ...}`. Example: ;"""
    row_number: Column | None = None
    """A column to add: the number of the row in the files of the path, from 1, file after file by name. It
    stays the same as long as rows are only appended to the last one. Example: row
    """

    @model_validator(mode="before")
    @classmethod
    def _short_delimiter(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("delimiter") is None:
            return values
        dialect, short = values.get("csv", {}), values["delimiter"]
        if not isinstance(dialect, dict):
            return values
        if dialect.get("delimiter", short) != short:
            raise ValueError("give either 'delimiter' or 'csv: {delimiter: ...}'")
        return {**values, "csv": {**dialect, "delimiter": short}}

    @model_validator(mode="after")
    def _options_of_the_format(self) -> Self:
        if self.format not in (None, "csv") and self.csv.model_fields_set:
            raise ValueError(f"files of the format {self.format} have no CSV dialect: leave out 'csv'")
        if self.format not in (None, "excel") and self.excel.model_fields_set:
            raise ValueError(f"files of the format {self.format} have no sheets: leave out 'excel'")
        return self

    @model_validator(mode="after")
    def _number_is_no_other_column(self) -> Self:
        if self.row_number is not None and self.row_number in (self.time_column, *self.types):
            raise ValueError("row_number: names a column that is added, a whole number: take another name")
        return self

    @model_validator(mode="after")
    def _connection_named(self) -> Self:
        _check_connection_named(self.path, self.conn_id)
        return self

    @property
    def whole(self) -> bool:
        """Whether it is named the event time and not asked by partition."""
        return self.time_column is not None and not self.asks_by_partition

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class FileQuestion(Question):
    """`file` is a path, like a file source's, of a file that is there once the source is complete.

    `conn_id` is the connection of its own place, whatever the source's is.
    """

    name: ClassVar = "file"
    file: FilePath
    """The path, like a file source's, of a file that is there once the source is complete. Example:
    days/{partition}.done
    """
    conn_id: ConnectionId | None = None
    """The connection of that file's own place, whatever the source's is. Example: files_bucket"""

    @model_validator(mode="after")
    def _connection_named(self) -> Self:
        _check_connection_named(self.file, self.conn_id)
        return self

    def check_connection(self, connection: Connection) -> None:
        """As the connection of a source is checked."""
        check_place(self.file, connection)
