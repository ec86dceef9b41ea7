"""The reports of a night and of a week, made from the records and written beside Data Docs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.reports.night import night_report
from evergreen.reports.page import render_report
from evergreen.reports.read import night_facts
from evergreen.reports.read_week import week_facts
from evergreen.reports.store import write_report
from evergreen.reports.week import week_report

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.reports.report import Report


@dataclass(frozen=True)
class Written:
    """A report, the key of its page in the storage, and the page."""

    report: Report
    key: str
    page: bytes


def write_night(pipeline: Pipeline, partition: str) -> Written:
    """Make the report of a partition's night from the records, and write its page in place of an earlier one.

    The same records give the same bytes, whenever it is made. Raises as
    `evergreen.reports.read.night_facts`.
    """
    return _written(pipeline, night_report(pipeline.spec, night_facts(pipeline, partition)))


def write_week(pipeline: Pipeline, partition: str) -> Written:
    """Make the report of the week in which a partition ends, and write its page in place of an earlier one.

    The same records give the same bytes, whenever it is made. Raises as
    `evergreen.reports.read_week.week_facts`.
    """
    return _written(pipeline, week_report(pipeline.spec, week_facts(pipeline, partition)))


def _written(pipeline: Pipeline, report: Report) -> Written:
    page = render_report(report)
    return Written(report, write_report(pipeline.storage, pipeline.name, report.name, page), page)
