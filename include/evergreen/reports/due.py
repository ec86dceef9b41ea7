"""Which weeks the night of a partition tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.calendar import partitions_of_week, week_of
from evergreen.reports.read_week import expected_in, is_over
from evergreen.reports.store import sent_key, week_name

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline


def weeks_due(pipeline: Pipeline, night: str) -> list[str]:
    """The weeks whose reports the night of a partition makes, each by a published partition of it.

    - Its own week, once that is over: with its last partition, and with others that are published later.
    - The week before, with the first partition of its own, if the last one of that week never came.
    - The week before, with the newest partition, while it is owed to somebody. With one tick come the last
      hours of a week and the first of the next, so that the week's own last night is past.
    """
    spec, calendar = pipeline.spec, pipeline.spec.calendar
    if not calendar.has_time:
        return []
    published, week = pipeline.lake.partitions(), week_of(calendar, night)
    first = partitions_of_week(calendar, week)[0]
    due = [night] if is_over(expected_in(spec, week), published) else []
    if before := [key for key in published if key < first][-1:]:
        earlier = week_of(calendar, before[0])
        never_came = before[0] != partitions_of_week(calendar, earlier)[-1]
        begins = not any(first <= key < night for key in published)
        if (never_came and begins) or (published[-1] == night and _is_owed(pipeline, earlier)):
            due = [*before, *due]
    return due


def _is_owed(pipeline: Pipeline, week: str) -> bool:
    """Whether somebody who asks for the reports of weeks has not had that one."""
    keys = [sent_key(pipeline.name, week_name(week), to) for to in pipeline.spec.reports.weekly]
    return any(pipeline.storage.find(key) is None for key in keys)
