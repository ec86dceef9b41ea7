"""Which objects of a pipeline nothing reads any more, of all that are stored. Pure.

Objects are named by their keys below the pipeline's folder. What is not named here is never deleted: the
history, versions, the published rows, corrections, refused rows, alerts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from evergreen.belongings import Part
from evergreen.lake_upkeep import spare_checkpoints
from evergreen.reports.store import last_told, report_key
from evergreen.request_log.retention import expired

if TYPE_CHECKING:
    from evergreen.calendar import Length
    from evergreen.maintenance.kept import Kept
    from evergreen.storage import Listed

CHECKPOINTS = "checkpoints of the lake's tables that newer ones repeat"
ROWS = "files of rows that no version of a table needs"

_PAGE = re.compile(r"data_docs/(?P<partition>[^/.][^/]*)/(?P<run>[^/]+)\.html")
_REPORT = re.compile(r"reports/(sent/)?(?P<name>[^/]+?)(\.html|/[^/]+\.json)")
_NOTE = re.compile(r"(timings/[^/]+|receipts|receipts/changed)/(?P<partition>[^/]+)\.json")
_RUN = re.compile(r"runs/[^/]+/[^/]+\.json")
_STAGED = re.compile(r"staging/(?P<run>[^/]+)/.+")
_LOGGED = re.compile(r"requests/(?P<kind>[^/]+)/(?P<partition>[^/]+)/.+")
_TABLE = re.compile(r"lake/(?P<table>[^/]+)/.+")


@dataclass(frozen=True)
class Plan:
    """What is to be deleted: objects by the folder they are in, or by what they are."""

    found: Mapping[str, Sequence[Listed]]

    @property
    def keys(self) -> list[str]:
        """The keys of all of them."""
        return [entry.key for entries in self.found.values() for entry in entries]

    @property
    def pages(self) -> set[tuple[str, str]]:
        """Partition and run of the pages of validation among them."""
        pages = (_PAGE.fullmatch(key) for key in self.keys)
        return {(page["partition"], page["run"]) for page in pages if page}

    @property
    def parts(self) -> list[Part]:
        """How many they are and their bytes, for people; without what there is nothing of."""
        return [
            Part(name, len(entries), sum(entry.size for entry in entries))
            for name, entries in self.found.items()
            if entries
        ]

    def with_rows(self, entries: Sequence[Listed]) -> Plan:
        """The same, and these files of rows."""
        return Plan({**self.found, ROWS: entries})


def plan(kept: Kept, listed: Sequence[Listed], logged: Length, waits: timedelta) -> Plan:
    """What of all objects of a pipeline is kept no longer, files of rows aside: see `evergreen.lake_upkeep`.

    `logged` is how long requests are kept, and `waits` how long a training may wait for a person.
    """
    reports = _reports(kept, listed)
    return Plan(
        {
            "data_docs": _pages(kept, listed, reports),
            "reports": reports,
            "timings": _notes(kept, listed, "timings/"),
            "receipts": _notes(kept, listed, "receipts/"),
            "runs": [one for one in listed if _RUN.fullmatch(one.key) and kept.is_aged(one)],
            "staging": _staged(kept, listed, waits),
            "requests": _requests(kept, listed, logged),
            CHECKPOINTS: [
                entry for files in tables(listed).values() for entry in spare_checkpoints(files, kept.moment)
            ],
        }
    )


def tables(listed: Sequence[Listed]) -> dict[str, list[Listed]]:
    """The stored files of each table of the lake."""
    return _grouped(listed, _TABLE, "table")


def refused(listed: Sequence[Listed]) -> set[str]:
    """The partitions whose last attempt was refused: somebody looks into it."""
    return {one.key.split("/")[1].removesuffix(".json") for one in listed if one.key.startswith("refused/")}


def _pages(kept: Kept, listed: Sequence[Listed], reports: Sequence[Listed]) -> list[Listed]:
    """Pages of validation; the report of a night leads to its page, as long as `reports` do not have it."""
    staying = {one.key for one in listed} - {one.key for one in reports}
    pages = [(entry, match) for entry in listed if (match := _PAGE.fullmatch(entry.key))]
    newest = max((entry for entry, _ in pages), key=lambda entry: entry.modified, default=None)
    return [
        entry
        for entry, page in pages
        if kept.is_old(page["partition"], entry)
        # The report of a snapshot leads to the newest.
        and (entry != newest if not kept.calendar.has_time else _report_of(page["partition"]) not in staying)
    ]


def _report_of(partition: str) -> str:
    return report_key("", partition).removeprefix("/")


def _reports(kept: Kept, listed: Sequence[Listed]) -> list[Listed]:
    return [
        entry
        for entry in listed
        if kept.calendar.has_time
        and (match := _REPORT.fullmatch(entry.key))
        and (partition := last_told(kept.calendar, match["name"]))
        and kept.is_old(partition, entry)
    ]


def _notes(kept: Kept, listed: Sequence[Listed], folder: str) -> list[Listed]:
    """What is about one partition; a snapshot has but one, whose notes are written again and again."""
    return [
        entry
        for entry in listed
        if kept.calendar.has_time
        and entry.key.startswith(folder)
        and (match := _NOTE.fullmatch(entry.key))
        and kept.is_old(match["partition"], entry)
    ]


def _staged(kept: Kept, listed: Sequence[Listed], waits: timedelta) -> list[Listed]:
    """The staging of whole runs that nothing was added to for long."""
    runs = _grouped(listed, _STAGED, "run").values()
    dead = (run for run in runs if all(kept.is_settled(entry, waits) for entry in run))
    return [entry for run in dead for entry in run]


def _requests(kept: Kept, listed: Sequence[Listed], keep: Length) -> list[Listed]:
    if kept.newest is None:
        return []
    found = set(_expired(kept, kept.newest, listed, keep))
    return [entry for entry in listed if entry.key in found]


def _expired(kept: Kept, newest: str, listed: Sequence[Listed], keep: Length) -> Iterator[str]:
    for entries in _grouped(listed, _LOGGED, "kind").values():
        yield from expired(kept.calendar, keep, newest, _grouped(entries, _LOGGED, "partition"))


def _grouped(listed: Sequence[Listed], form: re.Pattern[str], name: str) -> dict[str, list[Listed]]:
    found: dict[str, list[Listed]] = {}
    for entry in listed:
        if match := form.fullmatch(entry.key):
            found.setdefault(match[name], []).append(entry)
    return found
