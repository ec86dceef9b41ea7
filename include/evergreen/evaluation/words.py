"""Figures as the gate's sentences have them."""

from __future__ import annotations

import math

from evergreen.evaluation.compare import Comparison
from evergreen.metrics import metric_named


def loss_in_words(found: Comparison) -> str:
    """The loss with its interval."""
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return f"{figure(found.loss)} (too few blocks for an interval)"
    low, high = figure(found.low), figure(found.high)
    return f"{figure(found.loss)} ({low} to {high} at {in_percent(found.confidence)} confidence)"


def valued(metric: str, value: float) -> str:
    """A metric and its value: `mae 12.3`, `cost a row 0.231`."""
    return f"{metric_named(metric).with_unit} {figure(value)}"


def counted(number: int, what: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def in_percent(share: float) -> str:
    """A share with four digits as percent."""
    return f"{100 * share:.4g}%"


def figure(value: float) -> str:
    """Four digits; a number that is not finite by its name."""
    return f"{value:.4g}" if math.isfinite(value) else str(value)
