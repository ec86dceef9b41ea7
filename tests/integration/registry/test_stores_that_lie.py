"""A server that does not know conditional writes is found out before anything is promoted."""

from __future__ import annotations

import pytest

from evergreen.errors import StorageError
from evergreen.registry.registry import Registry
from evergreen.storage import Credentials, Storage
from tests.faults.s3_proxy import S3Proxy

VERSION = "2024-01-01-aaaa"


def registry_of(storage: Storage) -> Registry:
    return Registry(storage.child("bikes"), "bikes")


@pytest.mark.parametrize(
    ("forgotten", "named"),
    [
        ({"if-none-match"}, "If-None-Match"),
        ({"if-match"}, "If-Match"),
        ({"if-none-match", "if-match"}, "If-None-Match"),
    ],
    ids=["creates over", "replaces blindly", "both"],
)
@pytest.mark.parametrize("what", ["promote", "refuse"])
def test_a_store_that_ignores_conditions_is_refused_before_the_first_event(
    storage: Storage, s3_server: str, forgotten: set[str], named: str, what: str
):
    with S3Proxy(s3_server) as proxy:
        proxy.forgets = frozenset(forgotten)
        lying = Storage(storage.bucket, "", Credentials(proxy.address, access_key="t", secret_key="t"))
        registry = registry_of(lying)
        registry.commit(VERSION, {"model.skops": b"model"})
        with pytest.raises(StorageError, match=f"the store ignores {named}, so two writers") as told:
            getattr(registry, what)(VERSION, "2024-01-01", {})
    assert "\n" not in str(told.value)
    assert [key for key in storage.list("bikes/") if "/models/" not in key] == []
    assert registry_of(storage).champion() is None
    assert registry_of(storage).history() == []


def test_the_same_store_is_fine_once_it_honours_them(storage: Storage, s3_server: str):
    with S3Proxy(s3_server) as proxy:
        honest = Storage(storage.bucket, "", Credentials(proxy.address, access_key="t", secret_key="t"))
        registry = registry_of(honest)
        registry.commit(VERSION, {"model.skops": b"model"})
        registry.promote(VERSION, "2024-01-01", {})
    assert registry_of(storage).champion() == VERSION
    assert registry_of(storage).verify() == []
