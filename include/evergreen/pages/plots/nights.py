"""Figures of nights in their course: the metric of each beside what was promised, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from evergreen.numbers import number
from evergreen.pages.plots.svg import WIDTH, Figure, Plot, key_ticks, spanned, stretches, width

_KEY = 22.0  # the height of the explanation of the marks
_MOST_DOTS = 90  # beyond which only the marked nights have a dot


@dataclass(frozen=True)
class NightPoint:
    """A monitored night: its metric and what was promised, None where nothing is known of it.

    `asks`: it asked for a training. `begins`: the first one that a version was in force for.
    """

    key: str
    error: float | None
    promised: float | None
    asks: bool = False
    begins: bool = False


def metric_by_night(name: str, metric: str, points: Sequence[NightPoint], since: str = "") -> Markup:
    """The metric of each night as a line, with what was promised as a dashed one.

    Nights that asked for a training are diamonds, and a new version is a vertical line, so that nothing is
    told by colour alone. A night without labels leaves a gap. With `since`, the nights from that key on are
    shaded.
    """
    plot = Plot(
        name,
        f"{metric} by night",
        _described(metric, points),
        x=(-0.5, max(len(points), 2) - 0.5),
        y=spanned(value for point in points for value in (point.error, point.promised)),
        labels=("partition", metric),
        height=270,
        below=_KEY,
    )
    if since and (place := sum(point.key < since for point in points)) < len(points):
        left = plot.x(place - 0.5)
        plot.bar(left, plot.top, plot.right - left, plot.bottom - plot.top, "span", told=f"since {since}")
    plot.axes(key_ticks([point.key for point in points], about=3))
    for place, point in enumerate(points):
        if point.begins:
            plot.line(plot.x(place - 0.5), plot.top, plot.x(place - 0.5), plot.bottom, "begins")
    for css, values in (
        ("promised", [point.promised for point in points]),
        ("curve", [point.error for point in points]),
    ):
        for stretch in stretches(values):
            plot.curve([(plot.x(place), plot.y(value)) for place, value in stretch], css)
    for place, point in enumerate(points):
        _mark(plot, place, point, len(points))
    _explain(plot)
    return plot.svg()


def _described(metric: str, points: Sequence[NightPoint]) -> str:
    known = [point for point in points if point.error is not None]
    if not known:
        return f"{len(points)} nights, none with labels"
    last = known[-1]
    asked = sum(point.asks for point in points)
    return (
        f"{len(points)} nights, {asked} of which asked for a training; the last with labels is {last.key}: "
        f"{metric} {number(last.error)}, {number(last.promised)} promised"
    )


def _mark(plot: Plot, place: int, point: NightPoint, count: int) -> None:
    if point.error is None:
        return
    told = f"{point.key}: {number(point.error)}, {number(point.promised)} promised"
    x, y = plot.x(place), plot.y(point.error)
    if point.asks:
        plot.diamond(x, y, "asks", told=f"{told}, asked for a training")
    elif count <= _MOST_DOTS:
        plot.dot(x, y, "fill", 2.6, told)


def _explain(figure: Plot) -> None:
    """What the marks mean, in one line below the axis."""
    y, x = figure.bottom + 58.0, 2.0
    entries = ("night", "promised", "asked for training", "new version")
    for mark, words in zip((_night, _promised, _asks, _begins), entries, strict=True):
        mark(figure, x, y - 4)
        figure.text(x + 22, y, words)
        x += 22 + width(words) + (WIDTH - 4 * 22 - sum(map(width, entries))) / 4


def _night(figure: Figure, x: float, y: float) -> None:
    figure.curve([(x, y), (x + 16, y)], "curve")
    figure.dot(x + 8, y, "fill", 2.6)


def _promised(figure: Figure, x: float, y: float) -> None:
    figure.curve([(x, y), (x + 16, y)], "promised")


def _asks(figure: Figure, x: float, y: float) -> None:
    figure.diamond(x + 8, y, "asks")


def _begins(figure: Figure, x: float, y: float) -> None:
    figure.line(x + 8, y - 7, x + 8, y + 7, "begins")
