"""Worlds that are made once for all tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache

import pytest

from evergreen.storage import Credentials, Storage
from tests.integration.serving.worlds import WORLDS, World

Worlds = Callable[[str], World]


@pytest.fixture(scope="session")
def worlds(s3_server: str) -> Worlds:
    """The world of a name in `WORLDS`, in a bucket of its own, which no test changes."""

    @cache
    def made(name: str) -> World:
        credentials = Credentials(endpoint_url=s3_server, access_key="test", secret_key="test")
        storage = Storage(f"test-{uuid.uuid4().hex[:12]}", "", credentials)
        storage._client.create_bucket(Bucket=storage.bucket)
        return WORLDS[name](storage)

    return made
