"""What a server that answers for the pipeline may use, and when it must refuse."""

from __future__ import annotations

from typing import Literal

from evergreen.calendar import Calendar
from evergreen.description import Described
from evergreen.units import AnyLength, ConnectionId


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


class Serving(Described):
    """Serving over HTTP: `look_back` is where its rows come from."""

    look_back: LookBack | None = None

    def check(self, calendar: Calendar) -> None:
        """Raise `ValueError` for what does not fit a calendar."""
        if self.look_back is not None and not calendar.has_time:
            raise ValueError("serving.look_back: a snapshot has no partitions before it, leave it out")
