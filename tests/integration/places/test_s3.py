"""Files in a real S3 server by the keys of a connection, and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import pytest

from evergreen.connections import Connection
from evergreen.errors import SourceError, UnavailableError
from evergreen.sources.attempts import ATTEMPTS
from evergreen.sources.files.places import ranges
from evergreen.storage import Storage
from tests.faults.s3_proxy import Fault, S3Proxy, Script
from tests.http_peers import Said, certificates, serving
from tests.integration.places.conftest import SECRET, Find, content

ODD = ["a b.csv", "100%25.csv", "q#x.csv", "é/ü.csv", "plus+.csv", "[1].csv", "x/q?.csv"]


def connection(endpoint: str, **extra: object) -> Connection:
    return Connection("lake", "aws", login="key", password=SECRET, extra={"endpoint_url": endpoint, **extra})


@pytest.fixture
def proxy(s3_server: str) -> Iterator[S3Proxy]:
    with S3Proxy(s3_server) as running:
        yield running


def test_files_are_read_by_the_keys_of_the_connection(storage: Storage, s3_server: str, find: Find):
    lake = connection(s3_server)
    for name in ODD:
        storage.stage(f"in/{name}", name.encode())
        if "[" not in name and "?" not in name:
            (found,) = find(f"s3://{storage.bucket}/in/{name}", lake)
            assert (found.name, content(found)) == (f"s3://{storage.bucket}/in/{name}", name.encode())
    assert [file.key for file in find(f"s3://{storage.bucket}/in/**", lake)] == sorted(f"in/{n}" for n in ODD)
    (found,) = find(f"s3://{storage.bucket}/in/{{partition}}*", lake, "[1]")
    assert content(found) == b"[1].csv"
    assert find(f"s3://{storage.bucket}/in/{{partition}}.cs?", lake, "*") == []


def test_a_bucket_with_dots_and_thousands_of_keys(s3_server: str, new_storage, find: Find):
    storage = new_storage()
    dotted = Storage("a.bucket.with.dots", "", storage.credentials)
    dotted._client.create_bucket(Bucket=dotted.bucket)
    for number in range(2_100):  # three pages of a listing
        dotted.stage(f"day/{number:05}.csv", b"")
    for name in ("da", "day/0", "day0", "days/1.csv"):
        dotted.stage(name, b"x")
    found = find(f"s3://{dotted.bucket}/day/0*.csv", connection(s3_server))
    assert [file.key for file in found] == [f"day/{number:05}.csv" for number in range(2_100)]
    assert content(found[0]) == b""
    dotted.delete_all("")


def test_an_endpoint_may_have_a_path(find: Find):
    with serving(lambda asked: Said(404, b"<Error><Code>NoSuchKey</Code></Error>")) as peer:
        (file,) = find("s3://bucket/a b.csv", connection(peer.address() + "/s3"))
        with pytest.raises(SourceError, match=r"^s3://bucket/a b.csv does not exist: put it there"):
            content(file)
    assert {asked.path for asked in peer.asked} == {"/s3/bucket/a%20b.csv"}


def test_what_is_absent_or_denied_is_said(storage: Storage, s3_server: str, find: Find, free_port: int):
    lake, top = connection(s3_server), f"s3://{storage.bucket}"
    storage.stage("folder/a.csv", b"x")
    for path, problem in {
        f"{top}/none.csv": f"{top}/none.csv does not exist: put it there or change the source's path",
        f"{top}/folder": f"{top}/folder does not exist",
        "s3://no-such-bucket/a.csv": "s3://no-such-bucket/a.csv does not exist",
    }.items():
        (file,) = find(path, lake)
        assert not file.exists()
        with pytest.raises(SourceError, match=problem):
            content(file)
    assert find(f"{top}/none*", lake) == []
    with pytest.raises(SourceError, match=r"s3://no-such-bucket does not exist: change the source's path"):
        find("s3://no-such-bucket/*", lake)
    with pytest.raises(SourceError, match=r"is no address of a file"):
        find(f"{top}/", lake)
    with pytest.raises(SourceError, match=r"check it|address"):
        content(find(f"{top}/a//b.csv", lake)[0])
    storage.stage("odd//b.csv", b"x")
    with pytest.raises(SourceError, match=r"a key there has an empty name, '.' or '..' between slashes"):
        find(f"{top}/odd/*", lake)
    nobody = connection(f"http://127.0.0.1:{free_port}")
    with pytest.raises(UnavailableError, match=rf"cannot be reached, or broke off, {ATTEMPTS} times: check"):
        find(f"{top}/*", nobody)


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"])
def test_keys_that_are_refused(code: str, find: Find, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    body = f"<Error><Code>{code}</Code><Message>{SECRET} is wrong</Message></Error>".encode()
    with serving(lambda asked: Said(403, b"" if asked.method == "HEAD" else body)) as peer:
        lake = connection(peer.address())
        with pytest.raises(SourceError, match=rf"access denied \({code}\): check the keys") as listed:
            find("s3://bucket/*", lake)
        (file,) = find("s3://bucket/a.csv", lake)
        with pytest.raises(SourceError, match="access denied: check the keys") as read:
            content(file)
    assert len(peer.asked) == 2, "a refusal is not asked for again"
    assert SECRET not in f"{listed.value!r} {read.value!r} {lake!r} {caplog.text} {peer.asked}"


def test_a_certificate_that_is_not_trusted(tmp_path, find: Find):
    files = certificates(tmp_path)
    answer = Said(404, b"<Error><Code>NoSuchKey</Code></Error>")
    with serving(lambda _: answer, files.server_tls(client_required=False)) as peer:
        (file,) = find("s3://bucket/a.csv", connection(peer.address("https")))
        with pytest.raises(SourceError, match="TLS certificate is not trusted: set 'ca'"):
            content(file)
        (file,) = find("s3://bucket/a.csv", connection(peer.address("https"), ca=str(files.ca)))
        with pytest.raises(SourceError, match="does not exist"):
            content(file)
    with pytest.raises(SourceError, match="'ca' in its extra is no readable file"):
        find("s3://bucket/a.csv", connection("https://x", ca=str(tmp_path / "none.pem")))


BODY = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "fault", [Fault.RESET, Fault.RESET_AFTER, Fault.TRUNCATED, Fault.ERROR, Fault.SLOW_DOWN]
)
def test_a_copy_that_breaks_is_continued(
    fault: Fault, storage: Storage, proxy: S3Proxy, find: Find, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranges, "PIECE", 1_000)
    storage.stage("a.bin", BODY)
    times = ATTEMPTS - 1
    proxy.plan = Script(fault, {"GET": times, "HEAD": times}, lambda call: call.method)
    (file,) = find(f"s3://{storage.bucket}/*.bin", connection(proxy.address))
    assert content(file) == BODY
    assert sum(proxy.counts().values()) == 2 * times
    proxy.plan = Script(fault, {"GET": ATTEMPTS}, lambda call: call.method)
    with pytest.raises(UnavailableError, match=rf"^s3://{storage.bucket}/a.bin: .*, {ATTEMPTS} times"):
        content(file)


def test_a_file_that_changes_while_it_is_copied_is_copied_anew(
    storage: Storage, proxy: S3Proxy, find: Find, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranges, "PIECE", 1_000)
    versions = [bytes([65 + number]) * (5_000 - number) for number in range(20)]
    storage.stage("a.bin", versions[0])
    (file,) = find(f"s3://{storage.bucket}/a.bin", connection(proxy.address))
    written, most = iter(versions[1:]), [2]

    def overwrite(call) -> None:
        pieces = [one for one in proxy.calls if one.method == "GET"]
        if call.method == "GET" and len(pieces) % 3 == 0 and most[0]:
            most[0] -= 1
            storage.stage("a.bin", next(written))

    proxy.watch = overwrite
    assert content(file) == versions[2]
    most[0] = 99
    with pytest.raises(UnavailableError, match=f"changed while it was copied, {ATTEMPTS} times"):
        content(file)


def test_variables_of_the_storage_do_not_reach_a_connection(monkeypatch: pytest.MonkeyPatch, find: Find):
    with serving(lambda _: Said(404)) as elsewhere, serving(lambda _: Said(404)) as peer:
        monkeypatch.setenv("AWS_ENDPOINT_URL", elsewhere.address())
        monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-storage")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-storage")
        assert not find("s3://bucket/a.csv", connection(peer.address()))[0].exists()
        (asked,) = peer.asked
        assert "Credential=key/" in asked.headers["authorization"]
        assert "x-amz-security-token" not in asked.headers
        bare = Connection("lake", "aws", login="key", password=SECRET, extra={"region_name": "eu-west-1"})
        store = find("s3://bucket/a.csv", bare)[0].place._store  # type: ignore[union-attr]
        assert store.config["endpoint"] == "https://s3.eu-west-1.amazonaws.com"
        anonymous = Connection("open", "aws", extra={"anonymous": True, "endpoint_url": peer.address()})
        assert not find("s3://bucket/a.csv", anonymous)[0].exists()
        assert "authorization" not in peer.asked[-1].headers
        assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"login": "key"}, "has no password: the login is the access key id"),
        ({"password": SECRET}, "has no login"),
        ({"extra": {"regoin": SECRET}}, "'regoin' in its extra is no key of a connection to S3: allowed are"),
        ({"extra": {"anonymous": SECRET}}, "'anonymous' in its extra is wrong"),
        (
            {"extra": {"endpoint_url": "no address " + SECRET}, "login": "a", "password": "b"},
            "must be an address",
        ),
        ({"extra": {}}, "there are no AWS keys"),
    ],
)
def test_a_connection_that_will_not_do(given, problem: str, find: Find, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/nowhere")
    with pytest.raises((SourceError, UnavailableError), match=problem) as caught:
        content(find("s3://bucket/a.csv", Connection("lake", "aws", **given))[0])
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fork_of_a_process_that_has_read_objects_says_so_and_does_not_hang(
    storage: Storage, s3_server: str, find: Find
):
    storage.stage("a.csv", b"x")
    (file,) = find(f"s3://{storage.bucket}/a.csv", connection(s3_server))
    assert content(file) == b"x"
    reader, writer = os.pipe()
    if not (child := os.fork()):
        with contextlib.suppress(BaseException):
            try:
                content(file)
            except SourceError as error:
                os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    assert b"this process was forked from one that had read objects" in os.read(reader, 1000)
    os.close(reader)
    os.waitpid(child, 0)
