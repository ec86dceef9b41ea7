"""Reports as pages: self-contained HTML without scripts, for a screen, a phone or paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.pages.plots import metric_by_night
from evergreen.pages.templates import template
from evergreen.reports.report import NightReport

if TYPE_CHECKING:
    from markupsafe import Markup

    from evergreen.reports.report import Part

_FOLDER = Path(__file__).resolve().parent


def render_night(report: NightReport) -> bytes:
    """The page of a night's report; the same report gives the same bytes. All text is escaped."""
    html = template(_FOLDER, "night.html.jinja").render(report=report, parts=list(_drawn(report.parts)))
    # Text from a source may hold half a surrogate pair, which cannot be encoded in UTF-8.
    return html.encode("utf-8", "xmlcharrefreplace")


def render_list(pipeline: str, names: Sequence[str]) -> str:
    """A page that leads to the reports with these names, beside which it stands. All text is escaped."""
    return template(_FOLDER, "list.html.jinja").render(pipeline=pipeline, names=names)


def _drawn(parts: Sequence[Part]) -> Iterator[tuple[Part, Markup | None]]:
    """Each part with the figure of its course; None without one."""
    for number, part in enumerate(parts):
        course = part.course
        yield part, metric_by_night(f"course-{number}", course.metric, course.nights) if course else None
