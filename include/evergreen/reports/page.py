"""Reports as pages: self-contained HTML without scripts, for a screen, a phone or paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.pages.plots import metric_by_night
from evergreen.pages.templates import template
from evergreen.reports.store import is_of_week

if TYPE_CHECKING:
    from markupsafe import Markup

    from evergreen.reports.report import Part, Report
    from evergreen.reports.weeks import Weeks

_FOLDER = Path(__file__).resolve().parent


def render_report(report: Report) -> bytes:
    """The page of a report; the same report gives the same bytes. All text is escaped."""
    html = template(_FOLDER, "report.html.jinja").render(report=report, parts=list(_drawn(report.parts)))
    return _encoded(html)


def render_list(pipeline: str, names: Sequence[str]) -> str:
    """A page that leads to the reports with these names, beside which it stands. All text is escaped."""
    weeks = [name for name in names if is_of_week(name)]
    nights = [name for name in names if not is_of_week(name)]
    return template(_FOLDER, "list.html.jinja").render(pipeline=pipeline, weeks=weeks, nights=nights)


def render_weeks(weeks: Weeks) -> bytes:
    """The page of the same week of several pipelines, with a section for each. All text is escaped."""
    sections = [
        (told, list(_drawn(told.report.parts, told.pipeline)) if told.report else []) for told in weeks.told
    ]
    return _encoded(template(_FOLDER, "weeks.html.jinja").render(day=weeks.day, sections=sections))


def _encoded(html: str) -> bytes:
    # Text from a source may hold half a surrogate pair, which cannot be encoded in UTF-8.
    return html.encode("utf-8", "xmlcharrefreplace")


def _drawn(parts: Sequence[Part], of: str = "course") -> Iterator[tuple[Part, Markup | None]]:
    """Each part with the figure of its course, named by what it is `of`; None without one."""
    for number, part in enumerate(parts):
        name, course = f"{of}-{number}", part.course
        yield part, metric_by_night(name, course.metric, course.nights, course.since) if course else None
