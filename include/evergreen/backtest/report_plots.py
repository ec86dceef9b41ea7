"""Figures of a backtest as inline SVG: error and drift over time, and error against trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from evergreen.backtest.result import PolicyResult
from evergreen.backtest.tradeoff import Point, above_curve, on_curve, points
from evergreen.drift import Statistic, limited
from evergreen.metrics import Metric, metric_named
from evergreen.numbers import number, percent
from evergreen.pages.plots.svg import WIDTH, Figure, Scale, key_ticks, spanned, width
from evergreen.signals.record import Record
from evergreen.signals.window import pooled

SMOOTHED = 7  # partitions
SERIES = 6  # colours that can be distinguished

_WIDE = 900.0
_CURVE = 640.0
_RUG = 17.0  # height of a policy's line of trainings
_LINE = 14.0  # height of a line of text
_FAR = 2.5  # a policy this many times worse than all others is cut off


class Canvas(Figure):
    """A figure with its own width and two axes: `x` and `y` are its scales."""

    def __init__(self, name: str, title: str, told: str, *, size: tuple[float, float]) -> None:
        super().__init__(name, title, told, size[1])
        self.wide = size[0]
        self.x = self.y = Scale(0, 1, 0, 1)

    def frame(self, y: tuple[float, float], *, top: float, bottom: float, left: float = 0) -> None:
        """Lay out the y axis between two heights, with its grid; the rest is for the x axis."""
        self.y = Scale(*y, bottom, top)
        self.left = max(left, 14.0 + max(width(number(tick)) for tick in self.y.ticks()))
        self.right, self.top, self.bottom = self.wide - 14.0, top, bottom
        for tick in self.y.ticks():
            self.line(self.left, self.y(tick), self.right, self.y(tick), "grid")
            self.text(self.left - 7, self.y(tick) + 4, number(tick), anchor="end")
        self.line(self.left, bottom, self.right, bottom, "axis")

    def ticks(self, ticks: Sequence[tuple[float, str]]) -> None:
        """Draw ticks and their words below the x axis."""
        for place, words in ticks:
            self.line(self.x(place), self.bottom, self.x(place), self.bottom + 4, "axis")
            half = width(words) / 2
            inside = min(max(self.x(place), half), self.wide - half)
            self.text(inside, self.bottom + 17, words, anchor="middle")

    def svg(self) -> Markup:
        """The image."""
        return Markup(str(super().svg()).replace(f'"0 0 {WIDTH} ', f'"0 0 {self.wide:g} ', 1))  # noqa: S704


@dataclass
class _Labels:
    """Texts beside dots, each where it covers neither a dot nor another text."""

    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def keep_clear(self, x: float, y: float, reach: float = 6) -> None:
        self.taken.append((x - reach, y - reach, x + reach, y + reach))

    def place(self, canvas: Canvas, x: float, y: float, words: str, css: str) -> None:
        """The first free place around a dot; where there is none, to its right."""
        wide = width(words)
        places = [(x + 9, y + 4), (x - wide - 9, y + 4), (x - wide / 2, y - 10), (x - wide / 2, y + 19)]
        places += [(x + 7, y - 8), (x - wide - 7, y - 8), (x + 7, y + 16), (x - wide - 7, y + 16)]
        free = (place for place in places if self._is_free(canvas, *place, wide))
        left, base = next(free, places[0])
        self.taken.append(_box(left, base, wide))
        canvas.text(left, base, words, css)

    def _is_free(self, canvas: Canvas, left: float, base: float, wide: float) -> bool:
        box = _box(left, base, wide)
        inside = canvas.left < box[0] and box[2] < canvas.wide - 4 and box[1] > 0 and box[3] < canvas.bottom
        return inside and not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in self.taken
        )


def _box(left: float, base: float, wide: float) -> tuple[float, float, float, float]:
    """The corners that a line of text takes."""
    return left, base - _LINE + 3, left + wide, base + 3


def smoothed(values: Sequence[float | None], over: int = SMOOTHED) -> list[float | None]:
    """The mean of the last `over` known values at each place, None until there is one."""
    means: list[float | None] = []
    known: list[float] = []
    for value in values:
        if value is not None:
            known = [*known, value][-over:]
        means.append(sum(known) / len(known) if known else None)
    return means


def over_last(result: PolicyResult, metric: Metric, over: int = SMOOTHED) -> dict[str, float | None]:
    """By partition the metric of all rows of the last `over` labelled ones, None until there is one."""
    found: dict[str, float | None] = {}
    labelled: list[Record] = []
    for record in result.records:
        if record.part(metric.name) is not None:
            labelled = [*labelled, record][-over:]
        found[record.partition] = pooled(metric, labelled)
    return found


def error_over_time(results: Sequence[PolicyResult], known: Sequence[str] = ()) -> Markup:
    """The metric of each policy over the last partitions, and below it a line for each with its trainings."""
    keys = sorted({key for result in results for key in result.by_partition})
    place = {key: number for number, key in enumerate(keys)}
    metric = metric_named(results[0].metric)
    lines = [[(place[key], value) for key, value in over_last(result, metric).items()] for result in results]
    values = [[value for _, value in line if value is not None] for line in lines]
    low, high, cut = _range(values, worst_is_high=not metric.higher_is_better)
    rug = 26.0 + _RUG * len(results)
    told = "; ".join(f"{result.policy}: {number(result.value)} over all rows" for result in results)
    canvas = Canvas("error", "Error over time", told, size=(_WIDE, 340 + rug))
    names = min(190.0, 16 + max(width(result.policy) for result in results))
    canvas.frame((low, high), top=26, bottom=310, left=names)
    canvas.x = Scale(-0.5, max(len(keys) - 0.5, 0.5), canvas.left, canvas.right)
    canvas.ticks(key_ticks(keys, 7))
    canvas.text(
        2, 13, f"{metric.name} over {SMOOTHED} partitions" + (", cut at the top" if cut else ""), "name"
    )
    _changes(canvas, place, known, 310 + rug)
    for number_, line in reversed([*enumerate(lines)]):
        drawn = [(canvas.x(at), canvas.y(min(value, high))) for at, value in line if value is not None]
        canvas.curve(drawn, f"series l{number_ % SERIES}{' dashed' if number_ >= SERIES else ''}")
    for number_, result in enumerate(results):
        _rug(canvas, place, result, number_, 352 + _RUG * number_)
    return canvas.svg()


def drift_over_time(
    result: PolicyResult, features: Sequence[str], statistic: Statistic, limit: float
) -> Markup:
    """A drift statistic of features, smoothed, and its limit."""
    keys = [night.partition for night in result.nights]
    lines = [_effects(result, name, statistic) for name in features]
    values = [value for line in lines for value in line if value is not None]
    ordered = sorted(values)
    # A feature may leave its bins entirely for a day; the others must still be visible.
    top = max(ordered[int(0.99 * (len(ordered) - 1))] * 1.25 if ordered else 0.0, 2.5 * limit)
    highest = {name: max(_known(line), default=None) for name, line in zip(features, lines, strict=True)}
    told = "; ".join(f"{name}: at most {number(value)}" for name, value in highest.items())
    title = f"Drift of the leading features, {result.policy}: {statistic.words}"
    canvas = Canvas(f"drift-{statistic.name}", title, told, size=(_WIDE, 290))
    canvas.frame((0.0, top), top=26, bottom=258)
    canvas.x = Scale(-0.5, max(len(keys) - 0.5, 0.5), canvas.left, canvas.right)
    canvas.ticks(key_ticks(keys, 7))
    canvas.text(2, 13, f"{statistic.words}, mean of {SMOOTHED} partitions", "name")
    canvas.line(canvas.left, canvas.y(limit), canvas.right, canvas.y(limit), "zero")
    for place, line in enumerate(lines):
        drawn = [
            (canvas.x(at), canvas.y(min(value, top))) for at, value in enumerate(line) if value is not None
        ]
        canvas.curve(drawn, f"series l{place % SERIES}")
    return canvas.svg()


def leading_features(result: PolicyResult, most: int = 5) -> list[str]:
    """The features that drifted on most partitions, then those of the highest mean of the first statistic."""
    names = {name for night in result.nights for name in night.record.drift}
    drifted = {name: sum(name in night.drifted for night in result.nights) for name in names}
    mean = {
        name: sum(found) / len(found)
        for name in names
        if (found := _known(_effects(result, name, limited()[0])))
    }
    return sorted(mean, key=lambda name: (-drifted[name], -mean[name], name))[:most]


def tradeoff_curve(results: Sequence[PolicyResult], colours: Mapping[str, int]) -> Markup:
    """Error over trainings: fixed schedules joined as a curve, the other policies as points beside it."""
    fixed, others = points(results)
    everything = [*fixed, *others]
    told = "; ".join(f"{p.policy}: {number(p.value)} with {p.trainings} trainings" for p in everything)
    canvas = Canvas("tradeoff", "Error against trainings", told, size=(_CURVE, 380))
    metric = results[0].metric
    span = spanned(point.value for point in everything)
    # Room for the names of the lowest.
    canvas.frame((span[0] - 0.06 * (span[1] - span[0]), span[1]), top=30, bottom=318)
    counts = [point.trainings for point in everything]
    low, high = math.log(min(counts)), math.log(max(*counts, min(counts) + 1))
    room = (high - low) * 0.07
    canvas.x = Scale(low - room, high + room, canvas.left, canvas.right - 40)
    shown = [tick for tick in _powers(max(counts)) if canvas.left <= canvas.x(math.log(tick)) <= canvas.right]
    canvas.ticks([(math.log(tick), f"{tick:,}") for tick in shown])
    canvas.text(2, 13, f"{metric} over all rows", "name")
    canvas.text((canvas.left + canvas.right) / 2, 352, "trainings (logarithmic)", "name", "middle")
    canvas.curve([_at(canvas, point) for point in fixed], "series fixed")
    labels = _Labels()
    for point in everything:
        labels.keep_clear(*_at(canvas, point))
    for left, right in pairwise(fixed):
        _keep_line_clear(labels, _at(canvas, left), _at(canvas, right))
    for point in others:
        _against_curve(canvas, labels, results, fixed, point)
    for point in everything:
        x, y = _at(canvas, point)
        css = "fixed" if point in fixed else f"s{colours[point.policy] % SERIES}"
        canvas.dot(x, y, css, 4 if point in fixed else 6, f"{point.policy}: {number(point.value)}")
    for point in [*others, *fixed]:
        x, y = _at(canvas, point)
        labels.place(canvas, x, y, _named(results, point), "" if point in fixed else "ink")
    return canvas.svg()


def _against_curve(
    canvas: Canvas, labels: _Labels, results: Sequence[PolicyResult], fixed: Sequence[Point], point: Point
) -> None:
    """A line from a point to the curve above or below it."""
    expected = on_curve(fixed, point.trainings)
    if expected is not None and above_curve(results, point.policy) is not None:
        x, y = _at(canvas, point)
        canvas.line(x, y, x, canvas.y(expected), "zero")
        labels.keep_clear(x, (y + canvas.y(expected)) / 2, 3)


def _named(results: Sequence[PolicyResult], point: Point) -> str:
    distance = above_curve(results, point.policy)
    if distance is None:
        return point.policy
    return f"{point.policy}: {percent(abs(distance))} {'worse' if distance > 0 else 'better'}"


def _keep_line_clear(labels: _Labels, start: tuple[float, float], end: tuple[float, float]) -> None:
    steps = max(1, int(math.dist(start, end) / 8))
    for step in range(steps + 1):
        share = step / steps
        labels.keep_clear(start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]), 2)


def _at(canvas: Canvas, point: Point) -> tuple[float, float]:
    return canvas.x(math.log(point.trainings)), canvas.y(point.value)


def _powers(most: int) -> list[int]:
    return [step * 10**power for power in range(len(str(most)) + 1) for step in (1, 2, 5)]


def _rug(canvas: Canvas, place: Mapping[str, int], result: PolicyResult, number_: int, y: float) -> None:
    canvas.label(canvas.left - 7, y + 11, result.policy, canvas.left - 12)
    canvas.line(canvas.left, y + 14, canvas.right, y + 14, "grid")
    keys = sorted(place)
    for event in result.events:
        # A training as of a day without rows is in force from the next that has some.
        at = next((place[key] for key in keys if key >= event.as_of), len(keys))
        css = f"s{number_ % SERIES}" if event.promoted else "refusal"
        told = f"{result.policy}, as of {event.as_of}: {event.outcome}"
        canvas.bar(canvas.x(at) - 1.25, y + 2, 2.5, 11, css, told=told)


def _changes(canvas: Canvas, place: Mapping[str, int], known: Sequence[str], bottom: float) -> None:
    keys = sorted(place)
    for day in known:
        at = next((place[key] for key in keys if key >= day), None)
        if at is not None:
            canvas.line(canvas.x(at), canvas.top, canvas.x(at), bottom, "change")
            canvas.text(canvas.x(at) + 4, canvas.top + 10, day, "name")


def _range(lines: Sequence[Sequence[float]], *, worst_is_high: bool) -> tuple[float, float, bool]:
    """What the y axis spans, and whether a policy far worse than all others is cut off for it."""
    highest = sorted(max(line) for line in lines if line)
    if not highest:
        return 0.0, 1.0, False
    lowest = min(value for line in lines for value in line)
    cut = worst_is_high and len(highest) > 1 and lowest >= 0 and highest[-1] > _FAR * highest[-2]
    top = _FAR * highest[-2] if cut else highest[-1]
    low = 0.0 if 0 <= lowest < top / 2 else spanned([lowest, top])[0]
    return low, spanned([low, top])[1], cut


def _effects(result: PolicyResult, name: str, statistic: Statistic) -> list[float | None]:
    found = [night.record.drift.get(name) for night in result.nights]
    return smoothed([None if one is None else statistic.effect_in(one) for one in found])


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
