"""Figures of how a model errs: residuals, confusion, reliability of its probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from evergreen.numbers import number, percent, signed
from evergreen.pages.plots.svg import WIDTH, Figure, Plot, key_ticks, spanned, width


def residuals_over_predictions(residuals: Mapping[str, Any], unit: str) -> Markup:
    """Each row's residual over its prediction: a pattern shows what the model has not learnt."""
    points = residuals["points"]
    plot = Plot(
        "residuals",
        "Residuals over predictions",
        f"{len(points)} rows; actual less predicted {unit}, mean {number(residuals['mean'])}",
        x=spanned(x for x, _ in points),
        y=spanned((y for _, y in points), 0.0),
        labels=(f"predicted {unit}", "actual less predicted"),
    )
    plot.axes()
    for x, y in points:
        plot.dot(plot.x(x), plot.y(y), "point", 2.6)
    plot.line(plot.left, plot.y(0), plot.right, plot.y(0), "zero")
    return plot.svg()


def residuals_over_time(over_time: Sequence[Mapping[str, Any]], unit: str) -> Markup:
    """The mean residual of each partition: a drift away from zero shows that the model is getting old."""
    worst = max(over_time, key=lambda entry: abs(entry["mean"] or 0.0))
    plot = Plot(
        "over-time",
        "Mean residual by partition",
        f"{len(over_time)} partitions; furthest from 0: {signed(worst['mean'])} in {worst['partition']}",
        x=(-0.7, len(over_time) - 0.3),
        y=spanned((entry["mean"] for entry in over_time), 0.0),
        labels=("partition", f"mean of actual less predicted {unit}"),
    )
    plot.axes(key_ticks([entry["partition"] for entry in over_time]))
    wide = min(26.0, 0.7 * (plot.right - plot.left) / len(over_time))
    for place, entry in enumerate(over_time):
        top, bottom = sorted((plot.y(0), plot.y(entry["mean"] or 0.0)))
        told = f"{entry['partition']}: {signed(entry['mean'])}, {entry['rows']} rows"
        plot.bar(plot.x(place) - wide / 2, top, wide, bottom - top, "fill", told=told)
    plot.line(plot.left, plot.y(0), plot.right, plot.y(0), "zero")
    return plot.svg()


def residual_histogram(histogram: Mapping[str, Any], unit: str) -> Markup:
    """How many rows have which residual."""
    counts, low, high = histogram["counts"], histogram["low"], histogram["high"]
    high = high if high > low else low + 1
    plot = Plot(
        "histogram",
        "Distribution of the residuals",
        f"{sum(counts)} rows between {number(low)} and {number(high)}, {histogram['outside']} beyond",
        x=(low, high),
        y=(0, max(counts) * 1.06 or 1),
        labels=(f"actual less predicted {unit}", "rows"),
    )
    plot.axes()
    step = (high - low) / len(counts)
    for place, count in enumerate(counts):
        start, end = plot.x(low + place * step), plot.x(low + (place + 1) * step)
        told = f"{number(low + place * step)} to {number(low + (place + 1) * step)}: {count} rows"
        plot.bar(start + 0.5, plot.y(count), end - start - 1, plot.bottom - plot.y(count), "fill", told=told)
    if low < 0 < high:
        plot.line(plot.x(0), plot.top, plot.x(0), plot.bottom, "zero")
    return plot.svg()


def confusion_matrix(confusion: Mapping[str, Any]) -> Markup:
    """Rows by true class (down) and predicted class (across), shaded by their share of the true class."""
    labels, counts = confusion["labels"], confusion["counts"]
    right = sum(counts[place][place] for place in range(len(labels)))
    total = sum(map(sum, counts))
    left = 24 + min(110.0, max(width(label) for label in labels))
    cell = min(112.0, (WIDTH - left - 6) / len(labels))
    tall = min(cell, 40.0)
    figure = Figure(
        "confusion",
        "Confusion matrix",
        f"{right} of {total} rows are predicted as what they are",
        54 + tall * len(labels),
    )
    figure.text(left, 13, "predicted →", "name")
    figure.text(2, 36, "true ↓", "name")
    for across, label in enumerate(labels):
        figure.label(left + cell * (across + 0.5), 36, label, cell, anchor="middle")
    for down, row in enumerate(counts):
        y = 44 + tall * down
        figure.label(left - 8, y + tall / 2 + 4, labels[down], left - 10)
        for across, count in enumerate(row):
            share = count / (sum(row) or 1)
            told = f"{labels[down]}, predicted {labels[across]}: {count} rows, {percent(share)}"
            x = left + cell * across
            css = "fill" if down == across else "wrong"
            figure.bar(x + 1, y + 1, cell - 2, tall - 2, "cell")
            figure.bar(x + 1, y + 1, cell - 2, tall - 2, css, told=told, opacity=0.9 * share)
            if count and cell > 18:
                ink = "on" if share > 0.8 else "ink"
                whole = f"{count:,} ({percent(share)})"
                words = whole if width(whole) < cell else f"{count:,}"
                figure.text(x + cell / 2, y + tall / 2 + 4, words, ink, "middle")
    return figure.svg()


def reliability_curve(reliability: Mapping[str, Any]) -> Markup:
    """Observed over predicted shares: on the diagonal the probabilities are well calibrated."""
    bins = reliability["bins"]
    what = (
        f"probability of {reliability['of']}" if reliability["of"] else "probability of the predicted class"
    )
    plot = Plot(
        "reliability",
        "Reliability of the probabilities",
        "; ".join(
            f"{percent(group['predicted'])} predicted, {percent(group['observed'])} happened"
            for group in bins
        ),
        x=(0.0, 1.0),
        y=(0.0, 1.0),
        labels=(f"predicted {what}", "share that happened"),
        height=300,
    )
    plot.axes()
    plot.line(plot.x(0), plot.y(0), plot.x(1), plot.y(1), "zero")
    for group in bins:
        x = plot.x(group["predicted"])
        plot.line(x, plot.y(group["low"]), x, plot.y(group["high"]), "whisker")
    plot.curve([(plot.x(group["predicted"]), plot.y(group["observed"])) for group in bins], "curve")
    for group in bins:
        told = (
            f"{percent(group['predicted'])} predicted, {percent(group['observed'])} of {group['rows']} rows"
        )
        plot.dot(plot.x(group["predicted"]), plot.y(group["observed"]), "fill", 4, told)
    return plot.svg()
