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

_FOLDER = Path(__file__).resolve().parent


def render_report(report: Report) -> bytes:
    """The page of a report; the same report gives the same bytes. All text is escaped."""
    html = template(_FOLDER, "report.html.jinja").render(report=report, parts=list(_drawn(report.parts)))
    # Text from a source may hold half a surrogate pair, which cannot be encoded in UTF-8.
    return html.encode("utf-8", "xmlcharrefreplace")


def render_list(pipeline: str, names: Sequence[str]) -> str:
    """A page that leads to the reports with these names, beside which it stands. All text is escaped."""
    weeks = [name for name in names if is_of_week(name)]
    nights = [name for name in names if not is_of_week(name)]
    return template(_FOLDER, "list.html.jinja").render(pipeline=pipeline, weeks=weeks, nights=nights)


def _drawn(parts: Sequence[Part]) -> Iterator[tuple[Part, Markup | None]]:
    """Each part with the figure of its course; None without one."""
    for number, part in enumerate(parts):
        name, course = f"course-{number}", part.course
        yield part, metric_by_night(name, course.metric, course.nights, course.since) if course else None
