"""The report of a night, made from the records and written beside Data Docs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.reports.night import night_report
from evergreen.reports.page import render_night
from evergreen.reports.read import night_facts
from evergreen.reports.store import write_report

if TYPE_CHECKING:
    from evergreen.pipeline import Pipeline
    from evergreen.reports.report import NightReport


@dataclass(frozen=True)
class Written:
    """A report, the key of its page in the storage, and the page."""

    report: NightReport
    key: str
    page: bytes


def write_night(pipeline: Pipeline, partition: str) -> Written:
    """Make the report of a partition's night from the records, and write its page in place of an earlier one.

    The same records give the same bytes, whenever it is made. Raises as
    `evergreen.reports.read.night_facts`.
    """
    report = night_report(pipeline.spec, night_facts(pipeline, partition))
    page = render_night(report)
    return Written(report, write_report(pipeline.storage, pipeline.name, report.name, page), page)
