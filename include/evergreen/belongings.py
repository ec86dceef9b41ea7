"""All that the storage has of a pipeline, which is below `<name>/`: its parts, and what of them names what.

Whoever deletes, copies or counts what is kept of a pipeline knows it from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from evergreen.errors import NotFoundError
from evergreen.numbers import size_in_words
from evergreen.storage import Listed, Storage


class Role(Enum):
    """How a part hangs together with the others."""

    NAMED = "others are made from it"
    COMMITTED = "it only grows, by commits that have numbers or manifests"
    TELLS = "it tells of what is committed"
    PASSING = "it is gone when the run has ended, or can be made again"


@dataclass(frozen=True)
class Belonging:
    """A part of what is kept of a pipeline: what it is, for people, and its role."""

    words: str
    role: Role


BELONGINGS = {
    "lake": Belonging(
        "the lake: published partitions, quarantine, predictions, monitoring, labels", Role.COMMITTED
    ),
    "models": Belonging("the versions of the model", Role.COMMITTED),
    "history": Belonging("the history of promotions", Role.COMMITTED),
    "chapters": Belonging("chapters of the history", Role.COMMITTED),
    "champion.json": Belonging("the champion's pointer", Role.COMMITTED),
    "refused": Belonging("rows of refused attempts", Role.TELLS),
    "corrections": Belonging("corrections of quarantined rows", Role.NAMED),
    "data_docs": Belonging("pages of validation", Role.TELLS),
    "reports": Belonging("reports of nights", Role.TELLS),
    "receipts": Belonging("receipts of runs", Role.TELLS),
    "timings": Belonging("timings of runs", Role.TELLS),
    "runs": Belonging("the partitions that runs took", Role.TELLS),
    "requests": Belonging("the log of requests", Role.TELLS),
    "staging": Belonging("staging of runs", Role.PASSING),
    "kept": Belonging("what backtests have trained", Role.PASSING),
    ".probe": Belonging("probes of the storage", Role.PASSING),
    "alerts": Belonging("open alerts", Role.TELLS),
    "calendar.json": Belonging("the calendar", Role.NAMED),
}
"""The folders and objects of a pipeline, by name."""

# Each is written after what it names, and deleted before it.
_NAMES_OTHERS = [
    re.compile(pattern)
    for pattern in (
        r"lake/[^/]+/_delta_log/.*",
        r"models/[^/]+/manifest\.json",
        r"(history|chapters)/.*",
        r"champion\.json",
    )
]
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
        return BELONGINGS[self.name].words if self.name in BELONGINGS else self.name

    @property
    def size(self) -> str:
        """How many objects and how large, for people."""
        return f"{self.objects:,} object{'' if self.objects == 1 else 's'}, {size_in_words(self.bytes)}"


def parts_of(storage: Storage, name: str) -> list[Part]:
    """What the storage has of a pipeline, in the order of `BELONGINGS`, others last; none for nothing.

    Raises `NotFoundError` for a text that is no pipeline's name.
    """
    found: dict[str, list[Listed]] = {}
    for entry in objects_of(storage, name):
        found.setdefault(part_of(entry.key), []).append(entry)
    order = [*(part for part in BELONGINGS if part in found), *sorted(found.keys() - BELONGINGS.keys())]
    return [Part(part, len(found[part]), sum(entry.size for entry in found[part])) for part in order]


def objects_of(storage: Storage, name: str) -> Sequence[Listed]:
    """The pipeline's objects, with keys below its prefix; raises as `parts_of`."""
    return home_of(storage, name).look("")


def home_of(storage: Storage, name: str) -> Storage:
    """The storage at the pipeline's folder; raises as `parts_of`."""
    if not _NAME.fullmatch(name):
        raise NotFoundError(f"'{name}' is no pipeline's name: give one of a-z, 0-9 and '_'")
    return storage.child(name)


def pipelines_in(storage: Storage) -> list[str]:
    """The pipelines that the storage has something of, described or not."""
    names = [name for name in storage.folders("") if _NAME.fullmatch(name)]
    return [name for name in names if BELONGINGS.keys() & set(storage.folders(f"{name}/"))]


def part_of(key: str) -> str:
    """The part that a key below a pipeline's prefix belongs to."""
    return key.partition("/")[0]


def rank(key: str) -> int:
    """After which others an object is written: 0 for what only is named, then what names those before it."""
    return next((at for at, named in enumerate(_NAMES_OTHERS, 1) if named.fullmatch(key)), 0)
