"""A paged API as a source, as `pipeline.yaml` describes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from evergreen.sources.http.paging import Paging
from evergreen.sources.kind import Question, SourceConfig
from evergreen.sources.text.dialect import CsvDialect
from evergreen.units import ConnectionId, Duration, Size


class HttpSource(SourceConfig):
    """Records of a paged API. `{partition}` in `path`, `params` and `headers` stands for the partition's key.

    `records` is the path (dotted; empty: the whole answer) of the list of records in a JSON answer, `total`
    that of their number, which is then checked. `csv` says how a CSV answer is written. `next: cursor` is
    short for `paging: {cursor: {param: cursor}}`. `timeout`, `max_pages` and `max_bytes` limit what a read
    may cost.
    """

    conn_id: ConnectionId
    path: str = Field(pattern=r"^/")
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    format: Literal["json", "json_lines", "csv"] = "json"
    csv: CsvDialect = CsvDialect()
    records: str = "data"
    total: str | None = None
    paging: Paging = Paging.model_validate({})
    max_pages: int = Field(default=10_000, ge=1)
    max_bytes: Size = 10 * 2**30
    timeout: Duration = timedelta(hours=1)

    @model_validator(mode="before")
    @classmethod
    def _short_cursor(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "next" not in values:
            return values
        if "paging" in values:
            raise ValueError("give either 'next' or 'paging'")
        rest = {name: value for name, value in values.items() if name != "next"}
        return {**rest, "paging": {"cursor": {"param": values["next"]}}}

    @model_validator(mode="after")
    def _paging_fits(self) -> HttpSource:
        if self.format != "json" and (self.paging.config.in_document or self.total):
            raise ValueError(f"a {self.format} answer has no place for a cursor, a link or a total")
        if self.format != "csv" and self.csv.model_fields_set:
            raise ValueError(
                f"a {self.format} answer has no CSV dialect: leave out 'csv', or say 'format: csv'"
            )
        return self

    def templates(self) -> Iterable[str]:
        """The path, and the values of parameters and headers."""
        return (self.path, *self.params.values(), *self.headers.values())


class FieldQuestion(Question):
    """`field` is the path (dotted) in the JSON answer of `path` that is true, or equal to `equals`."""

    name: ClassVar = "field"
    path: str = Field(pattern=r"^/")
    params: dict[str, str] = {}
    field: str
    equals: str | int | bool | None = None
