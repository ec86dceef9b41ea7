"""All that the storage has of a pipeline, and its deletion.

Nothing but the pipeline's own prefix is listed or deleted: everything of a pipeline is below `<name>/`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evergreen.errors import ConflictError, NotFoundError
from evergreen.storage import Listed, Storage

WORDS = {
    "lake": "the lake: published partitions, quarantine, predictions, monitoring, labels",
    "models": "the versions of the model",
    "history": "the history of promotions",
    "champion.json": "the champion's pointer",
    "refused": "rows of refused attempts",
    "corrections": "corrections of quarantined rows",
    "data_docs": "pages of validation",
    "reports": "reports of nights",
    "receipts": "receipts of runs",
    "timings": "timings of runs",
    "runs": "the partitions that runs took",
    "requests": "the log of requests",
    "staging": "staging of runs",
    "alerts": "open alerts",
    "calendar.json": "the calendar",
}
"""What the folders and objects of a pipeline are."""

# What names the rest is deleted first: a deletion that is killed leaves nothing that looks whole.
_FIRST = re.compile(r"champion\.json|history/.*|models/[^/]+/manifest\.json|lake/[^/]+/_delta_log/.*")
_PASSES = 3
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class Part:
    """A folder or object of a pipeline: its name, how many objects it has, and their bytes."""

    name: str
    objects: int
    bytes: int

    @property
    def words(self) -> str:
        """What it is, for people."""
        return WORDS.get(self.name, self.name)

    @property
    def size(self) -> str:
        """How many objects and how large, for people."""
        size = f"{self.bytes / 2**20:,.1f} MB" if self.bytes >= 2**20 else f"{self.bytes / 2**10:,.1f} kB"
        return f"{self.objects:,} object{'' if self.objects == 1 else 's'}, {size}"


def parts_of(storage: Storage, name: str) -> list[Part]:
    """What the storage has of a pipeline, in the order of `WORDS`, others last; none if there is nothing.

    Raises `NotFoundError` for a text that is no pipeline's name.
    """
    found: dict[str, list[Listed]] = {}
    for entry in _listed(storage, name):
        found.setdefault(entry.key.partition("/")[0], []).append(entry)
    order = [*(part for part in WORDS if part in found), *sorted(found.keys() - WORDS.keys())]
    return [Part(part, len(found[part]), sum(entry.size for entry in found[part])) for part in order]


def forget(storage: Storage, name: str) -> int:
    """Delete all that the storage has of a pipeline; returns the number of objects.

    A deletion that was killed is finished by the next one. Raises `NotFoundError` as `parts_of` does, and
    `ConflictError` if somebody goes on writing.
    """
    deleted, child = 0, storage.child(name)
    for _ in range(_PASSES):
        keys = [entry.key for entry in _listed(storage, name)]
        if not keys:
            return deleted
        child.delete(sorted(keys, key=lambda key: (not _FIRST.fullmatch(key), key)))
        deleted += len(keys)
    raise ConflictError(
        f"{name}: somebody writes to {child.uri()} while it is deleted: pause its DAGs and run again"
    )


def _listed(storage: Storage, name: str) -> Sequence[Listed]:
    """The pipeline's objects, with keys below its prefix."""
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"'{name}' is no pipeline's name: give one of a-z, 0-9 and '_'")
    return storage.child(name).look("")
