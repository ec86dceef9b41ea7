"""Requests by POST, windows of time and a rate: what is sent, and what is refused."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from evergreen.calendar import zone_of
from evergreen.errors import SourceError
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http
from evergreen.sources.placeholders import Window, filled, filled_json

BERLIN = Window(
    "2024-03-31", datetime(2024, 3, 30, 23, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC)
).within(zone_of("Europe/Berlin"))


def source(**changes: Any) -> HttpSource:
    return HttpSource(**{"conn_id": "weather_api", "path": "/v1", **changes})


def numbers(api: Any, described: HttpSource, window: Window = BERLIN) -> list[Any]:
    bounds = (window.start, window.end)
    return read_http(described, api.connection(), window.partition, bounds=bounds).table()["n"].to_pylist()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("{partition}", "2024-03-31"),
        ("{partition:%Y/%m}", "2024/03"),
        ("{from:%Y-%m-%dT%H:%M%z}", "2024-03-31T00:00+0100"),
        ("{to:%Y-%m-%dT%H:%M%z}", "2024-04-01T00:00+0200"),
        ("{last:%Y-%m-%d}", "2024-03-31"),
        ("{from}..{to}", "2024-03-31T00:00:00+01:00..2024-04-01T00:00:00+02:00"),
        ("{from:unix}", "1711839600"),
        ("{to:unix_ms}", "1711922400000"),
        ("query { orders { from } } {other} {}", "query { orders { from } } {other} {}"),
    ],
)
def test_what_stands_for_a_placeholder(text: str, written: str) -> None:
    assert filled(text, BERLIN) == written


def test_a_lone_number_in_a_body_is_a_number() -> None:
    body = {"range": [{"gte": "{from:unix}"}, "x{from:unix}"], "size": 5, "none": None}
    assert filled_json(body, BERLIN) == {
        "range": [{"gte": 1711839600}, "x1711839600"],
        "size": 5,
        "none": None,
    }


def test_a_snapshot_has_no_window() -> None:
    with pytest.raises(SourceError, match=r"a snapshot has no time to write as '\{from:unix\}'"):
        filled("{from:unix}", Window("snapshot"))


def test_the_zone_of_the_api_may_be_another(api: Any) -> None:
    api.will({"data": [{"n": 1}]})
    numbers(api, source(timezone="UTC", params={"since": "{from:%Y-%m-%d %H:%M}"}))
    assert api.asked[0][1] == {"since": "2024-03-30 23:00"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"body": {"a": 1}}, "a GET has no body"),
        ({"paging": {"cursor": {"in": "body"}}}, "say 'method: POST'"),
        ({"params": {"a": "{from:hours}"}}, "has a form that writes no time"),
        ({"rate": "fast"}, "write a rate like '5 per second'"),
        ({"rate": "0 per second"}, "write a rate like '5 per second'"),
        ({"timezone": "Mars"}, "Mars"),
    ],
)
def test_what_cannot_be_sent_is_refused(changes: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        source(**changes)


def test_a_window_makes_a_source_one_of_partitions() -> None:
    source(method="POST", body={"query": {"from": "{from:unix}"}}).check_by_partition()
    with pytest.raises(ValueError, match="or name the column of the"):
        source(method="POST", body={"query": {"from": "now"}}).check_by_partition()


class TestPost:
    def test_a_search_is_paged_in_its_body(self, api: Any) -> None:
        api.will({"data": [{"n": 1}, {"n": 2}]}, {"data": [{"n": 3}]}, {"data": []})
        described = source(
            method="POST",
            body={"day": "{partition}", "page": {"filter": "all"}},
            paging={"offset": {"in": "body", "param": "page.from", "limit_param": "page.size", "limit": 2}},
        )
        assert numbers(api, described) == [1, 2, 3]
        assert [json.loads(body) for body in api.bodies] == [
            {"day": "2024-03-31", "page": {"filter": "all", "from": number, "size": 2}}
            for number in (0, 2, 3)
        ]
        assert api.asked[0][2]["Content-Type"] == "application/json"

    def test_graphql(self, api: Any) -> None:
        def answer(number: int, more: bool) -> Any:
            info = {"hasNextPage": more, "endCursor": f"c{number}"}
            return {"data": {"orders": {"nodes": [{"n": number}], "pageInfo": info}}}

        api.will(answer(1, True), answer(2, False))
        described = source(
            method="POST",
            body={"query": "query($after: String) { orders }", "variables": {"after": None}},
            records="data.orders.nodes",
            paging={
                "cursor": {
                    "in": "body",
                    "param": "variables.after",
                    "path": "data.orders.pageInfo.endCursor",
                    "more": "data.orders.pageInfo.hasNextPage",
                }
            },
        )
        assert numbers(api, described) == [1, 2]
        assert [json.loads(body)["variables"] for body in api.bodies] == [{"after": None}, {"after": "c1"}]

    def test_an_error_of_graphql_is_told(self, api: Any) -> None:
        api.will({"data": None, "errors": [{"message": "no such field"}]})
        with pytest.raises(SourceError, match=r"an error instead of records: .*no such field"):
            numbers(api, source(method="POST", records="data.orders.nodes"))

    @pytest.mark.parametrize("cursor", [b"7", b"9007199254740993", b"1.5", b'"7"'])
    def test_a_cursor_in_a_body_keeps_its_type(self, api: Any, answer: Any, cursor: bytes) -> None:
        api.will(answer(body=b'{"data": [{"n": 1}], "next": %s}' % cursor), {"data": [{"n": 2}]})
        assert numbers(api, source(method="POST", paging={"cursor": {"in": "body"}})) == [1, 2]
        assert api.bodies[1] == b'{"cursor":%s}' % cursor

    def test_is_sent_again_after_a_stumble(self, api: Any, answer: Any) -> None:
        api.will(answer(500), {"data": [{"n": 1}]})
        assert numbers(api, source(method="POST", body={"a": 1})) == [1]
        assert api.bodies == [b'{"a":1}'] * 2


def test_a_rate_is_kept_by_all_requests(api: Any, answer: Any) -> None:
    api.will(answer(500), *[{"data": [{"n": n}], "next": str(n)} for n in range(3)], {"data": [{"n": 3}]})
    began = time.monotonic()
    assert numbers(api, source(next="cursor", rate="20 per second")) == [0, 1, 2, 3]
    assert time.monotonic() - began >= 4 / 20


def test_xml_is_refused_with_what_to_do(api: Any, answer: Any) -> None:
    api.will(answer(body=b"\xef\xbb\xbf<?xml version='1.0'?><rows/>"))
    with pytest.raises(SourceError, match="answers in XML, which is not read: ask it for JSON or CSV"):
        numbers(api, source())
