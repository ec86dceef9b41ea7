"""What the state of a pipeline is told from, read from its storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from evergreen.alerts.book import read_book
from evergreen.errors import EvergreenError
from evergreen.lake import Table
from evergreen.monitoring.record import decisions_in, records_in
from evergreen.status.summary import Facts, Status, summary

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.signals.record import Record

NIGHTS = 8
"""How many of the last monitored partitions are told of."""

_READERS = 8


def status_of(pipeline: Pipeline, moment: datetime) -> Status:
    """The state of a pipeline, whose next tick is the first after `moment` (with an offset).

    Raises `UnavailableError` if the storage cannot be reached, `StorageError` if it refuses, and
    `IntegrityError` if what it holds is damaged.
    """
    lake, registry = pipeline.lake, pipeline.registry
    published, versions = lake.partitions(), registry.versions()
    decided = {event.version for event in registry.history()}
    newest = published[-1] if published else ""
    book, _ = read_book(pipeline.storage, pipeline.name)
    facts = Facts(
        force=registry.force(),
        published=published,
        newest=lake.records([newest]).get(newest, {}),
        nights=_nights(pipeline),
        alerts=book.open,
        versions=versions,
        undecided=[version for version in versions if version not in decided],
    )
    return summary(pipeline.spec, facts, moment)


def statuses(names: Iterable[str], opened: Callable[[str], Pipeline], moment: datetime) -> list[Status]:
    """The states of several pipelines, in their order; of one that fails its `problem` in a line."""
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(partial(_or_problem, opened, moment), names))


def _or_problem(opened: Callable[[str], Pipeline], moment: datetime, name: str) -> Status:
    try:
        return status_of(opened(name), moment)
    except EvergreenError as error:
        return Status(name, problem=str(error))


def _nights(pipeline: Pipeline) -> list[tuple[Record, Decision]]:
    """The last monitored partitions; where labels come later, back to the last ones that have theirs."""
    keys = pipeline.lake.partitions(Table.MONITORING)
    if not keys:
        return []
    late = pipeline.spec.calendar.count(pipeline.spec.label_delay, before=keys[-1])
    found = pipeline.lake.find(Table.MONITORING, keys[-(NIGHTS + late) :][0], keys[-1])
    return [] if found is None else list(zip(records_in(found), decisions_in(found), strict=True))
