"""What stays of a pipeline's pages and notes, by event time and by when the store took it in. Pure.

What a page is about is old in event time: a night of two years ago that is loaded today is as old as its
rows. Whether somebody may still be at work with an object, event time cannot tell: that is told by the
store's clock alone, counted back from the newest object. So no clock of this machine is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evergreen.calendar import Calendar, Length, PartitionError

if TYPE_CHECKING:
    from evergreen.storage import Listed

SETTLED = timedelta(days=30)
"""What was stored within so long is never deleted: runs are retried, trainings wait for a person, and readers
go on with a version of a table that they opened.
"""


@dataclass(frozen=True)
class Kept:
    """The rule of one pipeline at a `moment`, when the newest of its objects was stored.

    `newest` is the newest published partition, None before the first. What is about one of `partitions` stays
    whatever its age: an open alert or refused rows lead somebody to it, or a version of the model was trained
    as of it.
    """

    calendar: Calendar
    keep: Length
    newest: str | None
    moment: datetime
    partitions: frozenset[str] = frozenset()

    def is_old(self, partition: str, entry: Listed) -> bool:
        """Whether an object about a partition is kept no longer."""
        if not self.calendar.has_time:
            return self.is_aged(entry)
        if self.newest is None or partition in self.partitions or not self.is_settled(entry):
            return False
        try:
            return self.calendar.check(partition) < self.calendar.back(self.newest, self.keep)
        except PartitionError:  # nobody knows what it is about, or it reaches before all dates
            return False

    def is_aged(self, entry: Listed) -> bool:
        """Whether an object that is about no partition was stored longer ago than what is kept."""
        return entry.modified < self.moment - max(timedelta(self.calendar.days(self.keep)), SETTLED)

    def is_settled(self, entry: Listed, beyond: timedelta = timedelta()) -> bool:
        """Whether nobody can be at work with an object any more, even who may have waited `beyond` that."""
        return entry.modified < self.moment - SETTLED - beyond
