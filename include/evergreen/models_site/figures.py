"""Figures of a pipeline's nights as inline SVG: no script, and the style sheet gives the colours."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from evergreen.numbers import number, percent
from evergreen.pages.plots.svg import Plot, Scale, key_ticks, spanned, stretches, width
from evergreen.registry.history import Kind

if TYPE_CHECKING:
    from evergreen.models_site.read import NightFacts
    from evergreen.registry.history import Event
    from evergreen.status.summary import Night

_WIDE, _TALL = 120.0, 30.0  # of a sparkline
_BELOW = 22.0  # room for the legend
_ABOVE = 14.0  # room for the marks of events

_SHAPES = {Kind.PROMOTED: "promotion", Kind.REFUSED: "refusal", Kind.ROLLED_BACK: "rollback"}
_LEGEND = (
    ("asked", "training asked"),
    ("promotion", "promoted"),
    ("refusal", "refused"),
    ("rollback", "rolled back"),
)


def sparkline(nights: Sequence[Night], metric: str) -> Markup:
    """The pooled error of the last nights with labels, oldest first, and the promised one as a dashed line.

    Nothing where fewer than two nights have labels.
    """
    known = [night for night in nights if night.pooled is not None]
    if len(known) < 2:
        return Markup()
    promised = known[-1].promised
    x = Scale(0, len(known) - 1, 3, _WIDE - 4)
    y = Scale(*spanned((night.pooled for night in known), promised), _TALL - 3, 3)
    points = " ".join(f"{x(at):.1f},{y(night.pooled or 0):.1f}" for at, night in enumerate(known))
    said = f"{metric} from {known[0].partition} to {known[-1].partition}: " + ", ".join(
        number(night.pooled) for night in known
    )
    line = Markup()
    if promised is not None:
        at = f"{y(promised):.1f}"
        line = Markup('<line class="zero" x1="0" y1="{}" x2="{:g}" y2="{}"/>').format(at, _WIDE, at)
    last_x, last_y = f"{x(len(known) - 1):.1f}", f"{y(known[-1].pooled or 0):.1f}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">{}'
        '<polyline class="curve" points="{}"/><circle class="fill" cx="{}" cy="{}" r="2.5"/></svg>'
    ).format(_WIDE, _TALL, said, line, points, last_x, last_y)


def error_over_time(nights: Sequence[NightFacts], events: Sequence[Event], metric: str) -> Markup:
    """The error of each night with labels and what was promised, with what happened to versions above.

    A dot is a training that was asked for, a triangle a promotion, a cross a refusal. A night without labels
    leaves a gap; without any the figure is empty.
    """
    known = [night.error for night in nights if night.error is not None]
    if not known:
        return Markup()
    plot = _plot(
        "error",
        f"{metric} of each night",
        f"{len(known)} nights with labels; {metric} between {number(min(known))} and {number(max(known))}",
        nights,
        y=spanned([*known, *(night.promised for night in nights)]),
        label=f"{metric} of the night",
    )
    _marks(plot, nights, events)
    for css, values in (
        ("promise", [night.promised for night in nights]),
        ("curve", [night.error for night in nights]),
    ):
        for stretch in stretches(values):
            plot.curve([(plot.x(at), plot.y(value)) for at, value in stretch], css)
    for at, night in enumerate(nights):
        if night.error is not None:
            told = f"{night.partition}: {number(night.error)}, promised {number(night.promised)}"
            plot.dot(plot.x(at), plot.y(night.error), "fill", 2.4, told)
    return plot.svg()


def drift_over_time(nights: Sequence[NightFacts], events: Sequence[Event]) -> Markup:
    """The share of the features that drifted in each night, with what happened to versions above."""
    if not nights:
        return Markup()
    most = max(nights, key=lambda night: night.share)
    plot = _plot(
        "drift",
        "Share of the features that drifted",
        f"{len(nights)} nights; the most {percent(most.share)} in {most.partition}",
        nights,
        y=(0.0, max(0.1, most.share * 1.08)),
        label="share of the features that drifted",
    )
    _marks(plot, nights, events)
    wide = min(18.0, 0.7 * (plot.right - plot.left) / len(nights))
    for at, night in enumerate(nights):
        told = f"{night.partition}: {percent(night.share)}" + "".join(f", {name}" for name in night.drifted)
        top = plot.y(night.share)
        plot.bar(plot.x(at) - wide / 2, top, wide, plot.bottom - top, "fill", told=told)
    return plot.svg()


def _plot(
    name: str,
    title: str,
    told: str,
    nights: Sequence[NightFacts],
    *,
    y: tuple[float, float],
    label: str,
) -> Plot:
    plot = Plot(
        name,
        title,
        told,
        x=(-0.7, len(nights) - 0.3),
        y=y,
        labels=("", label),
        height=250 + _ABOVE + _BELOW,
        below=_BELOW,
    )
    plot.top += _ABOVE
    plot.y = Scale(*y, plot.bottom, plot.top)
    plot.axes(key_ticks([night.partition for night in nights], about=3))
    return plot


def _marks(plot: Plot, nights: Sequence[NightFacts], events: Sequence[Event]) -> None:
    """What happened to versions at the nights that they were trained as of, and what was asked for."""
    keys = [night.partition for night in nights]
    where = plot.top - 8
    for at, night in enumerate(nights):
        if night.retrain:
            plot.dot(plot.x(at), where - 9, "asked", 3.4, f"{night.partition}: {night.reason}")
    for event in events:
        if event.kind not in _SHAPES:
            continue
        x = plot.x(bisect_left(keys, event.as_of))
        told = f"{event.as_of}: {event.version} {event.kind.value.replace('_', ' ')}"
        if event.kind is not Kind.REFUSED:
            plot.line(x, plot.top, x, plot.bottom, f"reign {_SHAPES[event.kind]}")
        plot.sign(x, where, _SHAPES[event.kind], told)
    x, y = plot.left, plot.bottom + 44
    for css, words in _LEGEND:
        if css == "asked":
            plot.dot(x + 4, y - 4, css, 3.4)
        else:
            plot.sign(x + 4, y - 4, css, "")
        plot.text(x + 13, y, words)
        x += 13 + width(words) + 12
