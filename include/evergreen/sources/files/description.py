"""Files as a source, as `pipeline.yaml` describes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from evergreen.sources.kind import Question, SourceConfig


class FileSource(SourceConfig):
    """Files of rows: CSV, JSON lines or Parquet, plain or compressed with gzip or zstd.

    `path` is below the pipeline's folder, absolute, or `s3://`; `{partition}` in it is the partition's key,
    `{partition:%Y/%m/%d}` its first instant in that form, and `*`, `?`, `[...]` and `**` match many files.
    Format and compression follow from the name's suffixes, or `format` says it.
    """

    path: str = Field(min_length=1)
    format: Literal["csv", "json_lines", "parquet"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","

    @field_validator("path")
    @classmethod
    def _known_places(cls, value: str) -> str:
        if re.search(r"[{}\0]", re.sub(r"\{partition(:[^{}]*)?\}", "", value)):
            raise ValueError(
                "braces may contain only '{partition}' and forms of it like '{partition:%Y/%m/%d}'"
            )
        return value

    @field_validator("delimiter")
    @classmethod
    def _delimiter_divides(cls, value: str) -> str:
        if value in '"\r\n\0' or not value.isascii():
            raise ValueError("write one ASCII character, not a quote or a line break")
        return value

    def templates(self) -> Iterable[str]:
        """The path."""
        return (self.path,)


class FileQuestion(Question):
    """`file` is a path, like a file source's, of a file that is there once the source is complete."""

    name: ClassVar = "file"
    file: str
