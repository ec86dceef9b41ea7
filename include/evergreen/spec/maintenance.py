"""What of a pipeline's pages and notes is kept, and when the rest is deleted."""

from __future__ import annotations

from evergreen.calendar import Calendar, Length
from evergreen.description import Described
from evergreen.units import Cron, SomeLength

LEAST = 31
"""So many days are kept at least: the reports of a week and of a month read what is that old."""


class Maintenance(Described):
    """How long pages and notes of runs are kept, and when `evergreen maintain` runs by itself.

    Rows, predictions, records and versions of models are kept for good.
    """

    keep: SomeLength = Length(365, "day")
    """How long pages of validation, reports, timings and receipts are kept, counted back from the newest
    published partition. Example: 2 years
    """
    schedule: Cron = "0 5 * * 0"
    """When the DAG that maintains the pipeline runs."""

    def check(self, calendar: Calendar) -> None:
        """Raise `ValueError` if less is kept than reports need, or if a snapshot's pages have no age."""
        if not calendar.has_time and self.keep.in_partitions:
            raise ValueError("maintenance.keep: a snapshot has one partition, write a length like '365 days'")
        if calendar.days(self.keep) < LEAST:
            raise ValueError(f"maintenance.keep: reports look back: write {LEAST} days or more")
