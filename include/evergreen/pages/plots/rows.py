"""Figures of the rows: the target along the window and its distribution, and clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from evergreen.numbers import number, percent
from evergreen.pages.plots.svg import WIDTH, Figure, Plot, Scale, key_ticks, legend, spanned, width

_SERIES = 6
_CLASSES = 12
_ROW = 30.0


def target_over_time(over_time: Sequence[Mapping[str, Any]], target: str | None) -> Markup:
    """The target's mean along the window, or the rows where it is no number; the hold-out is shaded."""
    numeric = target is not None and any(entry["mean"] is not None for entry in over_time)
    values = [entry["mean"] if numeric else entry["rows"] for entry in over_time]
    words = f"mean {target}" if numeric else "rows"
    held = [place for place, entry in enumerate(over_time) if entry["held"]]
    plot = Plot(
        "window",
        f"{words} along the data window",
        f"{over_time[0]['partition']} to {over_time[-1]['partition']}, from {number(values[0])} to "
        f"{number(values[-1])}",
        x=(-0.5, len(over_time) - 0.5),
        y=spanned(values, None if numeric else 0.0),
        labels=("partition (shaded: held out)", words),
        height=230,
    )
    if held:
        start, end = plot.x(held[0] - 0.5), plot.x(held[-1] + 0.5)
        plot.bar(start, plot.top, max(3.0, end - start), plot.bottom - plot.top, "held", told="held out")
    plot.axes(key_ticks([entry["partition"] for entry in over_time]))
    places = [(plot.x(place), plot.y(value)) for place, value in enumerate(values) if value is not None]
    plot.curve(places, "curve")
    if len(places) < 40:
        for x, y in places:
            plot.dot(x, y, "fill", 2.5)
    return plot.svg()


def target_distribution(target: Mapping[str, Any]) -> Markup:
    """The target among the training rows and among the held-out ones, as shares of each."""
    return _classes(target) if "classes" in target else _numbers(target)


def cluster_sizes(clusters: Mapping[str, Any]) -> Markup:
    """Rows by cluster, the largest first."""
    shown = clusters["clusters"]
    total = sum(entry["rows"] for entry in shown)
    figure = Figure(
        "sizes",
        "Sizes of the clusters",
        "; ".join(f"cluster {entry['name']}: {entry['rows']} rows" for entry in shown),
        10 + _ROW * len(shown),
    )
    x = Scale(0, max(entry["rows"] for entry in shown), 80, WIDTH - 105)
    for place, entry in enumerate(shown):
        y = 6 + _ROW * place
        figure.label(72, y + 17, f"cluster {entry['name']}", 72)
        figure.bar(80, y + 3, x(entry["rows"]) - 80, _ROW - 9, f"s{place % _SERIES}")
        figure.text(x(entry["rows"]) + 6, y + 17, f"{entry['rows']:,} ({percent(entry['rows'] / total)})")
    return figure.svg()


def cluster_plane(clusters: Mapping[str, Any]) -> Markup:
    """Rows in the plane of the two main axes, a colour for each cluster, named at its middle."""
    points, explained = clusters["points"], clusters["explained"]
    names = [entry["name"] for entry in clusters["clusters"]]
    first, second = (f"axis {n} ({percent(share)} of the variance)" for n, share in enumerate(explained, 1))
    plot = Plot(
        "plane",
        "Clusters in the plane of the two main axes",
        f"{len(points)} rows in {clusters['count']} clusters",
        x=spanned(x for x, _, _ in points),
        y=spanned(y for _, y, _ in points),
        labels=(first, second),
        height=320,
    )
    plot.axes()
    for x, y, rank in points:
        plot.dot(plot.x(x), plot.y(y), f"s{rank % _SERIES}", 3.4)
    for rank, name in enumerate(names):
        own = [(x, y) for x, y, other in points if other == rank]
        if own:
            middle = [sum(place) / len(own) for place in zip(*own, strict=True)]
            plot.text(plot.x(middle[0]), plot.y(middle[1]) + 5, name, "halo", "middle")
    return plot.svg()


def _numbers(target: Mapping[str, Any]) -> Markup:
    shares = {
        part: [count / (sum(counts) or 1) for count in counts] for part, counts in target["counts"].items()
    }
    low, high = target["low"], target["high"]
    bars = len(shares["known"])
    plot = Plot(
        "target",
        f"Distribution of {target['name']}",
        "medians: "
        + ", ".join(f"{part} {number(found.get('median'))}" for part, found in target["quartiles"].items()),
        x=(low, high if high > low else low + 1),
        y=(0.0, max(*shares["known"], *shares["held"], 1e-9) * 1.06),
        labels=(str(target["name"]), "share of the rows"),
        height=250,
    )
    plot.axes()
    wide = (plot.right - plot.left) / bars
    for place in range(bars):
        y = plot.y(shares["known"][place])
        plot.bar(plot.left + place * wide + 0.5, y, wide - 1, plot.bottom - y, "pale")
    steps = [
        (plot.left + (place + side) * wide, plot.y(shares["held"][place]))
        for place in range(bars)
        for side in (0, 1)
    ]
    plot.curve(steps, "curve")
    legend(plot, [("pale", "trained on"), ("line", "held out")], 13, plot.right - 215)
    return plot.svg()


def _classes(target: Mapping[str, Any]) -> Markup:
    shown = target["classes"][:_CLASSES]
    totals = {part: sum(entry[part] for entry in target["classes"]) or 1 for part in ("known", "held")}
    shares = [{part: entry[part] / totals[part] for part in totals} for entry in shown]
    figure = Figure(
        "target",
        f"Classes of {target['name']}",
        "; ".join(
            f"{entry['name']}: {entry['known']} trained on, {entry['held']} held out" for entry in shown
        ),
        30 + _ROW * len(shown),
    )
    left = 10 + min(140.0, max(width(entry["name"]) for entry in shown))
    x = Scale(0, max(max(share.values()) for share in shares) or 1, left, WIDTH - 60)
    legend(figure, [("pale", "trained on"), ("fill", "held out")], 14)
    for place, (entry, share) in enumerate(zip(shown, shares, strict=True)):
        y = 26 + _ROW * place
        figure.label(left - 8, y + 16, entry["name"], left - 10)
        for offset, (part, css) in enumerate((("known", "pale"), ("held", "fill"))):
            told = f"{entry['name']}: {entry[part]:,} rows, {percent(share[part])}"
            figure.bar(left, y + 2 + 11 * offset, x(share[part]) - left, 10, css, told=told)
        figure.text(x(max(share.values())) + 6, y + 16, percent(share["held"]))
    return figure.svg()
