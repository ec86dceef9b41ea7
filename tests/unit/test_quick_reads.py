"""The quick way to read: what it answers is what the usual way answers, and what it leaves to that one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from evergreen.errors import NotFoundError, UnavailableError
from evergreen.storage import Storage
from tests.servers import unused_port

KEYS = [
    "history/1.json",
    "models/a/model",
    "models/b/x/y",
    "odd/a b+c%25\u00e9&~'.json",
    "odd/[1]{2}#?.json",
    "top",
]


def usual(storage: Storage) -> Storage:
    """The same store, without the quick way."""
    other = storage.child("")
    vars(other)["_quick"] = None
    return other


@pytest.fixture
def store(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A store with some objects, whose usual way is closed once they are written."""
    for key in KEYS:
        storage.create(key, key.encode(), note="as noted")
    monkeypatch.setitem(vars(storage), "_client", None)
    return storage


@pytest.mark.parametrize(
    "read",
    [
        *(lambda store, key=key: store.read(key) for key in KEYS),
        lambda store: [store.exists(key) for key in (*KEYS, "absent", "models", "models/a")],
        lambda store: store.find("absent"),
        lambda store: store.read_unless("top", store.read("top").etag),
        lambda store: store.read_unless("top", '"other"').body,
        lambda store: store.tail("history/1.json", 4),
        lambda store: store.look(""),
        lambda store: store.list("models/"),
        lambda store: store.list("models/", after="models/a/model"),
        lambda store: store.list("absent/"),
        lambda store: store.folders("models/"),
        lambda store: store.folders("models/", after="a/"),
        lambda store: store.child("models").list(""),
    ],
)
def test_both_ways_answer_alike(store: Storage, read: Callable[[Storage], object]):
    found = read(store)
    del vars(store)["_client"]
    assert found == read(usual(store))


def test_a_prefix_that_is_no_folder_is_for_the_usual_way(store: Storage):
    del vars(store)["_client"]
    assert store.list("models/b/x") == store.list("mod")[1:] == ["models/b/x/y"]


def test_the_usual_way_says_what_is_wrong(storage: Storage):
    gone = replace(storage.credentials, endpoint_url=f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        Storage(storage.bucket, "", gone).read("lake/a.parquet")
    with pytest.raises(NotFoundError, match=rf"s3://{storage.bucket}/a/b does not exist"):
        storage.child("a").read("b")


def test_keys_of_a_profile_or_a_role_are_for_the_usual_way(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    storage.stage("a", b"rows")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", storage.credentials.access_key or "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", storage.credentials.secret_key or "")
    of_the_chain = replace(storage.credentials, access_key=None, secret_key=None)
    other = Storage(storage.bucket, storage.prefix, of_the_chain)
    assert other._quick is None
    assert other.read("a").body == b"rows"


def test_a_process_that_is_forked_after_a_read_reads_too(storage: Storage):
    storage.stage("a", b"rows")
    program = """
import os, sys
from evergreen.storage import Storage
storage = Storage.open()
storage.read("a")
pid = os.fork()
if not pid:
    os._exit(0 if storage.read("a").body == b"rows" and storage.list("") == ["a"] else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    keys = storage.credentials
    told = {
        "EVERGREEN_STORAGE": storage.uri(""),
        "AWS_ENDPOINT_URL": keys.endpoint_url or "",
        "AWS_ACCESS_KEY_ID": keys.access_key or "",
        "AWS_SECRET_ACCESS_KEY": keys.secret_key or "",
    }
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env={**os.environ, **told})
