"""Small objects that never change: the quick way, and what it leaves to the usual one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evergreen.errors import NotFoundError, UnavailableError
from evergreen.small_objects import SmallObjects
from evergreen.storage import Storage
from tests.servers import unused_port


def test_what_is_there_is_read_once_below_the_prefix(storage: Storage):
    below = storage.child("bikes")
    below.stage("lake/a.parquet", b"rows")
    small = SmallObjects(below)
    assert small.read("lake/a.parquet") == b"rows"
    below.delete(["lake/a.parquet"])
    assert small.read("lake/a.parquet") == b"rows"


def test_the_usual_way_says_what_is_wrong(storage: Storage):
    with pytest.raises(NotFoundError, match=r"lake/b\.parquet does not exist"):
        SmallObjects(storage).read("lake/b.parquet")
    gone = replace(storage.credentials, endpoint_url=f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        SmallObjects(Storage(storage.bucket, "", gone)).read("lake/a.parquet")


def test_keys_of_a_profile_or_a_role_are_for_the_usual_way(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    storage.stage("a", b"rows")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", storage.credentials.access_key or "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", storage.credentials.secret_key or "")
    of_the_chain = replace(storage.credentials, access_key=None, secret_key=None)
    small = SmallObjects(Storage(storage.bucket, storage.prefix, of_the_chain))
    assert small._quick is None
    assert small.read("a") == b"rows"
