"""The page of the suite: a table, and a small curve of error over trainings for each history."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from textwrap import wrap

from benchmarks.histories.outcome import Outcome
from benchmarks.histories.verdict import Line
from evergreen import backtest
from evergreen.backtest.report_plots import Canvas
from evergreen.numbers import number
from evergreen.pages import templates
from evergreen.pages.plots.svg import Scale, spanned

_SIZE = (300.0, 200.0)
_COLUMNS = 3
_GAP = 16.0
_CHARACTERS = 46  # of a line below the name
_CAPTION = (
    "Error over trainings (logarithmic). Grey: fixed schedules, with never on the left. The dot is the "
    "default policy: green on or under the curve, red above it, with its distance to it."
)


def page(
    outcomes: Sequence[Outcome], lines: Sequence[Line], columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """The page as HTML: what holds, the curves, and the table of these columns and rows. No script."""
    held = "".join(
        f'<li><span class="mark {"held" if line.holds else "failed"}">{"holds" if line.holds else "fails"}'
        f"</span> {escape(line.says)}</li>"
        for line in lines
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>The default policy on {len(outcomes)} histories</title><style>{_styles()}</style></head>"
        f"<body><main><h1>The default policy on {len(outcomes)} histories</h1>"
        f'<ul class="limits">{held}</ul><figure class="wide">{sheet(outcomes)}'
        f"<figcaption>{_CAPTION}</figcaption></figure>"
        f'<div class="wide"><table class="tight"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></main></body></html>\n"
    )


def sheet(outcomes: Sequence[Outcome], *, styles: str = "") -> str:
    """One image of all curves, three in a row; `styles` for an image that stands alone."""
    wide, high = _SIZE
    lines = math.ceil(len(outcomes) / _COLUMNS)
    width, height = _COLUMNS * (wide + _GAP), lines * (high + _GAP)
    drawn = []
    for place, outcome in enumerate(outcomes):
        line, column = divmod(place, _COLUMNS)
        at = f"translate({column * (wide + _GAP):g} {line * (high + _GAP):g})"
        # A group, not an image in the image: the styles of a page would stretch that.
        inner = curve(outcome).partition(">")[2].removesuffix("</svg>")
        drawn.append(f'<g transform="{at}">{inner}</g>')
    style = f"<style>{styles}</style>" if styles else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="Error over trainings on {len(outcomes)} histories">{style}{"".join(drawn)}</svg>'
    )


def image(outcomes: Sequence[Outcome]) -> str:
    """The curves as an SVG file."""
    return sheet(outcomes, styles=re.sub(r"\s+", " ", _styles())) + "\n"


def curve(outcome: Outcome) -> str:
    """The curve of one history: fixed schedules joined, and the default policy as a dot."""
    own = outcome.default
    ordered = sorted(outcome.schedules, key=lambda run: run.trainings)
    told = "; ".join(f"{run.policy}: {number(run.value)} with {run.trainings}" for run in outcome.runs)
    canvas = Canvas(f"of-{outcome.history}", outcome.history, told, size=_SIZE)
    canvas.frame(spanned(run.value for run in outcome.runs), top=48, bottom=_SIZE[1] - 24)
    most = math.log(max(run.trainings for run in outcome.runs))
    canvas.x = Scale(-0.05 * most - 0.02, 1.05 * most + 0.05, canvas.left, canvas.right)
    canvas.ticks([(math.log(n), str(n)) for n in (1, 3, 10, 30, 100, 300) if math.log(n) <= most])
    canvas.text(2, 12, f"{outcome.history}, {outcome.metric}", "ink")
    for line, words in enumerate(wrap(outcome.stands_for, _CHARACTERS)):
        canvas.text(2, 25 + 12 * line, words)
    places = [(canvas.x(math.log(run.trainings)), canvas.y(run.value)) for run in ordered]
    canvas.curve(places, "series fixed")
    for run, (x, y) in zip(ordered, places, strict=True):
        canvas.dot(x, y, "fixed", 2.5, run.policy)
    side = "worse" if (outcome.above_curve or 0.0) > 0 else "better"
    words = f"default: {number(own.value)}, {own.trainings} trainings"
    x, y = canvas.x(math.log(own.trainings)), canvas.y(own.value)
    canvas.dot(x, y, side, 5, words)
    if outcome.above_curve is not None:
        canvas.text(min(x + 8, canvas.right - 30), y - 6, f"{100 * outcome.above_curve:+.1f}%", "ink")
    return str(canvas.svg())


def _styles() -> str:
    shared, own = (Path(str(module.__file__)).parent for module in (templates, backtest))
    files = (shared / "page.css", shared / "figures.css", own / "backtest.css")
    return "".join(file.read_text(encoding="utf-8") for file in files)
