"""Files as a source, as `pipeline.yaml` describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from evergreen.sources.kind import Question, SourceConfig
from evergreen.sources.text.dialect import CsvDialect, Delimiter


class FileSource(SourceConfig):
    """Files of rows: CSV, JSON lines or Parquet, plain or compressed with gzip or zstd.

    `path` is below the pipeline's folder, absolute, or `s3://`; `{partition}` in it is the partition's key,
    `{partition:%Y/%m/%d}` its first instant in that form, and `*`, `?`, `[...]` and `**` match many files.
    Format and compression follow from the name's suffixes, or `format` says it. `csv` says how a CSV is
    written; `delimiter` is short for the delimiter in it.
    """

    path: str = Field(min_length=1)
    format: Literal["csv", "json_lines", "parquet"] | None = None
    csv: CsvDialect = CsvDialect()
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
    def _is_csv(self) -> Self:
        if self.format not in (None, "csv") and self.csv.model_fields_set:
            raise ValueError(f"files of the format {self.format} have no CSV dialect: leave out 'csv'")
        return self

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class FileQuestion(Question):
    """`file` is a path, like a file source's, of a file that is there once the source is complete."""

    name: ClassVar = "file"
    file: str
