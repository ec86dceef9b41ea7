"""What a server that answers for the pipeline may use, and when it must refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from evergreen.calendar import Calendar, Length
from evergreen.description import Described
from evergreen.units import AnyLength, Column, ConnectionId, Share, SomeLength


class LookBack(Described):
    """The rows before a request's own partition, which its features look back to."""

    conn_id: ConnectionId | None = None
    """A PostgreSQL connection with a table in which every published partition is kept too; a server reads it
    faster than the lake. Example: look_back_db
    """
    max_age: AnyLength | None = None
    """How far the newest published partition may end before the one that is asked for begins; default: any.
    Example: 2 days
    """
    stale: Literal["refuse", "allow"] = "refuse"
    """Whether older rows are refused, or answered and called stale."""


class Log(Described):
    """The log of requests, which tells whether what is served agrees with what is published."""

    share: Share = 0.05
    """The share of the keys whose rows are logged, always the same keys."""
    keep: SomeLength = Length(30, "day")
    """How far its partition may be from the newest published one before what is logged is deleted. Example:
    30 days
    """
    drop: tuple[Column, ...] = Field(default=())
    """Columns that are never written, such as those of persons; none of the key. Example: [email]"""

    def check(self, calendar: Calendar, keys: Sequence[str]) -> None:
        """Raise `ValueError` for what does not fit a calendar and the columns that name a row."""
        if kept := [name for name in self.drop if name in keys]:
            raise ValueError(
                f"serving.log.drop: '{kept[0]}' is of the key, by which logged rows are found again: keep "
                "it, name rows by another column, or leave out serving.log"
            )
        if not calendar.has_time and not self.keep.time:
            raise ValueError("serving.log.keep: a snapshot's log is kept for a time like '30 days'")


class Serving(Described):
    """Serving over HTTP: where the rows it looks back to come from, what is kept of requests."""

    look_back: LookBack | None = None
    log: Log | None = None
    shadow: Literal["newest"] | None = None
    """With `newest` the newest challenger is asked what the champion is, and answers nothing."""

    def check(self, calendar: Calendar, keys: Sequence[str]) -> None:
        """Raise `ValueError` for what does not fit a calendar and the columns that name a row."""
        if self.log is not None:
            self.log.check(calendar, keys)
        if self.look_back is not None and not calendar.has_time:
            raise ValueError("serving.look_back: a snapshot has no partitions before it, leave it out")
