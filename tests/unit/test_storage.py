from __future__ import annotations

import pytest

from evergreen.errors import ConflictError, NotFoundError, StorageError
from evergreen.storage import Credentials, Storage


@pytest.mark.parametrize("location", ["", "bucket", "http://bucket", "s3://", "s3:///prefix", "/tmp"])
def test_only_s3_is_storage(location: str):
    with pytest.raises(StorageError, match="set it to s3://bucket or s3://bucket/prefix"):
        Storage.open(location)


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("s3://b", "s3://b/k"),
        ("s3://b/", "s3://b/k"),
        ("s3://b/p", "s3://b/p/k"),
        ("s3://b/p/q/", "s3://b/p/q/k"),
    ],
)
def test_addresses(location: str, address: str):
    assert Storage.open(location).uri("k") == address
    assert Storage.open(location).child("f").uri() == address[:-1] + "f"


def test_the_standard_variables_are_read(monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "EVERGREEN_STORAGE": "s3://b/p",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
    }.items():
        monkeypatch.setenv(name, value)
    storage = Storage.open()
    assert (storage.bucket, storage.prefix) == ("b", "p")
    assert storage.credentials == Credentials("http://127.0.0.1:9", "eu-central-1", "id", "s3cret")
    assert storage.delta_options == {
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "AWS_ALLOW_HTTP": "true",
        "conditional_put": "etag",
    }
    assert "s3cret" not in repr(storage.credentials)


def test_an_object_comes_back(storage: Storage):
    child = storage.child("a/b")
    child.stage("c", b"1")
    assert child.read("c").body == storage.read("a/b/c").body == b"1"
    assert child.exists("c")
    assert not child.exists("d")
    with pytest.raises(NotFoundError, match=f"s3://{storage.bucket}/a/b/d does not exist"):
        child.read("d")


def test_an_object_is_read_only_if_it_has_changed(storage: Storage):
    tag = storage.create("k", b"first")
    assert storage.read_unless("k", tag) is None
    storage.replace("k", b"second", tag)
    found = storage.read_unless("k", tag)
    assert found is not None
    assert (found.body, found.etag) == (b"second", storage.read("k").etag)
    with pytest.raises(NotFoundError):
        storage.read_unless("absent", tag)


def test_creation_happens_once(storage: Storage):
    tag = storage.create("k", b"1")
    with pytest.raises(ConflictError, match="written by somebody else first"):
        storage.create("k", b"2")
    assert (storage.read("k").body, storage.read("k").etag) == (b"1", tag)


def test_replacement_asks_for_the_tag_that_was_read(storage: Storage):
    old = storage.create("k", b"1")
    new = storage.replace("k", b"2", old)
    with pytest.raises(ConflictError):
        storage.replace("k", b"3", old)
    assert (storage.read("k").body, storage.read("k").etag) == (b"2", new)


def test_listings_are_relative_sorted_and_may_start_later(storage: Storage):
    child = storage.child("p")
    for key in ("h/3", "h/1", "h/2", "x"):
        child.stage(key, b"")
    storage.stage("other/h/1", b"")
    assert child.list("h/") == ["h/1", "h/2", "h/3"]
    assert child.list("h/", after="h/1") == ["h/2", "h/3"]
    assert child.list("") == ["h/1", "h/2", "h/3", "x"]
    assert child.delete_all("h/") == 3
    assert child.list("") == ["x"]


def test_the_probe_leaves_nothing(storage: Storage):
    storage.child("p").probe()
    assert storage.list("") == []
