"""A kind of paging of one's own: one class and its entry, read from a real server."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from evergreen.description import explain
from evergreen.errors import SourceError, UnavailableError
from evergreen.ingestion.checkpoint import StagedCheckpoint
from evergreen.sources import Source
from evergreen.sources.attempts import ATTEMPTS
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.paging import PAGINGS, PagingKind, Params
from evergreen.sources.http.progress import Page, Progress, Told
from evergreen.sources.http.read import read_http
from evergreen.staging import Staging
from evergreen.storage import Storage
from evergreen.units import Column

DAY = "2011-01-01"


class TokenPaging(PagingKind):
    """The answer's header `header` holds the token of the next page, `begin` is that of the first one."""

    header: str
    param: Column = "token"
    begin: str = "0"

    def first_request(self) -> Params:
        return {self.param: self.begin}

    def told(self, page: Page, so_far: Progress) -> Told | None:
        token = page.headers.get(self.header)
        return Told(token, f"token '{token}'") if token else None

    def next_request(self, told: Told) -> Params:
        return {self.param: told.value}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> HttpSource:
    monkeypatch.setitem(PAGINGS, "token", TokenPaging)
    described = {"conn_id": "weather_api", "path": "/v1", "paging": {"token": {"header": "X-Next"}}}
    return HttpSource.model_validate(described)


def tokens(answer: Any, *afters: str) -> list[Any]:
    """Pages of two records each; `afters` are the tokens that they bear."""
    return [
        answer(
            body=json.dumps({"data": [{"n": 2 * number}, {"n": 2 * number + 1}]}).encode(),
            headers={"X-Next": after} if after else {},
        )
        for number, after in enumerate(afters)
    ]


def test_every_page_is_read_once(api: Any, answer: Any, source: HttpSource):
    api.will(*tokens(answer, "a", "b", ""))
    table = read_http(source, api.connection(), DAY).table()
    assert table.column("n").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert [params for _, params, _ in api.asked] == [{"token": "0"}, {"token": "a"}, {"token": "b"}]


def test_a_token_that_goes_in_a_circle_is_an_error(api: Any, answer: Any, source: HttpSource):
    api.will(*tokens(answer, "a", "b", "a"))
    with pytest.raises(SourceError, match="the token 'a' came twice: the API's paging is broken"):
        read_http(source, api.connection(), DAY)


def test_an_interrupted_read_goes_on_after_its_last_page(
    api: Any, answer: Any, source: HttpSource, storage: Storage
):
    def kept() -> StagedCheckpoint:
        return StagedCheckpoint(Staging(storage, "p", "night-1"), "weather")

    pages = tokens(answer, "a", "b", "")
    api.will(*pages[:2], *[answer(503)] * ATTEMPTS)
    with pytest.raises(UnavailableError, match="503"):
        read_http(source, api.connection(), DAY, kept())
    api.asked.clear()
    api.will(pages[2])
    table = read_http(source, api.connection(), DAY, kept()).table()
    assert table.column("n").to_pylist() == [0, 1, 2, 3, 4, 5]
    assert [params for _, params, _ in api.asked] == [{"token": "b"}]


@pytest.mark.parametrize(
    ("paging", "says"),
    [
        ({"tokn": {}}, "http.paging.tokn: no such key, did you mean 'token'?; allowed here: cursor, "),
        ({"token": {}}, "http.paging.token.header: this key is required"),
        ({"token": {"header": "a"}, "link": {}}, "http.paging: give at most one of 'cursor', 'page', "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it_is_said_as_of_every_kind(source: HttpSource, paging: Any, says: str):
    with pytest.raises(ValidationError) as refusal:
        Source.model_validate({"http": {"conn_id": "api", "path": "/v1", "paging": paging}})
    assert says in explain(Source, refusal.value)
