from __future__ import annotations

import base64
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.attempts import ATTEMPTS
from evergreen.sources.http import client as http_client
from evergreen.sources.http.description import HttpSource
from evergreen.sources.http.read import read_http

DAY = "2011-01-01"
OOPS = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"


def source(**changes):
    values = {
        "conn_id": "weather_api",
        "path": "/v1/hourly",
        "params": {"day": "{partition}"},
        "time_column": "hour",
        "next": "cursor",
    }
    if {"paging", "format"} & changes.keys():
        del values["next"]
    return HttpSource(**{**values, **changes})


def read(described, connection, partition=DAY):
    """All rows at once."""
    return read_http(described, connection, partition).table()


def hour(number: int, **values):
    return {"hour": f"{DAY}T{number:02}:00:00Z", **values}


def page(*records, cursor=None):
    return {"data": list(records), "next": cursor}


class TestReading:
    def test_one_page_becomes_a_table_with_a_time(self, api):
        api.will(page(hour(0, temperature=3, condition="clear"), hour(1, temperature=2.5, condition="mist")))
        table = read(source(), api.connection(), DAY)
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
        table = read(source(), api.connection(), DAY)
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
        table = read(
            source(records="answer.rows", paging={"cursor": {"param": "page", "path": "meta.after"}}),
            api.connection(),
            DAY,
        )
        assert table.num_rows == 2
        assert api.asked[1][1] == {"day": DAY, "page": "x"}

    def test_a_source_without_paging_reads_one_page(self, api):
        api.will(page(hour(0), cursor="more"))
        assert read(source(paging={}), api.connection(), DAY).num_rows == 1
        assert len(api.asked) == 1

    def test_no_records_are_no_rows(self, api):
        api.will(page())
        table = read(source(), api.connection(), DAY)
        assert (table.num_rows, table.num_columns) == (0, 0)


class TestCredentials:
    def test_the_key_goes_into_the_header_the_connection_names(self, api):
        api.will(page(hour(0)))
        read(source(), api.connection(), DAY)
        headers = api.asked[0][2]
        assert headers["X-API-Key"] == "s3cret-key"
        assert "Authorization" not in headers

    def test_without_one_the_password_is_a_bearer_token(self, api):
        api.will(page(hour(0)))
        read(source(), api.connection(extra={}), DAY)
        assert api.asked[0][2]["Authorization"] == "Bearer s3cret-key"

    def test_with_a_login_it_is_basic(self, api):
        api.will(page(hour(0)))
        read(source(), api.connection(extra={}, login="me"), DAY)
        expected = base64.b64encode(b"me:s3cret-key").decode()
        assert api.asked[0][2]["Authorization"] == f"Basic {expected}"

    def test_host_and_port_may_stand_apart_as_airflow_writes_them(self, api):
        api.will(page(hour(0)))
        port = int(api.address.rpartition(":")[2])
        connection = api.connection(host="127.0.0.1", port=port, schema="http")
        assert read(source(), connection, DAY).num_rows == 1

    @pytest.mark.parametrize("key", ["s3cret-key\n", "s3cret-k€y"])
    def test_a_key_that_no_header_can_hold_is_told_without_repeating_it(self, api, key):
        with pytest.raises(SourceError) as told:
            read(source(), api.connection(password=key), DAY)
        assert "key" in str(told.value)
        assert "s3cret" not in str(told.value)
        assert not api.asked

    def test_a_connection_without_host(self, api):
        with pytest.raises(SourceError, match="connection 'weather_api' has no host: set it"):
            read(source(), api.connection(host=None), DAY)


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
            read(source(), api.connection(), DAY)
        assert len(api.asked) == 1
        assert "s3cret" not in str(told.value)

    def test_a_cursor_that_comes_twice(self, api):
        api.will(page(hour(0), cursor="a"), page(hour(1), cursor="b"), page(hour(2), cursor="a"))
        with pytest.raises(SourceError, match="cursor 'a' came twice"):
            read(source(), api.connection(), DAY)
        assert len(api.asked) == 3

    def test_more_pages_than_allowed(self, api):
        api.will(*[page(hour(n), cursor=f"c{n}") for n in range(5)])
        with pytest.raises(SourceError, match=r"more than 3 pages: .*raise max_pages"):
            read(source(max_pages=3), api.connection(), DAY)
        assert len(api.asked) == 3

    @pytest.mark.parametrize(
        ("document", "there"),
        [
            ({"rows": []}, "there: rows"),
            ([hour(0)], "there: a list"),
        ],
    )
    def test_an_answer_of_another_shape_says_what_is_there(self, api, document, there):
        api.will(document)
        with pytest.raises(SourceError, match=f"no list of records under 'data' .*{there}"):
            read(source(), api.connection(), DAY)
        assert len(api.asked) == 1

    def test_a_time_without_an_offset(self, api):
        api.will(page({"hour": "2011-01-01T00:00:00"}))
        with pytest.raises(SourceError, match=r"field 'hour' is not a time: .*with an offset"):
            read(source(), api.connection(), DAY)

    def test_a_time_column_that_is_not_there(self, api):
        api.will(page({"when": "2011-01-01T00:00:00Z"}))
        with pytest.raises(SourceError, match=r"no field 'hour' \(there: when\)"):
            read(source(), api.connection(), DAY)


class TestRedirects:
    def test_within_the_api_are_followed(self, api, answer):
        api.will(answer(307, headers={"Location": "/v2/hourly?day=" + DAY}), page(hour(0)))
        assert read(source(), api.connection(), DAY).num_rows == 1
        assert [path for path, _, _ in api.asked] == ["/v1/hourly", "/v2/hourly"]

    def test_to_another_host_are_not_so_the_key_stays_here(self, api, answer):
        elsewhere = f"http://localhost:{api.address.rpartition(':')[2]}/v1/hourly"
        api.will(answer(302, headers={"Location": elsewhere}))
        with pytest.raises(SourceError, match="redirects to http://localhost, which is not followed"):
            read(source(), api.connection(), DAY)
        assert len(api.asked) == 1

    def test_in_a_circle_end(self, api, answer):
        api.will(*[answer(302, headers={"Location": "/v1/hourly"})] * 20)
        with pytest.raises(SourceError, match="redirects"):
            read(source(), api.connection(), DAY)
        assert len(api.asked) == http_client.REDIRECTS + 1


class TestStumbles:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_thrice_and_then_well_gives_the_rows(self, api, answer, status):
        api.will(*[answer(status)] * 3, page(hour(0)))
        assert read(source(), api.connection(), DAY).num_rows == 1
        assert len(api.asked) == 4

    def test_for_good_is_unavailable_after_the_last_attempt(self, api, answer):
        api.will(*[answer(500)] * 20)
        with pytest.raises(UnavailableError, match=f"the API answered 500, {ATTEMPTS} times: .*run again"):
            read(source(), api.connection(), DAY)
        assert len(api.asked) == ATTEMPTS

    def test_only_the_page_that_stumbled_is_asked_for_again(self, api, answer):
        api.will(page(hour(0), cursor="a"), answer(500), page(hour(1)))
        table = read(source(), api.connection(), DAY)
        assert [time.hour for time in table.column("hour").to_pylist()] == [0, 1]
        assert [params.get("cursor") for _, params, _ in api.asked] == [None, "a", "a"]

    @pytest.mark.parametrize("cut", ["in the connection", "in the document"])
    def test_half_a_document_is_asked_for_again(self, api, answer, cut):
        whole = json.dumps(page(hour(0), hour(1))).encode()
        half = whole[: len(whole) // 2]
        api.will(answer(body=half, promised=len(whole) if cut == "in the connection" else None))
        api.will(page(hour(0), hour(1)))
        assert read(source(), api.connection(), DAY).num_rows == 2
        assert len(api.asked) == 2

    def test_half_a_document_for_good(self, api, answer):
        api.will(*[answer(body=b'{"data": [{"hour"')] * ATTEMPTS)
        with pytest.raises(UnavailableError, match="not a complete JSON document"):
            read(source(), api.connection(), DAY)
        assert len(api.asked) == ATTEMPTS

    def test_slow_answers_are_given_up(self, api, answer, monkeypatch):
        monkeypatch.setattr(http_client, "_SILENCE", 0.1)
        api.will(answer(body=b"{}", after=0.5), page(hour(0)))
        assert read(source(), api.connection(), DAY).num_rows == 1
        assert len(api.asked) == 2

    def test_nobody_listens(self, api):
        connection = api.connection(host="http://127.0.0.1:1")
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 failed \(ConnectError\)"):
            read(source(), connection, DAY)

    def test_an_api_that_takes_longer_than_the_source_may(self, api, answer):
        api.will(answer(body=json.dumps(page(hour(0), cursor="a")).encode(), after=0.3), page(hour(1)))
        brief = source().model_copy(update={"timeout": timedelta(seconds=0.2)})
        with pytest.raises(UnavailableError, match="the source's timeout is over"):
            read(brief, api.connection(), DAY)


class TestFormats:
    def test_json_lines(self, api, answer):
        lines = [json.dumps(hour(0, n=1)), "", "{oops", "[1]", json.dumps(hour(1, n=2)), ""]
        api.will(answer(body="\r\n".join(lines).encode()))
        rows = read_http(source(format="json_lines"), api.connection(), DAY)
        assert rows.table().column("n").to_pylist() == [1.0, 2.0]
        assert [(r.text, r.place, r.reason) for r in rows.rejected] == [
            ("{oops", "page 1, record 2", f"is not JSON: {OOPS}"),
            ("[1]", "page 1, record 3", "is no JSON object"),
        ]

    def test_csv_with_types_read_off_the_whole_partition(self, api, answer):
        first = "hour,n,day,free,code,text\n2011-01-01T00:00:00Z,1,2011-01-01,true,01,a\n"
        more = 'hour,n,day,free,code,text\n2011-01-01T01:00:00Z,2.5,,,02,"b\nc"\n2011-01-01T02:00:00Z,x\n'
        api.will(
            answer(body=b"\xef\xbb\xbf" + first.encode(), headers={"Link": '</v1/hourly?p=2>; rel="next"'}),
            answer(body=more.encode()),
        )
        described = source(format="csv", paging={"header": {}}, types={"code": "text"})
        rows = read_http(described, api.connection(), DAY)
        table = rows.table()
        assert dict(zip(table.schema.names, map(str, table.schema.types), strict=True)) == {
            "hour": "timestamp[us, tz=UTC]", "n": "double", "day": "date32[day]", "free": "bool",
            "code": "string", "text": "string",
        }  # fmt: skip
        assert table.column("code").to_pylist() == ["01", "02"]
        assert table.column("text").to_pylist() == ["a", "b\nc"]
        assert [(r.text, r.place, r.reason) for r in rows.rejected] == [
            ("2011-01-01T02:00:00Z,x", "page 2, record 2", "has 2 fields instead of 6")
        ]

    @pytest.mark.parametrize("kind", ["json_lines", "csv"])
    def test_an_answer_of_no_bytes_has_no_records(self, api, answer, kind):
        api.will(answer(body=b""))
        assert read(source(format=kind), api.connection()).num_rows == 0

    @pytest.mark.parametrize(
        ("kind", "half"),
        [
            ("json_lines", b'{"hour": "2011-01-01T00:00:00Z"}\n{"hour": "20'),
            ("csv", b"hour,n\n2011-01-01T00:00:00Z,1\n2011-01"),
            ("csv", b'hour,n\n2011-01-01T00:00:00Z,"1'),
        ],
    )
    def test_half_a_record_at_the_end_is_asked_for_again(self, api, answer, kind, half):
        whole = {"json_lines": b'{"hour": "2011-01-01T00:00:00Z"}', "csv": b"hour\n2011-01-01T00:00:00Z\n"}
        api.will(answer(body=half), answer(body=whole[kind]))
        assert read(source(format=kind), api.connection()).num_rows == 1
        assert len(api.asked) == 2

    @pytest.mark.parametrize(
        ("kind", "last", "reason"),
        [
            ("json_lines", b"[1]", "is no JSON object"),
            ("json_lines", b"[" * 100_000, "is nested too deeply"),
            ("json_lines", b'{"n": ' + b"9" * 5000 + b"}", "holds a number of too many digits"),
            ("csv", b"soon,1", "column 'hour': 'soon' is no time"),
        ],
    )
    def test_a_whole_record_at_the_end_that_is_wrong_is_rejected(self, api, answer, kind, last, reason):
        before = {
            "json_lines": b'{"hour": "2011-01-01T00:00:00Z", "n": 1}\n',
            "csv": b"hour,n\n2011-01-01,1\n",
        }
        api.will(answer(body=before[kind] + last))
        rows = read_http(source(format=kind, types={"hour": "time"}), api.connection(), DAY)
        assert rows.table().num_rows == 1
        assert [(r.place, r.reason) for r in rows.rejected] == [("page 1, record 2", reason)]

    @pytest.mark.parametrize("charset", ["latin-1", "utf-16", "UTF-8", "cp1252"])
    def test_other_charsets(self, api, answer, charset):
        body = json.dumps(page(hour(0, name="Zürich")), ensure_ascii=False).encode(charset)
        api.will(answer(body=body, headers={"Content-Type": f"application/json; charset={charset}"}))
        assert read(source(), api.connection()).column("name").to_pylist() == ["Zürich"]

    def test_a_charset_that_there_is_not(self, api, answer):
        api.will(answer(body=b"{}", headers={"Content-Type": "application/json; charset=klingon"}))
        with pytest.raises(SourceError, match="charset 'klingon', which is unknown"):
            read(source(), api.connection())

    def test_204_is_no_records(self, api, answer):
        api.will(answer(204))
        assert read(source(), api.connection()).num_rows == 0

    def test_the_whole_answer_may_be_the_list(self, api):
        api.will([hour(0), hour(1)])
        assert read(source(records="", paging={}), api.connection()).num_rows == 2

    def test_decimals_lose_no_digit(self, api, answer):
        body = b'{"data": [{"hour": "2011-01-01T00:00:00Z", "m": 12345678901234567.89, "n": 1.5}]}'
        api.will(answer(body=body))
        table = read(source(types={"m": "decimal(19, 2)"}), api.connection())
        assert table.column("m").to_pylist() == [Decimal("12345678901234567.89")]
        assert table.column("n").to_pylist() == [1.5]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b"[" * 100_000, "nested too deeply"),
            (b'{"data": [{"n": ' + b"9" * 5000 + b"}]}", "more than 4,000 digits"),
            (b'{"data": [{"n": ' + b"9" * 500 + b"}]}", "whole number beyond"),
            (b'{"data": [{"a\\nb": 1}, {"a\\nb": "x"}]}', "field 'a b' holds numbers and text"),
            (json.dumps({"data": [{f"n{n}": 1 for n in range(5000)}]}).encode(), "more than 2,000"),
            (b'{"data": [{"partition": 1}]}', "name of the lake's own column"),
        ],
    )
    def test_absurd_answers_are_one_line(self, api, answer, body, told):
        api.will(answer(body=body))
        with pytest.raises(SourceError, match=told) as error:
            read(source(), api.connection())
        assert "\n" not in str(error.value)

    def test_odd_records_are_rejected_one_by_one(self, api, answer):
        deep = b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}"
        odd = [
            b"1",
            b"null",
            b'{"a": "\\ud800"}',
            b"{}",
            b'{"n": "x"}',
            b'{"hour": "soon"}',
            b'{"z": Infinity}',
        ]
        good = b'{"hour": "2011-01-01T00:00:00Z", "n": NaN, "n": 1, "a b;{}": NaN}'
        api.will(answer(body=b'{"data": [' + b",".join([*odd, good]) + b"]}"))
        rows = read_http(source(types={"n": "float", "hour": "time"}), api.connection(), DAY)
        assert rows.table().num_rows == 1
        assert sorted(r.place for r in rows.rejected) == [f"page 1, record {n}" for n in range(1, 8)]
        api.will(answer(body=b'{"data": [' + deep + b"]}"))
        rows = read_http(source(time_column=None), api.connection(), DAY)
        assert rows.table().num_rows + len(rows.rejected) == 1


class TestTotals:
    def test_that_is_right(self, api):
        api.will({**page(hour(0), cursor="a"), "total": 2}, {**page(hour(1)), "total": "2"})
        assert read(source(total="total"), api.connection()).num_rows == 2

    def test_that_grows_while_it_is_read_counts_at_the_end(self, api):
        api.will({**page(hour(0), cursor="a"), "total": 1}, {**page(hour(1)), "total": 2})
        assert read(source(total="total"), api.connection()).num_rows == 2

    @pytest.mark.parametrize("total", [1, 3, None])
    def test_that_is_wrong(self, api, total):
        api.will({**page(hour(0), cursor="a"), "total": total}, {**page(hour(1)), "total": total})
        with pytest.raises(SourceError, match="gave 2 records and"):
            read(source(total="total"), api.connection())

    @pytest.mark.parametrize("total", [True, "many", 1.5, [1], {}])
    def test_that_is_none(self, api, total):
        api.will({**page(hour(0)), "total": total})
        with pytest.raises(SourceError, match="is no total"):
            read(source(total="total"), api.connection())

    def test_rejected_records_count(self, api):
        api.will({"data": [hour(0), 1], "total": 2})
        assert read(source(total="total"), api.connection()).num_rows == 1


class TestPages:
    def test_served_twice(self, api):
        api.will(page(hour(0), cursor="a"), page(hour(0), cursor="b"), page(hour(1)))
        with pytest.raises(SourceError, match="page 2 has the records of the page before it"):
            read(source(), api.connection())

    def test_without_records_may_follow_one_another(self, api):
        api.will(page(hour(0), cursor="a"), page(cursor="b"), page(cursor="c"), page(hour(1)))
        assert read(source(), api.connection()).num_rows == 2

    def test_an_api_that_keeps_to_a_smaller_page_than_asked_loses_nothing(self, api):
        api.will(page(hour(0), hour(1)), page(hour(2), hour(3)), page(hour(4)), page())
        assert read(source(paging={"offset": {"limit": 1000}}), api.connection()).num_rows == 5
        assert [params["offset"] for _, params, _ in api.asked] == ["0", "2", "4", "5"]

    @pytest.mark.parametrize("status", [404, 416])
    def test_a_no_to_the_page_after_the_last_is_the_end(self, api, answer, status):
        api.will({**page(hour(0)), "total": 1}, answer(status))
        described = source(paging={"page": {}}, total="total")
        assert read(described, api.connection()).num_rows == 1

    def test_a_no_in_the_middle_is_not(self, api, answer):
        api.will({**page(hour(0)), "total": 2}, answer(404))
        with pytest.raises(SourceError, match="answered 404"):
            read(source(paging={"page": {}}, total="total"), api.connection())

    def test_more_bytes_than_allowed(self, api):
        api.will(page(hour(0, text="x" * 700), cursor="a"), page(hour(1, text="x" * 700)))
        with pytest.raises(SourceError, match="raise max_bytes"):
            read(source(max_bytes="1 kB"), api.connection())

    def test_the_page_that_comes_next_is_under_way_while_one_is_kept(self, api, answer):
        api.will(page(hour(0), cursor="a"), answer(500), page(hour(1)))
        assert read(source(), api.connection()).num_rows == 2


class TestTheSource:
    def test_partition_in_path_params_and_headers(self, api):
        api.will(page(hour(0)))
        read(source(path="/v1/{partition}", headers={"X-Day": "{partition}"}), api.connection())
        path, params, headers = api.asked[0]
        assert (path, params["day"], headers["X-Day"]) == (f"/v1/{DAY}", DAY, DAY)

    def test_a_declared_time_needs_no_offset(self, api):
        api.will(page({"hour": "2011-01-01T00:00:00"}))
        table = read(source(types={"hour": "time"}), api.connection())
        assert table.column("hour").to_pylist() == [datetime(2011, 1, 1, tzinfo=UTC)]

    def test_memory_is_that_of_a_page(self, api):
        for number in range(40):
            records = [hour(n % 24, at=number * 500 + n, text="x" * 1000) for n in range(500)]
            api.will(page(*records, cursor=f"c{number}" if number < 39 else None))
        tracemalloc.start()
        try:
            rows = read_http(source(), api.connection(), DAY)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 8_000_000  # of 21 MB
        assert sum(batch.num_rows for batch in rows) == 20_000


def test_the_drained_source_holds_no_file(api):
    api.will(page(hour(0)))
    rows = read_http(source(), api.connection(), DAY)
    rows.close()
    with pytest.raises(ValueError, match="closed"):
        rows.table()
