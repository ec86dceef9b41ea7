"""What a kind of source is made of: its description, its reader, and how it tells that it is complete.

A kind is a module or folder of its own, with an entry in `evergreen.sources.kinds`. Its entry and its models
are imported whenever a description is parsed, and must be light; its reader is imported by the functions of
the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evergreen.calendar import Calendar, Zone
from evergreen.description import Described
from evergreen.units import Column, TypeName

if TYPE_CHECKING:
    from evergreen.connections import Connect
    from evergreen.rows.batches import Rows
    from evergreen.sources.checkpoint import Checkpoint
    from evergreen.storage import Storage

Types = dict[Column, TypeName]


class SourceConfig(Described):
    """What a description says of any source, whatever its kind.

    `time_column` is the column of the event time, `types` declares what the lake keeps a column as, such as
    `decimal(12, 2)` for money.
    """

    time_column: Column | None = None
    types: Types = {}

    def templates(self) -> Iterable[str]:
        """The texts in which `{partition}` stands for the partition that is asked for."""
        return ()

    def check_by_partition(self) -> None:
        """Raise `ValueError` if nothing in the description tells one partition's rows from another's.

        Its text begins with the rest of the key path.
        """
        if not self.time_column and not any("{partition" in text for text in self.templates()):
            raise ValueError(
                ": write '{partition}' where it asks for a partition's labels, or name the column of the "
                "rows' time as 'time_column'"
            )


class Question(Described):
    """A question that tells whether a source is complete; `name` is the key that marks it."""

    name: ClassVar[str]


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a source: one partition, and the means to get at it.

    `folder` is the pipeline's. With a `checkpoint` a read may go on where an earlier attempt ended.
    """

    partition: str
    calendar: Calendar
    folder: Path
    storage: Storage
    connect: Connect
    checkpoint: Checkpoint | None = None

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
        """The time zone in which a time without an offset is meant."""
        return self.calendar.zone

    def _shown(self, bound: Callable[[str], datetime]) -> datetime | None:
        return bound(self.partition).astimezone(self.zone.info) if self.calendar.has_time else None


@dataclass(frozen=True)
class SourceKind:
    """A kind of source. The functions are given the source's own `config`, and what is wanted of it.

    `read` returns the rows of the partition in the lake's types; `questions` holds for each `Question` the
    function that puts it, which returns what is missing in one line, or None if the source is complete. They
    raise `SourceError` where it is vain to try again and `UnavailableError` where it is not.
    """

    config: type[SourceConfig]
    read: Callable[[Any, Wanted], Rows]
    questions: Mapping[type[Question], Callable[[Any, Any, Wanted], str | None]]
