"""Figures of the choice of a model: losses against the champion, important features, tuning trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evergreen.numbers import number, signed
from evergreen.pages.plots.svg import WIDTH, Figure, Plot, Scale, legend, spanned, width

_MOST_FEATURES = 14
_ONE_WAY = 0.5  # a rank correlation from which a feature has a direction
_SERIES = 6  # colours that are told apart
_ROW = 24.0


@dataclass(frozen=True)
class Loss:
    """How much worse the challenger is on some rows, its interval, and the most that is allowed."""

    label: str
    loss: float
    low: float | None
    high: float | None
    allowed: float | None


def loss_intervals(name: str, metric: str, losses: Sequence[Loss]) -> Markup:
    """A line for each loss: its interval, and a mark at the most that is allowed. Left is better."""
    height = 62 + _ROW * 1.3 * len(losses)
    described = "; ".join(
        f"{loss.label}: {signed(loss.loss)}, {signed(loss.low)} to {signed(loss.high)}, "
        f"allowed {signed(loss.allowed)}"
        for loss in losses
    )
    figure = Figure(name, f"Challenger's loss in {metric} against the champion", described, height)
    ends = [end for loss in losses for end in (loss.loss, loss.low, loss.high, loss.allowed)]
    left = 10 + min(165.0, max(width(loss.label) for loss in losses))
    x = Scale(*spanned(ends, 0.0), left, WIDTH - 10)
    top, bottom = 22.0, height - 38
    for tick in x.ticks():
        figure.line(x(tick), top, x(tick), bottom, "zero" if tick == 0 else "grid")
        figure.text(x(tick), bottom + 15, signed(tick), anchor="middle")
    figure.text(max(left, x(0) - 8), 13, "← challenger better", "name", "end" if x(0) > 150 else "start")
    if x(0) < WIDTH - 68:
        figure.text(x(0) + 8, 13, "worse →", "name")
    for place, loss in enumerate(losses):
        y = top + _ROW * 1.3 * (place + 0.55)
        figure.label(left - 8, y + 4, loss.label, left - 10)
        _interval(figure, x, y, loss)
    figure.text((left + WIDTH) / 2, height - 5, f"loss in {metric}", "name", "middle")
    return figure.svg()


def importance_bars(importance: Mapping[str, Any], metric: str) -> Markup:
    """How much worse the metric gets without each feature: the most important ones as bars."""
    shown = [entry for entry in importance["features"] if entry["loss"] is not None][:_MOST_FEATURES]
    told = [f"{entry['name']} {number(entry['loss'])} ± {number(entry['spread'])}" for entry in shown]
    figure = Figure(
        "importance", "Importance of the features by permutation", "; ".join(told), 40 + _ROW * len(shown)
    )
    left = 10 + min(175.0, max(width(entry["name"]) for entry in shown))
    ends = [end for entry in shown for end in (entry["loss"] + entry["spread"], entry["loss"])]
    low = min(0.0, *(entry["loss"] for entry in shown))
    x = Scale(low, max(*ends, low + 1e-9), left, WIDTH - 76)
    for place, entry in enumerate(shown):
        y = 8 + _ROW * place
        figure.label(left - 8, y + 14, entry["name"], left - 10)
        start, end = sorted((x(0), x(entry["loss"])))
        figure.bar(start, y + 3, max(1.0, end - start), _ROW - 9, "fill", told=told[place])
        spread = (x(entry["loss"] - entry["spread"]), x(entry["loss"] + entry["spread"]))
        figure.line(max(left, spread[0]), y + 10.5, spread[1], y + 10.5, "whisker")
        figure.text(max(end, spread[1]) + 6, y + 14, signed(entry["loss"]))
    figure.line(x(0), 6, x(0), 10 + _ROW * len(shown), "axis")
    figure.text(
        WIDTH / 2, 30 + _ROW * len(shown), f"how much worse {metric} gets without it", "name", "middle"
    )
    return figure.svg()


def contribution_bars(contributions: Mapping[str, Any]) -> Markup:
    """How far each feature moves predictions: the largest as bars, with the direction where there is one."""
    shown = contributions["features"][:_MOST_FEATURES]
    told = [f"{entry['name']} {number(entry['size'])}{_WAYS[_way(entry)][2]}" for entry in shown]
    bottom = 8 + _ROW * len(shown)
    figure = Figure("contributions", "Contributions of the features", "; ".join(told), bottom + 58)
    left = 10 + min(175.0, max(width(entry["name"]) for entry in shown))
    x = Scale(0.0, max(*(entry["size"] for entry in shown), 1e-9), left, WIDTH - 76)
    for place, entry in enumerate(shown):
        y = 8 + _ROW * place
        css, arrow, _ = _WAYS[_way(entry)]
        figure.label(left - 8, y + 14, entry["name"], left - 10)
        figure.bar(left, y + 3, max(1.0, x(entry["size"]) - left), _ROW - 9, css, told=told[place])
        figure.text(max(left + 1, x(entry["size"])) + 6, y + 14, f"{number(entry['size'])} {arrow}".rstrip())
    figure.line(left, 6, left, bottom + 2, "axis")
    unit = f"mean absolute contribution ({contributions['unit']})"
    figure.label(WIDTH / 2, bottom + 22, unit, WIDTH, css="name", anchor="middle")
    ways = [way for way in _WAYS if any(_way(entry) == way for entry in shown)]
    legend(figure, [(_WAYS[way][0], f"{_WAYS[way][1]} {way}".strip()) for way in ways], bottom + 48)
    return figure.svg()


def trial_scores(search: Mapping[str, Any], metric: str) -> Markup:
    """The score of every trial in the order tried, a colour for each candidate, and the best so far."""
    trials, candidates = search["trials"], [name.rpartition(".")[2] for name in search["candidates"]]
    scored = [(place, trial) for place, trial in enumerate(trials) if trial["score"] is not None]
    # One very bad trial must not squeeze the others into a line.
    scores = sorted(trial["score"] for _, trial in scored)
    middle = scores[len(scores) // 2]
    near = 6 * (scores[(3 * len(scores)) // 4] - scores[len(scores) // 4]) or abs(middle) or 1.0
    close = [score for score in scores if abs(score - middle) <= near]
    best = scored[-1][1]["best"]
    y = spanned([*close, best])
    plot = Plot(
        "trials",
        f"Scores of {len(trials)} trials",
        f"{len(scored)} trials were scored; the best {metric} in cross-validation is {number(best)}",
        x=(0.5, max(len(trials), 2) + 0.5),
        y=y,
        labels=("trial", f"{metric} in cross-validation"),
        height=290,
        below=22,
    )
    ticks = sorted({round(tick) for tick in plot.x.ticks() if 1 <= round(tick) <= len(trials)} | {1})
    plot.axes([(float(tick), str(tick)) for tick in ticks])
    edge = [(plot.x(place + 1), plot.y(min(max(trial["best"], y[0]), y[1]))) for place, trial in scored]
    plot.curve(edge, "best")
    for place, trial in scored:
        inside = y[0] <= trial["score"] <= y[1]
        height = plot.y(min(max(trial["score"], y[0]), y[1]))
        told = f"trial {place + 1}: {candidates[trial['candidate']]} {number(trial['score'])}"
        css = f"s{trial['candidate'] % _SERIES}"
        plot.dot(plot.x(place + 1), height, css if inside else f"{css} far", 4, told)
    named = [(f"s{number % _SERIES}", name) for number, name in enumerate(candidates)]
    legend(plot, named[:_SERIES], plot.bottom + 58, plot.left)
    return plot.svg()


_WAYS = {
    "rises with it": ("s1", "↑", ", larger values move it up"),
    "falls with it": ("s2", "↓", ", larger values move it down"),
    "not one way": ("fill", "", ""),
}
"""The colour, the arrow and the words of each direction, by what the legend says of it."""


def _way(entry: Mapping[str, Any]) -> str:
    direction = entry["direction"] or 0.0
    if abs(direction) < _ONE_WAY:
        return "not one way"
    return "rises with it" if direction > 0 else "falls with it"


def _sure(loss: Loss) -> str:
    """Whether the interval is within what is allowed, beyond it, or on both sides."""
    if loss.allowed is None or loss.low is None or loss.high is None:
        return "unsure"
    return "better" if loss.high <= loss.allowed else "worse" if loss.low > loss.allowed else "unsure"


def _interval(figure: Figure, x: Scale, y: float, loss: Loss) -> None:
    css = _sure(loss)
    told = f"{loss.label}: {signed(loss.loss)} ({signed(loss.low)} to {signed(loss.high)})"
    if loss.low is not None and loss.high is not None:
        figure.line(x(loss.low), y, x(loss.high), y, f"interval {css}")
        for end in (loss.low, loss.high):
            figure.line(x(end), y - 5, x(end), y + 5, f"interval {css}")
    figure.dot(x(loss.loss), y, css, 5, told)
    if loss.allowed is not None:
        figure.line(x(loss.allowed), y - 12, x(loss.allowed), y + 12, "margin")
