from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pyarrow as pa
import pytest

from evergreen.errors import SourceError, UnavailableError
from evergreen.ingestion import http
from evergreen.ingestion.http import ATTEMPTS, read_http
from evergreen.spec import HttpSource

DAY = "2011-01-01"


def source(**changes):
    values = {
        "conn_id": "weather_api",
        "path": "/v1/hourly",
        "params": {"day": "{partition}"},
        "time_column": "hour",
    }
    return HttpSource(**{**values, **changes})


def hour(number: int, **values):
    return {"hour": f"{DAY}T{number:02}:00:00Z", **values}


def page(*records, cursor=None):
    return {"data": list(records), "next": cursor}


class TestReading:
    def test_one_page_becomes_a_table_with_a_time(self, api):
        api.will(page(hour(0, temperature=3, condition="clear"), hour(1, temperature=2.5, condition="mist")))
        table = read_http(source(), api.connection(), DAY)
        assert table.schema.field("hour").type == pa.timestamp("us", tz="UTC")
        assert table.to_pylist() == [
            {"hour": datetime(2011, 1, 1, 0, tzinfo=UTC), "temperature": 3.0, "condition": "clear"},
            {"hour": datetime(2011, 1, 1, 1, tzinfo=UTC), "temperature": 2.5, "condition": "mist"},
        ]
        assert [(path, params) for path, params, _ in api.asked] == [("/v1/hourly", {"day": DAY})]

    def test_every_page_is_asked_for_once_with_the_cursor_of_the_one_before(self, api):
        api.will(
            page(hour(0), hour(1), cursor="a"), page(hour(2), hour(3), cursor=17), page(hour(4), cursor="")
        )
        table = read_http(source(), api.connection(), DAY)
        assert [time.hour for time in table.column("hour").to_pylist()] == [0, 1, 2, 3, 4]
        assert [params for _, params, _ in api.asked] == [
            {"day": DAY},
            {"day": DAY, "cursor": "a"},
            {"day": DAY, "cursor": "17"},
        ]

    def test_records_and_cursor_may_lie_deeper_and_bear_other_names(self, api):
        api.will(
            {"answer": {"rows": [hour(0)]}, "meta": {"after": "x"}},
            {"answer": {"rows": [hour(1)]}, "meta": {}},
        )
        table = read_http(
            source(records="answer.rows", next="page", cursor_path="meta.after"), api.connection(), DAY
        )
        assert table.num_rows == 2
        assert api.asked[1][1] == {"day": DAY, "page": "x"}

    def test_a_source_without_paging_reads_one_page(self, api):
        api.will(page(hour(0), cursor="more"))
        assert read_http(source(next=None), api.connection(), DAY).num_rows == 1
        assert len(api.asked) == 1

    def test_no_records_are_no_rows(self, api):
        api.will(page())
        table = read_http(source(), api.connection(), DAY)
        assert (table.num_rows, table.num_columns) == (0, 0)


class TestCredentials:
    def test_the_key_goes_into_the_header_the_connection_names(self, api):
        api.will(page(hour(0)))
        read_http(source(), api.connection(), DAY)
        headers = api.asked[0][2]
        assert headers["X-API-Key"] == "s3cret-key"
        assert "Authorization" not in headers

    def test_without_one_the_password_is_a_bearer_token(self, api):
        api.will(page(hour(0)))
        read_http(source(), api.connection(extra={}), DAY)
        assert api.asked[0][2]["Authorization"] == "Bearer s3cret-key"

    def test_with_a_login_it_is_basic(self, api):
        api.will(page(hour(0)))
        read_http(source(), api.connection(extra={}, login="me"), DAY)
        expected = base64.b64encode(b"me:s3cret-key").decode()
        assert api.asked[0][2]["Authorization"] == f"Basic {expected}"

    def test_host_and_port_may_stand_apart_as_airflow_writes_them(self, api):
        api.will(page(hour(0)))
        port = int(api.address.rpartition(":")[2])
        connection = api.connection(host="127.0.0.1", port=port, schema="http")
        assert read_http(source(), connection, DAY).num_rows == 1

    @pytest.mark.parametrize("key", ["s3cret-key\n", "s3cret-k€y"])
    def test_a_key_that_no_header_can_hold_is_told_without_repeating_it(self, api, key):
        with pytest.raises(SourceError) as told:
            read_http(source(), api.connection(password=key), DAY)
        assert "key" in str(told.value)
        assert "s3cret" not in str(told.value)
        assert not api.asked

    def test_a_connection_without_host(self, api):
        with pytest.raises(SourceError, match="connection 'weather_api' has no host: set it"):
            read_http(source(), api.connection(host=None), DAY)


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "remedy"),
        [
            (400, "check the source's path and params"),
            (401, "check the key or password of the connection"),
            (403, "lacks the right"),
            (404, "check the connection's host and the source's path"),
            (422, "check the source's params"),
            (410, "check the source in pipeline.yaml"),
        ],
    )
    def test_a_no_is_not_asked_again(self, api, answer, status, remedy):
        api.will(answer(status, b'{"detail": "s3cret-key"}'))
        with pytest.raises(SourceError, match=f"/v1/hourly: the API answered {status}: .*{remedy}") as told:
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == 1
        assert "s3cret" not in str(told.value)

    def test_a_cursor_that_comes_twice(self, api):
        api.will(page(hour(0), cursor="a"), page(hour(1), cursor="b"), page(hour(2), cursor="a"))
        with pytest.raises(SourceError, match="cursor 'a' came twice"):
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == 3

    def test_more_pages_than_allowed(self, api):
        api.will(*[page(hour(n), cursor=f"c{n}") for n in range(5)])
        with pytest.raises(SourceError, match=r"more than 3 pages: .*raise max_pages"):
            read_http(source(max_pages=3), api.connection(), DAY)
        assert len(api.asked) == 3

    @pytest.mark.parametrize(
        ("document", "there"),
        [
            ({"rows": []}, "there: rows"),
            ([hour(0)], "there: a list"),
            ({"data": [1]}, "there: data"),
            ({"data": None}, "there: data"),
        ],
    )
    def test_an_answer_of_another_shape_says_what_is_there(self, api, document, there):
        api.will(document)
        with pytest.raises(SourceError, match=f"no list of records under 'data' .*{there}"):
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == 1

    def test_a_time_without_an_offset(self, api):
        api.will(page({"hour": "2011-01-01T00:00:00"}))
        with pytest.raises(SourceError, match=r"field 'hour' is not a time: .*with an offset"):
            read_http(source(), api.connection(), DAY)

    def test_a_time_column_that_is_not_there(self, api):
        api.will(page({"when": "2011-01-01T00:00:00Z"}))
        with pytest.raises(SourceError, match=r"no field 'hour' \(there: when\)"):
            read_http(source(), api.connection(), DAY)


class TestRedirects:
    def test_within_the_api_are_followed(self, api, answer):
        api.will(answer(307, headers={"Location": "/v2/hourly?day=" + DAY}), page(hour(0)))
        assert read_http(source(), api.connection(), DAY).num_rows == 1
        assert [path for path, _, _ in api.asked] == ["/v1/hourly", "/v2/hourly"]

    def test_to_another_host_are_not_so_the_key_stays_here(self, api, answer):
        elsewhere = f"http://localhost:{api.address.rpartition(':')[2]}/v1/hourly"
        api.will(answer(302, headers={"Location": elsewhere}))
        with pytest.raises(SourceError, match="redirects to localhost, which is not followed"):
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == 1

    def test_in_a_circle_end(self, api, answer):
        api.will(*[answer(302, headers={"Location": "/v1/hourly"})] * 20)
        with pytest.raises(SourceError, match="redirects"):
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == http.REDIRECTS + 1


class TestStumbles:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_thrice_and_then_well_gives_the_rows(self, api, answer, status):
        api.will(*[answer(status)] * 3, page(hour(0)))
        assert read_http(source(), api.connection(), DAY).num_rows == 1
        assert len(api.asked) == 4

    def test_for_good_is_unavailable_after_the_last_attempt(self, api, answer):
        api.will(*[answer(500)] * 20)
        with pytest.raises(UnavailableError, match=f"the API answered 500, {ATTEMPTS} times: .*run again"):
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == ATTEMPTS

    def test_only_the_page_that_stumbled_is_asked_for_again(self, api, answer):
        api.will(page(hour(0), cursor="a"), answer(500), page(hour(1)))
        table = read_http(source(), api.connection(), DAY)
        assert [time.hour for time in table.column("hour").to_pylist()] == [0, 1]
        assert [params.get("cursor") for _, params, _ in api.asked] == [None, "a", "a"]

    @pytest.mark.parametrize("cut", ["in the connection", "in the document"])
    def test_half_a_document_is_asked_for_again(self, api, answer, cut):
        whole = json.dumps(page(hour(0), hour(1))).encode()
        half = whole[: len(whole) // 2]
        api.will(answer(body=half, promised=len(whole) if cut == "in the connection" else None))
        api.will(page(hour(0), hour(1)))
        assert read_http(source(), api.connection(), DAY).num_rows == 2
        assert len(api.asked) == 2

    def test_half_a_document_for_good(self, api, answer):
        api.will(*[answer(body=b'{"data": [{"hour"')] * ATTEMPTS)
        with pytest.raises(UnavailableError, match="not a whole JSON document"):
            read_http(source(), api.connection(), DAY)
        assert len(api.asked) == ATTEMPTS

    def test_slow_answers_are_given_up(self, api, answer, monkeypatch):
        monkeypatch.setattr(http, "_TIMEOUT", httpx.Timeout(0.1))
        api.will(answer(body=b"{}", after=0.5), page(hour(0)))
        assert read_http(source(), api.connection(), DAY).num_rows == 1
        assert len(api.asked) == 2

    def test_nobody_listens(self, api):
        connection = api.connection(host="http://127.0.0.1:1")
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 failed \(ConnectError\)"):
            read_http(source(), connection, DAY)

    def test_an_api_that_takes_longer_than_the_source_may(self, api, answer):
        api.will(answer(body=json.dumps(page(hour(0), cursor="a")).encode(), after=0.3), page(hour(1)))
        brief = source().model_copy(update={"timeout": timedelta(seconds=0.2)})
        with pytest.raises(UnavailableError, match="1 pages took longer than the source's timeout"):
            read_http(brief, api.connection(), DAY)


class TestRetryAfter:
    def test_seconds_are_waited(self, api, answer):
        api.will(answer(429, headers={"Retry-After": "0.4"}), page(hour(0)))
        begun = time.monotonic()
        read_http(source(), api.connection(), DAY)
        assert time.monotonic() - begun >= 0.4

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("7", 7),
            ("0", 0),
            ("86400", http.RETRY_AFTER_LIMIT),
            ("Sat, 01 Jan 2011 00:00:00 GMT", 0),
            ("Sat, 01 Jan 2011 00:00:00 -0000", 0),
            ("Fri, 31 Dec 2199 00:00:00 GMT", http.RETRY_AFTER_LIMIT),
            ("soon", None),
            ("-3", None),
            ("nan", None),
            ("", None),
        ],
    )
    def test_what_the_header_means(self, text, seconds):
        assert http._retry_after(httpx.Response(429, headers={"Retry-After": text})) == seconds

    def test_a_date_is_the_time_until_then(self):
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
        wait = http._retry_after(httpx.Response(429, headers={"Retry-After": moment}))
        assert wait == pytest.approx(30, abs=2)
