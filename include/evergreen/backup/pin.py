"""How much of what grows belongs to one backup, so that nothing in it names what is not in it.

Nights go on while a backup is made. All that is committed only grows, so how far it had grown is looked up
first, in the order in which one thing is written after another, the last written first: the records of the
monitor, the predictions, the champion, the history, the versions, the published rows. Whatever is copied
later up to these marks is whole.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from evergreen.belongings import BELONGINGS, Role, part_of
from evergreen.errors import IntegrityError
from evergreen.lake import Table
from evergreen.registry.event_log import POINTER, EventLog
from evergreen.registry.history import Event, fold, removal
from evergreen.registry.versions import MANIFEST, file_key
from evergreen.storage import Storage

# Predictions name versions, and versions name rows of the others.
BEFORE_MODELS = (Table.MONITORING, Table.PREDICTIONS)
AFTER_MODELS = (Table.LABELS, Table.PARTITIONS, Table.QUARANTINE)

_LOG = re.compile(r"lake/([^/]+)/_delta_log/(\d{20})\..+")
_TABLE = re.compile(r"lake/([^/]+)/(?!_delta_log/).+")
_EVENT = re.compile(r"history/(\d+)\.json")
_CHAPTER = re.compile(r"chapters/\d+-(\d+)\.json")
_MANIFEST = re.compile(rf"models/([^/]+)/{re.escape(MANIFEST)}")
_VERSION = re.compile(r"models/([^/]+)/.+")


@dataclass(frozen=True)
class Pin:
    """The newest entry of each table's log, the number of events, and the committed versions.

    `pointer` is the champion's, as it follows from these events; None if there is none.
    """

    tables: Mapping[str, int] = field(default_factory=dict)
    events: Sequence[Event] = ()
    last: int = 0
    versions: Collection[str] = ()
    pointer: bytes | None = None

    def holds(self, key: str) -> bool:
        """Whether the object of a key is in the backup, among those that are copied after the marks were set.

        The champion's pointer is not among them, nor is the hint where a table's newest checkpoint is: both
        are written over, and follow from what is.
        """
        if match := _LOG.fullmatch(key):
            return int(match[2]) <= self.tables.get(match[1], -1)
        if match := _TABLE.fullmatch(key):
            return match[1] in self.tables
        if match := _VERSION.fullmatch(key):
            return match[1] in self.versions
        if match := _EVENT.fullmatch(key):
            return int(match[1]) <= self.last
        if match := _CHAPTER.fullmatch(key):
            return int(match[1]) <= self.last
        part = part_of(key)
        return part in BELONGINGS and BELONGINGS[part].role is Role.NAMED

    def lost(self, keys: Collection[str]) -> list[str]:
        """Versions of the history that were not removed by it and that are not among the keys."""
        named = {event.version for event in self.events if not removal(self.events, event.version)}
        wanted = named | set(self.versions)
        return sorted(version for version in wanted if file_key(version, MANIFEST) not in keys)


def pin(home: Storage, pipeline: str) -> Pin:
    """Set the marks of a backup; `home` is at the pipeline's folder."""
    before = {table: _newest(home, table) for table in BEFORE_MODELS}
    stored = found.body if (found := home.find(POINTER)) else None
    last = max(_found(_EVENT, home.list("history/")), default=0)
    versions = frozenset(match[1] for key in home.list("models/") if (match := _MANIFEST.fullmatch(key)))
    after = {table: _newest(home, table) for table in AFTER_MODELS}
    tables = {str(table): number for table, number in (before | after).items() if number is not None}
    try:
        events = [event for event in EventLog(home, pipeline).whole(None) if event.seq <= last]
    except IntegrityError:  # then the pointer says what the history led to
        return Pin(tables, (), last, versions, stored)
    pointer = fold(events).to_json() if events else stored
    return Pin(tables, events, last, versions, pointer)


def _newest(home: Storage, table: str) -> int | None:
    """The number of the newest entry in a table's log."""
    entries = map(_LOG.fullmatch, home.list(f"lake/{table}/_delta_log/"))
    return max((int(match[2]) for match in entries if match), default=None)


def _found(pattern: re.Pattern[str], keys: Iterable[str]) -> list[int]:
    return [int(match[1]) for match in map(pattern.fullmatch, keys) if match]
