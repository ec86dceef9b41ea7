"""What a server that answers for the pipeline may use, and when it must refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from evergreen.calendar import Calendar, Length
from evergreen.description import Described
from evergreen.units import AnyLength, Column, ConnectionId, Share, SomeLength


class LookBack(Described):
    """The rows before a request's own partition, which its features look back to.

    With `conn_id`, a PostgreSQL connection, every published partition is also kept in a table there, from
    which a server reads faster than from the lake. `max_age` is how far the newest published partition may
    end before the partition that is asked for begins (default: any). What is older is refused, or with
    `stale: allow` answered and called stale.
    """

    conn_id: ConnectionId | None = None
    max_age: AnyLength | None = None
    stale: Literal["refuse", "allow"] = "refuse"


class Log(Described):
    """The log of requests, which tells whether what is served agrees with what is published.

    `share` is the share of the keys whose rows are logged, always the same keys. What is logged is deleted
    once its partition is `keep` away from the newest published one. The columns to `drop`, such as those of
    persons, are never written; a key must be, or rows could not be found again.
    """

    share: Share = 0.05
    keep: SomeLength = Length(30, "day")
    drop: tuple[Column, ...] = Field(default=())

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
    """Serving over HTTP: `look_back` is where its rows come from, `log` what is kept of requests.

    With `shadow: newest` the newest challenger is asked what the champion is, and answers nothing.
    """

    look_back: LookBack | None = None
    log: Log | None = None
    shadow: Literal["newest"] | None = None

    def check(self, calendar: Calendar, keys: Sequence[str]) -> None:
        """Raise `ValueError` for what does not fit a calendar and the columns that name a row."""
        if self.log is not None:
            self.log.check(calendar, keys)
        if self.look_back is not None and not calendar.has_time:
            raise ValueError("serving.look_back: a snapshot has no partitions before it, leave it out")
