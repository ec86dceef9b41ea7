"""Where the pages of reports stand in the storage."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from evergreen.calendar import PartitionError, partitions_of_week, week_with

if TYPE_CHECKING:
    from evergreen.calendar import Calendar
    from evergreen.storage import Storage

FOLDER = "reports"
_WEEK = "week-"
_END = ".html"


def week_name(week: str) -> str:
    """The name of the report of a week, by the date of its first day."""
    return f"{_WEEK}{week}"


def is_of_week(name: str) -> bool:
    """Whether a report's name is that of a week."""
    return name.startswith(_WEEK)


def last_told(calendar: Calendar, name: str) -> str | None:
    """The newest partition that a report tells of; None for a name that is of none."""
    try:
        if not is_of_week(name):
            return calendar.check(name)
        week = week_with(calendar, date.fromisoformat(name.removeprefix(_WEEK)))
        return max(partitions_of_week(calendar, week), default=None)
    except (PartitionError, ValueError):
        return None


def report_key(pipeline: str, name: str) -> str:
    """The key of the page of a report: `name` is a partition's key, or `week_name`."""
    return f"{pipeline}/{FOLDER}/{name}{_END}"


def sent_key(pipeline: str, name: str, conn_id: str) -> str:
    """The key of the object that says that a receiver has had a report."""
    return f"{pipeline}/{FOLDER}/sent/{name}/{conn_id}.json"


def reports_in(storage: Storage, pipeline: str) -> list[str]:
    """The names of the stored reports, newest first."""
    prefix = f"{pipeline}/{FOLDER}/"
    names = (key.removeprefix(prefix) for key in storage.list(prefix))
    return sorted((name.removesuffix(_END) for name in names if name.endswith(_END)), reverse=True)


def write_report(storage: Storage, pipeline: str, name: str, page: bytes) -> str:
    """Write the page of a report in place of an earlier one, as a whole; returns its key."""
    key = report_key(pipeline, name)
    storage.stage(key, page, "text/html; charset=utf-8")
    return key
