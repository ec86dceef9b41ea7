"""What ends a read, for each kind of paging: the cases that lost pages in other products, and their like."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tenacity import wait_none

from evergreen.errors import SourceError
from evergreen.sources.http import read as http
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.document import at, has, put
from evergreen.sources.http.read import read_http

CURSOR = {"cursor": {}}
BY_PAGE = {"page": {"size_param": "size", "size": 3}}
BY_OFFSET = {"offset": {"limit": 3}}


def source(**changes: Any) -> HttpSource:
    return HttpSource(**{"conn_id": "weather_api", "path": "/v1", **changes})


def numbers(api: Any, **changes: Any) -> list[float]:
    """The field `n` of all rows, in their order."""
    table = read_http(source(**changes), api.connection(), "2024-01-01").table()
    return [int(n) for n in table.column("n").to_pylist()] if table.num_columns else []


def n(*values: int) -> list[dict[str, int]]:
    return [{"n": value} for value in values]


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        ({"@odata.nextLink": "a"}, "@odata.nextLink", "a"),
        ({"d": {"@odata.nextLink": "a"}}, "d.@odata.nextLink", "a"),
        ({"a.b": {"c": 1}}, "a.b.c", 1),
        ({"a.b": {"x": 1}, "a": {"b": {"c": 2}}}, "a.b.c", 2),
        ({"a.b": 1, "a": {"b": 2}}, "a.b", 1),
        ({"a": [{"b.c": 3}]}, "a.0.b.c", 3),
        ({"a": {"b": 2}}, "a.c", None),
    ],
)
def test_a_path_is_first_a_literal_key(document: Any, path: str, found: Any) -> None:
    assert at(document, path) == found
    assert has(document, path) == (found is not None)


def test_null_is_there_and_absent_is_not() -> None:
    assert has({"a": {"b": None}}, "a.b")
    assert not has({"a": None}, "a.b")


def test_put_leaves_the_document_as_it_was() -> None:
    document = {"a": {"b": 1}, "x.y": 0}
    assert put(put(document, "a.c", 2), "x.y", 3) == {"a": {"b": 1, "c": 2}, "x.y": 3}
    assert document == {"a": {"b": 1}, "x.y": 0}


class TestLiteralKeys:
    def test_odata(self, api: Any) -> None:
        api.will(
            {"value": n(1, 2), "@odata.count": 4, "@odata.nextLink": "/odata?$skiptoken=X"},
            {"value": n(3, 4)},
        )
        paging = {"link": {"path": "@odata.nextLink"}}
        assert numbers(api, records="value", paging=paging, total="@odata.count") == [1, 2, 3, 4]

    def test_records_and_cursor(self, api: Any) -> None:
        api.will({"a.b": n(1), "m.next": 5}, {"a.b": n(2), "m.next": None})
        assert numbers(api, records="a.b", paging={"cursor": {"path": "m.next"}}) == [1, 2]


class TestAFieldThatIsNowhere:
    """P2: the field that tells of the next page is under another name."""

    @pytest.mark.parametrize(
        ("document", "changes", "sign"),
        [
            ({"meta": {"next_cursor": "x"}}, {}, "'meta.next_cursor' tells of more"),
            ({"paging": {"has_more": True}}, {}, "'paging.has_more' tells of more"),
            ({}, {"params": {"limit": "2"}}, "the page is full: it has the 2 records that 'limit' asks for"),
            ({"total": 5}, {"total": "total"}, "the total is 5, and there were 2 records"),
            ({"nextPageToken": "x"}, {"paging": {"link": {"path": "links.next"}}}, "'nextPageToken' tells"),
            ({"total": 5}, {"total": "total", "paging": {"header": {}}}, "the total is 5"),
        ],
    )
    def test_is_an_error_that_lists_the_keys(self, api: Any, document: Any, changes: Any, sign: str) -> None:
        api.will({"data": n(1, 2), **document})
        with pytest.raises(SourceError) as told:
            numbers(api, **{"paging": CURSOR, **changes})
        assert sign in str(told.value)
        if "header" not in changes.get("paging", {}):
            assert all(name in str(told.value) for name in ["data", *document])

    @pytest.mark.parametrize(
        ("document", "changes"),
        [
            ({}, {}),
            ({"next": None}, {"params": {"limit": "2"}}),
            ({}, {"params": {"limit": "3", "store": "2"}}),
            ({"meta": {"next_cursor": None, "prev_cursor": "x"}}, {}),
            ({"pageInfo": {"hasNextPage": False, "endCursor": "x"}}, {}),
            ({"total": 2}, {"total": "total"}),
            ({"more": False}, {"params": {"limit": "2"}, "paging": {"cursor": {"more": "more"}}}),
        ],
    )
    def test_is_no_error_without_a_sign_of_more(self, api: Any, document: Any, changes: Any) -> None:
        api.will({"data": n(1, 2), **document})
        assert numbers(api, **{"paging": CURSOR, **changes}) == [1, 2]


class TestNumberedPages:
    @pytest.mark.parametrize("paging", [BY_PAGE, BY_OFFSET])
    def test_a_short_page_in_the_middle_loses_nothing(self, api: Any, paging: Any) -> None:
        api.will({"data": n(1, 2, 3)}, {"data": n(4, 5)}, {"data": n(6, 7, 8)}, {"data": []})
        assert numbers(api, paging=paging) == [1, 2, 3, 4, 5, 6, 7, 8]
        assert len(api.asked) == 4

    @pytest.mark.parametrize("status", [404, 416])
    def test_a_no_after_a_short_page_is_the_end(self, api: Any, answer: Any, status: int) -> None:
        api.will({"data": n(1, 2, 3)}, {"data": n(4)}, answer(status))
        assert numbers(api, paging=BY_PAGE) == [1, 2, 3, 4]

    def test_a_no_before_the_total_is_not(self, api: Any, answer: Any) -> None:
        api.will({"data": n(1), "total": 4}, answer(404))
        with pytest.raises(SourceError, match="answered 404"):
            numbers(api, paging=BY_PAGE, total="total")

    def test_capped_pages(self, api: Any) -> None:
        api.will({"data": n(1, 2)}, {"data": n(3, 4)}, {"data": n(5)}, {"data": []})
        assert numbers(api, paging={"page": {"size_param": "size", "size": 100}}) == [1, 2, 3, 4, 5]

    def test_an_empty_page_before_the_total_is_an_error(self, api: Any) -> None:
        api.will({"data": n(1, 2, 3), "total": 6}, {"data": [], "total": 6})
        with pytest.raises(SourceError, match="gave 3 records and a total of 6"):
            numbers(api, paging=BY_PAGE, total="total")

    def test_the_last_page_once_more_after_the_total_is_the_end(self, api: Any) -> None:
        last = {"data": n(4), "total": 4}
        api.will({"data": n(1, 2, 3), "total": 4}, last, last)
        assert numbers(api, paging=BY_PAGE, total="total") == [1, 2, 3, 4]
        api.will({"data": n(1, 2, 3)}, {"data": n(4)}, {"data": n(4)})
        with pytest.raises(SourceError, match="page 3 has the records of the page before it"):
            numbers(api, paging=BY_PAGE)

    def test_more_says_that_an_empty_page_is_not_the_last(self, api: Any) -> None:
        api.will({"data": n(1), "more": True}, {"data": [], "more": True}, {"data": n(2), "more": False})
        assert numbers(api, paging={"page": {"more": "more"}}) == [1, 2]

    def test_records_that_shift_are_found_out(self, api: Any) -> None:
        """A record that came at the front: the last of page 1 is the first of page 2."""
        api.will({"data": n(1, 2, 3), "total": 6}, {"data": n(3, 4, 5), "total": 7}, {"data": n(6)})
        with pytest.raises(SourceError, match="begins with the last 1 records of the page before it"):
            numbers(api, paging=BY_PAGE, total="total")

    def test_equal_records_are_no_sign_where_records_are_not_distinct(self, api: Any) -> None:
        api.will({"data": n(1, 1, 2)}, {"data": n(2, 3, 3)}, {"data": []})
        assert numbers(api, paging=BY_PAGE) == [1, 1, 2, 2, 3, 3]

    def test_a_total_that_falls_is_an_error(self, api: Any) -> None:
        """A record of page 1 was deleted: the first one of page 2 moved up and is never served."""
        api.will({"data": n(1, 2, 3), "total": 6}, {"data": n(5, 6), "total": 5}, {"data": [], "total": 5})
        with pytest.raises(SourceError, match="fell from 6 to 5"):
            numbers(api, paging=BY_PAGE, total="total")

    @pytest.mark.parametrize("total", [5, "5"])
    def test_a_total_that_grows_at_the_end_is_read(self, api: Any, total: Any) -> None:
        api.will({"data": n(1, 2, 3), "total": 4}, {"data": n(4, 5), "total": total}, {"data": []})
        assert numbers(api, paging=BY_PAGE, total="total") == [1, 2, 3, 4, 5]

    def test_a_page_of_long_ago_is_found_out(self, api: Any) -> None:
        api.will({"data": n(1, 2)}, {"data": n(3, 4)}, {"data": n(1, 2)})
        with pytest.raises(SourceError, match="page 3 has the records of page 1"):
            numbers(api, paging={"page": {}})


class TestPagesWithoutRecords:
    """P4: null, or no key at all."""

    @pytest.mark.parametrize("last", [{"data": None}, {"data": []}, {}, {"next": None}])
    def test_are_empty(self, api: Any, last: Any) -> None:
        api.will({"data": n(1), "next": "a"}, last)
        assert numbers(api, paging=CURSOR) == [1]
        api.will({"data": n(1)}, {key: None for key in last if key == "data"})
        assert numbers(api, paging=BY_PAGE) == [1]

    def test_null_on_the_only_page_is_no_rows(self, api: Any) -> None:
        api.will({"data": None})
        assert numbers(api) == []

    def test_a_total_of_0_needs_no_records(self, api: Any) -> None:
        api.will({"total": 0})
        assert numbers(api, total="total") == []

    @pytest.mark.parametrize(
        ("last", "says"),
        [
            ({"message": "too many"}, "no list of records under 'data' .there: message"),
            ({"error": "limit"}, 'an error instead of records: "limit"'),
            ({"errors": [{"message": "x"}], "data": None}, "an error instead of records"),
            ({"data": {"x": 1}}, "no list of records under 'data'"),
            ({"data": "none"}, "no list of records under 'data'"),
        ],
    )
    def test_an_error_with_status_200_is_no_end(self, api: Any, last: Any, says: str) -> None:
        api.will({"data": n(1), "next": "a"}, last)
        with pytest.raises(SourceError, match=says):
            numbers(api, paging=CURSOR)


class TestCursorsAtTheEnd:
    """P5: the last page has a cursor."""

    @pytest.mark.parametrize("paging", [CURSOR, {"link": {}}])
    def test_an_empty_page_under_the_same_cursor_ends(self, api: Any, paging: Any) -> None:
        after = "/v1?cursor=a" if "link" in paging else "a"
        api.will({"data": n(1), "next": after}, {"data": [], "next": after})
        assert numbers(api, paging=paging) == [1]

    def test_a_page_with_records_under_the_same_cursor_does_not(self, api: Any) -> None:
        api.will({"data": n(1), "next": "a"}, {"data": n(2), "next": "a"})
        with pytest.raises(SourceError, match="cursor 'a' came twice"):
            numbers(api, paging=CURSOR)

    @pytest.mark.parametrize("no", [False, 0, "false", "No"])
    def test_more_says_no_beside_a_cursor(self, api: Any, no: Any) -> None:
        api.will(
            {"data": n(1), "next": "a", "m": {"more": True}}, {"data": n(2), "next": "b", "m": {"more": no}}
        )
        assert numbers(api, paging={"cursor": {"more": "m.more"}}) == [1, 2]
        assert len(api.asked) == 2

    def test_more_without_a_cursor_is_an_error(self, api: Any) -> None:
        api.will({"data": n(1), "more": True})
        with pytest.raises(SourceError, match="'more' says that there is more"):
            numbers(api, paging={"cursor": {"more": "more"}})

    def test_a_field_that_does_not_say_is_an_error(self, api: Any) -> None:
        api.will({"data": n(1), "more": {"a": 1}})
        with pytest.raises(SourceError, match="does not say whether there is more"):
            numbers(api, paging={"cursor": {"more": "more"}})

    @pytest.mark.parametrize(
        ("cursor", "sent"), [("9007199254740993", "9007199254740993"), ("1.50", "1.50"), ("0", "0")]
    )
    def test_numbers_are_sent_as_they_came(self, api: Any, answer: Any, cursor: str, sent: str) -> None:
        api.will(answer(body=b'{"data": [{"n": 1}], "next": %s}' % cursor.encode()), {"data": n(2)})
        assert numbers(api, paging=CURSOR, types={"money": "decimal(12, 2)"}) == [1, 2]
        assert api.asked[1][1] == {"cursor": sent}

    def test_a_token_in_a_header_goes_into_a_header(self, api: Any, answer: Any) -> None:
        api.will(answer(body=json.dumps({"data": n(1)}).encode(), headers={"X-Next": "t1"}), {"data": n(2)})
        assert numbers(api, paging={"cursor": {"header": "x-next", "param": "X-Token", "in": "header"}}) == [
            1,
            2,
        ]
        assert [headers.get("X-Token") for _, _, headers in api.asked] == [None, "t1"]


class TestWaiting:
    """P6: a limit of requests under another status, or with a wait of 0."""

    def test_403_that_asks_to_wait_is_waited_for(self, api: Any, answer: Any) -> None:
        api.will(answer(403, headers={"Retry-After": "1"}), {"data": n(1)})
        began = time.monotonic()
        assert numbers(api) == [1]
        assert time.monotonic() - began >= 1

    def test_403_that_does_not_is_a_no(self, api: Any, answer: Any) -> None:
        api.will(answer(403))
        with pytest.raises(SourceError, match="lacks the right"):
            numbers(api)

    def test_a_wait_of_0_is_never_less_than_the_backoff(
        self, api: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        paused: list[int] = []

        class Backoff(wait_none):
            def __call__(self, retry_state: Any) -> float:
                paused.append(retry_state.attempt_number)
                return 0.2

        monkeypatch.setattr(http, "BACKOFF", Backoff())
        api.will(answer(429, headers={"Retry-After": "0"}), answer(429), {"data": n(1)})
        began = time.monotonic()
        assert numbers(api) == [1]
        assert time.monotonic() - began >= 0.4
        assert paused == [1, 2]
