"""Small objects that never change: the last ones that were read are kept."""

from __future__ import annotations

from functools import lru_cache

from evergreen.storage import Storage

_KEPT = 128


class SmallObjects:
    """Objects of a store whose keys say what they hold, such as files that are named by their rows."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.read = lru_cache(_KEPT)(self._read)
        """The bytes at a key; raises as `Storage.read`. The last ones are kept."""

    def _read(self, key: str) -> bytes:
        return self._storage.read(key).body
