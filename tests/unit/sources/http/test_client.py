from __future__ import annotations

import gzip
import importlib
import json
import logging
import pkgutil
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from tenacity import wait_none

import evergreen.sources
from evergreen.connections import Connection
from evergreen.errors import EvergreenError, SourceError, UnavailableError
from evergreen.sources.http import client as http_client
from evergreen.sources.http.client import Session, api_of
from evergreen.sources.http.progress import Request
from evergreen.sources.http.stumble import TooMuchError

KEY = "s3cret-key"


def got(connection, address="/v1", limit=2**20, seconds=20.0, headers=None, attempts=3):
    api = api_of(connection, headers or {})
    with Session(api, "/v1", time.monotonic() + seconds, attempts, wait_none()) as session:
        return session.ask(Request(address), limit, lambda answer: answer)


@pytest.fixture
def raw_server():
    """Serves each connection by a function of its socket, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    opened = []

    def serve(behave):
        def run():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                opened.append(connection)
                try:
                    connection.recv(65536)
                    behave(connection)
                except OSError:
                    pass

        threading.Thread(target=run, daemon=True).start()
        return Connection("api", "http", f"http://127.0.0.1:{listening.getsockname()[1]}", password=KEY)

    yield serve
    listening.close()
    for connection in opened:
        connection.close()


class TestCredentials:
    def test_an_api_key_as_a_query_parameter(self, api):
        api.will({})
        answer = got(api.connection(extra={"api_key_param": "key"}), "/v1?a=1")
        assert api.asked[0][1] == {"a": "1", "key": KEY}
        assert "Authorization" not in api.asked[0][2]
        assert KEY not in answer.url

    def test_a_link_that_repeats_the_key_loses_it(self, api):
        known = api_of(api.connection(extra={"api_key_param": "key"}), {})
        assert known.without_key(f"/v1?key={KEY}&page=2") == "/v1?page=2"
        assert KEY not in repr(known.base) + known.address("/v1")

    def test_headers_of_the_connection_win_over_those_of_the_source(self, api):
        api.will({})
        connection = api.connection(extra={"headers": {"X-Tenant": "7", "accept": "text/x"}})
        got(connection, headers={"Accept": "text/y", "X-More": "1"})
        headers = {name.lower(): value for name, value in api.asked[0][2].items()}
        assert (headers["x-tenant"], headers["x-more"]) == ("7", "1")
        assert headers["accept"] == "text/x"
        assert headers["authorization"] == f"Bearer {KEY}"

    def test_headers_that_are_no_mapping(self, api):
        with pytest.raises(SourceError, match="'headers' in its extra must map names"):
            got(api.connection(extra={"headers": "X-A: 1"}))

    def test_login_and_password_may_stand_in_the_host(self, api):
        api.will({})
        host = api.address.replace("http://", "http://me:pw@")
        got(api.connection(host=host, password=None, extra={}))
        assert api.asked[0][2]["Authorization"] == "Basic bWU6cHc="

    def test_a_path_in_the_host_comes_first(self, api):
        known = api_of(api.connection(host="https://api.test/base/"), {})
        assert known.address("/v1") == "/base/v1"
        assert str(known.url("/base/v1?a=1")) == "https://api.test/base/v1?a=1"

    def test_the_key_is_not_in_the_log(self, api, caplog, monkeypatch):
        # Airflow, if it ran in this process before, has switched off every logger there was.
        monkeypatch.setattr(logging.getLogger("httpx"), "disabled", False)
        monkeypatch.setattr(logging.getLogger("httpx"), "propagate", True)
        api.will({})
        with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="httpx"):
            got(api.connection(extra={"api_key_param": "key"}))
        assert "HTTP Request" in caplog.text
        assert KEY not in caplog.text


class TestRedirects:
    @pytest.mark.parametrize(
        "target", ["http://localhost:1/x", "https://127.0.0.1/x", "//evil.test/x", "ftp://x"]
    )
    def test_to_another_host_port_or_scheme_are_refused(self, api, answer, target):
        api.will(answer(302, headers={"Location": target}))
        with pytest.raises(SourceError, match="which is not followed"):
            got(api.connection())
        assert len(api.asked) == 1

    def test_keep_the_key_in_its_place(self, api, answer):
        api.will(answer(302, headers={"Location": "/v2?a=1"}), {})
        got(api.connection(extra={"api_key_param": "key"}))
        assert api.asked[1][:2] == ("/v2", {"a": "1", "key": KEY})

    @pytest.mark.parametrize("target", ["http://[", "http://x:99999/", "/\x80"])
    def test_to_no_address_are_an_error(self, api, answer, target):
        api.will(*[answer(302, headers={"Location": target})] * 10)
        with pytest.raises((SourceError, UnavailableError)):
            got(api.connection())


class TestBodies:
    def test_gzip_is_unpacked(self, api, answer):
        body = json.dumps({"data": [1] * 1000}).encode()
        packed = gzip.compress(body[:100], mtime=0) + gzip.compress(body[100:], mtime=0)
        api.will(answer(body=packed, headers={"Content-Encoding": "gzip"}))
        assert got(api.connection()).body == body

    def test_a_bomb_is_given_up_at_the_limit(self, api, answer):
        bomb = gzip.compress(b"0" * 100_000_000, mtime=0)
        api.will(answer(body=bomb, headers={"Content-Encoding": "gzip"}))
        with pytest.raises(TooMuchError, match="more than 1,048,576 bytes"):
            got(api.connection())

    def test_a_long_body_is_given_up_at_the_limit(self, api, answer):
        api.will(answer(body=b"0" * 2_000_000))
        with pytest.raises(TooMuchError):
            got(api.connection())

    @pytest.mark.parametrize("coding", ["br", "gzip, gzip", "zstd", "x\x7fy"])
    def test_a_coding_that_was_not_asked_for(self, api, answer, coding):
        api.will(*[answer(body=b"x", headers={"Content-Encoding": coding})] * 3)
        with pytest.raises((SourceError, UnavailableError), match=r"coding|RemoteProtocolError"):
            got(api.connection())

    @pytest.mark.parametrize("body", [gzip.compress(b"x" * 1000, mtime=0)[:-4], b"no gzip"])
    def test_damaged_gzip_is_asked_for_again(self, api, answer, body):
        api.will(answer(body=body, headers={"Content-Encoding": "gzip"}), answer(body=b"good"))
        assert got(api.connection()).body == b"good"

    def test_a_broken_chunk_is_asked_for_again(self, raw_server):
        times = []

        def behave(connection):
            times.append(1)
            chunk = b"zz\r\nbad\r\n" if len(times) == 1 else b"4\r\ngood\r\n0\r\n\r\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)

        assert got(raw_server(behave)).body == b"good"
        assert len(times) == 2


class TestTheDeadline:
    @pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"])
    def test_ends_an_answer_that_drips(self, raw_server, head):
        def behave(connection):
            connection.sendall(head)
            while True:
                connection.sendall(b"X")
                time.sleep(0.02)

        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="the source's timeout is over"):
            got(raw_server(behave), seconds=0.4)
        assert time.monotonic() - begun < 100  # the answer would take hours

    def test_is_never_slept_past(self, api, answer):
        api.will(*[answer(429, headers={"Retry-After": "200"})] * 3)
        with pytest.raises(
            UnavailableError, match="answered 429, and asks to wait 200 seconds: run again then"
        ):
            got(api.connection(), seconds=5)
        assert len(api.asked) == 1

    def test_a_wait_that_is_too_long_is_left_to_the_scheduler(self, api, answer):
        api.will(*[answer(503, headers={"Retry-After": "86400"})] * 3)
        with pytest.raises(UnavailableError, match="asks to wait 86400 seconds"):
            got(api.connection(), seconds=10**6)


class TestRetryAfter:
    def test_seconds_are_waited(self, api, answer):
        api.will(answer(429, headers={"Retry-After": "0.4"}), {})
        begun = time.monotonic()
        got(api.connection())
        assert time.monotonic() - begun >= 0.4

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("7", 7),
            ("0", 0),
            ("86400", 86400),
            ("Sat, 01 Jan 2011 00:00:00 GMT", 0),
            ("Sat, 01 Jan 2011 00:00:00 -0000", 0),
            ("soon", None),
            ("-3", None),
            ("nan", None),
            ("1e999", None),
            ("9" * 400, None),
            ("Fri, 31 Dec 99999 00:00:00 GMT", None),
            ("", None),
        ],
    )
    def test_what_the_header_means(self, text, seconds):
        assert http_client._retry_after(httpx.Headers({"Retry-After": text})) == seconds

    def test_a_date_is_the_time_until_then(self):
        moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
        assert http_client._retry_after(httpx.Headers({"Retry-After": moment})) == pytest.approx(30, abs=2)

    def test_a_date_is_read_by_the_clock_of_the_api(self):
        headers = {"Retry-After": "Sat, 01 Jan 2011 00:00:09 GMT", "Date": "Sat, 01 Jan 2011 00:00:00 GMT"}
        assert http_client._retry_after(httpx.Headers(headers)) == 9


@pytest.mark.parametrize("status", [206, 300, 304, 400, 451])
def test_another_status_is_a_no(api, answer, status):
    api.will(answer(status, b""))
    with pytest.raises((SourceError, UnavailableError), match=f"answered {status}|Remote"):
        got(api.connection())
    assert len(api.asked) == 1


def test_every_error_of_the_library_can_be_told_again_with_more_before_it() -> None:
    for module in pkgutil.walk_packages(evergreen.sources.__path__, "evergreen.sources."):
        importlib.import_module(module.name)
    left = [EvergreenError]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        if issubclass(kind, SourceError | UnavailableError):
            assert str(kind("where: what")) == "where: what"
