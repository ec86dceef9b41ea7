"""What the state of a pipeline is told from, read from its storage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from evergreen.alerts.book import read_book
from evergreen.errors import EvergreenError
from evergreen.lake import Table
from evergreen.monitoring.record import SCHEMA, decisions_in, records_in
from evergreen.status.summary import Facts, Status, summary
from evergreen.together import together

if TYPE_CHECKING:
    from evergreen.monitoring.record import Decision
    from evergreen.pipeline import Pipeline
    from evergreen.registry.history import Force
    from evergreen.signals.record import Record

NIGHTS = 8
"""How many of the last monitored partitions are told of."""

_SHOWN = [name for name in SCHEMA.names if name not in ("counts", "contribution_drift")]


def status_of(pipeline: Pipeline, moment: datetime, force: Force | None = None) -> Status:
    """The state of a pipeline, whose next tick is the first after `moment` (with an offset).

    `force` is what is in force now, where that was read already. Raises `UnavailableError` if the storage
    cannot be reached, `StorageError` if it refuses, and `IntegrityError` if what it holds is damaged.
    """
    lake, registry = pipeline.lake, pipeline.registry
    force = force or registry.pointed()
    since = force.start or ""
    book, _ = read_book(pipeline.storage, pipeline.name)
    with lake.steady():
        published = lake.partitions()
        newest = published[-1] if published else ""
        facts = Facts(
            force=force,
            published=published,
            newest=lake.records([newest]).get(newest, {}),
            nights=_nights(pipeline),
            alerts=book.open,
            undecided=registry.undecided(registry.back_to(since, force), since),
        )
    return summary(pipeline.spec, facts, moment)


def statuses(names: Iterable[str], opened: Callable[[str], Pipeline], moment: datetime) -> list[Status]:
    """The states of several pipelines, in their order; of one that fails its `problem` in a line."""
    return together(partial(_or_problem, opened, moment), names)


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
    return nights_of(pipeline, keys[-(NIGHTS + late) :])


def nights_of(pipeline: Pipeline, keys: Iterable[str]) -> list[tuple[Record, Decision]]:
    """The records of the partitions that are monitored, and the decisions after them, oldest first.

    What only monitoring itself reads of a record is left out: the rows in bins.
    """
    tables = pipeline.lake.single(Table.MONITORING, keys, _SHOWN)
    return [(records_in(table)[0], decisions_in(table)[0]) for table in tables]
