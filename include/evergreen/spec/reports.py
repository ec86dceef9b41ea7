"""Who gets the reports of a pipeline's nights and weeks."""

from __future__ import annotations

from evergreen.calendar import Calendar
from evergreen.description import Described
from evergreen.units import ConnectionId


class Reports(Described):
    """The connections that reports are sent to.

    They are written whether or not anybody gets them.
    """

    to: tuple[ConnectionId, ...] = ()
    """Who gets the report of each night, each by the id of a connection. Example: [mail]"""
    weekly: tuple[ConnectionId, ...] = ()
    """Who gets the summary of each week, each by the id of a connection. Example: [mail]"""

    def check(self, calendar: Calendar) -> None:
        """Raise `ValueError` if there are no weeks to tell of."""
        if self.weekly and not calendar.has_time:
            raise ValueError("reports.weekly: a snapshot has no weeks, leave it out, or write reports.to")
