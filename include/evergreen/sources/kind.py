"""The parts of a kind of source: its description, its reader, and its questions of completeness.

A kind is a module or folder of its own, with an entry in `evergreen.sources.kinds`. Its entry and its models
are imported whenever a description is parsed, and must be light; its reader is imported by the functions of
the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from evergreen.calendar import Calendar, Length, Zone, zone_of
from evergreen.description import Described
from evergreen.sources.event_time import ComposedTime, TimeColumn
from evergreen.time_form import zone_in
from evergreen.units import Column, Duration, SomeLength, TypeName

if TYPE_CHECKING:
    from evergreen.connections import Connect, Connection
    from evergreen.rows.batches import Rows
    from evergreen.sources.checkpoint import Checkpoint
    from evergreen.storage import Storage

Types = dict[Column, TypeName]
Window = tuple[datetime, datetime]
"""The first moment of a stretch of time, and the first one after it."""


class Changed(Described):
    """How a source tells which rows have changed since their partition was published."""

    column: Column
    """The column with the moment of a row's last change. Example: updated_at"""
    within: SomeLength = Length(30, "day")
    """How long before the partition that is ingested others may begin to be looked at."""
    overlap: Duration = timedelta(hours=1)
    """How long before the partition that is ingested with it the moment of a change may lie, since it was
    written late. Example: 1 hour
    """
    key: tuple[Column, ...] | None = None
    """The columns that name a row as long as it lives, so that it is found where its event time was before;
    default: the pipeline's key, unless the event time is part of it. Example: [rental_id]
    """


class SourceConfig(Described):
    """The part of a description that is common to all kinds of source."""

    time_column: TimeColumn | None = None
    """The column of the event time, or a mapping with `from` for one that several columns make up
    (`evergreen.sources.event_time`).
    """
    types: Types = {}
    """The types of columns in the lake. Example: {price: "decimal(12, 2)"}"""
    outside: Literal["refuse", "quarantine", "ignore"] = "refuse"
    """What is done with rows that are sent for a partition although their time lies in another one; a source
    of all of history is cut instead.
    """

    @model_validator(mode="after")
    def _something_outside(self) -> Self:
        if self.outside == "refuse":
            return self
        if self.time_column is None:
            raise ValueError("outside: is for rows with a time, which 'time_column' names")
        if self.whole:
            raise ValueError(
                "outside: what is read is all of history and is cut by its time_column, leave it out"
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether every read gives the rows of all partitions, which are then cut by their event time."""
        return False

    @property
    def asks_by_partition(self) -> bool:
        """Whether one of `templates` differs by partition."""
        return any(map(self.differs, self.templates()))

    @property
    def changes(self) -> Changed | None:
        """How the source tells which rows have changed; None if it does not."""
        return None

    def templates(self) -> Iterable[str]:
        """The texts in which `{partition}` stands for the requested partition."""
        return ()

    def differs(self, text: str) -> bool:
        """Whether one of `templates` differs by partition."""
        return "{partition" in text

    def local_zone(self, zone: Zone) -> Zone:
        """The zone of a time column without one: the declared one, or else the pipeline's `zone`."""
        if isinstance(self.time_column, ComposedTime):
            return zone_of(self.time_column.zone) if self.time_column.zone else zone
        return zone_in(self.types.get(self.time_column or ""), zone)

    def check_question(self, question: Question) -> None:
        """Raise `ValueError` for a question of completeness that this source cannot be asked."""

    def check_by_partition(self) -> None:
        """Raise `ValueError` if the description cannot select the rows of one partition.

        Its text begins with the rest of the key path.
        """
        if not self.time_column and not self.asks_by_partition:
            raise ValueError(
                ": write '{partition}' where it asks for a partition's labels, or name the column of the "
                "rows' time as 'time_column'"
            )


class Question(Described):
    """A question that tells whether a source is complete; `name` is the key that marks it."""

    name: ClassVar[str]

    def check_connection(self, connection: Connection) -> None:
        """Raise `SourceError` if the connection that it names lacks what it needs; asks nobody."""


@dataclass(frozen=True)
class Wanted:
    """The request to a source: one partition, and what is needed to read it.

    `folder` is the pipeline's. With a `checkpoint` a read may resume where an earlier attempt ended.
    `published` has the types of the columns that are published already, by which formats without types are
    read: names as in `types`.
    """

    partition: str
    calendar: Calendar
    folder: Path
    storage: Storage
    connect: Connect
    checkpoint: Checkpoint | None = None
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def start(self) -> datetime | None:
        """The partition's first moment, None for a snapshot; it shows local time."""
        return self._shown(self.calendar.start)

    @property
    def end(self) -> datetime | None:
        """The first moment after the partition, None for a snapshot; it shows local time."""
        return self._shown(self.calendar.end)

    @property
    def zone(self) -> Zone:
        """The time zone of times without an offset."""
        return self.calendar.zone

    def _shown(self, bound: Callable[[str], datetime]) -> datetime | None:
        return bound(self.partition).astimezone(self.zone.info) if self.calendar.has_time else None


def _any_connection(_: Any, __: Connection) -> None:
    """Every connection will do, as far as it can be told without using it."""


@dataclass(frozen=True)
class SourceKind:
    """A kind of source. The functions get the source's own `config`, and the request.

    `read` returns the rows of the partition in the lake's types; `questions` has for each `Question` a
    function that returns what is missing in one line, or None if the source is complete. They raise
    `SourceError` if a retry cannot help and `UnavailableError` if it may. `check_connection` gets the
    config and its connection; it raises `SourceError` for one that lacks what the kind needs. It asks nobody.
    `read_changed`, of kinds whose config may have `changes`, returns the event time and the named columns of
    the rows that changed within the window.
    """

    config: type[SourceConfig]
    read: Callable[[Any, Wanted], Rows]
    questions: Mapping[type[Question], Callable[[Any, Any, Wanted], str | None]]
    check_connection: Callable[[Any, Connection], object] = _any_connection
    read_changed: Callable[[Any, Wanted, Window, Sequence[str]], Rows] | None = None
