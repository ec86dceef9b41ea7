from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from evergreen.errors import ConflictError, NotFoundError, StorageError, UnavailableError
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage


@pytest.fixture(params=["if-none-match", "if-match"])
def forgetful_store(request: pytest.FixtureRequest, storage: Storage) -> Iterator[Storage]:
    """A store that ignores one of the conditions: it passes everything on to the real one but that header."""
    upstream = urlsplit(storage.credentials.endpoint_url or "").netloc

    class Forgetful(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != request.param}
            connection = HTTPConnection(upstream)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "date",
                    "server",
                ):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = pass_on  # noqa: N815 - the names http.server calls

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    credentials = replace(storage.credentials, endpoint_url=f"http://127.0.0.1:{server.server_port}")
    yield Storage(storage.bucket, "", credentials)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_that_honours_conditions_passes_the_probe(storage: Storage):
    storage.probe()
    assert storage.list("") == []


def test_a_store_that_ignores_a_condition_is_refused(
    forgetful_store: Storage, request: pytest.FixtureRequest
):
    with pytest.raises(
        StorageError, match=r"the store ignores If-(None-)?Match, so two writers could both win"
    ):
        forgetful_store.probe()
    assert forgetful_store.list("") == []


def test_nothing_is_promoted_on_such_a_store(forgetful_store: Storage):
    registry = Registry(forgetful_store.child("bikes"), "bikes")
    registry.commit("2011-04-01-aaaa", {"model.skops": b""})
    with pytest.raises(StorageError, match="ignores"):
        registry.promote("2011-04-01-aaaa", "2011-04-01", {})
    assert registry.history() == []
    assert registry.champion() is None


def test_of_many_creators_one_wins(storage: Storage):
    def create(number: int) -> bool:
        try:
            storage.create("one", str(number).encode())
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = [number for number, first in enumerate(pool.map(create, range(64))) if first]
    assert len(won) == 1
    assert storage.read("one").body == str(won[0]).encode()


def test_of_many_replacers_none_is_lost(storage: Storage):
    storage.create("count", b"0")

    def add_one(_: int) -> None:
        while True:
            stored = storage.read("count")
            try:
                storage.replace("count", str(int(stored.body) + 1).encode(), stored.etag)
            except ConflictError:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(40)))
    assert storage.read("count").body == b"40"


def test_a_listing_of_many_objects_is_whole(storage: Storage):
    child = storage.child("folder")
    keys = [f"history/{number:08d}.json" for number in range(1, 1101)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: child.stage(key, b"{}"), keys))
    assert child.list("history/") == keys
    assert child.list("history/", after=keys[1049]) == keys[1050:]
    assert child.delete_all("history/") == len(keys)
    assert child.list("") == []


def test_replacing_what_is_not_there(storage: Storage):
    with pytest.raises(NotFoundError):
        storage.replace("none", b"", '"0"')


def test_a_bucket_that_does_not_exist(storage: Storage):
    storage = Storage("nowhere", "", storage.credentials)
    for attempt in (lambda: storage.read("x"), lambda: storage.list(""), storage.probe):
        with pytest.raises(
            StorageError, match="bucket 'nowhere' does not exist: create it or change EVERGREEN"
        ):
            attempt()


def test_a_server_that_is_not_there(free_port: int):
    credentials = Credentials(f"http://127.0.0.1:{free_port}", access_key="a", secret_key="b")
    with pytest.raises(
        UnavailableError, match=rf"127\.0\.0\.1:{free_port} cannot be reached .*AWS_ENDPOINT_URL"
    ):
        Storage("bucket", "", credentials).read("x")
