"""A look at one answer of an API."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from evergreen.errors import SourceError
from evergreen.look import look_at
from evergreen.sources.look.found import Look
from tests.unit.sources import conftest
from tests.unit.sources.conftest import Answer, Api

api = conftest.api

RECORDS = [
    {"id": 1, "at": "2024-01-01T05:00:00Z", "v": 1.5},
    {"id": 2, "at": "2024-01-02T05:00:00Z", "v": None},
]


def look(api: Api, answer: Any, address: str = "/v1/sales?day=2024-01-31") -> tuple[Look, dict[str, Any]]:
    """The look at an API that always gives this answer, and the description that it writes."""
    api.will(*[answer] * 4)
    found = look_at("weather_api", address, connect=lambda _: api.connection())
    (source,) = yaml.safe_load(found.yaml)["sources"].values()
    return found, source["http"]


@pytest.mark.parametrize(
    ("document", "told", "doubts"),
    [
        (RECORDS, {"records": ""}, ()),
        ({"data": RECORDS}, {"records": "data"}, ()),
        ({"meta": {"n": 2}, "result": {"items": RECORDS}}, {"records": "result.items"}, ()),
        ({"data": RECORDS, "links": {"next": "http://127.0.0.1/v1/sales?page=2"}},
         {"records": "data", "paging": {"link": {"path": "links.next"}}}, ()),
        ({"data": RECORDS, "next_cursor": "abc"}, {"records": "data"},
         ("paging: one answer was read, and next_cursor abc may tell of further pages",)),
        ({"data": RECORDS, "next_cursor": None}, {"records": "data"}, ()),
        ({"data": RECORDS, "errors": [{"code": 1}]}, {"records": "data"},
         ("records: they may be under 'errors' too",)),
    ],
)  # fmt: skip
def test_the_records_of_a_document(api: Api, document: Any, told: dict[str, Any], doubts: tuple[str]) -> None:
    found, config = look(api, document)
    assert [(one.name, one.type, one.nulls) for one in found.columns] == [
        ("id", "float", 0),
        ("at", "time", 0),
        ("v", "float", 1),
    ]
    assert config == {
        "conn_id": "weather_api",
        "path": "/v1/sales",
        "params": {"day": "2024-01-31"},
        "time_column": "at",
        **told,
    }
    assert (found.unsure, found.is_whole) == (doubts, False)
    assert {params["day"] for _, params, _ in api.asked} == {"2024-01-31"}


def test_a_link_in_a_header(api: Api) -> None:
    answer = Answer(body=json.dumps(RECORDS).encode(), headers={"Link": '<http://127.0.0.1/2>; rel="next"'})
    assert look(api, answer)[1]["paging"] == {"header": {}}


def test_csv_and_json_lines(api: Api) -> None:
    found, config = look(api, Answer(body=b"Tag;Wert\n31.01.2024;1,5\n01.02.2024;x\n02.02.2024;2,5\n"))
    assert config["csv"] == {"delimiter": ";", "decimal": ","}
    assert config["types"] == {"Tag": "date %d.%m.%Y"}
    assert found.columns[1].forced is not None
    assert found.columns[1].forced.place == "line 3"
    api.script.clear()
    found, config = look(api, Answer(body=b"\n".join(json.dumps(one).encode() for one in RECORDS)))
    assert (found.rows, config["format"]) == (2, "json_lines")


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ({"error": "no such day"}, "the answer has no list of records (there: error): ask another path"),
        ({"data": []}, "the answer has no list of records (there: data): ask another path"),
        (Answer(body=b"<html>"), "is neither JSON nor CSV"),
        (Answer(404), "404"),
    ],
)
def test_what_holds_no_records_is_one_line(api: Api, answer: Any, line: str) -> None:
    with pytest.raises(SourceError) as raised:
        look(api, answer)
    assert line in str(raised.value)
    assert "s3cret" not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
