"""Files as a source, as `pipeline.yaml` describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from evergreen.sources.files.formats import FORMATS
from evergreen.sources.files.workbook import Workbook
from evergreen.sources.kind import Question, SourceConfig
from evergreen.sources.text.dialect import CsvDialect, Delimiter


def _known_format(value: str) -> str:
    if value not in FORMATS:
        raise ValueError(f"write one of {', '.join(FORMATS)}")
    return value


class FileSource(SourceConfig):
    """Files of rows in one of `FORMATS`; those of text may be compressed with gzip, zstd or ZIP.

    `path` is below the pipeline's folder, absolute, or `s3://`; `{partition}` in it is the partition's key,
    `{partition:%Y/%m/%d}` its first instant in that form, and `*`, `?`, `[...]` and `**` match many files.
    Format and compression follow from the name's suffixes, or `format` says it. `csv` says how a CSV is
    written (`delimiter` is short for the delimiter in it), `excel` which cells of a workbook are the table.
    """

    path: str = Field(min_length=1)
    format: Annotated[str, AfterValidator(_known_format)] | None = None
    csv: CsvDialect = CsvDialect()
    excel: Workbook = Workbook()
    delimiter: Delimiter | None = None

    @field_validator("path")
    @classmethod
    def _known_places(cls, value: str) -> str:
        if re.search(r"[{}\0]", re.sub(r"\{partition(:[^{}]*)?\}", "", value)):
            raise ValueError(
                "braces may contain only '{partition}' and forms of it like '{partition:%Y/%m/%d}'"
            )
        return value

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

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class FileQuestion(Question):
    """`file` is a path, like a file source's, of a file that is there once the source is complete."""

    name: ClassVar = "file"
    file: str
