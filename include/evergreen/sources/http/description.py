"""A paged API as a source, as `pipeline.yaml` describes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, PlainSerializer, model_validator

from evergreen.calendar import Zone, check_zone, zone_of
from evergreen.sources.http.for_each import ForEach, check_unused, check_used
from evergreen.sources.http.paging import Paging
from evergreen.sources.kind import Question, SourceConfig
from evergreen.sources.placeholders import check_forms, names_partition, texts
from evergreen.sources.text.dialect import CsvDialect
from evergreen.units import ConnectionId, Duration, Size

MOST_PARALLEL = 32
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_RATE = re.compile(r"([0-9]{1,6}) per (second|minute|hour)")


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


class HttpSource(SourceConfig):
    """Records of a paged API.

    `path`, `params`, `headers` and the JSON `body` of a POST may hold the placeholders of
    `evergreen.sources.placeholders`, whose times are written in `timezone` (the pipeline's by default).
    `records` is the path (dotted; empty: the whole answer) of the list of records in a JSON answer, `total`
    that of their number, which is then checked. `csv` says how a CSV answer is written. `next: cursor` is
    short for `paging: {cursor: {param: cursor}}`. `timeout`, `max_pages` and `max_bytes` limit what a read
    may cost, and `rate` (written like `5 per second`) how many requests are sent in a time.

    `for_each` has values by the name of a placeholder: for each of them, and for each combination if there
    are several names, all pages are read, `parallel` of them at a time. `max_pages` is the limit of each.
    """

    conn_id: ConnectionId
    path: str = Field(pattern=r"^/")
    method: Literal["GET", "POST"] = "GET"
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: dict[str, JsonValue] | None = None
    for_each: ForEach = {}
    parallel: int = Field(default=1, ge=1, le=MOST_PARALLEL)
    timezone: Annotated[str, AfterValidator(check_zone)] | None = None
    rate: Annotated[Rate, BeforeValidator(_rate), PlainSerializer(str)] | None = None
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
    params: dict[str, str] = {}
    field: str
    equals: str | int | bool | None = None
