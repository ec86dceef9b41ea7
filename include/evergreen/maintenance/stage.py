"""The stage `maintain`: checkpoints and chapters are written, then what nothing reads any more is deleted.

Run again, it finds nothing to do; killed in the middle, the next run goes on. It never deletes what a stage
that runs at the same time may need: see `evergreen.maintenance.kept`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evergreen.alerts.book import read_book
from evergreen.data_docs.store import drop_runs
from evergreen.errors import IntegrityError
from evergreen.lake import Table
from evergreen.lake_check import damage
from evergreen.lake_upkeep import behind, checkpoint, files_at, unneeded, versions_needed
from evergreen.maintenance.kept import SETTLED, Kept
from evergreen.maintenance.named import named_versions
from evergreen.maintenance.plan import ROWS, Plan, plan, refused, tables
from evergreen.registry.event_log import EventLog
from evergreen.registry.ids import as_of_version
from evergreen.spec import Log

if TYPE_CHECKING:
    from evergreen.belongings import Part
    from evergreen.pipeline import Pipeline
    from evergreen.storage import Listed


@dataclass(frozen=True)
class Maintained:
    """What was deleted, or would be; `checkpoints` are the tables that were given a new one."""

    plan: Plan
    checkpoints: tuple[Table, ...] = ()

    @property
    def parts(self) -> list[Part]:
        """What was deleted, for people."""
        return self.plan.parts


def maintain(pipeline: Pipeline, *, dry_run: bool = False, moment: datetime | None = None) -> Maintained:
    """Maintain a pipeline's storage; with `dry_run` nothing is changed, and the answer says what would be.

    Ages are counted back from `moment`, by default when the newest object was stored. Raises `IntegrityError`
    if the lineage of a version cannot be read, `UnavailableError` or `StorageError` if the storage fails.
    """
    storage = pipeline.storage.child(pipeline.name)
    listed = storage.look("")
    if not listed:
        return Maintained(Plan({}))
    found = _planned(pipeline, listed, moment or max(entry.modified for entry in listed))
    stored = tables(listed)
    late = tuple(table for table in Table if table in stored and behind(stored[table]))
    if dry_run:
        return Maintained(found, late)
    for table in late:
        checkpoint(pipeline.storage, pipeline.name, table)
    EventLog(storage, pipeline.name).write_chapters()
    # First the index: it must not lead to a page that is gone.
    drop_runs(pipeline, found.pages)
    storage.delete(entry.key for name, part in found.found.items() if name != ROWS for entry in part)
    for name, spare in tables(found.found.get(ROWS, ())).items():
        _drop_rows(pipeline, Table(name), spare)
    return Maintained(found, late)


def _planned(pipeline: Pipeline, listed: Sequence[Listed], moment: datetime) -> Plan:
    spec = pipeline.spec
    newest = max(pipeline.lake.partitions(), default=None)
    about = frozenset(_kept_partitions(pipeline, listed))
    kept = Kept(spec.calendar, spec.maintenance.keep, newest, moment, about)
    waits = spec.gate.approval.within if spec.gate.approval else timedelta()
    found = plan(kept, listed, (spec.serving.log or Log()).keep, waits)
    return found.with_rows([*_rows(pipeline, listed, moment)])


def _kept_partitions(pipeline: Pipeline, listed: Sequence[Listed]) -> Iterator[str]:
    book, _ = read_book(pipeline.storage, pipeline.name)
    yield from (entry.alert.partition for entry in book.entries.values())
    yield from refused(listed)
    yield from map(as_of_version, pipeline.registry.stored())


def _rows(pipeline: Pipeline, listed: Sequence[Listed], moment: datetime) -> Iterator[Listed]:
    """The files of rows that no version of their table needs.

    Needed are the present version, those since `SETTLED`, and those that a lineage names. Where nothing was
    replaced no version but the present one is opened.
    """
    before, named = moment - SETTLED, None
    for table in tables(listed).keys() & set(Table):
        stored = tables(listed)[table]
        spare = unneeded(stored, _files(pipeline, Table(table), None), before)
        if not spare:
            continue
        named = named or named_versions(pipeline.storage, pipeline.name)
        for version in versions_needed(stored, named.get(Table(table), ()), before):
            spare = unneeded(spare, _files(pipeline, Table(table), version), before)
        yield from spare


def _files(pipeline: Pipeline, table: Table, version: int | None) -> set[str]:
    return files_at(pipeline.storage, pipeline.name, table, version)


def _drop_rows(pipeline: Pipeline, table: Table, spare: Sequence[Listed]) -> None:
    """Delete files of rows, except those that a writer has stored again since: a file is named by its rows.

    Raises `IntegrityError`, with the remedy, if one was published again at this very moment.
    """
    storage = pipeline.storage.child(pipeline.name)
    now = {entry.key: entry.modified for entry in storage.look(f"lake/{table}/")}
    keys = {entry.key for entry in spare if now.get(entry.key) == entry.modified}
    storage.delete(sorted(keys))
    if keys & files_at(pipeline.storage, pipeline.name, table):
        for line in damage(pipeline.storage, pipeline.name, table):
            raise IntegrityError(line)
