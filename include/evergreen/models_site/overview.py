"""The page of all pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.models_site.figures import sparkline
from evergreen.models_site.listing import SHOWN, Listing, worse_by
from evergreen.numbers import number, percent
from evergreen.pages.templates import template

if TYPE_CHECKING:
    from evergreen.status.summary import Status

TEMPLATES = Path(__file__).resolve().parent

_COLUMNS = (
    ("pipeline", "pipeline and champion"),
    ("age", "age"),
    ("error", "error against promise"),
    ("aside", "set aside"),
    ("alerts", "alerts"),
    ("next", "next night, UTC"),
)


def render_overview(found: Sequence[Status], listing: Listing) -> str:
    """The page of the pipelines that a person may see, as far as `listing` shows them. Text is escaped."""
    return template(TEMPLATES, "overview.html.jinja").render(
        found=found,
        shown=listing.chosen(found),
        listing=listing,
        columns=_COLUMNS,
        groups={name: words for name, (words, _) in SHOWN.items()},
        alerts=sum(len(one.alerts) for one in found),
        worse=sum((worse_by(one) or 0) > 0 for one in found),
        worse_by=worse_by,
        sparkline=sparkline,
        number=number,
        percent=percent,
        UTC=UTC,
    )


def render_notice(title: str, text: str, back: str) -> str:
    """A page that says in plain words why there is nothing else; `back` leads to all pipelines."""
    return template(TEMPLATES, "notice.html.jinja").render(title=title, text=text, home=back)
