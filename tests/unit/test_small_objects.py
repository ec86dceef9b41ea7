"""Small objects that never change are read once."""

from __future__ import annotations

import pytest

from evergreen.errors import NotFoundError
from evergreen.small_objects import SmallObjects
from evergreen.storage import Storage


def test_what_is_there_is_read_once_below_the_prefix(storage: Storage):
    below = storage.child("bikes")
    below.stage("lake/a.parquet", b"rows")
    small = SmallObjects(below)
    assert small.read("lake/a.parquet") == b"rows"
    below.delete(["lake/a.parquet"])
    assert small.read("lake/a.parquet") == b"rows"


def test_what_is_not_there_is_named(storage: Storage):
    with pytest.raises(NotFoundError, match=r"lake/b\.parquet does not exist"):
        SmallObjects(storage).read("lake/b.parquet")
