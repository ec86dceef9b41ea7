"""How long logged rows are kept. Pure: no clock but that of the data decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evergreen.calendar import Calendar, Length, PartitionError
from evergreen.storage import Listed


def expired(
    calendar: Calendar, keep: Length, newest: str, logged: Mapping[str, Sequence[Listed]]
) -> list[str]:
    """The keys of the objects, by partition, that are kept no longer.

    These are the partitions that begin more than `keep` before the `newest` published one or after it: rows
    of a far future are written by mistake and would stay for ever. A snapshot has but one partition: there an
    object is as old as the store took it in before the newest one of the log.
    """
    if not calendar.has_time:
        return _of_snapshot(keep, logged)
    return [
        entry.key for key, found in logged.items() if _is_far(calendar, keep, newest, key) for entry in found
    ]


def _is_far(calendar: Calendar, keep: Length, newest: str, key: str) -> bool:
    try:
        return key < calendar.back(newest, keep) or newest < calendar.back(key, keep)
    except PartitionError:  # of another grain, or at the end of all dates
        return True


def _of_snapshot(keep: Length, logged: Mapping[str, Sequence[Listed]]) -> list[str]:
    entries = [entry for found in logged.values() for entry in found]
    if not entries:
        return []
    oldest = max(entry.modified for entry in entries) - keep.time
    return [entry.key for entry in entries if entry.modified < oldest]
