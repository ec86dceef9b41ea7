"""The deletion of all that the storage has of a pipeline; nothing but its own prefix is listed or deleted."""

from __future__ import annotations

from evergreen.belongings import objects_of, rank
from evergreen.errors import ConflictError
from evergreen.storage import Storage

_PASSES = 3


def forget(storage: Storage, name: str) -> int:
    """Delete all that the storage has of a pipeline; returns the number of objects.

    A deletion that was killed is finished by the next one: what names the rest is deleted first, so that
    nothing is left that looks whole. Raises `NotFoundError` for a text that is no pipeline's name, and
    `ConflictError` if somebody goes on writing.
    """
    deleted, child = 0, storage.child(name)
    for _ in range(_PASSES):
        keys = [entry.key for entry in objects_of(storage, name)]
        if not keys:
            return deleted
        child.delete(sorted(keys, key=lambda key: (-rank(key), key)))
        deleted += len(keys)
    raise ConflictError(
        f"{name}: somebody writes to {child.uri()} while it is deleted: pause its DAGs and run again"
    )
