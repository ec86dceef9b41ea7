from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import httpx
import pytest

from evergreen.errors import SourceError
from evergreen.sources.http.address import first_page
from evergreen.sources.http.address import next_page as the_next_page
from evergreen.sources.http.document import at
from evergreen.sources.http.paging import Paging
from evergreen.sources.http.progress import Page, Progress, Request

HERE = "https://api.test/v1?day=x"
FIRST = "/v1?day=x"


def paging(**kinds):
    return Paging.model_validate(kinds).config


def page(document=None, count=10, link="", url=HERE):
    return Page(count, document, httpx.Headers({"Link": link} if link else {}), url)


def after(**figures):
    return replace(Progress(Request(FIRST), pages=1, records=10, largest=10), **figures)


def next_page(kind, first, so_far, page):
    found = the_next_page(kind, Request(first), so_far, page)
    return found and found.address


def is_probe(kind, so_far, count):
    return the_next_page(kind, Request(FIRST), so_far, page({"next": "a"}, count=count)).probe


class TestTheFirstPage:
    def test_bears_the_params(self):
        assert first_page(paging(), "/v1", {"day": "a b"}).address == "/v1?day=a+b"

    def test_of_a_path_with_a_query_of_its_own(self):
        assert first_page(paging(), "/v1?kind=a", {"day": "x"}).address == "/v1?kind=a&day=x"

    def test_of_a_path_that_begins_with_two_slashes_stays_on_the_host(self):
        assert first_page(paging(), "//evil.test/v1", {}).address == "//evil.test/v1"

    def test_by_number_and_by_offset(self):
        assert first_page(paging(page={"first": 0, "size_param": "per", "size": 5}), "/v1", {}).address == (
            "/v1?page=0&per=5"
        )
        assert first_page(paging(offset={"limit": 7}), "/v1", {}).address == "/v1?offset=0&limit=7"


class TestTheCursor:
    @pytest.mark.parametrize(
        ("cursor", "sent"), [("a&b", "a%26b"), (17, "17"), (0, "0"), (Decimal("1.50"), "1.50")]
    )
    def test_goes_into_the_param_of_the_next_page(self, cursor, sent):
        found = next_page(paging(cursor={}), FIRST, after(), page({"next": cursor}))
        assert found == f"/v1?day=x&cursor={sent}"

    @pytest.mark.parametrize("document", [{"next": None}, {"next": ""}, {"next": False}, {}, [], None])
    def test_is_not_there_after_the_last_page(self, document):
        assert next_page(paging(cursor={}), FIRST, after(), page(document)) is None

    @pytest.mark.parametrize("cursor", [{"a": 1}, [1], True])
    def test_of_another_kind_is_refused(self, cursor):
        with pytest.raises(SourceError, match="under 'next' is a"):
            next_page(paging(cursor={}), FIRST, after(), page({"next": cursor}))

    def test_that_came_before_is_refused(self):
        so_far = after(seen={"/v1?day=x&cursor=a": None})
        with pytest.raises(SourceError, match="cursor 'a' came twice"):
            next_page(paging(cursor={}), FIRST, so_far, page({"next": "a"}))

    def test_is_shown_in_one_short_line(self):
        cursor = "a\n" * 500
        so_far = after(seen={next_page(paging(cursor={}), FIRST, after(), page({"next": cursor})): None})
        with pytest.raises(SourceError) as told:
            next_page(paging(cursor={}), FIRST, so_far, page({"next": cursor}))
        assert "\n" not in str(told.value)
        assert len(str(told.value)) < 200


class TestNumbersAndOffsets:
    def test_count_up(self):
        numbered = paging(page={"first": 0})
        assert next_page(numbered, "/v1?page=0", after(pages=3), page()) == "/v1?page=3"
        by_offset = paging(offset={"limit": 10})
        assert next_page(by_offset, "/v1?offset=0&limit=10", after(records=25), page()) == (
            "/v1?offset=25&limit=10"
        )

    @pytest.mark.parametrize("kind", [{"page": {}}, {"offset": {}}])
    def test_end_with_a_page_without_records(self, kind):
        assert next_page(paging(**kind), FIRST, after(pages=2), page(count=0)) is None

    @pytest.mark.parametrize("kind", [{"page": {"size_param": "per", "size": 10}}, {"offset": {"limit": 10}}])
    def test_a_page_shorter_than_the_fullest_need_not_be_the_last(self, kind):
        assert is_probe(paging(**kind), after(pages=2, records=19), 9)
        assert not is_probe(paging(**kind), after(pages=2, records=20), 10)
        assert not is_probe(paging(**kind), after(pages=2, records=19, total=30), 9)

    def test_go_on_after_an_empty_page_if_the_api_says_so(self):
        kind = paging(page={"more": "more"})
        assert next_page(kind, "/v1?page=1", after(), page({"more": True}, count=0)) == "/v1?page=2"
        assert next_page(kind, "/v1?page=1", after(), page({"more": False})) is None

    def test_a_first_page_that_is_short_is_not_trusted_to_be_the_last(self):
        by_offset, so_far = paging(offset={"limit": 1000}), after(records=100, largest=100)
        assert next_page(by_offset, FIRST, so_far, page(count=100)) is not None
        assert is_probe(by_offset, so_far, 100)
        assert not is_probe(by_offset, replace(so_far, pages=2), 100)

    def test_a_page_after_the_total_is_only_a_probe(self):
        assert is_probe(paging(page={}), after(pages=4, records=40, total=40), 10)
        assert not is_probe(paging(page={}), after(pages=4, records=40, total=50), 10)
        assert not is_probe(paging(cursor={}), after(records=40, total=40), 10)


class TestLinks:
    @pytest.mark.parametrize(
        ("link", "address"),
        [
            ("/v1?page=2", "/v1?page=2"),
            ("?page=2", "/v1?page=2"),
            ("https://api.test/v2?p=2#part", "/v2?p=2"),
            ("https://API.test:443/v2", "/v2"),
            ("https://me:pw@api.test/v2", "/v2"),
            (None, None),
            ("", None),
        ],
    )
    def test_in_the_body_are_read_as_the_page_meant_them(self, link, address):
        assert next_page(paging(link={}), FIRST, after(), page({"next": link})) == address

    @pytest.mark.parametrize(
        "link",
        [
            "https://evil.test/v1",
            "//evil.test/v1",
            "http://api.test/v1",
            "https://api.test:8443/v1",
            "ftp://x/y",
        ],
    )
    def test_to_another_host_are_refused(self, link):
        with pytest.raises(SourceError, match="is not followed, because the key must not be sent elsewhere"):
            next_page(paging(link={}), FIRST, after(), page({"next": link}))
        with pytest.raises(SourceError, match="is not followed"):
            next_page(paging(header={}), FIRST, after(), page(link=f'<{link}>; rel="next"'))

    @pytest.mark.parametrize("link", [7, ["/v1"], "https://[", "x" * 100_000, "http://\n"])
    def test_that_are_none_are_refused(self, link):
        with pytest.raises(SourceError):
            next_page(paging(link={}), FIRST, after(), page({"next": link}))

    @pytest.mark.parametrize(
        "header",
        [
            '</v1?p=2>; rel="next"',
            "</v1?p=2>; rel=next",
            '</v1?p=1>; rel="prev", </v1?p=2>; rel="next"',
            '</v1?p=2>; title="a, b; c"; REL="last NEXT"',
            '</first,1>; rel="first",</v1?p=2>;rel="next"',
        ],
    )
    def test_in_the_header(self, header):
        assert next_page(paging(header={}), FIRST, after(), page(link=header)) == "/v1?p=2"

    @pytest.mark.parametrize("header", ["", '</v1?p=1>; rel="prev"', "next", "</v1>; title=next", "<" * 5000])
    def test_not_in_the_header(self, header):
        assert next_page(paging(header={}), FIRST, after(), page(link=header)) is None

    def test_that_lead_back_are_refused(self):
        with pytest.raises(SourceError, match="the link to a page came twice"):
            next_page(paging(link={}), FIRST, after(seen={"/v1": None}), page({"next": "/v1"}))


def test_progress_comes_back_as_it_was():
    request = Request("/v1", '{"a": 1}', {"X-Next": "a"}, True)
    progress = Progress(request, 3, 30, 4000, 10, 90, 90, True, ("data",), {"/a": None, "/b": "d1"})
    assert Progress.from_dict(json.loads(json.dumps(progress.to_dict()))) == progress


@pytest.mark.parametrize(
    ("path", "found"), [("", {"a": [{"b": 1}]}), ("a.0.b", 1), ("a.1", None), ("a.x", None), ("b.c", None)]
)
def test_a_dotted_path(path, found):
    assert at({"a": [{"b": 1}]}, path) == found
