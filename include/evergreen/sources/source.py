"""Where rows come from, as `pipeline.yaml` describes it: sources, how they are joined and waited for."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from evergreen.description import Described
from evergreen.units import Column, ConnectionId, Duration, Identifier, Size, TypeName

Types = dict[Column, TypeName]


class PostgresSource(Described):
    """Rows of a PostgreSQL table whose `time_column` lies in the partition, or the rows of a SQL file.

    The SQL file (below the pipeline's folder) gets the partition's bounds as `$1` (first instant) and `$2`
    (first instant after). `types` declares what the lake keeps a column as, such as `decimal(12, 2)` for
    money.
    """

    conn_id: ConnectionId
    table: str | None = None
    sql: str | None = None
    columns: tuple[Column, ...] | None = None
    time_column: Column | None = None
    types: Types = {}
    timeout: Duration = timedelta(minutes=10)

    @model_validator(mode="after")
    def _table_or_sql(self) -> PostgresSource:
        if (self.table is None) == (self.sql is None):
            raise ValueError("give either 'table' or 'sql'")
        return self


class CursorPaging(Described):
    """The answer holds, under `path` (dotted), the value of the query parameter `param` of the next page."""

    param: Column = "cursor"
    path: str = "next"


class PagePaging(Described):
    """Pages are numbered: `param` counts up from `first`; an answer without records is the end.

    `size_param` asks for `size` records a page, and a page with fewer of them is the last.
    """

    param: Column = "page"
    first: int = Field(default=1, ge=0)
    size_param: Column | None = None
    size: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _both(self) -> PagePaging:
        if (self.size_param is None) != (self.size is None):
            raise ValueError("give 'size_param' and 'size' together")
        return self


class OffsetPaging(Described):
    """`param` is how many records to skip, `limit_param` how many to send; a shorter page is the last."""

    param: Column = "offset"
    limit_param: Column = "limit"
    limit: int = Field(default=1000, ge=1)


class LinkPaging(Described):
    """The answer holds, under `path` (dotted), the address of the next page."""

    path: str = "next"


class HeaderPaging(Described):
    """The next page's address is in the header `Link` with `rel="next"` (RFC 8288)."""


class Paging(Described):
    """How an API divides its answer into pages: at most one of the kinds; none means one page."""

    cursor: CursorPaging | None = None
    page: PagePaging | None = None
    offset: OffsetPaging | None = None
    link: LinkPaging | None = None
    header: HeaderPaging | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Paging:
        if (
            sum(kind is not None for kind in (self.cursor, self.page, self.offset, self.link, self.header))
            > 1
        ):
            raise ValueError("give at most one of 'cursor', 'page', 'offset', 'link', 'header'")
        return self


class HttpSource(Described):
    """Records of a paged API. `{partition}` in `path`, `params` and `headers` stands for the partition's key.

    `records` is the path (dotted; empty: the whole answer) of the list of records in a JSON answer, `total`
    that of their number, which is then checked. `next: cursor` is short for
    `paging: {cursor: {param: cursor}}`. `timeout`, `max_pages` and `max_bytes` limit what a read may cost.
    """

    conn_id: ConnectionId
    path: str = Field(pattern=r"^/")
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    format: Literal["json", "json_lines", "csv"] = "json"
    records: str = "data"
    total: str | None = None
    paging: Paging = Paging()
    time_column: Column | None = None
    types: Types = {}
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
        rest = {name: value for name, value in values.items() if name not in ("next", "cursor_path")}
        cursor = {"param": values["next"], "path": values.get("cursor_path", "next")}
        return {**rest, "paging": {"cursor": cursor}}

    @model_validator(mode="after")
    def _paging_fits(self) -> HttpSource:
        in_body = self.paging.cursor or self.paging.link
        if self.format != "json" and (in_body or self.total):
            raise ValueError(f"a {self.format} answer has no place for a cursor, a link or a total")
        return self


class FileSource(Described):
    """Files of rows: CSV, JSON lines or Parquet, plain or compressed with gzip or zstd.

    `path` is below the pipeline's folder, absolute, or `s3://`; `{partition}` in it is the partition's key,
    `{partition:%Y/%m/%d}` its first instant in that form, and `*`, `?`, `[...]` and `**` match many files.
    Format and compression follow from the name's suffixes, or `format` says it.
    """

    path: str = Field(min_length=1)
    format: Literal["csv", "json_lines", "parquet"] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    time_column: Column | None = None
    types: Types = {}

    @field_validator("path")
    @classmethod
    def _known_places(cls, value: str) -> str:
        if re.search(r"[{}\0]", re.sub(r"\{partition(:[^{}]*)?\}", "", value)):
            raise ValueError("in braces stand only '{partition}' and forms of it like '{partition:%Y/%m/%d}'")
        return value

    @field_validator("delimiter")
    @classmethod
    def _delimiter_divides(cls, value: str) -> str:
        if value in '"\r\n\0' or not value.isascii():
            raise ValueError("write one ASCII character, neither a quote nor a line's end")
        return value


class Complete(Described):
    """How a source's partition is known to be complete; ingest waits for it, up to `within`.

    `sql`: a file whose query, given the partition's bounds as `$1` and `$2`, answers true. `field`: the path
    (dotted) in the JSON answer of `path` that is true, or equal to `equals`. `file`: a path, like a file
    source's, that exists. The question is asked again after each `every`.
    """

    sql: str | None = None
    path: str | None = Field(default=None, pattern=r"^/")
    params: dict[str, str] = {}
    field: str | None = None
    equals: str | int | bool | None = None
    file: str | None = None
    every: Duration = timedelta(minutes=5)
    within: Duration = timedelta(hours=6)

    @model_validator(mode="after")
    def _one_kind(self) -> Complete:
        if sum(kind is not None for kind in (self.sql, self.field, self.file)) != 1:
            raise ValueError("give exactly one of 'sql', 'field', 'file'")
        if (self.field is None) != (self.path is None):
            raise ValueError("give 'path' and 'field' together")
        if not self.every or self.every > self.within:
            raise ValueError("'every' must be more than nothing and at most 'within'")
        return self


class Source(Described):
    """Where rows come from: exactly one of the kinds; and how to know that they are all there."""

    postgres: PostgresSource | None = None
    http: HttpSource | None = None
    file: FileSource | None = None
    complete: Complete | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Source:
        if sum(kind is not None for kind in (self.postgres, self.http, self.file)) != 1:
            raise ValueError("give exactly one of 'postgres', 'http', 'file'")
        if self.complete and self.complete.sql and not self.postgres:
            raise ValueError("complete.sql: only a postgres source can be asked with SQL")
        if self.complete and self.complete.field and not self.http:
            raise ValueError("complete.field: only an http source can be asked for a field")
        return self

    @property
    def kind(self) -> Literal["postgres", "http", "file"]:
        """Which kind of source this is."""
        return "postgres" if self.postgres else "http" if self.http else "file"

    @property
    def time_column(self) -> str | None:
        """The column that holds the event time, if the source names one."""
        config = self.postgres or self.http or self.file
        assert config is not None
        return config.time_column


class Join(Described):
    """Two sources joined on equal columns; `expect` promises how many rows match, and is checked."""

    left: Identifier
    right: Identifier
    on: dict[Column, Column]
    expect: Literal["one_to_one", "many_to_one"] = "one_to_one"
    how: Literal["left", "inner"] = "left"

    @field_validator("on", mode="before")
    @classmethod
    def _same_name(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value
        return {name: name for name in names} if isinstance(names, list) else names
