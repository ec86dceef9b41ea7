"""What `for_each` may say, and what is asked for each value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from evergreen.connections import Connection
from evergreen.errors import SourceError
from evergreen.sources.http.read import read_http
from tests.http_peers import Said, serving
from tests.unit.sources.http.shop import DAY, read, shop, source


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"for_each": {"store": []}}, "there is no value: write at least one"),
        ({"for_each": {"store": 7}}, "write a list of values, or a query's"),
        ({"for_each": {"store": [1, "a"]}}, "the values are numbers and texts"),
        ({"for_each": {"store": ["a", ""]}}, "a value is an empty text"),
        ({"for_each": {"store": [1, 2, 1]}}, "the value '1' is there 2 times"),
        ({"for_each": {"store": [1.5]}}, "valid integer"),
        ({"for_each": {"store": [True]}}, "valid integer"),
        ({"for_each": {"store": list(range(10_001))}}, "there are 10,001 values"),
        ({"for_each": {"store": list(range(200)), "n": list(range(200))}}, "there are 40,000 combinations"),
        ({"for_each": {"partition": [1]}, "path": "/{partition}"}, "'partition' stands for the partition"),
        ({"for_each": {"shop": [1]}}, r"for_each.shop: every value would ask for the same: write '\{shop\}'"),
        ({"for_each": {}, "parallel": 2}, "'parallel' is for the values of 'for_each'"),
        ({"parallel": 33}, "less than or equal to 32"),
    ],
)
def test_what_cannot_be_asked_is_refused(changes: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        source(**changes)


def test_values_are_no_window_of_time() -> None:
    with pytest.raises(ValueError, match=r"write '\{partition\}' where it asks"):
        source().check_by_partition()


def test_every_value_is_asked_for_with_every_other_in_all_places() -> None:
    described = source(
        path="/{kind}/sales",
        method="POST",
        params={"kind": "{kind}", "day": "{partition}"},
        headers={"X-Kind": "{kind}", "X-Day": "{partition}"},
        body={"store": "{store}", "query": "{ sales(store: {store}) { id } }", "page": 1},
        for_each={"kind": ["a b/?", "c"], "store": [1, 2]},
        paging={},
    )
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        table = read(peer, described).table()
    found = [
        (asked.path, asked.headers.get("x-kind"), asked.headers.get("x-day"), json.loads(asked.body))
        for asked in peer.asked
    ]
    assert found == [
        (
            f"/{path}/sales?kind={param}&day={DAY}",
            kind,
            DAY,
            {"store": store, "query": f"{{ sales(store: {store}) {{ id }} }}", "page": 1},
        )
        for path, param, kind in (("a%20b%2F%3F", "a+b%2F%3F", "a b/?"), ("c", "c", "c"))
        for store in (1, 2)
    ]
    assert table.to_pylist() == [
        {"n": 1.0, "kind": kind, "store": store} for kind in ("a b/?", "c") for store in (1.0, 2.0)
    ]


@pytest.mark.parametrize("value", [".", ".."])
def test_no_value_leads_to_another_path(value: str) -> None:
    with serving(shop) as peer, pytest.raises(SourceError, match=r"cannot stand in a path"):
        read(peer, source(for_each={"store": [value]}))


def test_a_value_that_no_header_can_hold_is_named() -> None:
    described = source(path="/sales", headers={"X-Store": "{store}"}, for_each={"store": ["a", "ü\n"]})
    with serving(shop) as peer, pytest.raises(SourceError, match="'ü ' cannot be sent in a header"):
        read(peer, described)


def test_a_header_of_the_connection_wins() -> None:
    described = source(path="/", headers={"x-key": "{store}"}, for_each={"store": [1]}, paging={})
    with serving(lambda asked: Said(body=b'{"data": [{"n": 1}]}')) as peer:
        connection = Connection(
            "shop_api", "http", peer.address(), password="k", extra={"api_key_header": "X-Key"}
        )
        read_http(described, connection, DAY, values=[{"store": 1}]).table()
    assert peer.asked[0].headers["x-key"] == "k"
