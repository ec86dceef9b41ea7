"""Files of real web servers: authentication, redirects, and what goes wrong on the way."""

from __future__ import annotations

import base64
import gzip
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tenacity import wait_none

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.attempts import ATTEMPTS
from evergreen.sources.files.description import FileSource
from evergreen.sources.files.places import web
from evergreen.sources.files.read import read_file
from tests.faults.tcp_proxy import Break, TcpProxy, Wound
from tests.http_peers import Asked, Peer, Said, certificates, serving
from tests.integration.places.conftest import SECRET, Find, content

BODY = bytes(range(256)) * 2_000


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF", wait_none())


def webdav(asked: Asked) -> Said:
    """A server of one folder that wants a login, as WebDAV servers do."""
    login = base64.b64encode(f"reader:{SECRET}".encode()).decode()
    if asked.headers.get("authorization") != f"Basic {login}":
        return Said(401, headers={"WWW-Authenticate": "Basic realm=dav"})
    files = {"/dav/a%20b.csv": b"n\n1\n", "/dav/%C3%A9%231%25.csv": b"n\n2\n"}
    return Said(body=files[asked.path]) if asked.path in files else Said(404)


def connection(peer: Peer, **changes) -> Connection:
    known = {"host": peer.address(), "login": "reader", "password": SECRET, **changes}
    return Connection("share", "http", **known)


def test_files_of_a_webdav_server_are_read(find: Find):
    with serving(webdav) as peer:
        share, top = connection(peer), peer.address()
        for path, body in {
            "dav/a b.csv": b"n\n1\n",
            "dav/a%20b.csv": b"n\n1\n",
            "dav/é%231%25.csv": b"n\n2\n",
            "dav/{partition}.csv": b"n\n2\n",
        }.items():
            (file,) = find(f"{top}/{path}", share, "é#1%")
            assert file.exists()
            assert content(file) == body
        (file,) = find(f"{top}/dav/none.csv", share)
        assert not file.exists()
        with pytest.raises(SourceError, match=r"/dav/none.csv does not exist: put it there or change"):
            content(file)
        (file,) = find(f"{top}/dav/a b.csv", connection(peer, password="wrong"))
        with pytest.raises(SourceError, match="the server answered 401: check the key or password"):
            content(file)


def test_a_partition_is_part_of_a_query_and_the_name_is_without_it(tmp_path: Path):
    with serving(lambda _: Said(body=b"n,s\n1,a\n2\n")) as peer:
        source = FileSource(path=peer.address() + "/export.csv?day={partition}&from={partition:%Y/%m/%d}")
        start = datetime(2024, 1, 31, tzinfo=UTC)
        rows = read_file(source, tmp_path, None, "a&b=c#d+é", start)  # type: ignore[arg-type]
        assert rows.table().to_pylist() == [{"n": 1.0, "s": "a"}]
        assert [bad.place for bad in rows.rejected] == [peer.address() + "/export.csv:3"]
        assert peer.asked[0].path == "/export.csv?day=a%26b%3Dc%23d%2B%C3%A9&from=2024/01/31"


def test_a_file_is_kept_as_it_is_stored(find: Find):
    packed = gzip.compress(b"n\n1\n")
    with serving(lambda _: Said(body=packed, headers={"Content-Encoding": "gzip"})) as peer:
        assert content(find(peer.address() + "/a.csv.gz", None)[0]) == packed
        assert peer.asked[0].headers["accept-encoding"] == "identity"


def redirecting(to: Callable[[], str]) -> Callable[[Asked], Said]:
    return lambda asked: Said(302, b"", {"Location": to()})


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"auth": "bearer"},
        {"auth": "key_in_header", "api_key_header": "X-Key"},
        {"auth": "key_in_query", "api_key_param": "key"},
        {"auth": "none", "headers": {"Cookie": SECRET}},
    ],
)
def test_nothing_of_the_connection_reaches_the_host_of_a_redirect(extra, find: Find, caplog):
    caplog.set_level(logging.DEBUG)

    def home(asked: Asked) -> Said:
        if asked.path.startswith("/a.csv"):
            return Said(302, b"", {"Location": "/b.csv"})
        return Said(302, b"", {"Location": f"{away.address()}/c.csv?signed=1&key={SECRET}"})

    with serving(lambda _: Said(body=b"n\n1\n")) as away, serving(home) as peer:
        (file,) = find(peer.address() + "/a.csv", connection(peer, extra=extra))
        assert (file.exists(), content(file)) == (True, b"n\n1\n")
    assert SECRET in str([asked[:3] for asked in peer.asked]) or extra == {}, (
        "the host of the connection has it"
    )
    for asked in away.asked:
        assert "authorization" not in asked.headers
        assert SECRET not in str(asked.headers)
        if "api_key_param" in extra:
            assert SECRET not in asked.path
    assert SECRET not in caplog.text


def test_a_redirect_is_followed_no_further_than_is_safe(find: Find, tmp_path: Path):
    files = certificates(tmp_path)
    circle: list[str] = []
    with serving(lambda _: Said(302, b"", {"Location": circle[0]})) as one:
        with serving(lambda _: Said(302, b"", {"Location": one.address()})) as other:
            circle.append(other.address())
            with pytest.raises(SourceError, match="redirects in a circle"):
                content(find(one.address() + "/a.csv", None)[0])
        circle[0] = "file:///etc/passwd"
        with pytest.raises(SourceError, match="redirects to file://, which is not followed from http://"):
            content(find(one.address() + "/a.csv", None)[0])
        tls = files.server_tls(client_required=False)
        with serving(lambda _: Said(302, b"", {"Location": one.address()}), tls) as secure:
            share = Connection("share", "http", secure.address("https"), extra={"ca": str(files.ca)})
            with pytest.raises(
                SourceError, match=r"redirects to http://127\.0\.0\.1, which is not followed from"
            ):
                content(find(secure.address("https") + "/a.csv", share)[0])
            with pytest.raises(SourceError, match="its TLS certificate is not trusted: set 'ca'"):
                content(find(secure.address("https") + "/a.csv", None)[0])


@pytest.mark.parametrize("host", ["localhost", "[::ffff:127.0.0.1]", "public.example"])
def test_no_redirect_leads_into_the_network(host: str, find: Find, monkeypatch: pytest.MonkeyPatch):
    """Whatever its name is when it is looked up: `public.example` is 127.0.0.1 from the second time on."""
    real, asked_for = socket.getaddrinfo, []

    def rebinding(name, *arguments, **named):
        if name == "public.example":
            asked_for.append(name)
            name = "93.184.216.34" if len(asked_for) == 1 else "127.0.0.1"
        return real(name, *arguments, **named)

    with serving(lambda _: Said(body=b"n\n1\n")) as inner, serving(webdav) as peer:
        peer.behave = redirecting(lambda: f"http://{host}:{inner.port}/latest/meta-data/")
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        if host == "public.example":
            socket.getaddrinfo(host, None)  # whoever checks it now finds a public address
        with pytest.raises(SourceError, match="inside a network, and is not followed: give"):
            content(find(peer.address() + "/a.csv", None)[0])
        assert inner.asked == []


def test_a_connection_is_used_at_its_own_address_alone(find: Find):
    with serving(webdav) as peer, serving(webdav) as other:
        for there in (other.address(), peer.address("https"), f"http://localhost:{peer.port}"):
            with pytest.raises(
                SourceError, match=r"connection 'share' is for http://127\.0\.0\.1:.*, and the path"
            ):
                find(f"{there}/dav/a.csv", connection(peer))
        assert other.asked == []


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_is_waited_for(status: int, find: Find):
    left = [ATTEMPTS - 1]

    def behave(_: Asked) -> Said:
        left[0] -= 1
        return Said(status, b"busy") if left[0] >= 0 else Said(body=BODY)

    with serving(behave) as peer:
        (file,) = find(peer.address() + "/a.bin", None)
        assert content(file) == BODY
        left[0] = ATTEMPTS
        with pytest.raises(
            UnavailableError, match=f"the server answered {status}, {ATTEMPTS} times: check the"
        ):
            content(file)
        assert file.exists()


@pytest.mark.parametrize("kind", [Break.CUT, Break.STALL_AND_CUT])
def test_a_copy_that_breaks_begins_anew(kind: Break, find: Find):
    class First:
        """All connections but the last one break."""

        most = ATTEMPTS - 1

        def wound(self, number: int) -> Wound | None:
            return Wound(kind, True, 100_000 + number) if number <= self.most else None

    with serving(lambda _: Said(body=BODY)) as peer, TcpProxy("127.0.0.1", peer.port, First(), 0.01) as proxy:
        (file,) = find(f"http://127.0.0.1:{proxy.port}/a.bin", None)
        assert content(file) == BODY
        assert len(proxy.broken) == ATTEMPTS - 1
        First.most = 99
        with pytest.raises(
            UnavailableError, match=f"127.0.0.1 failed .*, {ATTEMPTS} times: check the server"
        ):
            content(file)


def test_what_cannot_be_reached_or_is_no_address(find: Find, free_port: int):
    with pytest.raises(UnavailableError, match=f"failed .ConnectError., {ATTEMPTS} times"):
        content(find(f"http://127.0.0.1:{free_port}/a.csv", None)[0])
    for path in ("http://[::1/a.csv", "http://a:b/c.csv", "https://a/\x01.csv"):
        with pytest.raises(SourceError, match="is no address of a file"):
            content(find(path, None)[0])
