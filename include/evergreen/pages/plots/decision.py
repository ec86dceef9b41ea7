"""The figure of a decision: what each threshold would have given, and which one was chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from evergreen.numbers import number
from evergreen.pages.plots.svg import Plot, spanned, width

_ROUND = (1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)
"""The probabilities that the axis may name."""
_ROOM = 0.08
"""How far beyond the others the first and the last threshold may stand, as a share of their range."""
_TAIL = 0.02
"""The share of the thresholds at each end that the figure may leave out."""


def threshold_curve(curve: Mapping[str, Any], measure: str, positive: str) -> Markup:
    """A metric in the folds over the threshold, which stands at its log-odds: rare classes are near 0."""
    places = _places(curve["thresholds"])
    chosen, best, at = curve["thresholds"][curve["best"]], curve["values"][curve["best"]], curve["best"]
    tail = int(len(places) * _TAIL)
    low, high = min(places[tail], places[at]), max(places[len(places) - 1 - tail], places[at])
    shown = [
        (place, value)
        for place, value in zip(places, curve["values"], strict=True)
        if value is not None and low <= place <= high
    ]
    values = [value for _, value in shown]
    plot = Plot(
        "threshold",
        f"{measure} over the threshold",
        f"{number(best)} at the chosen threshold {number(chosen)}; between {number(min(values))} and "
        f"{number(max(values))} at all that are shown",
        x=spanned(place for place, _ in shown),
        y=(0.0, 1.06 * max(values) or 1.0),
        labels=(f"threshold: probability of {positive} (log-odds)", f"{measure} in the folds"),
        height=290,
    )
    plot.axes(_ticks(plot))
    place = plot.x(places[at])
    plot.line(place, plot.top, place, plot.bottom, "zero")
    plot.curve([(plot.x(x), plot.y(y)) for x, y in shown], "curve")
    told = f"from {number(chosen)} on: {number(best)}"
    plot.dot(place, plot.y(best), "fill", 5, told)
    fits = place + 10 + width(told) < plot.right
    plot.text(place + (8 if fits else -8), plot.bottom - 9, told, "ink", "start" if fits else "end")
    return plot.svg()


def _places(thresholds: Sequence[float]) -> list[float]:
    """The log-odds of rising thresholds.

    The first and the last say always one class: they stand near the others, wherever between those and a
    certain probability they are.
    """
    places = [_odds(threshold) for threshold in thresholds]
    if len(places) > 3:
        room = _ROOM * (places[-2] - places[1])
        places[0], places[-1] = max(places[0], places[1] - room), min(places[-1], places[-2] + room)
    return places


def _odds(threshold: float) -> float:
    """The logarithm of the odds, of a probability that may be certain."""
    within = min(max(threshold, 1e-6), 1 - 1e-6)
    return math.log(within / (1 - within))


def _ticks(plot: Plot) -> list[tuple[float, str]]:
    """The round probabilities in the range of the axis, without those whose names would touch."""
    ticks: list[tuple[float, str]] = []
    free = plot.left
    for value in _ROUND:
        words, place = f"{value:g}", plot.x(_odds(value))
        if free <= place - width(words) / 2 and place <= plot.right:
            ticks.append((_odds(value), words))
            free = place + width(words) / 2 + 8
    return ticks
