"""The newest week that is over, told of several pipelines for one page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from evergreen.calendar import WEEK, week_of, week_with
from evergreen.errors import EvergreenError, NotFoundError
from evergreen.reports.read_week import expected_in, is_over, week_facts
from evergreen.reports.week import week_report

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.reports.report import Report


@dataclass(frozen=True)
class Told:
    """The report of a pipeline's week; None where there is none, and then the `problem` says why."""

    pipeline: str
    report: Report | None = None
    problem: str = ""


@dataclass(frozen=True)
class Weeks:
    """The week that ends with a `day`, told of each pipeline in the order of their names.

    The week of a weekly pipeline may begin and end on another day: it is the one that holds that day.
    """

    day: date
    told: tuple[Told, ...]


def weeks_of(names: Iterable[str], opened: Callable[[str], Pipeline]) -> Weeks:
    """The newest week that is over in any of the pipelines, told of all; one that fails is told in a line.

    Raises `NotFoundError` if no week of any is over, and the error of the first if that is why.
    """
    found: dict[str, Pipeline] = {}
    errors: dict[str, EvergreenError] = {}
    days: list[date] = []
    for name in sorted(names):
        try:
            pipeline = opened(name)
            days += _over(pipeline)
            found[name] = pipeline
        except EvergreenError as error:
            errors[name] = error
    if not days:
        nothing = NotFoundError("no week of any pipeline is over yet: name a pipeline for its week so far")
        raise next(iter(errors.values()), nothing)
    told = [_told(pipeline, max(days)) for pipeline in found.values()]
    told += [Told(name, problem=str(error)) for name, error in errors.items()]
    return Weeks(max(days), tuple(sorted(told, key=lambda one: one.pipeline)))


def _over(pipeline: Pipeline) -> list[date]:
    """The last day of the newest week that is over, or nothing.

    Months are not asked: one that is published ends a week of which the days are still to come.
    """
    spec, calendar = pipeline.spec, pipeline.spec.calendar
    published = pipeline.lake.partitions()
    if not published or not 0 < calendar.mean_days <= WEEK:
        return []
    week = week_of(calendar, published[-1])
    before = 0 if is_over(expected_in(spec, week), published) else WEEK
    day = date.fromisoformat(week) + timedelta(WEEK - 1 - before)
    return [day] if week_with(calendar, day) >= week_of(calendar, published[0]) else []


def _told(pipeline: Pipeline, day: date) -> Told:
    spec, name = pipeline.spec, pipeline.name
    if not spec.calendar.has_time:
        return Told(name, problem=f"a snapshot has no weeks: evergreen report {name} tells of its night")
    keys = expected_in(spec, week_with(spec.calendar, day))
    if not keys:
        return Told(name, problem="no partition of it ends in this week")
    try:
        report = week_report(spec, week_facts(pipeline, keys[-1]))
    except EvergreenError as error:
        return Told(name, problem=str(error))
    # The page stands elsewhere than those of the pipeline.
    return Told(name, replace(report, to_do=tuple(replace(one, page=None) for one in report.to_do)))
