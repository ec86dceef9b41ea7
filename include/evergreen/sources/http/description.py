"""A paged API as a source, as `pipeline.yaml` describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, JsonValue, PlainSerializer, model_validator
from pydantic_core import CoreSchema

from evergreen.calendar import Zone, zone_of
from evergreen.sources.http.for_each import ForEach, check_unused, check_used
from evergreen.sources.http.paging import Paging
from evergreen.sources.kind import Question, SourceConfig
from evergreen.sources.placeholders import check_forms, names_partition, texts
from evergreen.sources.text.dialect import CsvDialect
from evergreen.units import ConnectionId, Duration, Size, ZoneName, form, matching

MOST_PARALLEL = 32
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_RATE = re.compile(r"([0-9]{1,6}) per (second|minute|hour)")
_RATE_FORM = form("a rate of requests", matching(_RATE, "(?!0+ )"), "5 per second")


@dataclass(frozen=True)
class Rate:
    """At most `times` requests in `per` seconds."""

    times: int
    per: int

    def __str__(self) -> str:
        return f"{self.times} per {next(word for word, per in _SECONDS.items() if per == self.per)}"


def _rate(value: Any) -> Any:
    if isinstance(value, Rate):
        return value
    match = _RATE.fullmatch(str(value))
    if not match or not int(match[1]):
        raise ValueError("write a rate like '5 per second', '100 per minute' or '1000 per hour'")
    return Rate(int(match[1]), _SECONDS[match[2]])


_NEXT = {
    "description": "Short for a cursor: `next: x` is `paging: {cursor: {param: x}}`.",
    "type": "string",
    "minLength": 1,
    "maxLength": 63,
    "examples": ["cursor"],
}


class HttpSource(SourceConfig):
    """Records of a paged API.

    `path`, `params`, `headers` and `body` may hold the placeholders of `evergreen.sources.placeholders`.
    """

    conn_id: ConnectionId
    """The connection with the address and credentials. Example: weather_api"""
    path: str = Field(pattern=r"^/")
    """The path below the connection's address. Example: /v1/hourly"""
    method: Literal["GET", "POST"] = "GET"
    """The method of the requests."""
    params: dict[str, str] = {}
    """The parameters of the query. Example: {day: "{partition}"}"""
    headers: dict[str, str] = {}
    """Further headers. Example: {Accept-Language: en}"""
    body: dict[str, JsonValue] | None = None
    """The JSON body of a POST. Example: {day: "{partition}"}"""
    for_each: ForEach = {}
    """Values by the name of a placeholder, or a query for them: for each, and each combination of several,
    all pages are read. Example: {store: [1, 2]}
    """
    parallel: int = Field(default=1, ge=1, le=MOST_PARALLEL)
    """How many values of `for_each` are read at a time. Example: 4"""
    timezone: ZoneName | None = None
    """The time zone in which times of placeholders are written; default: the pipeline's. Example:
    Europe/Berlin
    """
    rate: Annotated[Rate, BeforeValidator(_rate), PlainSerializer(str), _RATE_FORM] | None = None
    """How many requests are sent in a time at most. Example: 5 per second"""
    format: Literal["json", "json_lines", "csv"] = "json"
    """The format of the answers."""
    csv: CsvDialect = CsvDialect()
    """How a CSV answer is written."""
    records: str = "data"
    """The path (dotted; empty: the whole answer) of the list of records in a JSON answer. Example:
    result.items
    """
    total: str | None = None
    """The path (dotted) of the number of records, which is then checked. Example: meta.count"""
    paging: Paging = Paging.model_validate({})
    max_pages: int = Field(default=10_000, ge=1)
    """The most pages that are read, of each value of `for_each`."""
    max_bytes: Size = 10 * 2**30
    """The most bytes that are read. Example: 10 GB"""
    timeout: Duration = timedelta(hours=1)
    """How long a read may take."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As of any part, with the key `next`, which is short for another."""
        found = super().__get_pydantic_json_schema__(core, handler)
        handler.resolve_ref_schema(found)["properties"]["next"] = _NEXT
        return found

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
            raise ValueError(
                f"a {self.format} answer has no place for a cursor, a link or a total: leave it out"
            )
        if self.format != "csv" and self.csv.model_fields_set:
            raise ValueError(
                f"a {self.format} answer has no CSV dialect: leave out 'csv', or say 'format: csv'"
            )
        return self

    @model_validator(mode="after")
    def _requests_fit(self) -> HttpSource:
        if self.method == "GET" and self.body is not None:
            raise ValueError("a GET has no body: leave out 'body', or say 'method: POST'")
        if self.method == "GET" and self.paging.config.place == "body":
            raise ValueError("a GET has no body for the paging's 'in: body': say 'method: POST'")
        for text in self.templates():
            check_forms(text)
        check_used(self.for_each, self.templates())
        if self.parallel > 1 and not self.for_each:
            raise ValueError("'parallel' is for the values of 'for_each': leave it out, or give those")
        return self

    @property
    def zone(self) -> Zone | None:
        """The zone of `timezone`."""
        return None if self.timezone is None else zone_of(self.timezone)

    @property
    def whole(self) -> bool:
        """Whether it is named the event time and not asked by partition."""
        return self.time_column is not None and not self.asks_by_partition

    def templates(self) -> Iterable[str]:
        """The path, and the values of parameters, headers and body."""
        return (self.path, *self.params.values(), *self.headers.values(), *texts(self.body))

    def differs(self, text: str) -> bool:
        """Whether it has a placeholder."""
        return names_partition(text)

    def check_question(self, question: Question) -> None:
        """The question is asked once, for all values of `for_each`."""
        if isinstance(question, FieldQuestion):
            check_unused(self.for_each, (question.path, *question.params.values()))


class FieldQuestion(Question):
    """`field` is the path (dotted) in the JSON answer of `path` that is true, or equal to `equals`."""

    name: ClassVar = "field"
    path: str = Field(pattern=r"^/")
    """The path of the request below the connection's address. Example: /v1/status"""
    params: dict[str, str] = {}
    """The parameters of its query. Example: {day: "{partition}"}"""
    field: str
    """The path (dotted) in the JSON answer of the value that is true, or equal to `equals`, once the source
    is complete. Example: data.ready
    """
    equals: str | int | bool | None = None
    """The value that the field must have; default: true. Example: done"""
