"""The page of two versions side by side: what differs stands open, what is the same folds away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.explain.version import is_now
from evergreen.numbers import number, signed
from evergreen.pages.templates import template
from evergreen.side_by_side.compare import counts
from evergreen.side_by_side.lines import text

if TYPE_CHECKING:
    from evergreen.side_by_side.compare import SideBySide
    from evergreen.side_by_side.predicted import SameRows
    from evergreen.spec import Spec

TEMPLATES = Path(__file__).resolve().parent


def render_pair(spec: Spec, both: SideBySide, rows: SameRows | str | None = None) -> str:
    """The page of two versions; all text is escaped.

    `rows` are the same rows with the predictions of both, or in a line why there are none. Where it is None,
    nobody has asked for them.
    """
    return template(TEMPLATES, "pair.html.jinja").render(
        spec=spec,
        both=both,
        same=both.first.version == both.second.version,
        rows=rows,
        problem=rows if isinstance(rows, str) else "",
        counts=counts,
        is_now=is_now,
        number=number,
        signed=signed,
        text=text,
    )
